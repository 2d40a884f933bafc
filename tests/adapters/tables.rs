//! Creating tables: as often as one likes.

use lamplighter::cloud::aws::{CallObserver, Clients, Simulation, Unobserved};
use lamplighter::cloud::dynamodb::{Found, Tables, create_tables};
use serde_json::{Value, json};
use simcloud::{Fault, FaultPlan, SimCloud, SimConfig, TokioClock};
use std::sync::Arc;

use crate::support::start;

fn empty() -> (SimCloud, Clients) {
    let clock = Arc::new(TokioClock::starting_at(start()));
    let sim = SimCloud::new(SimConfig::with_clock(clock));
    let observer: Arc<dyn CallObserver> = Arc::new(Unobserved);
    let clients = Clients::simulated(&Simulation::new(sim.http_client(), start(), 1), &observer);
    (sim, clients)
}

fn described(sim: &SimCloud, table: &str) -> Value {
    let request = serde_json::from_value(json!({ "TableName": table })).unwrap();
    let answer = sim.database().describe_table(request).unwrap();
    serde_json::to_value(answer).unwrap()["Table"].clone()
}

fn ttl(sim: &SimCloud, table: &str) -> Value {
    let request = serde_json::from_value(json!({ "TableName": table })).unwrap();
    let answer = sim.database().describe_time_to_live(request).unwrap();
    serde_json::to_value(answer).unwrap()["TimeToLiveDescription"].clone()
}

fn create(sim: &SimCloud, table: &str, key: &str) {
    let request = json!({
        "TableName": table,
        "KeySchema": [{ "AttributeName": key, "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": key, "AttributeType": "S" }],
        "BillingMode": "PAY_PER_REQUEST",
    });
    sim.database()
        .create_table(serde_json::from_value(request).unwrap())
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_tables_are_made_once_and_found_afterwards() {
    let (_sim, clients) = empty();
    let tables = Tables::default();
    let made = create_tables(&clients, &tables).await.unwrap();
    let told: Vec<_> = made
        .iter()
        .map(|t| (t.name.as_str(), t.found, t.notes.len()))
        .collect();
    let expected = [
        ("lamplighter-desired", Found::Created, 0),
        ("lamplighter-state", Found::Created, 0),
        ("lamplighter-events", Found::Created, 0),
    ];
    assert_eq!(told, expected);
    let again = create_tables(&clients, &tables).await.unwrap();
    assert!(
        again
            .iter()
            .all(|t| t.found == Found::Existing && t.notes.is_empty()),
        "{again:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn keys_stream_billing_and_expiry_are_those_of_the_design() {
    let (sim, clients) = empty();
    create_tables(&clients, &Tables::default()).await.unwrap();
    let key = |table: &str| {
        let table = described(&sim, table);
        assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
        let keys = table["KeySchema"].as_array().unwrap().clone();
        keys.iter()
            .map(|k| {
                format!(
                    "{}:{}",
                    k["AttributeName"].as_str().unwrap(),
                    k["KeyType"].as_str().unwrap()
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(key("lamplighter-desired"), ["id:HASH"]);
    assert_eq!(key("lamplighter-state"), ["pk:HASH"]);
    assert_eq!(key("lamplighter-events"), ["id:HASH", "at:RANGE"]);
    let stream = &described(&sim, "lamplighter-desired")["StreamSpecification"];
    assert_eq!(stream["StreamEnabled"], true);
    assert_eq!(stream["StreamViewType"], "NEW_AND_OLD_IMAGES");
    for table in ["lamplighter-state", "lamplighter-events"] {
        assert_eq!(ttl(&sim, table)["TimeToLiveStatus"], "ENABLED", "{table}");
        assert_eq!(ttl(&sim, table)["AttributeName"], "ttl", "{table}");
    }
    assert_eq!(ttl(&sim, "lamplighter-desired")["TimeToLiveStatus"], "DISABLED");
}

#[tokio::test(start_paused = true)]
async fn a_table_with_another_key_is_an_error_and_left_alone() {
    let (sim, clients) = empty();
    create(&sim, "lamplighter-state", "id");
    let error = create_tables(&clients, &Tables::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the table lamplighter-state has the key id, not pk"),
        "{error}"
    );
    assert_eq!(
        described(&sim, "lamplighter-state")["KeySchema"][0]["AttributeName"],
        "id"
    );
}

#[tokio::test(start_paused = true)]
async fn a_desired_table_without_a_stream_is_taken_and_told_of() {
    let (sim, clients) = empty();
    create(&sim, "lamplighter-desired", "id");
    let report = create_tables(&clients, &Tables::default())
        .await
        .unwrap()
        .remove(0);
    assert_eq!(report.found, Found::Existing);
    assert_eq!(report.notes.len(), 1, "{report:?}");
    assert!(report.notes[0].contains("no stream"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_got_lost_is_no_failure() {
    let (sim, clients) = empty();
    let lost = FaultPlan::new()
        .on("dynamodb.CreateTable", 1, Fault::LoseResponse)
        .on("dynamodb.UpdateTimeToLive", 1, Fault::LoseResponse);
    sim.faults().set(lost);
    create_tables(&clients, &Tables::default()).await.unwrap();
    assert_eq!(sim.faults().injected()["LoseResponse"], 2);
    assert_eq!(ttl(&sim, "lamplighter-state")["TimeToLiveStatus"], "ENABLED");
}
