//! What `lamplighter adopt` asks of ECS and of the desired table: services with all their tags, tags that are added, and
//! rows that are only written where there is none.

use lamplighter::cloud::Error;
use lamplighter::cloud::dynamodb::Tables;
use lamplighter::model::adopt::ForeignService;
use lamplighter::model::name::ResourceName;
use lamplighter::serve;
use serde_json::json;
use simcloud::{Fault, FaultPlan};

use crate::desired::full_row;
use crate::services::{cluster, create, name};
use crate::support::{World, id, world};

fn edges(world: &World) -> lamplighter::adopt::Edges {
    serve::adoption(&world.clients, Tables::default())
}

async fn whole(world: &World, names: &[ResourceName]) -> Result<Vec<ForeignService>, Error> {
    edges(world).takeover.look_whole(&cluster(), names).await
}

#[tokio::test(start_paused = true)]
async fn services_are_seen_with_all_their_tags_ten_in_a_call() {
    let world = world().await;
    let names: Vec<ResourceName> = (1..=12).map(name).collect();
    for name in &names[..11] {
        create(&world, name, 1).await;
    }
    world.sim.world().reset_calls();
    let seen = whole(&world, &names).await.unwrap();
    assert_eq!(world.count("ecs.DescribeServices"), 2);
    let found: Vec<&ResourceName> = seen.iter().map(|foreign| &foreign.service.name).collect();
    // The twelfth was never there, and is left out.
    assert_eq!(found, names[..11].iter().collect::<Vec<_>>());
    let first = &seen[0];
    let told: Vec<(&str, &str)> = first
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("lamplighter:host-name", "a1.example.com"),
            ("lamplighter:instance-id", "a1")
        ]
    );
    assert_eq!(
        (first.scheduling.as_str(), first.controller.as_str()),
        ("REPLICA", "ECS")
    );
}

/// Whoever takes over what it could not see in full might take it from somebody.
#[tokio::test(start_paused = true)]
async fn of_services_that_cannot_all_be_seen_none_is() {
    let world = world().await;
    let names: Vec<ResourceName> = (1..=11).map(name).collect();
    for name in &names {
        create(&world, name, 1).await;
    }
    world.sim.world().reset_calls();
    let second = FaultPlan::new().on("ecs.DescribeServices", 2, Fault::AccessDenied);
    world.sim.faults().set(second);
    let error = whole(&world, &names).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn tags_are_added_and_others_stay_also_when_it_is_done_twice() {
    let world = world().await;
    let shop = name(1);
    create(&world, &shop, 1).await;
    let takeover = edges(&world).takeover;
    let tags = [
        ("lamplighter:instance-id", "b2".to_owned()),
        ("lamplighter:app", "shop".to_owned()),
    ];
    // The answer is lost, and the SDK sends it again.
    world
        .sim
        .faults()
        .set(FaultPlan::new().on("ecs.TagResource", 1, Fault::LoseResponse));
    takeover.tag(&cluster(), &shop, &tags).await.unwrap();
    takeover.tag(&cluster(), &shop, &tags).await.unwrap();
    let seen = whole(&world, &[shop]).await.unwrap();
    let tag = |key: &str| seen[0].tags.get(key).map(String::as_str);
    assert_eq!(tag("lamplighter:instance-id"), Some("b2"));
    assert_eq!(tag("lamplighter:app"), Some("shop"));
    assert_eq!(tag("lamplighter:host-name"), Some("a1.example.com"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_there_gets_no_tags() {
    let world = world().await;
    let missing = edges(&world).takeover.tag(&cluster(), &name(1), &[]).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    assert_eq!(world.count("ecs.TagResource"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_row_is_written_only_where_there_is_none() {
    let world = world().await;
    let rows = edges(&world).rows;
    assert!(rows.create_row(&full_row()).await.unwrap());
    let mut other = full_row();
    other.requested_by = Some("eve".to_owned());
    assert!(!rows.create_row(&other).await.unwrap());
    let kept = world
        .get("lamplighter-desired", &json!({ "id": { "S": "a1" } }))
        .unwrap();
    assert_eq!(kept["requestedBy"], json!({ "S": "bob" }));
}

/// Its own first try, whose answer was lost, is a row that is there: whoever asks has to look whose it is.
#[tokio::test(start_paused = true)]
async fn a_row_whose_answer_got_lost_is_there_and_is_told_as_such() {
    let world = world().await;
    world
        .sim
        .faults()
        .set(FaultPlan::new().on("dynamodb.PutItem", 1, Fault::LoseResponse));
    assert!(!edges(&world).rows.create_row(&full_row()).await.unwrap());
    assert_eq!(
        world.cloud.desired.row(&id("a1")).await.unwrap(),
        Some(full_row())
    );
}
