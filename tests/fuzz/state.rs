//! The state table with anything in it: good items with something wrong in them, and items of somebody else's. What
//! cannot be read is said to be unreadable, with its key; nothing is taken for not being there.

use std::collections::BTreeSet;

use lamplighter::cloud::{Cloud, Swapped};
use lamplighter::model::claim::ClaimKey;
use lamplighter::model::lease::{Lease, Shard};
use lamplighter::model::name::AppId;
use lamplighter::model::observed::{Gate, Observed};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::answers::parsed;
use crate::canned::{Answer, Canned};
use crate::feed::{Feed, check, names_the_call};
use crate::mutate::{mutated, spoilt};
use crate::planned::{lives, sight};
use crate::rows::page;
use crate::support::{id, intent, memory, operation, write};
use crate::values::{attribute, row, text};

/// A memory as it is really stored: taken from the request that stores it.
fn stored() -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let canned = Canned::new([Answer::json(200, &json!({}))]);
        let (cloud, _) = canned.cloud();
        cloud.state.write(&write(memory("a1", 3, 7))).await.unwrap();
        canned.requests()[0]["Item"].clone()
    })
}

/// The good item with something wrong in it, or something else altogether.
fn wrong(good: &Value) -> BoxedStrategy<Value> {
    let other = btree_map(
        select(
            &[
                "pk", "version", "status", "memory", "build", "app", "since", "owner", "epoch", "beat",
                "fleet",
            ][..],
        )
        .prop_map(str::to_owned),
        attribute(),
        0..5,
    );
    prop_oneof![4 => mutated(good.clone()), 1 => other.prop_map(|item| json!(item))].boxed()
}

/// An item is there if the answer has one.
fn has_item(body: &str) -> bool {
    let body: Option<Value> = parsed(body);
    body.is_none_or(|body| !body.is_object() || !body["Item"].is_null())
}

/// A `GetItem` that finds this, spoilt or not.
fn found(item: BoxedStrategy<Value>) -> BoxedStrategy<String> {
    spoilt(item.prop_map(|item| json!({"Item": item}).to_string()).boxed())
}

fn http(body: &str) -> [Answer; 1] {
    [Answer::Http(200, "application/x-amz-json-1.0", body.to_owned())]
}

#[test]
fn a_memory_with_something_wrong_in_it_is_unreadable_or_can_be_planned_upon() {
    let feed = Feed::new();
    let rows = json!({"S": "a1"});
    let given = (found(wrong(&stored())), row(), vec(sight(), 1..6));
    check(1_200, &given, |(body, row, sights)| {
        match feed.ask(&http(&body), async |cloud| cloud.state.memory(&id("a1")).await) {
            Err(error) => names_the_call(&error, "dynamodb.GetItem"),
            Ok(None) => {
                prop_assert!(!has_item(&body), "no memory out of garbage");
                Ok(())
            }
            Ok(Some(memory)) => {
                prop_assert_eq!(&memory.id, &id("a1"));
                let row = crate::rows::item((rows.clone(), row));
                let row = feed.ask(&[page(&[row])], async |cloud| cloud.desired.rows().await);
                let row = row.unwrap().rows.remove(&id("a1"));
                lives(&id("a1"), &[row.into()], Observed::Present(memory), &sights)
                    .map_err(TestCaseError::fail)
            }
        }
    });
}

#[test]
fn a_snapshot_of_anything_says_what_it_could_not_read() {
    let feed = Feed::new();
    let good = stored();
    let key = prop_oneof![
        3 => Just("app#a1".to_owned()),
        1 => Just("app#".to_owned()),
        1 => text().prop_map(|text| format!("app#{text}")),
        1 => text().prop_map(|text| format!("gate#{text}")),
        1 => text().prop_map(|text| format!("slot#{text}")),
        1 => select(&["control#deletions", "control#pause", "lease#0", "lease#x", "host#a"][..]).prop_map(str::to_owned),
    ];
    let item = (key, wrong(&good)).prop_map(|(key, mut item)| {
        if let Some(item) = item.as_object_mut() {
            item.insert("pk".to_owned(), json!({"S": key}));
        }
        item
    });
    check(600, &vec(item, 1..5), |items| {
        match feed.ask(&[page(&items)], async |cloud| cloud.state.snapshot().await) {
            Err(error) => names_the_call(&error, "dynamodb.Scan"),
            Ok(snapshot) => {
                let known: BTreeSet<String> =
                    snapshot.memories.keys().map(|id| format!("app#{id}")).collect();
                let gates = snapshot.gates.keys().map(|operation| format!("gate#{operation}"));
                let claims = snapshot.claims.keys().map(ToString::to_string);
                let known: BTreeSet<String> = known.into_iter().chain(gates).chain(claims).collect();
                for item in &items {
                    let key = item["pk"]["S"].as_str().unwrap_or_default();
                    let ours = ["app#", "gate#", "slot#", "host#"]
                        .iter()
                        .any(|kind| key.starts_with(kind));
                    let told = known.contains(key) || snapshot.unreadable.contains_key(key);
                    prop_assert!(!ours || told, "{key:?} is passed over in silence");
                }
                for problem in snapshot.unreadable.values() {
                    prop_assert!(problem.len() < 2_000 && !problem.contains('\n'), "{problem}");
                }
                Ok(())
            }
        }
    });
}

