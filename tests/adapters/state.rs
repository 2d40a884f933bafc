//! The state table, read: memories, gates, claims, history, and items that are not what their key says.

use jiff::SignedDuration;
use lamplighter::cloud::{Error, WriteError};
use lamplighter::model::claim::ClaimKey;
use lamplighter::model::name::{BuildId, HostName};
use lamplighter::model::observed::{Gate, Observed};
use lamplighter::model::pause::{Pause, PauseScope, Paused, Pauses};
use lamplighter::model::policy::Approvals;
use lamplighter::model::schedule::later;
use serde_json::{Value, json};
use simcloud::{Fault, FaultPlan, ServerError};

use crate::canned::{Answer, Canned};
use crate::support::{event, id, intent, memory, operation, start, world, write};

const TABLE: &str = "lamplighter-state";

fn host(n: usize) -> ClaimKey {
    ClaimKey::host(&HostName::parse(&format!("h{n}.example.com")).unwrap())
}

fn held_by(app: &str, key: &ClaimKey) -> Value {
    json!({
        "pk": { "S": key.as_str() }, "app": { "S": app }, "since": { "S": "2026-11-20T09:00:00Z" },
    })
}

fn gate(n: u8, build: Option<Value>) -> Value {
    let mut item = json!({ "pk": { "S": format!("gate#{}", operation(n)) } });
    if let Some(build) = build {
        item["build"] = build;
    }
    item
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_we_write_is_the_memory_that_we_read() {
    let world = world().await;
    let state = &world.cloud.state;
    assert_eq!(state.memory(&id("a1")).await.unwrap(), None);
    let memory = memory("a1", 1, 7);
    state.write(&write(memory.clone())).await.unwrap();
    assert_eq!(state.memory(&id("a1")).await.unwrap(), Some(memory));
}

#[tokio::test(start_paused = true)]
async fn version_and_status_are_where_readers_expect_them() {
    let world = world().await;
    world.cloud.state.write(&write(memory("a1", 1, 7))).await.unwrap();
    let item = world.state("app#a1").unwrap();
    let names: Vec<&String> = item.as_object().unwrap().keys().collect();
    assert_eq!(names, ["memory", "pk", "status", "version"]);
    assert_eq!(item["version"], json!({ "N": "1" }));
    let status = json!({ "M": {
        "phase": { "S": "Deploying" }, "reason": { "S": "" }, "message": { "S": "" },
        "conditions": { "L": [ { "M": {
            "type": { "S": "Accepted" }, "status": { "S": "True" }, "reason": { "S": "Valid" },
            "message": { "S": "" }, "lastTransitionTime": { "S": "2026-11-20T09:00:00Z" },
        } } ] },
    } });
    assert_eq!(item["status"], status);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_sorts_every_page_by_key_and_an_item_that_cannot_be_read_stands_alone() {
    let world = world().await;
    let state = &world.cloud.state;
    for n in 0..40_u8 {
        let mut memory = memory(&format!("a{n:02}"), 1, n);
        memory.status.message = "m".repeat(60_000);
        state.write(&write(memory)).await.unwrap();
    }
    state
        .approve_deletions(Approvals::default(), start())
        .await
        .unwrap();
    world.put(TABLE, &gate(1, None));
    world.put(TABLE, &gate(2, Some(json!({ "S": "closed" }))));
    world.put(TABLE, &gate(3, Some(json!({ "S": "childapp:1" }))));
    world.put(TABLE, &held_by("a01", &host(1)));
    let bad = [
        (
            "app#bad1",
            json!({ "version": { "S": "x" }, "status": { "M": {} }, "memory": { "M": {} } }),
        ),
        (
            "app#bad2",
            json!({ "version": { "N": "1" }, "memory": { "M": {} } }),
        ),
        (
            "app#bad3",
            json!({ "version": { "N": "1" }, "status": { "M": {} }, "memory": { "S": "x" } }),
        ),
        ("gate#bad4", json!({ "build": { "N": "1" } })),
        ("gate#bad5", json!({ "build": { "S": "" } })),
        ("slot#bad6", json!({ "since": { "S": "2026-11-20T09:00:00Z" } })),
        (
            "host#bad7",
            json!({ "app": { "S": "a1" }, "since": { "S": "yesterday" } }),
        ),
    ];
    for (key, rest) in &bad {
        let mut item = rest.clone();
        item["pk"] = json!({ "S": key });
        world.put(TABLE, &item);
    }
    // Leases, and keys of kinds that are not known, are no concern of a snapshot.
    world.put(TABLE, &json!({ "pk": { "S": "lease#0" }, "epoch": { "N": "3" } }));

    let snapshot = state.snapshot().await.unwrap();
    assert_eq!(snapshot.memories.len(), 40);
    assert_eq!(
        snapshot.memories[&id("a07")].operation.as_ref().unwrap().id,
        operation(7)
    );
    let gates: Vec<&Gate> = [1, 2, 3]
        .iter()
        .map(|n| &snapshot.gates[&operation(*n)])
        .collect();
    assert_eq!(
        gates,
        [
            &Gate::Open,
            &Gate::Closed,
            &Gate::Held(BuildId::new("childapp:1"))
        ]
    );
    assert_eq!(snapshot.gates.len(), 3);
    assert_eq!(snapshot.claims.len(), 1);
    assert_eq!(snapshot.claims[&host(1)].app, id("a01"));
    assert_eq!(snapshot.approvals.latest, Some(start()));
    let keys: Vec<&str> = snapshot.unreadable.keys().map(String::as_str).collect();
    let mut expected: Vec<&str> = bad.iter().map(|(key, _)| *key).collect();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert!(
        snapshot.unreadable.values().all(|reason| !reason.is_empty()),
        "{:?}",
        snapshot.unreadable
    );
    assert!(world.count("dynamodb.Scan") >= 3);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_in_which_a_page_fails_is_an_error() {
    let world = world().await;
    for n in 0..40_u8 {
        let mut memory = memory(&format!("a{n:02}"), 1, n);
        memory.status.message = "m".repeat(60_000);
        world.cloud.state.write(&write(memory)).await.unwrap();
    }
    world
        .sim
        .faults()
        .set(FaultPlan::new().on("dynamodb.Scan", 3, Fault::AccessDenied));
    assert!(matches!(
        world.cloud.state.snapshot().await,
        Err(Error::Denied { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_cannot_be_read_is_an_error_that_says_what_is_wrong() {
    let world = world().await;
    let item = json!({ "pk": { "S": "app#a1" }, "version": { "N": "1" }, "status": { "M": {} } });
    world.put(TABLE, &item);
    let error = world.cloud.state.memory(&id("a1")).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }));
    assert!(error.to_string().contains("app#a1: memory is missing"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn reads_see_the_latest_write_even_where_others_see_the_past() {
    let world = world().await;
    let past = Fault::StaleList(std::time::Duration::from_hours(1));
    world
        .sim
        .faults()
        .set(FaultPlan::new().rate_of("dynamodb", 1.0, past));
    let state = &world.cloud.state;
    for version in 1..4 {
        state.write(&write(memory("a1", version, 7))).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(state.memory(&id("a1")).await.unwrap().unwrap().version, version);
        assert_eq!(
            state.snapshot().await.unwrap().memories[&id("a1")].version,
            version
        );
    }
}

#[tokio::test(start_paused = true)]
async fn claims_are_read_by_the_hundred_and_free_ones_are_left_out() {
    let world = world().await;
    for n in (0..230).step_by(2) {
        world.put(TABLE, &held_by("a1", &host(n)));
    }
    let mut keys: Vec<ClaimKey> = (0..230).map(host).collect();
    keys.extend(keys.clone());
    let holders = world.cloud.state.claims(&keys).await.unwrap();
    assert_eq!(holders.len(), 115);
    assert_eq!(holders[&host(4)].app, id("a1"));
    assert_eq!(holders.get(&host(5)), None);
    assert_eq!(world.count("dynamodb.BatchGetItem"), 3);
    assert!(world.cloud.state.claims(&[]).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn keys_left_unprocessed_are_asked_for_again() {
    let claim = |n| held_by("a1", &host(n));
    let rest = json!({ TABLE: { "Keys": [{ "pk": { "S": host(1).as_str() } }], "ConsistentRead": true } });
    let canned = Canned::new([
        Answer::json(
            200,
            &json!({ "Responses": { TABLE: [claim(0)] }, "UnprocessedKeys": rest }),
        ),
        Answer::json(
            200,
            &json!({ "Responses": { TABLE: [claim(1)] }, "UnprocessedKeys": {} }),
        ),
    ]);
    let (cloud, _) = canned.cloud();
    let holders = cloud.state.claims(&[host(0), host(1)]).await.unwrap();
    assert_eq!(holders.len(), 2);
    let second = &canned.requests()[1]["RequestItems"][TABLE];
    assert_eq!(second["Keys"].as_array().unwrap().len(), 1);
    assert_eq!(second["ConsistentRead"], true);
}

#[tokio::test(start_paused = true)]
async fn keys_that_stay_unprocessed_are_an_error_and_not_free_claims() {
    let rest = json!({ TABLE: { "Keys": [{ "pk": { "S": host(1).as_str() } }], "ConsistentRead": true } });
    let canned = Canned::new([Answer::json(
        200,
        &json!({ "Responses": {}, "UnprocessedKeys": rest }),
    )]);
    let (cloud, calls) = canned.cloud();
    let error = cloud.state.claims(&[host(0), host(1)]).await.unwrap_err();
    assert!(matches!(error, Error::Throttled { .. }), "{error}");
    assert_eq!(calls.take().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_gate_is_open_held_closed_or_not_there() {
    let world = world().await;
    let state = &world.cloud.state;
    world.put(TABLE, &gate(1, None));
    world.put(TABLE, &gate(2, Some(json!({ "S": "childapp:1" }))));
    let held = Gate::Held(BuildId::new("childapp:1"));
    assert_eq!(state.gate(&operation(1)).await.unwrap(), Some(Gate::Open));
    assert_eq!(state.gate(&operation(2)).await.unwrap(), Some(held.clone()));
    assert_eq!(state.gate(&operation(3)).await.unwrap(), None);
    // Closing succeeds only where no build has passed.
    assert_eq!(state.close_gate(&operation(1)).await.unwrap(), Some(Gate::Closed));
    assert_eq!(state.close_gate(&operation(1)).await.unwrap(), Some(Gate::Closed));
    assert_eq!(state.gate(&operation(1)).await.unwrap(), Some(Gate::Closed));
    assert_eq!(state.close_gate(&operation(2)).await.unwrap(), Some(held.clone()));
    assert_eq!(state.gate(&operation(2)).await.unwrap(), Some(held));
    // Nor does it make a gate: a build that found one would pass it.
    assert_eq!(state.close_gate(&operation(3)).await.unwrap(), None);
    assert_eq!(world.state(&format!("gate#{}", operation(3))), None);
}

#[tokio::test(start_paused = true)]
async fn a_gate_closed_unseen_is_closed() {
    let world = world().await;
    world.put(TABLE, &gate(1, None));
    world
        .sim
        .faults()
        .set(FaultPlan::new().on("dynamodb.UpdateItem", 1, Fault::LoseResponse));
    assert_eq!(
        world.cloud.state.close_gate(&operation(1)).await.unwrap(),
        Some(Gate::Closed)
    );
    assert_eq!(world.count("dynamodb.UpdateItem"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_could_not_be_asked_is_an_error_and_not_missing() {
    let world = world().await;
    world.put(TABLE, &gate(1, None));
    let down = Fault::InternalError(ServerError::Html503);
    world
        .sim
        .faults()
        .set(FaultPlan::new().rate_of("dynamodb", 1.0, down));
    let state = &world.cloud.state;
    assert!(matches!(
        state.gate(&operation(1)).await,
        Err(Error::Unavailable { .. })
    ));
    assert!(matches!(
        state.close_gate(&operation(1)).await,
        Err(Error::Unavailable { .. })
    ));
    let wrote = state.write(&write(memory("a1", 1, 7))).await;
    assert!(
        matches!(wrote, Err(WriteError::Other(Error::Unavailable { .. }))),
        "{wrote:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn history_is_read_newest_first_up_to_a_limit() {
    let world = world().await;
    let state = &world.cloud.state;
    for n in 1..=30_u8 {
        let mut intent = intent(memory("a1", u64::from(n), n), n);
        intent.events[0].message = "m".repeat(100_000);
        state.write(&intent).await.unwrap();
    }
    let mut other = intent(memory("b1", 1, 99), 99);
    other.take.clear();
    state.write(&other).await.unwrap();
    let reasons = |events: Vec<lamplighter::model::history::Event>| {
        events.into_iter().map(|event| event.reason).collect::<Vec<_>>()
    };
    let newest = reasons(state.events(&id("a1"), 3).await.unwrap());
    assert_eq!(newest, ["Number30", "Number29", "Number28"]);
    let all = reasons(state.events(&id("a1"), 1000).await.unwrap());
    assert_eq!(all.len(), 30);
    assert_eq!(all[29], "Number1");
    assert_eq!(state.events(&id("b1"), 10).await.unwrap(), [event("b1", 99)]);
    assert_eq!(state.events(&id("c1"), 10).await.unwrap(), []);
    assert_eq!(state.events(&id("a1"), 0).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_history_that_cannot_be_read_hides_no_other() {
    let world = world().await;
    world
        .cloud
        .state
        .write(&intent(memory("a1", 1, 1), 1))
        .await
        .unwrap();
    let odd = json!({ "id": { "S": "a1" }, "at": { "S": "7ZZZZZZZZZZZZZZZZZZZZZZZZZ" } });
    world.put("lamplighter-events", &odd);
    assert_eq!(
        world.cloud.state.events(&id("a1"), 10).await.unwrap(),
        [event("a1", 1)]
    );
}

#[tokio::test(start_paused = true)]
async fn an_approval_of_deletions_is_counted_once() {
    let world = world().await;
    let state = &world.cloud.state;
    let none = state.approvals().await.unwrap();
    assert_eq!(none, Approvals::default());
    let (first, second) = (start(), later(start(), SignedDuration::from_secs(9)));
    state.approve_deletions(none, first).await.unwrap();
    // By another operator who saw the same, or by a try whose answer got lost.
    state.approve_deletions(none, second).await.unwrap();
    let once = Approvals {
        count: 1,
        latest: Some(first),
    };
    assert_eq!(state.approvals().await.unwrap(), once);
    state.approve_deletions(once, second).await.unwrap();
    let twice = Approvals {
        count: 2,
        latest: Some(second),
    };
    assert_eq!(state.approvals().await.unwrap(), twice);
}

#[tokio::test(start_paused = true)]
async fn a_complete_reading_has_up_to_when_days_are_reported() {
    let world = world().await;
    let state = &world.cloud.state;
    let reported = async || state.snapshot().await.unwrap().reported;
    assert_eq!(reported().await, None);
    for seconds in [9, 9, 20] {
        let until = later(start(), SignedDuration::from_secs(seconds));
        state.set_reported(until).await.unwrap();
        assert_eq!(reported().await, Some(until));
    }
    // What somebody else has written there hides nothing but itself.
    world.put(
        "lamplighter-state",
        &json!({ "pk": { "S": "control#report" }, "until": { "S": "yesterday" } }),
    );
    assert_eq!(reported().await, None);
    assert_eq!(state.snapshot().await.unwrap().unreadable.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn pauses_are_kept_until_they_are_ended() {
    let world = world().await;
    let state = &world.cloud.state;
    let pause = |reason: Option<&str>| Pause {
        since: Some(start()),
        reason: reason.map(str::to_owned),
    };
    assert_eq!(state.pauses().await.unwrap(), Pauses::default());
    let one = PauseScope::App(id("a1"));
    let (of_app, of_fleet) = (pause(Some("why; DROP #x")), pause(None));
    state.set_pause(&one, Some(&of_app)).await.unwrap();
    let both = state
        .set_pause(&PauseScope::Fleet, Some(&of_fleet))
        .await
        .unwrap();
    assert_eq!(both.fleet, Some(of_fleet.clone()));
    assert_eq!(both.apps.get(&id("a1")), Some(&of_app));
    assert_eq!(state.pauses().await.unwrap(), both);
    assert_eq!(state.snapshot().await.unwrap().pauses, both);
    let told = |whole_fleet, pause| Observed::Present(Paused { whole_fleet, pause });
    assert_eq!(both.of(&id("a1")), told(true, of_fleet.clone()));
    assert_eq!(both.of(&id("a2")), told(true, of_fleet));

    let left = state.set_pause(&PauseScope::Fleet, None).await.unwrap();
    assert_eq!(left.of(&id("a1")), told(false, of_app));
    assert_eq!(left.of(&id("a2")), Observed::Absent);
    for _ in 0..2 {
        assert!(state.set_pause(&one, None).await.unwrap().is_empty());
    }
    assert!(state.snapshot().await.unwrap().pauses.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_was_written_by_hand_counts_whatever_it_says() {
    let world = world().await;
    for value in [
        json!({ "S": "" }),
        json!({ "BOOL": false }),
        json!({ "M": { "since": { "S": "noon" }, "reason": { "N": "1" } } }),
    ] {
        world.put(
            TABLE,
            &json!({ "pk": { "S": "control#pause" }, "fleet": value, "app#a1": { "NULL": true } }),
        );
        let pauses = world.cloud.state.pauses().await.unwrap();
        assert_eq!(pauses.fleet, Some(Pause::default()));
        assert_eq!(pauses.apps.get(&id("a1")), Some(&Pause::default()));
    }
}
