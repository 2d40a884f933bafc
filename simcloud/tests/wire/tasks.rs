//! What ECS promises about tasks: why they stopped, how they crash, and when launches slow down or end.

use aws_sdk_ecs::types::{DesiredStatus, TaskStopCode};
use simcloud::SimConfig;

use crate::common::{CLUSTER, HOST, NAME, apply, config, destroy, sim, sim_with, status, wait};
use crate::ecs::running;

#[tokio::test(start_paused = true)]
async fn stopped_tasks_tell_why_for_an_hour() {
    let sim = running().await;
    let list = || sim.aws.ecs.list_tasks().cluster(CLUSTER).service_name(NAME);
    let running = list().send().await.unwrap();
    assert_eq!(running.task_arns().len(), 1);
    let none = list()
        .desired_status(DesiredStatus::Pending)
        .send()
        .await
        .unwrap();
    assert!(none.task_arns().is_empty(), "AWS: PENDING returns nothing");
    sim.cloud
        .world()
        .crash_loop(HOST, Some(137), "OutOfMemoryError: container killed");
    wait(60).await;
    let stopped = list()
        .desired_status(DesiredStatus::Stopped)
        .send()
        .await
        .unwrap();
    assert!(stopped.task_arns().len() >= 2);
    let arn = running.task_arns()[0].clone();
    let describe = || sim.aws.ecs.describe_tasks().cluster(CLUSTER).tasks(&arn);
    let answer = describe().send().await.unwrap();
    let task = &answer.tasks()[0];
    assert_eq!(task.last_status(), Some("STOPPED"));
    assert_eq!(task.stop_code(), Some(&TaskStopCode::EssentialContainerExited));
    assert_eq!(task.stopped_reason(), Some("Essential container in task exited"));
    assert_eq!(task.containers()[0].exit_code(), Some(137));
    assert!(task.containers()[0].reason().unwrap().contains("OutOfMemory"));
    sim.cloud.world().heal(HOST);
    wait(3700).await;
    assert_eq!(
        describe().send().await.unwrap().failures()[0].reason(),
        Some("MISSING")
    );
    assert!(sim.cloud.world().service(CLUSTER, NAME).unwrap().up);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_never_completes_its_rollout_and_counts_its_failures() {
    let sim = sim().await;
    sim.run(apply().with("SIM_BEHAVIOUR", "crash")).await;
    wait(600).await;
    let service = sim.service().await;
    let deployment = &service.deployments()[0];
    assert_eq!(
        deployment.rollout_state().unwrap().as_str(),
        "IN_PROGRESS",
        "no breaker: for ever"
    );
    assert!(deployment.failed_tasks() > 3);
    assert_eq!(status(&sim.run(destroy()).await), "SUCCEEDED");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_never_starts_has_no_containers_and_slows_launches_down() {
    let sim = running().await;
    sim.cloud
        .world()
        .crash_loop("otter", None, "CannotPullContainerError: image not found");
    sim.cloud.world().kill_tasks(CLUSTER, NAME);
    wait(3600).await;
    let list = sim
        .aws
        .ecs
        .list_tasks()
        .cluster(CLUSTER)
        .desired_status(DesiredStatus::Stopped);
    let arns = list.send().await.unwrap().task_arns.unwrap();
    assert!(
        (5..20).contains(&arns.len()),
        "{} launches in an hour",
        arns.len()
    );
    let answer = sim
        .aws
        .ecs
        .describe_tasks()
        .cluster(CLUSTER)
        .set_tasks(Some(arns))
        .send()
        .await
        .unwrap();
    let failed =
        |task: &&aws_sdk_ecs::types::Task| task.stop_code() == Some(&TaskStopCode::TaskFailedToStart);
    let failed = answer.tasks().iter().find(failed).unwrap();
    assert!(failed.containers().is_empty());
    assert!(failed.stopped_reason().unwrap().contains("CannotPullContainer"));
}

#[tokio::test(start_paused = true)]
async fn the_breaker_fails_a_deployment_and_launches_nothing_more() {
    let contract = simcloud::Contract {
        circuit_breaker: true,
        ..simcloud::Contract::default()
    };
    let sim = sim_with(SimConfig { contract, ..config() }).await;
    sim.run(apply().with("SIM_BEHAVIOUR", "crash")).await;
    wait(900).await;
    let deployment = sim.service().await.deployments.unwrap().remove(0);
    assert_eq!(deployment.rollout_state().unwrap().as_str(), "FAILED");
    assert_eq!(deployment.failed_tasks(), 3);
    assert_eq!(sim.cloud.world().service(CLUSTER, NAME).unwrap().pending, 0);
}
