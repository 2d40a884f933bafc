//! ECS: what is missing, what is going, what is not known; pages, and the last words of tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use lamplighter::cloud::{Cloud, Error};
use lamplighter::model::name::{ClusterName, HostName, ResourceName};
use lamplighter::model::observed::{Observed, Rollout, Service, StoppedTask};
use serde_json::{Value, json};
use simcloud::{Fault, FaultPlan, Reply, SimCloud};

use crate::canned::{Answer, Canned};
use crate::support::{CLUSTER, World, world};

fn cluster() -> ClusterName {
    ClusterName::new(CLUSTER)
}

fn name(n: usize) -> ResourceName {
    ResourceName::for_host(&HostName::parse(&format!("s{n}.example.com")).unwrap())
}

/// A call of ECS that is none of ours: what Terraform would do.
pub(crate) async fn ecs(sim: &SimCloud, operation: &str, body: Value) -> Value {
    let request = http::Request::post("http://simcloud.invalid/")
        .header("content-type", "application/x-amz-json-1.1")
        .header(
            "x-amz-target",
            format!("AmazonEC2ContainerServiceV20141113.{operation}"),
        )
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let Reply::Response(response) = sim.handle(request).await else {
        panic!("no answer");
    };
    let body = String::from_utf8_lossy(response.body()).into_owned();
    assert_eq!(response.status().as_u16(), 200, "{operation}: {body}");
    serde_json::from_str(&body).unwrap()
}

async fn create(world: &World, name: &ResourceName, desired: u32) {
    let definition = json!({
        "family": "shop", "containerDefinitions": [{ "name": "shop", "image": "shop:1" }],
    });
    ecs(&world.sim, "RegisterTaskDefinition", definition).await;
    let service = json!({
        "cluster": CLUSTER, "serviceName": name.as_str(), "taskDefinition": "shop", "desiredCount": desired,
        "tags": [
            { "key": "lamplighter:instance-id", "value": "a1" },
            { "key": "lamplighter:host-name", "value": "a1.example.com" },
        ],
    });
    ecs(&world.sim, "CreateService", service).await;
}

async fn look(cloud: &Cloud, name: &ResourceName) -> Observed<Service> {
    cloud
        .services
        .look(&cluster(), std::slice::from_ref(name))
        .await
        .remove(name)
        .unwrap()
}

