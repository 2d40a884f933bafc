//! Tasks that stopped by themselves, and their last words.

use std::time::Duration;

use lamplighter::model::observed::StoppedTask;
use serde_json::{Value, json};

use crate::canned::{Answer, Canned};
use crate::services::{cluster, create, name};
use crate::support::{CLUSTER, world};

#[tokio::test(start_paused = true)]
async fn a_crash_is_told_with_the_containers_last_words() {
    let world = world().await;
    let shop = name(1);
    assert_eq!(
        world
            .cloud
            .services
            .stopped_task(&cluster(), &shop)
            .await
            .unwrap(),
        None
    );
    create(&world, &shop, 1).await;
    assert_eq!(
        world
            .cloud
            .services
            .stopped_task(&cluster(), &shop)
            .await
            .unwrap(),
        None
    );
    tokio::time::sleep(Duration::from_mins(2)).await;
    // A person's stop is no failure.
    world.sim.world().kill_tasks(CLUSTER, shop.as_str());
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(
        world
            .cloud
            .services
            .stopped_task(&cluster(), &shop)
            .await
            .unwrap(),
        None
    );
    world
        .sim
        .world()
        .crash_loop(shop.as_str(), Some(137), "OutOfMemoryError: Container killed");
    tokio::time::sleep(Duration::from_mins(2)).await;
    let stopped = world
        .cloud
        .services
        .stopped_task(&cluster(), &shop)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stopped.code, "EssentialContainerExited");
    assert!(
        stopped.reason.contains("Essential container in task exited"),
        "{stopped:?}"
    );
    assert!(stopped.reason.contains("(exit code 137)"), "{stopped:?}");
    assert!(stopped.stopped_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_never_placed_has_no_containers_and_still_a_reason() {
    let task = |code: Value, at: u64, containers: Value| {
        json!({
            "taskArn": format!("arn:aws:ecs:eu-west-1:123456789012:task/apps/{at}"), "stopCode": code,
            "stoppedReason": format!("reason {at}"), "stoppedAt": at, "containers": containers,
        })
    };
    let described = json!({ "tasks": [
        task(json!("ServiceSchedulerInitiated"), 1_795_000_900, json!([])),
        task(json!("EssentialContainerExited"), 1_795_000_100, json!([{ "name": "web", "exitCode": 1 }])),
        task(json!("TaskFailedToStart"), 1_795_000_200, json!([])),
        task(json!("UserInitiated"), 1_795_000_800, json!([])),
        task(json!(null), 1_795_000_700, json!([])),
    ] });
    let listed = json!({ "taskArns": ["arn:aws:ecs:eu-west-1:123456789012:task/apps/1"] });
    let canned = Canned::new([Answer::json(200, &listed), Answer::json(200, &described)]);
    let (cloud, _) = canned.cloud();
    let stopped = cloud
        .services
        .stopped_task(&cluster(), &name(1))
        .await
        .unwrap()
        .unwrap();
    let expected = StoppedTask {
        stopped_at: Some("2026-11-18T10:50:00Z".parse().unwrap()),
        code: "TaskFailedToStart".to_owned(),
        reason: "reason 1795000200".to_owned(),
    };
    assert_eq!(
        StoppedTask {
            stopped_at: expected.stopped_at,
            ..stopped.clone()
        },
        expected
    );
    assert_eq!(stopped.stopped_at.unwrap().as_second(), 1_795_000_200);
    assert_eq!(canned.requests()[0]["desiredStatus"], "STOPPED");
}

#[tokio::test(start_paused = true)]
async fn the_first_container_with_something_to_say_is_heard() {
    let cases = [
        (json!([{ "name": "web", "exitCode": 0 }]), "stopped"),
        (
            json!([{ "name": "web", "exitCode": 3 }]),
            "stopped; web: exit code 3",
        ),
        (
            json!([{ "name": "log", "exitCode": 0 }, { "name": "web", "reason": "CannotPullContainerError" }]),
            "stopped; web: CannotPullContainerError",
        ),
        (
            json!([{ "name": "web", "exitCode": 137, "reason": "OutOfMemoryError" }]),
            "stopped; web: OutOfMemoryError (exit code 137)",
        ),
    ];
    for (containers, expected) in cases {
        let task = json!({
            "stopCode": "EssentialContainerExited", "stoppedReason": "stopped", "containers": containers,
        });
        let canned = Canned::new([
            Answer::json(
                200,
                &json!({ "taskArns": ["arn:aws:ecs:eu-west-1:123456789012:task/apps/1"] }),
            ),
            Answer::json(200, &json!({ "tasks": [task] })),
        ]);
        let stopped = canned
            .cloud()
            .0
            .services
            .stopped_task(&cluster(), &name(1))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stopped.reason, expected);
    }
}
