//! An app's whole life through the real SDK: built, running, suspended, changed, destroyed.

use crate::common::{CLUSTER, HOST, NAME, apply, destroy, phase, sim, status, wait};
use aws_sdk_ecs::types::{DeploymentRolloutState, ServiceField};

#[tokio::test(start_paused = true)]
async fn an_apply_leaves_a_healthy_service_and_a_destroy_nothing() {
    let sim = sim().await;
    let build = sim.run(apply()).await;
    assert_eq!(status(&build), "SUCCEEDED");
    assert_eq!(phase(&build, "BUILD").unwrap().0, "SUCCEEDED");
    wait(120).await;

    let answer = sim
        .aws
        .ecs
        .describe_services()
        .cluster(CLUSTER)
        .services(NAME)
        .include(ServiceField::Tags)
        .send()
        .await
        .unwrap();
    let service = &answer.services()[0];
    assert_eq!(
        (service.status(), service.running_count(), service.desired_count()),
        (Some("ACTIVE"), 1, 1)
    );
    let tags: Vec<_> = service
        .tags()
        .iter()
        .map(|tag| (tag.key().unwrap(), tag.value().unwrap()))
        .collect();
    assert_eq!(
        tags,
        [
            ("lamplighter:host-name", HOST),
            ("lamplighter:instance-id", "otter")
        ]
    );
    let deployment = &service.deployments()[0];
    assert_eq!(
        deployment.rollout_state(),
        Some(&DeploymentRolloutState::Completed)
    );
    assert!(service.events()[0].message().unwrap().contains("steady state"));

    let groups = sim
        .aws
        .elb
        .describe_target_groups()
        .names(NAME)
        .send()
        .await
        .unwrap();
    let group = &groups.target_groups()[0];
    assert_eq!(group.load_balancer_arns().len(), 1);
    let health = sim
        .aws
        .elb
        .describe_target_health()
        .target_group_arn(group.target_group_arn().unwrap())
        .send()
        .await
        .unwrap();
    let described = health.target_health_descriptions()[0].target_health().unwrap();
    assert_eq!(described.state().unwrap().as_str(), "healthy");
    assert!(sim.cloud.world().service(CLUSTER, NAME).unwrap().up);

    let build = sim.run(destroy()).await;
    assert_eq!(status(&build), "SUCCEEDED");
    assert_eq!(sim.service().await.status(), Some("INACTIVE"));
    assert!(sim.cloud.world().target_groups().is_empty());
    assert_eq!(sim.cloud.world().violations(), Vec::<String>::new());
}