async fn present(world: &World, name: &ResourceName) -> Service {
    match look(&world.cloud, name).await {
        Observed::Present(service) => service,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_comes_up_is_scaled_and_goes() {
    let world = world().await;
    let shop = name(1);
    assert!(look(&world.cloud, &shop).await.is_absent());
    create(&world, &shop, 2).await;
    let fresh = present(&world, &shop).await;
    let expected = Service {
        name: shop.clone(),
        draining: false,
        desired_count: 2,
        running_count: 0,
        pending_count: fresh.pending_count,
        rollout: Rollout::InProgress,
        deployments: 1,
        instance_id: Some(crate::support::id("a1")),
        host_name: Some(HostName::parse("a1.example.com").unwrap()),
    };
    assert_eq!(fresh, expected);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let steady = present(&world, &shop).await;
    assert_eq!((steady.running_count, steady.pending_count), (2, 0));
    assert_eq!(steady.rollout, Rollout::Completed);

    world.cloud.services.scale(&cluster(), &shop, 0).await.unwrap();
    world.cloud.services.scale(&cluster(), &shop, 0).await.unwrap();
    let scaled = present(&world, &shop).await;
    assert_eq!((scaled.desired_count, scaled.deployments), (0, 1));
    assert_eq!(scaled.rollout, Rollout::Completed, "scaling is no deployment");

    world.sim.world().delete_service(CLUSTER, shop.as_str());
    assert!(present(&world, &shop).await.draining);
    assert_eq!(world.cloud.services.list(&cluster()).await.unwrap(), []);
    let error = world
        .cloud
        .services
        .scale(&cluster(), &shop, 1)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(look(&world.cloud, &shop).await.is_absent(), "INACTIVE");
    world.sim.world().purge_service(CLUSTER, shop.as_str());
    assert!(look(&world.cloud, &shop).await.is_absent(), "MISSING");
    let error = world
        .cloud
        .services
        .scale(&cluster(), &shop, 1)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

async fn many() -> (World, Vec<ResourceName>) {
    let world = world().await;
    let names: Vec<ResourceName> = (0..150).map(name).collect();
    for name in &names {
        create(&world, name, 0).await;
    }
    world.sim.world().reset_calls();
    (world, names)
}

#[tokio::test(start_paused = true)]
async fn services_are_listed_by_the_hundred_and_looked_at_by_ten() {
    let (world, mut names) = many().await;
    let mut listed = world.cloud.services.list(&cluster()).await.unwrap();
    listed.sort();
    names.sort();
    assert_eq!(listed, names);
    assert_eq!(world.count("ecs.ListServices"), 2);
    names.push(name(999));
    names.push(name(0));
    let seen = world.cloud.services.look(&cluster(), &names).await;
    assert_eq!(seen.len(), 151);
    assert!(seen[&name(999)].is_absent());
    assert_eq!(
        seen.values()
            .filter(|service| service.present().is_some())
            .count(),
        150
    );
    assert!(
        seen.iter()
            .all(|(name, seen)| seen.present().is_none_or(|service| service.name == *name))
    );
    assert_eq!(world.count("ecs.DescribeServices"), 16);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_fails_is_unknown_and_the_others_are_seen() {
    let (world, names) = many().await;
    world
        .sim
        .faults()
        .set(FaultPlan::new().on("ecs.DescribeServices", 7, Fault::AccessDenied));
    let seen = world.cloud.services.look(&cluster(), &names).await;
    let unknown = seen.values().filter(|service| service.is_unknown()).count();
    assert_eq!((seen.len(), unknown), (150, 10));
    assert!(!seen.values().any(Observed::is_absent));
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_page_fails_is_an_error_and_short_pages_are_not_the_end() {
    let (world, names) = many().await;
    world
        .sim
        .faults()
        .set(FaultPlan::new().rate_of("ecs.ListServices", 1.0, Fault::ShortPage));
    assert_eq!(
        world.cloud.services.list(&cluster()).await.unwrap().len(),
        names.len()
    );
    world
        .sim
        .faults()
        .set(FaultPlan::new().on("ecs.ListServices", 2, Fault::AccessDenied));
    assert!(matches!(
        world.cloud.services.list(&cluster()).await,
        Err(Error::Denied { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn in_a_cluster_that_is_not_there_nothing_is_known() {
    let world = world().await;
    let nowhere = ClusterName::new("nowhere");
    let seen = world.cloud.services.look(&nowhere, &[name(1)]).await;
    assert_eq!(seen, BTreeMap::from([(name(1), Observed::Unknown)]));
    assert!(matches!(
        world.cloud.services.list(&nowhere).await,
        Err(Error::NotFound { .. })
    ));
    let stopped = world.cloud.services.stopped_task(&nowhere, &name(1)).await;
    assert!(matches!(stopped, Err(Error::NotFound { .. })), "{stopped:?}");
}

#[tokio::test(start_paused = true)]
async fn only_missing_is_absent() {
    let arn = |n| format!("arn:aws:ecs:eu-west-1:123456789012:service/apps/{}", name(n));
    let body = json!({
        "services": [{ "serviceName": name(3).as_str(), "status": "WEIRD" }],
        "failures": [
            { "arn": arn(1), "reason": "MISSING" },
            { "arn": arn(2), "reason": "ACCESS_DENIED" },
            { "reason": "MISSING" },
        ],
    });
    let (cloud, _) = Canned::new([Answer::json(200, &body)]).cloud();
    let seen = cloud
        .services
        .look(&cluster(), &[name(1), name(2), name(3), name(4)])
        .await;
    let expected = [
        Observed::Absent,
        Observed::Unknown,
        Observed::Unknown,
        Observed::Unknown,
    ];
    assert_eq!([1, 2, 3, 4].map(|n| seen[&name(n)].clone()), expected);
}

#[tokio::test(start_paused = true)]
async fn the_old_form_of_an_arn_names_a_service_too() {
    let arn = format!("arn:aws:ecs:eu-west-1:123456789012:service/{}", name(1));
    let body = json!({ "failures": [{ "arn": arn, "reason": "MISSING" }] });
    let (cloud, _) = Canned::new([Answer::json(200, &body)]).cloud();
    assert!(look(&cloud, &name(1)).await.is_absent());
    let (cloud, _) = Canned::new([Answer::json(200, &json!({ "serviceArns": [arn] }))]).cloud();
    assert_eq!(cloud.services.list(&cluster()).await.unwrap(), [name(1)]);
}

#[tokio::test(start_paused = true)]
async fn the_rollout_is_that_of_the_primary_deployment() {
    let old = json!({ "status": "ACTIVE", "rolloutState": "COMPLETED" });
    let primary = |state: &str| json!({ "status": "PRIMARY", "rolloutState": state });
    let failed = json!({
        "status": "PRIMARY", "rolloutState": "FAILED", "rolloutStateReason": "tasks failed\nto start",
    });
    let stateless = json!({ "status": "PRIMARY" });
    let cases = [
        (json!([primary("IN_PROGRESS"), old]), 1, Rollout::InProgress),
        (json!([primary("COMPLETED")]), 1, Rollout::Completed),
        (
            json!([failed, old]),
            1,
            Rollout::Failed("tasks failed\\u{a}to start".to_owned()),
        ),
        (json!([]), 1, Rollout::InProgress),
        // Behind a Classic Load Balancer no rollout state is given.
        (json!([stateless]), 1, Rollout::Completed),
        (json!([stateless]), 0, Rollout::InProgress),
        (json!([stateless, old]), 1, Rollout::InProgress),
    ];
    for (deployments, running, expected) in cases {
        let service = json!({
            "serviceName": name(1).as_str(), "status": "ACTIVE", "desiredCount": 1, "runningCount": running,
            "deployments": deployments,
        });
        let (cloud, _) = Canned::new([Answer::json(200, &json!({ "services": [service] }))]).cloud();
        let Observed::Present(seen) = look(&cloud, &name(1)).await else {
            panic!("it is there");
        };
        assert_eq!(seen.rollout, expected, "{deployments}");
        assert_eq!(seen.deployments as usize, deployments.as_array().unwrap().len());
    }
}

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
    tokio::time::sleep(Duration::from_secs(120)).await;
    // A person's stop is no failure.
    world.sim.world().kill_tasks(CLUSTER, shop.as_str());
    tokio::time::sleep(Duration::from_secs(60)).await;
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
    tokio::time::sleep(Duration::from_secs(120)).await;
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
