//! What DynamoDB answers to a transaction that it did not carry out, and what we send.

use lamplighter::cloud::{Error, WriteError};
use serde_json::json;
use simcloud::{Fault, FaultPlan};

use crate::canned::{Answer, Canned};
use crate::support::{identity, intent, memory, operation, start, world, write};

#[tokio::test(start_paused = true)]
async fn a_collision_with_another_transaction_is_no_lost_race() {
    for transacts in [false, true] {
        let world = world().await;
        let make = || {
            if transacts {
                intent(memory("a1", 1, 1), 1)
            } else {
                write(memory("a1", 1, 1))
            }
        };
        let plan = FaultPlan::new().on("dynamodb", 1, Fault::TransactionConflict);
        world.sim.faults().set(plan);
        let wrote = world.cloud.state.write(&make()).await;
        assert!(
            matches!(wrote, Err(WriteError::Other(Error::Throttled { .. }))),
            "{wrote:?}"
        );
        world.cloud.state.write(&make()).await.unwrap();
        assert_eq!(world.calls.take()[0].outcome, "conflict");
    }
}

#[tokio::test(start_paused = true)]
async fn reasons_of_a_cancelled_transaction_are_read_in_order() {
    let none = json!({ "Code": "None" });
    let failed = json!({ "Code": "ConditionalCheckFailed", "Message": "The conditional request failed" });
    let taken = json!({
        "Code": "ConditionalCheckFailed", "Message": "The conditional request failed",
        "Item": { "pk": { "S": "x" }, "app": { "S": "b1" }, "since": { "S": "2026-11-20T08:00:00Z" } },
    });
    let throttled = json!({ "Code": "ThrottlingError", "Message": "Throughput exceeds" });
    let invalid = json!({ "Code": "ValidationError", "Message": "Item size has exceeded the maximum" });
    // Order of actions: memory, three claims, gate, event.
    let cases = [
        (
            "version first",
            [&failed, &taken, &none, &none, &failed, &none],
            "version",
        ),
        ("a claim", [&none, &none, &taken, &none, &none, &none], "claim b1"),
        (
            "a claim without its item",
            [&none, &none, &failed, &none, &none, &none],
            "claim ?",
        ),
        (
            "a claim before a throttle",
            [&throttled, &taken, &none, &none, &none, &none],
            "claim b1",
        ),
        (
            "the gate",
            [&none, &none, &none, &none, &failed, &none],
            "version",
        ),
        (
            "a throttle",
            [&none, &none, &none, &none, &none, &throttled],
            "throttled",
        ),
        (
            "a bad item",
            [&none, &none, &none, &none, &none, &invalid],
            "rejected",
        ),
        (
            "nothing",
            [&none, &none, &none, &none, &none, &none],
            "unreadable",
        ),
    ];
    for (case, reasons, expected) in cases {
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
            "CancellationReasons": reasons,
        });
        let (cloud, _) = Canned::new([Answer::json(400, &body)]).cloud();
        let found = match cloud.state.write(&intent(memory("a1", 2, 1), 1)).await {
            Ok(()) => "ok".to_owned(),
            Err(WriteError::VersionConflict) => "version".to_owned(),
            Err(WriteError::ClaimTaken { holder, key }) => {
                assert!(key.as_str().starts_with("slot#") || key.as_str().starts_with("host#"));
                let holder = holder.map_or_else(|| "?".to_owned(), |holder| holder.app.to_string());
                format!("claim {holder}")
            }
            Err(WriteError::Other(Error::Throttled { .. })) => "throttled".to_owned(),
            Err(WriteError::Other(Error::Rejected { .. })) => "rejected".to_owned(),
            Err(WriteError::Other(Error::Unreadable { .. })) => "unreadable".to_owned(),
            Err(other) => panic!("{case}: {other:?}"),
        };
        assert_eq!(found, expected, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn equal_writes_carry_one_token_and_different_writes_do_not() {
    let canned = Canned::new([Answer::json(200, &json!({}))]);
    let (cloud, _) = canned.cloud();
    let mut other = intent(memory("a1", 1, 1), 1);
    other.release = vec![identity("z.example.com").slot];
    for write in [
        intent(memory("a1", 1, 1), 1),
        intent(memory("a1", 1, 1), 1),
        other,
    ] {
        cloud.state.write(&write).await.unwrap();
    }
    let tokens: Vec<String> = canned
        .requests()
        .iter()
        .map(|request| request["ClientRequestToken"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[0], tokens[2]);
    // AWS: at most 36 characters.
    assert!(
        tokens.iter().all(|token| (32..=36).contains(&token.len())),
        "{tokens:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_taken_by_other_content_is_a_lost_race_and_one_at_work_is_no_answer() {
    let body =
        |code: &str| json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "Message": "m" });
    let taken = Answer::json(400, &body("IdempotentParameterMismatchException"));
    let wrote = Canned::new([taken])
        .cloud()
        .0
        .state
        .write(&intent(memory("a1", 1, 1), 1))
        .await;
    assert!(matches!(wrote, Err(WriteError::VersionConflict)), "{wrote:?}");
    let busy = Answer::json(400, &body("TransactionInProgressException"));
    let wrote = Canned::new([busy])
        .cloud()
        .0
        .state
        .write(&intent(memory("a1", 1, 1), 1))
        .await;
    assert!(
        matches!(wrote, Err(WriteError::Other(Error::Unavailable { .. }))),
        "{wrote:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn every_attribute_name_is_an_alias() {
    let canned = Canned::new([Answer::json(200, &json!({}))]);
    let (cloud, _) = canned.cloud();
    let mut all = intent(memory("a1", 2, 1), 1);
    all.release = vec![identity("z.example.com").slot];
    all.expire_gate = Some((operation(2), start()));
    cloud.state.write(&all).await.unwrap();
    cloud.state.write(&write(memory("a1", 2, 1))).await.unwrap();
    cloud.state.close_gate(&operation(1)).await.unwrap();
    let functions = [
        "attribute_exists",
        "attribute_not_exists",
        "if_not_exists",
        "SET",
        "AND",
        "OR",
        "",
    ];
    let mut seen = 0;
    for request in canned.requests() {
        let mut open = vec![request];
        while let Some(value) = open.pop() {
            let Some(object) = value.as_object() else {
                open.extend(value.as_array().cloned().unwrap_or_default());
                continue;
            };
            for (name, value) in object {
                if name.ends_with("Expression") {
                    seen += 1;
                    let text = value.as_str().unwrap();
                    let words = text.split([' ', '(', ')', ',', '=']);
                    let bare: Vec<&str> = words
                        .filter(|w| !w.starts_with(['#', ':']) && !functions.contains(w))
                        .collect();
                    assert!(bare.is_empty(), "{text}: {bare:?}");
                }
                open.push(value.clone());
            }
        }
    }
    assert!(seen > 8, "{seen} expressions were seen");
}