#[test]
fn a_gate_is_absent_only_where_dynamodb_says_so_and_closed_only_by_us() {
    let feed = Feed::new();
    let good = json!({"pk": {"S": "gate#1"}, "build": {"S": "closed"}, "expires": {"N": "1800000000"}});
    check(600, &found(wrong(&good)), |body| {
        match feed.ask(&http(&body), async |cloud| cloud.state.gate(&operation(1)).await) {
            Err(error) => names_the_call(&error, "dynamodb.GetItem"),
            Ok(None) => {
                prop_assert!(!has_item(&body), "no gate out of garbage");
                Ok(())
            }
            Ok(Some(gate)) => {
                let body: Value = parsed(&body).unwrap_or_default();
                let build = &body["Item"]["build"];
                match gate {
                    Gate::Closed => prop_assert_eq!(build, &json!({"S": "closed"})),
                    Gate::Open => prop_assert!(build.is_null(), "open, and {} is in it", build),
                    Gate::Held(holder) => prop_assert_eq!(build, &json!({"S": holder.as_str()})),
                }
                Ok(())
            }
        }
    });
}

/// A refusal of a conditional write, with the item that stood in the way.
fn refused(item: &Value) -> Value {
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
        "Item": item,
    })
}

#[test]
fn closing_a_gate_succeeds_only_where_dynamodb_says_so() {
    let feed = Feed::new();
    let refusal = refused(&json!({"pk": {"S": "gate#1"}, "build": {"S": "child-app:1"}}));
    let bodies = spoilt(mutated(refusal).prop_map(|body| body.to_string()).boxed());
    let given = (select(&[200_u16, 400, 400, 400, 500][..]), bodies);
    check(600, &given, |(status, body)| {
        let answer = [Answer::Http(status, "application/x-amz-json-1.0", body.clone())];
        match feed.ask(&answer, async |cloud| cloud.state.close_gate(&operation(1)).await) {
            Err(error) => names_the_call(&error, "dynamodb.UpdateItem"),
            Ok(gate) => {
                let told: Option<Value> = parsed(&body);
                let told = told.filter(Value::is_object);
                prop_assert!(told.is_some(), "{gate:?} out of garbage");
                let by_another = told.unwrap()["Item"]["build"] == json!({"S": "closed"});
                if gate == Some(Gate::Closed) {
                    prop_assert!(status == 200 || by_another, "closed, and DynamoDB refused");
                }
                Ok(())
            }
        }
    });
}

#[test]
fn claims_leases_pauses_and_approvals_of_any_kind_are_read_or_refused() {
    let feed = Feed::new();
    let good = json!({
        "pk": {"S": "slot#ann"}, "app": {"S": "a1"}, "since": {"S": "2026-11-20T09:00:00Z"},
        "owner": {"S": "me"}, "epoch": {"N": "3"}, "beat": {"N": "18446744073709551615"}, "asked": {"S": "you"},
        "approvedAt": {"S": "2026-11-20T09:00:00Z"},
        "approvals": {"N": "3"},
        "fleet": {"M": {"since": {"S": "2026-11-20T09:00:00Z"}, "reason": {"S": "moving"}}},
    });
    let slot = ClaimKey::from_key("slot#ann").unwrap();
    check(600, &wrong(&good), |item| {
        let batch = [Answer::json(
            200,
            &json!({"Responses": {"lamplighter-state": [item]}, "UnprocessedKeys": {}}),
        )];
        match feed.ask(&batch, async |cloud| {
            cloud.state.claims(std::slice::from_ref(&slot)).await
        }) {
            Err(error) => names_the_call(&error, "dynamodb.BatchGetItem")?,
            Ok(claims) => {
                for (key, claim) in &claims {
                    prop_assert_eq!(&item["pk"], &json!({"S": key.as_str()}));
                    prop_assert_eq!(&item["app"], &json!({"S": claim.app.as_str()}));
                }
                // A claim that was asked for and came back is somebody's.
                let came = item["pk"] == json!({"S": "slot#ann"});
                prop_assert!(!came || claims.contains_key(&slot), "a claim is taken for free");
            }
        }
        let one = [Answer::json(200, &json!({"Item": item}))];
        let leases = feed.ask(&one, async |cloud| cloud.state.leases(&[Shard(0)]).await);
        if let Err(error) = leases {
            names_the_call(&error, "dynamodb.")?;
        }
        let refusal = [Answer::json(400, &refused(&item))];
        let swapped = feed.ask(&refusal, async |cloud| swap(cloud).await);
        match swapped {
            Err(error) => names_the_call(&error, "dynamodb.UpdateItem")?,
            Ok(Swapped::Lost { .. }) => {}
            Ok(Swapped::Done { .. }) => {
                prop_assert_eq!(&item["owner"], &json!({"S": "me"}), "a lease that is not ours");
            }
        }
        let approved = feed.ask(&one, async |cloud| cloud.state.approvals().await);
        if let Err(error) = approved {
            names_the_call(&error, "dynamodb.GetItem")?;
        }
        let pauses = feed.ask(&one, async |cloud| cloud.state.pauses().await);
        match pauses {
            Err(error) => names_the_call(&error, "dynamodb.GetItem"),
            Ok(pauses) => {
                // Whatever stands there pauses.
                prop_assert_eq!(pauses.fleet.is_some(), item.get("fleet").is_some());
                Ok(())
            }
        }
    });
}

