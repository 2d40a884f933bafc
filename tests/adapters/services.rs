//! ECS: what is missing, what is going, what is not known; pages, and the last words of tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use lamplighter::cloud::{Cloud, Error};
use lamplighter::model::name::{ClusterName, HostName, ResourceName};
use lamplighter::model::observed::{Observed, Rollout, Service};
use serde_json::{Value, json};
use simcloud::{Fault, FaultPlan, Reply, SimCloud};

use crate::canned::{Answer, Canned};
use crate::support::{CLUSTER, World, world};

pub(crate) fn cluster() -> ClusterName {
    ClusterName::new(CLUSTER)
}

pub(crate) fn name(n: usize) -> ResourceName {
    ResourceName::for_host(&HostName::parse(&format!("s{n}.example.com")).unwrap())
}

/// A call of ECS that is none of ours: what Terraform would do.
async fn ecs(sim: &SimCloud, operation: &str, body: Value) -> Value {
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

pub(crate) async fn create(world: &World, name: &ResourceName, desired: u32) {
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
        target_groups: Vec::new(),
    };
    assert_eq!(fresh, expected);
    tokio::time::sleep(Duration::from_mins(5)).await;
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
    tokio::time::sleep(Duration::from_mins(10)).await;
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

#[tokio::test(start_paused = true)]
async fn a_service_with_tasks_is_deleted_and_deleting_it_again_is_no_error() {
    let world = world().await;
    let shop = name(1);
    let delete = async || world.cloud.services.delete(&cluster(), &shop).await;
    delete().await.unwrap();
    create(&world, &shop, 2).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(present(&world, &shop).await.running_count, 2);
    delete().await.unwrap();
    assert!(present(&world, &shop).await.draining);
    delete().await.unwrap();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(look(&world.cloud, &shop).await.is_absent());
    delete().await.unwrap();
    let elsewhere = ClusterName::new("no-such-cluster");
    world.cloud.services.delete(&elsewhere, &shop).await.unwrap();
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
