//! What `ELBv2` promises about target groups, through its XML.

use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata;
use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetHealthReasonEnum, TargetHealthStateEnum};

use simcloud::{SimConfig, Span, Timings};

use crate::common::{CLUSTER, HOST, NAME, Sim, apply, config, sim, sim_with, status, wait};

async fn health(sim: &Sim) -> (Option<TargetHealthStateEnum>, Option<TargetHealthReasonEnum>) {
    let groups = sim
        .aws
        .elb
        .describe_target_groups()
        .names(NAME)
        .send()
        .await
        .unwrap();
    let arn = groups.target_groups()[0].target_group_arn().unwrap();
    let answer = sim
        .aws
        .elb
        .describe_target_health()
        .target_group_arn(arn)
        .send()
        .await
        .unwrap();
    let described = answer
        .target_health_descriptions()
        .first()
        .and_then(|described| described.target_health());
    (
        described.and_then(|health| health.state().cloned()),
        described.and_then(|health| health.reason().cloned()),
    )
}

#[tokio::test(start_paused = true)]
async fn a_target_becomes_healthy_and_a_lost_group_shows_unused() {
    let sim = sim().await;
    sim.run(apply()).await;
    let mut seen = Vec::new();
    for _ in 0..180 {
        if let (Some(state), _) = health(&sim).await
            && seen.last() != Some(&state)
        {
            seen.push(state);
        }
        wait(1).await;
    }
    assert_eq!(seen.last(), Some(&TargetHealthStateEnum::Healthy));

    sim.cloud.world().detach_target_group(NAME);
    let expected = (
        Some(TargetHealthStateEnum::Unused),
        Some(TargetHealthReasonEnum::NotInUse),
    );
    assert_eq!(health(&sim).await, expected);
    let groups = sim
        .aws
        .elb
        .describe_target_groups()
        .names(NAME)
        .send()
        .await
        .unwrap();
    assert!(groups.target_groups()[0].load_balancer_arns().is_empty());
    assert_eq!(
        sim.service().await.running_count(),
        1,
        "ECS counts look fine meanwhile"
    );
    assert!(!sim.cloud.world().service(CLUSTER, NAME).unwrap().up);

    assert_eq!(status(&sim.run(apply()).await), "SUCCEEDED");
    wait(60).await;
    assert_eq!(
        health(&sim).await.0,
        Some(TargetHealthStateEnum::Healthy),
        "an apply attaches it again"
    );
}

#[tokio::test(start_paused = true)]
async fn an_apply_makes_a_deleted_group_again() {
    let sim = sim().await;
    sim.run(apply()).await;
    sim.cloud.world().delete_target_group(NAME);
    let error = sim
        .aws
        .elb
        .describe_target_groups()
        .names(NAME)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("TargetGroupNotFound"));
    sim.run(apply()).await;
    wait(240).await;
    assert!(sim.cloud.world().service(CLUSTER, NAME).unwrap().up);
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_target_keeps_the_rollout_from_completing() {
    let sim = sim().await;
    sim.run(apply().with("SIM_BEHAVIOUR", "unhealthy")).await;
    let mut unhealthy = false;
    for _ in 0..300 {
        let (state, reason) = health(&sim).await;
        if state == Some(TargetHealthStateEnum::Unhealthy) {
            assert_eq!(reason, Some(TargetHealthReasonEnum::FailedHealthChecks));
            unhealthy = true;
        }
        wait(1).await;
    }
    assert!(unhealthy);
    let service = sim.service().await;
    assert_eq!(
        service.deployments()[0].rollout_state().unwrap().as_str(),
        "IN_PROGRESS"
    );
    assert!(
        service
            .events()
            .iter()
            .any(|event| event.message().unwrap().contains("failed ELB health checks"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_healed_target_is_not_replaced() {
    // The next health check comes after the moment the scheduler would have given up.
    let timings = Timings {
        target_health: Span(20.0, 20.0),
        unhealthy_kill: Span(25.0, 25.0),
        ..Timings::default()
    };
    let sim = sim_with(SimConfig { timings, ..config() }).await;
    sim.run(apply()).await;
    wait(120).await;
    sim.cloud.world().unhealthy_target(HOST);
    while health(&sim).await.0 != Some(TargetHealthStateEnum::Unhealthy) {
        wait(1).await;
    }
    wait(10).await;
    sim.cloud.world().heal(HOST);
    wait(120).await;
    assert_eq!(health(&sim).await.0, Some(TargetHealthStateEnum::Healthy));
    let stopped = sim
        .aws
        .ecs
        .list_tasks()
        .cluster(CLUSTER)
        .desired_status("STOPPED".into());
    assert!(stopped.send().await.unwrap().task_arns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_group_attached_again_has_to_pass_its_health_checks_anew() {
    let timings = Timings {
        target_health: Span(20.0, 20.0),
        ..Timings::default()
    };
    let sim = sim_with(SimConfig { timings, ..config() }).await;
    sim.build(apply()).await;
    while health_or_none(&sim).await.is_none() {
        wait(1).await;
    }
    wait(10).await;
    sim.cloud.world().detach_target_group(NAME);
    sim.cloud.world().attach_target_group(NAME, "apps");
    wait(15).await;
    assert_eq!(health(&sim).await.0, Some(TargetHealthStateEnum::Initial));
    wait(6).await;
    assert_eq!(health(&sim).await.0, Some(TargetHealthStateEnum::Healthy));
}

async fn health_or_none(sim: &Sim) -> Option<TargetHealthStateEnum> {
    if sim.cloud.world().target_groups().is_empty() {
        return None;
    }
    health(sim).await.0
}

#[tokio::test(start_paused = true)]
async fn groups_are_made_found_paged_and_deleted() {
    let sim = sim().await;
    let mut arns = Vec::new();
    for place in 0..25 {
        let create = sim
            .aws
            .elb
            .create_target_group()
            .name(format!("group-{place:02}"));
        let made = create
            .protocol(ProtocolEnum::Http)
            .port(8080)
            .vpc_id("vpc-1")
            .send()
            .await
            .unwrap();
        arns.push(made.target_groups()[0].target_group_arn().unwrap().to_owned());
    }
    let describe = || sim.aws.elb.describe_target_groups();
    let by_arn = describe().target_group_arns(&arns[3]).send().await.unwrap();
    assert_eq!(by_arn.target_groups()[0].target_group_name(), Some("group-03"));
    let mut seen = 0;
    let mut marker = None;
    loop {
        let page = describe().page_size(10).set_marker(marker).send().await.unwrap();
        seen += page.target_groups().len();
        marker = page.next_marker().map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(seen, 25);
    assert_eq!(
        describe().page_size(401).send().await.unwrap_err().code(),
        Some("ValidationError")
    );
    let unknown = describe()
        .names("group-00")
        .names("none")
        .send()
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Some("TargetGroupNotFound"));

    for _ in 0..2 {
        sim.aws
            .elb
            .delete_target_group()
            .target_group_arn(&arns[0])
            .send()
            .await
            .unwrap();
    }
    sim.cloud.world().attach_target_group("group-01", "apps");
    let error = sim
        .aws
        .elb
        .delete_target_group()
        .target_group_arn(&arns[1])
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("ResourceInUse"));
    for name in ["-x", "x-", "a_b", &"x".repeat(33)] {
        let error = sim
            .aws
            .elb
            .create_target_group()
            .name(name)
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some("ValidationError"), "{name}");
    }
    let error = sim
        .aws
        .elb
        .describe_target_health()
        .target_group_arn("arn:none")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("TargetGroupNotFound"));
}