async fn swap(cloud: &Cloud) -> lamplighter::cloud::Result<Swapped> {
    let lease = |beat| Lease {
        owner: Some("me".to_owned()),
        epoch: 3,
        beat,
        asked: None,
    };
    cloud.state.swap_lease(Shard(0), Some(&lease(1)), &lease(2)).await
}

#[test]
fn what_is_left_out_of_an_answer_is_not_free() {
    let feed = Feed::new();
    let slot = ClaimKey::from_key("slot#ann").unwrap();
    let good = json!({"Responses": {"lamplighter-state": [
        {"pk": {"S": "slot#ann"}, "app": {"S": "a1"}, "since": {"S": "2026-11-20T09:00:00Z"}}
    ]}, "UnprocessedKeys": {"lamplighter-state": {"Keys": [{"pk": {"S": "slot#ann"}}], "ConsistentRead": true}}});
    let body = spoilt(mutated(good).prop_map(|body| body.to_string()).boxed());
    check(400, &body, |body| {
        match feed.ask(&http(&body), async |cloud| {
            cloud.state.claims(std::slice::from_ref(&slot)).await
        }) {
            Err(error) => names_the_call(&error, "dynamodb.BatchGetItem"),
            Ok(claims) => {
                let body: Value = parsed(&body).unwrap_or_default();
                prop_assert!(body["Responses"].is_object(), "{claims:?} out of garbage");
                Ok(())
            }
        }
    });
}

#[test]
fn a_cancelled_transaction_never_counts_as_done_unless_our_own_memory_is_there() {
    let feed = Feed::new();
    let item = stored();
    let reason = |code: &str, item: &Value| json!({"Code": code, "Message": "The conditional request failed", "Item": item});
    let claim = json!({"pk": {"S": "slot#ann"}, "app": {"S": "b1"}, "since": {"S": "2026-11-20T09:00:00Z"}});
    let none = json!({"Code": "None"});
    let good = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": [
            reason("ConditionalCheckFailed", &item), none, reason("ConditionalCheckFailed", &claim), none,
            reason("TransactionConflict", &Value::Null), none,
        ],
    });
    let mine = memory("a1", 9, 7);
    let given = (
        select(&[400_u16, 400, 500][..]),
        spoilt(mutated(good).prop_map(|body| body.to_string()).boxed()),
    );
    check(600, &given, |(status, body)| {
        let answer = [Answer::Http(status, "application/x-amz-json-1.0", body)];
        let write = intent(mine.clone(), 7);
        let written = feed.ask(&answer, async |cloud| cloud.state.write(&write).await);
        // What is stored is of version 3, and we write version 9.
        prop_assert!(written.is_err(), "a refusal counts as success");
        Ok(())
    });
}

#[test]
fn history_of_any_kind_is_told_as_far_as_it_can_be_read() {
    let feed = Feed::new();
    let good = json!({
        "id": {"S": "a1"}, "at": {"S": "01"}, "time": {"S": "2026-11-20T09:00:00Z"}, "rule": {"S": "Requested"},
        "reason": {"S": "New"}, "message": {"S": ""}, "phase": {"S": "Pending"}, "ttl": {"N": "1800000000"},
    });
    let whole = json!({"Items": [good, good], "Count": 2, "LastEvaluatedKey": {"id": {"S": "a1"}, "at": {"S": "01"}}});
    let body = spoilt(mutated(whole).prop_map(|body| body.to_string()).boxed());
    let id: AppId = id("a1");
    check(300, &vec(body, 1..3), |bodies| {
        let answers: Vec<Answer> = bodies.iter().flat_map(|body| http(body)).collect();
        match feed.ask(&answers, async |cloud| cloud.state.events(&id, 5).await) {
            Err(error) => names_the_call(&error, "dynamodb.Query"),
            Ok(events) => {
                prop_assert!(events.len() <= 5);
                Ok(())
            }
        }
    });
}
