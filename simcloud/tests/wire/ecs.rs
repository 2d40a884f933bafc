//! What ECS promises about services and tasks: limits, absences, draining, rollouts, crashes.

use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::types::{ContainerDefinition, ServiceField};
use simcloud::{ServiceStatus, SimConfig};

use crate::common::{CLUSTER, HOST, NAME, Sim, apply, config, sim, sim_with, status, wait};

/// A cloud with the app running.
pub(crate) async fn running() -> Sim {
    let sim = sim().await;
    assert_eq!(status(&sim.run(apply()).await), "SUCCEEDED");
    wait(180).await;
    sim
}

async fn desire(sim: &Sim, count: i32) {
    let update = sim
        .aws
        .ecs
        .update_service()
        .cluster(CLUSTER)
        .service(NAME)
        .desired_count(count);
    update.send().await.unwrap();
}

/// Services made by hand, without builds.
async fn many_services(sim: &Sim, count: usize) {
    let container = ContainerDefinition::builder().name("app").image("app:1").build();
    let register = sim
        .aws
        .ecs
        .register_task_definition()
        .family("app")
        .container_definitions(container);
    register.send().await.unwrap();
    for place in 0..count {
        let create = sim
            .aws
            .ecs
            .create_service()
            .cluster(CLUSTER)
            .service_name(format!("app-{place:03}"));
        create
            .task_definition("app")
            .desired_count(1)
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn ten_services_are_described_at_most_and_missing_ones_are_failures() {
    let sim = running().await;
    let describe = || sim.aws.ecs.describe_services().cluster(CLUSTER);
    let names = |count: usize| {
        Some(
            (0..count)
                .map(|place| format!("none-{place}"))
                .collect::<Vec<_>>(),
        )
    };
    let answer = describe().set_services(names(10)).send().await.unwrap();
    assert_eq!((answer.services().len(), answer.failures().len()), (0, 10));
    assert_eq!(answer.failures()[0].reason(), Some("MISSING"));
    for count in [0, 11] {
        let error = describe().set_services(names(count)).send().await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidParameterException"), "{count}");
    }
    let plain = describe().services(NAME).send().await.unwrap();
    assert!(plain.services()[0].tags().is_empty(), "tags only when asked for");
    let arn = plain.services()[0].service_arn().unwrap();
    let by_arn = describe()
        .services(arn)
        .include(ServiceField::Tags)
        .send()
        .await
        .unwrap();
    assert_eq!(by_arn.services()[0].tags().len(), 2);
    let error = sim
        .aws
        .ecs
        .describe_services()
        .cluster("none")
        .services("x")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("ClusterNotFoundException"));
}

#[tokio::test(start_paused = true)]
async fn services_are_listed_in_pages_of_ten_unless_asked_otherwise() {
    let sim = sim().await;
    many_services(&sim, 25).await;
    let list = || sim.aws.ecs.list_services().cluster(CLUSTER);
    let first = list().send().await.unwrap();
    assert_eq!(first.service_arns().len(), 10);
    let mut seen = first.service_arns().to_vec();
    let mut token = first.next_token().map(str::to_owned);
    while let Some(next) = token {
        let page = list().next_token(next).send().await.unwrap();
        seen.extend_from_slice(page.service_arns());
        token = page.next_token().map(str::to_owned);
    }
    assert_eq!(seen.len(), 25);
    assert_eq!(
        list().max_results(100).send().await.unwrap().service_arns().len(),
        25
    );
    assert_eq!(
        list().max_results(101).send().await.unwrap_err().code(),
        Some("InvalidParameterException")
    );

    sim.cloud.world().delete_service(CLUSTER, "app-007");
    let listed = list().max_results(100).send().await.unwrap();
    assert_eq!(
        listed.service_arns().len(),
        24,
        "DRAINING services are not listed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_service_drains_is_inactive_for_a_while_and_then_missing() {
    let sim = running().await;
    let delete = || sim.aws.ecs.delete_service().cluster(CLUSTER).service(NAME);
    let error = delete().send().await.unwrap_err();
    assert_eq!(
        error.code(),
        Some("InvalidParameterException"),
        "scaled above 0 without force"
    );
    let drained = delete().force(true).send().await.unwrap();
    assert_eq!(drained.service().unwrap().status(), Some("DRAINING"));
    wait(5).await;
    assert_eq!(sim.service().await.status(), Some("DRAINING"));

    let update = sim
        .aws
        .ecs
        .update_service()
        .cluster(CLUSTER)
        .service(NAME)
        .desired_count(1);
    assert_eq!(
        update.send().await.unwrap_err().code(),
        Some("ServiceNotActiveException")
    );
    wait(120).await;
    assert_eq!(sim.service().await.status(), Some("INACTIVE"));
    assert_eq!(sim.service().await.running_count(), 0);
    wait(3600).await;
    let answer = sim
        .aws
        .ecs
        .describe_services()
        .cluster(CLUSTER)
        .services(NAME)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.failures()[0].reason(), Some("MISSING"));
    let update = sim
        .aws
        .ecs
        .update_service()
        .cluster(CLUSTER)
        .service(NAME)
        .desired_count(1);
    assert_eq!(
        update.send().await.unwrap_err().code(),
        Some("ServiceNotFoundException")
    );
    assert_eq!(
        delete().send().await.unwrap_err().code(),
        Some("ServiceNotFoundException")
    );
}

#[tokio::test(start_paused = true)]
async fn an_apply_waits_while_its_service_drains_and_makes_a_new_one() {
    let timings = simcloud::Timings {
        drain: simcloud::Span(900.0, 900.0),
        ..simcloud::Timings::default()
    };
    let sim = sim_with(SimConfig { timings, ..config() }).await;
    sim.run(apply()).await;
    let deleted = sim.cloud.world().service(CLUSTER, NAME).unwrap().created;
    sim.cloud.world().delete_service(CLUSTER, NAME);
    let id = sim.build(apply()).await.id.unwrap();
    wait(600).await;
    assert_eq!(status(&sim.get(&id).await), "IN_PROGRESS");
    assert_eq!(sim.service().await.status(), Some("DRAINING"));
    assert_eq!(status(&sim.finish(&id).await), "SUCCEEDED");
    let service = sim.cloud.world().service(CLUSTER, NAME).unwrap();
    assert_eq!(service.status, ServiceStatus::Active);
    assert!(service.created.duration_since(deleted).as_secs() > 900);
}

#[tokio::test(start_paused = true)]
async fn a_draining_name_cannot_be_used_again_yet() {
    let sim = sim().await;
    many_services(&sim, 1).await;
    let create = || {
        sim.aws
            .ecs
            .create_service()
            .cluster(CLUSTER)
            .service_name("app-000")
            .task_definition("app")
    };
    let error = create().send().await.unwrap_err();
    assert_eq!(error.message(), Some("Creation of service was not idempotent."));
    sim.cloud.world().delete_service(CLUSTER, "app-000");
    let error = create().send().await.unwrap_err();
    assert!(error.message().unwrap().contains("still Draining"));
    wait(120).await;
    create().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn scaling_makes_no_deployment_and_suspends_within_a_minute() {
    let sim = running().await;
    let before = sim.service().await;
    desire(&sim, 0).await;
    wait(60).await;
    let suspended = sim.service().await;
    assert_eq!(
        (
            suspended.desired_count(),
            suspended.running_count(),
            suspended.pending_count()
        ),
        (0, 0, 0)
    );
    assert_eq!(suspended.deployments()[0].id(), before.deployments()[0].id());
    assert!(!sim.cloud.world().service(CLUSTER, NAME).unwrap().up);
    desire(&sim, 1).await;
    assert_eq!(sim.service().await.pending_count(), 1);
    wait(120).await;
    assert!(sim.cloud.world().service(CLUSTER, NAME).unwrap().up);
}

#[tokio::test(start_paused = true)]
async fn an_apply_keeps_the_desired_count_of_a_service_that_is_there() {
    let sim = running().await;
    desire(&sim, 0).await;
    assert_eq!(
        status(&sim.run(apply().with("COLOUR", "blue")).await),
        "SUCCEEDED"
    );
    assert_eq!(sim.service().await.desired_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_apply_with_other_parameters_rolls_new_tasks_out_before_the_old_ones_stop() {
    let sim = running().await;
    let before = sim.service().await;
    let id = sim.build(apply().with("COLOUR", "blue")).await.id.unwrap();
    let mut both = false;
    for _ in 0..600 {
        let service = sim.service().await;
        both |= service.deployments().len() == 2;
        assert!(service.running_count() >= 1, "the app must stay up");
        wait(1).await;
    }
    assert!(both, "two deployments were never seen");
    assert_eq!(status(&sim.get(&id).await), "SUCCEEDED");
    let after = sim.service().await;
    assert_eq!(after.deployments().len(), 1);
    assert_ne!(after.deployments()[0].id(), before.deployments()[0].id());
    assert_ne!(after.task_definition(), before.task_definition());
    // The same parameters once more change nothing.
    sim.run(apply().with("COLOUR", "blue")).await;
    assert_eq!(
        sim.service().await.deployments()[0].id(),
        after.deployments()[0].id()
    );
}

#[tokio::test(start_paused = true)]
async fn clusters_are_made_and_described() {
    let sim = running().await;
    sim.aws
        .ecs
        .create_cluster()
        .cluster_name("second")
        .send()
        .await
        .unwrap();
    let describe = sim
        .aws
        .ecs
        .describe_clusters()
        .clusters(CLUSTER)
        .clusters("second")
        .clusters("none");
    let answer = describe.send().await.unwrap();
    assert_eq!((answer.clusters().len(), answer.failures().len()), (2, 1));
    assert_eq!(answer.clusters()[0].running_tasks_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_live_services_of_one_host_are_a_violation() {
    let sim = running().await;
    many_services(&sim, 1).await;
    let arn = simcloud_arn("app-000");
    let tag = aws_sdk_ecs::types::Tag::builder()
        .key("lamplighter:host-name")
        .value(HOST)
        .build();
    sim.aws
        .ecs
        .tag_resource()
        .resource_arn(arn)
        .tags(tag)
        .send()
        .await
        .unwrap();
    let violations = sim.cloud.world().violations();
    assert!(violations[0].contains("live at once"), "{violations:?}");
}

#[tokio::test(start_paused = true)]
async fn new_tags_come_to_those_that_a_service_has() {
    let sim = running().await;
    let tag = async |arn: &str, tags: &[(String, String)]| {
        let tags = tags.iter().map(|(key, value)| {
            let tag = aws_sdk_ecs::types::Tag::builder();
            tag.key(key).value(value).build()
        });
        let call = sim.aws.ecs.tag_resource().resource_arn(arn);
        let answer = call.set_tags(Some(tags.collect())).send().await;
        answer.map_err(|error| error.code().unwrap_or_default().to_owned())
    };
    let one = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    let arn = simcloud_arn(NAME);
    let before = sim.cloud.world().service(CLUSTER, NAME).unwrap();
    for _ in 0..2 {
        tag(&arn, &one("Owner", "ann")).await.unwrap();
    }
    tag(&arn, &one("Owner", "bob")).await.unwrap();
    let after = sim.cloud.world().service(CLUSTER, NAME).unwrap();
    let mut expected = before.tags.clone();
    expected.insert("Owner".to_owned(), "bob".to_owned());
    assert_eq!(after.tags, expected);
    assert_eq!(after.deployments, before.deployments, "nothing is rolled out");

    let invalid = Err("InvalidParameterException".to_owned());
    let refused = async |arn: &str, tags: &[(String, String)]| tag(arn, tags).await.map(drop);
    assert_eq!(refused(&arn, &one("aws:x", "y")).await, invalid, "AWS's own");
    assert_eq!(refused(&arn, &one("x", &"y".repeat(257))).await, invalid);
    let many: Vec<_> = (0..48).map(|n| (format!("t{n}"), String::new())).collect();
    assert_eq!(refused(&arn, &many).await, invalid, "51 in all");
    assert_eq!(sim.cloud.world().service(CLUSTER, NAME).unwrap().tags, expected);
    let missing = refused(&simcloud_arn("none"), &one("x", "y")).await;
    assert_eq!(missing, Err("ResourceNotFoundException".to_owned()));
}

fn simcloud_arn(name: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:123456789012:service/{CLUSTER}/{name}")
}

#[tokio::test(start_paused = true)]
async fn ecs_throttles_at_its_published_rates_if_asked_to() {
    let sim = sim_with(SimConfig {
        rate_limits: true,
        ..config()
    })
    .await;
    let list = || sim.aws.ecs.list_services().cluster(CLUSTER).send();
    for _ in 0..100 {
        list().await.unwrap();
    }
    assert_eq!(list().await.unwrap_err().code(), Some("ThrottlingException"));
    wait(1).await;
    for _ in 0..20 {
        list().await.unwrap();
    }
    assert!(list().await.is_err());
    sim.aws
        .ecs
        .describe_clusters()
        .clusters(CLUSTER)
        .send()
        .await
        .unwrap();
}
