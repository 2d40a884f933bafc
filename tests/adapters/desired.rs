//! The desired table: what a portal writes is read in full, and nothing in a row fails its page.

use std::collections::BTreeMap;

use lamplighter::cloud::Error;
use lamplighter::model::name::{AppName, HostName, User};
use lamplighter::model::row::{Desired, RawValue, Row};
use serde_json::{Value, json};
use simcloud::{Fault, FaultPlan};

use crate::support::{World, id, world};

const TABLE: &str = "lamplighter-desired";

fn good(id: &str) -> Value {
    json!({
        "id": { "S": id }, "user": { "S": "ann" }, "app": { "S": "shop" }, "desired": { "S": "Running" },
    })
}

pub(crate) fn full_row() -> Row {
    let mut row = Row::read(id("a1"), BTreeMap::new());
    row.problems.clear();
    row.user = Some(User::parse("ann").unwrap());
    row.app = Some(AppName::new("shop"));
    row.desired = Some(Desired::Suspended);
    row.generation = Some(9_007_199_254_740_991);
    row.requested_at = Some("2026-11-20T10:00:00.5Z".parse().unwrap());
    row.host_name = Some(HostName::parse("a1.example.com").unwrap());
    row.parameters = [("SIZE", "small"), ("NOTE", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    row.time_zone = Some("Europe/Berlin".to_owned());
    row.keep_until = Some("2026-11-21T10:00:00Z".parse().unwrap());
    row.keep_reason = Some("demo".to_owned());
    row.expires_at = Some("2026-12-01T00:00:00Z".parse().unwrap());
    row.requested_by = Some("bob".to_owned());
    row
}

async fn read_one(world: &World) -> Row {
    world.cloud.desired.row(&id("a1")).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_row_that_we_write_is_the_row_that_we_read() {
    let world = world().await;
    assert_eq!(world.cloud.desired.row(&id("a1")).await.unwrap(), None);
    world.cloud.desired.put_row(&full_row()).await.unwrap();
    assert_eq!(read_one(&world).await, full_row());
    let rows = world.cloud.desired.rows().await.unwrap();
    assert_eq!(rows.rows, BTreeMap::from([(id("a1"), full_row())]));
}

#[tokio::test(start_paused = true)]
async fn a_row_is_written_whole_and_attributes_of_the_portals_own_stay() {
    let world = world().await;
    let mut old = good("a1");
    old["x-note"] = json!({ "S": "the portal's own" });
    world.put(TABLE, &old);
    world.cloud.desired.put_row(&full_row()).await.unwrap();
    let item = world.get(TABLE, &json!({ "id": { "S": "a1" } })).unwrap();
    let expected = json!({
        "id": { "S": "a1" }, "user": { "S": "ann" }, "app": { "S": "shop" }, "desired": { "S": "Suspended" },
        "generation": { "N": "9007199254740991" }, "requestedAt": { "S": "2026-11-20T10:00:00.5Z" },
        "hostName": { "S": "a1.example.com" },
        "parameters": { "M": { "SIZE": { "S": "small" }, "NOTE": { "S": "" } } },
        "timeZone": { "S": "Europe/Berlin" }, "keepUntil": { "S": "2026-11-21T10:00:00Z" },
        "keepReason": { "S": "demo" }, "expiresAt": { "S": "2026-12-01T00:00:00Z" },
        "requestedBy": { "S": "bob" }, "x-note": { "S": "the portal's own" },
    });
    assert_eq!(item, expected);

    // What a row has not, it loses.
    let raw = [("user", "ann"), ("app", "shop"), ("desired", "Running")];
    let raw = raw.map(|(name, text)| (name.to_owned(), RawValue::Text(text.to_owned())));
    world
        .cloud
        .desired
        .put_row(&Row::read(id("a1"), raw.into()))
        .await
        .unwrap();
    let item = world.get(TABLE, &json!({ "id": { "S": "a1" } })).unwrap();
    let expected = json!({
        "id": { "S": "a1" }, "user": { "S": "ann" }, "app": { "S": "shop" }, "desired": { "S": "Running" },
        "x-note": { "S": "the portal's own" },
    });
    assert_eq!(item, expected);
}

#[tokio::test(start_paused = true)]
async fn deleting_a_row_that_is_gone_is_no_error() {
    let world = world().await;
    world.put(TABLE, &good("a1"));
    world.cloud.desired.delete_row(&id("a1")).await.unwrap();
    world.cloud.desired.delete_row(&id("a1")).await.unwrap();
    assert_eq!(world.cloud.desired.row(&id("a1")).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn no_attribute_fails_its_row_nor_its_page() {
    let world = world().await;
    let hostile = [
        (
            "generation",
            json!({ "N": "12345678901234567890123456789012345678" }),
            "is not in range",
        ),
        ("generation", json!({ "N": "1.5" }), "is not in range"),
        ("generation", json!({ "S": "3" }), "is a string, not a number"),
        ("user", json!({ "SS": ["ann", "bob"] }), "is a set, not a string"),
        ("user", json!({ "NS": ["1"] }), "is a set, not a string"),
        ("user", json!({ "BS": ["AAEC"] }), "is a set, not a string"),
        ("app", json!({ "B": "AAEC" }), "is binary, not a string"),
        ("hostName", json!({ "NULL": true }), "is null, not a string"),
        ("keepUntil", json!({ "BOOL": true }), "is a boolean, not a string"),
        (
            "timeZone",
            json!({ "L": [{ "S": "x" }] }),
            "is a list, not a string",
        ),
        ("parameters", json!({ "S": "x" }), "is a string, not a map"),
        (
            "parameters",
            json!({ "M": { "A": { "M": { "B": { "L": [] } } } } }),
            "is a map, not a string",
        ),
        (
            "desired",
            json!({ "S": "running" }),
            "is none of the desired states",
        ),
    ];
    for (n, (field, value, _)) in hostile.iter().enumerate() {
        let mut item = good(&format!("h{n:02}"));
        item[field] = value.clone();
        world.put(TABLE, &item);
    }
    world.put(TABLE, &good("a1"));
    let rows = world.cloud.desired.rows().await.unwrap();
    assert_eq!(rows.rows.len(), hostile.len() + 1);
    assert_eq!(rows.rows[&id("a1")].problems, []);
    for (n, (field, value, expected)) in hostile.iter().enumerate() {
        let problems = &rows.rows[&id(&format!("h{n:02}"))].problems;
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let told = found.iter().any(|p| p.starts_with(field) && p.contains(expected));
        assert!(told && found.len() == 1, "{field} {value}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_nested_value_at_the_depth_that_dynamodb_allows_is_one_problem() {
    let world = world().await;
    let mut deep = json!({ "S": "bottom" });
    for _ in 0..30 {
        deep = json!({ "M": { "d": deep } });
    }
    let mut item = good("a1");
    item["parameters"] = json!({ "M": { "A": deep } });
    world.put(TABLE, &item);
    let problems = read_one(&world).await.problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].field, "parameters.A");
}

#[tokio::test(start_paused = true)]
async fn every_page_of_a_table_beyond_one_megabyte_is_read() {
    let world = world().await;
    for n in 0..60 {
        let mut item = good(&format!("r{n:03}"));
        item["x-ballast"] = json!({ "S": "b".repeat(60_000) });
        world.put(TABLE, &item);
    }
    let rows = world.cloud.desired.rows().await.unwrap();
    assert_eq!(rows.rows.len(), 60);
    assert!(
        world.count("dynamodb.Scan") >= 4,
        "{:?}",
        world.sim.world().calls()
    );
}

#[tokio::test(start_paused = true)]
async fn short_and_empty_pages_are_not_the_end() {
    let world = world().await;
    for n in 0..40 {
        world.put(TABLE, &good(&format!("r{n:03}")));
    }
    let short = FaultPlan::new().rate_of("dynamodb.Scan", 1.0, Fault::ShortPage);
    world.sim.faults().set(short);
    assert_eq!(world.cloud.desired.rows().await.unwrap().rows.len(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_fails_the_whole() {
    let world = world().await;
    for n in 0..60 {
        let mut item = good(&format!("r{n:03}"));
        item["x-ballast"] = json!({ "S": "b".repeat(60_000) });
        world.put(TABLE, &item);
    }
    // The second page is denied, which the SDK does not try again.
    world
        .sim
        .faults()
        .set(FaultPlan::new().on("dynamodb.Scan", 2, Fault::AccessDenied));
    let error = world.cloud.desired.rows().await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_key_too_long_to_be_remembered_is_counted() {
    let world = world().await;
    world.put(TABLE, &good(&"x".repeat(2045)));
    world.put(TABLE, &good(&"y".repeat(2044)));
    let rows = world.cloud.desired.rows().await.unwrap();
    assert_eq!((rows.rows.len(), rows.unreadable), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_number_reaches_the_row_as_it_was_written() {
    let raw = RawValue::Number("12345678901234567890123456789012345678".to_owned());
    let row = Row::read(id("a1"), BTreeMap::from([("generation".to_owned(), raw)]));
    let world = world().await;
    let item =
        json!({ "id": { "S": "a1" }, "generation": { "N": "12345678901234567890123456789012345678" } });
    world.put(TABLE, &item);
    assert_eq!(read_one(&world).await, row);
}
