//! Writes of the state table: conditional on the version, all or nothing, recognised when they succeeded
//! unseen.

use std::time::Duration;

use lamplighter::cloud::{Error, Write, WriteError};
use lamplighter::model::claim::ClaimKey;
use lamplighter::model::name::HostName;
use lamplighter::model::observed::Gate;
use serde_json::json;
use simcloud::{Fault, FaultPlan};

use crate::support::{World, event, id, identity, intent, memory, operation, start, world, write};

type MakeWrite = fn() -> Write;

/// Everything a transaction of the example app touches, by key, as it is stored.
fn stored(world: &World) -> serde_json::Value {
    let identity = identity("a1.example.com");
    let [host, name] = identity.name_keys();
    let gate = format!("gate#{}", operation(1));
    let keys = [
        "app#a1",
        &gate,
        identity.slot.as_str(),
        host.as_str(),
        name.as_str(),
    ];
    keys.iter()
        .map(|key| world.state(key).unwrap_or_default())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_intent_stores_memory_gate_claims_and_history_together() {
    let world = world().await;
    let state = &world.cloud.state;
    state.write(&intent(memory("a1", 1, 1), 1)).await.unwrap();
    assert_eq!(state.memory(&id("a1")).await.unwrap(), Some(memory("a1", 1, 1)));
    assert_eq!(state.gate(&operation(1)).await.unwrap(), Some(Gate::Open));
    let identity = identity("a1.example.com");
    let mut keys = identity.name_keys().to_vec();
    keys.push(identity.slot);
    let holders = state.claims(&keys).await.unwrap();
    assert_eq!(holders.len(), 3);
    assert!(
        holders
            .values()
            .all(|claim| claim.app == id("a1") && claim.since == start())
    );
    assert_eq!(state.events(&id("a1"), 9).await.unwrap(), [event("a1", 1)]);
}

#[tokio::test(start_paused = true)]
async fn of_two_writers_of_one_version_exactly_one_wins() {
    for transacts in [false, true] {
        let world = world().await;
        let other = world.another();
        world.cloud.state.write(&write(memory("a1", 1, 1))).await.unwrap();
        let make = |n: u8| {
            let memory = memory("a1", 2, n);
            if transacts {
                intent(memory, n)
            } else {
                write(memory)
            }
        };
        let (first, second) = (make(2), make(3));
        let (left, right) = tokio::join!(world.cloud.state.write(&first), other.cloud.state.write(&second));
        let won = [left.is_ok(), right.is_ok()];
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{left:?} {right:?}");
        let lost = left.err().or(right.err()).unwrap();
        assert!(matches!(lost, WriteError::VersionConflict), "{lost:?}");
        let winner = if won[0] { first } else { second };
        assert_eq!(
            world.cloud.state.memory(&id("a1")).await.unwrap(),
            Some(winner.memory)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_expects_none_does_not_overwrite_one() {
    let world = world().await;
    let state = &world.cloud.state;
    state.write(&write(memory("a1", 1, 1))).await.unwrap();
    let second = state.write(&write(memory("a1", 1, 2))).await;
    assert!(matches!(second, Err(WriteError::VersionConflict)), "{second:?}");
    // Nor does one that expects some write where there is none.
    let third = state.write(&write(memory("b1", 5, 3))).await;
    assert!(matches!(third, Err(WriteError::VersionConflict)), "{third:?}");
    assert_eq!(state.memory(&id("b1")).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn of_two_apps_that_claim_one_name_exactly_one_wins_and_the_other_learns_who() {
    let world = world().await;
    let other = world.another();
    let host = ClaimKey::host(&HostName::parse("shared.example.com").unwrap());
    let claim = |app: &str, n: u8| Write {
        take: vec![host.clone()],
        ..intent(memory(app, 1, n), n)
    };
    let (first, second) = (claim("a1", 1), claim("b1", 2));
    let (left, right) = tokio::join!(world.cloud.state.write(&first), other.cloud.state.write(&second));
    assert_eq!(
        [left.is_ok(), right.is_ok()].iter().filter(|won| **won).count(),
        1
    );
    let (winner, loser, lost) = match left {
        Ok(()) => ("a1", "b1", right.unwrap_err()),
        Err(lost) => ("b1", "a1", lost),
    };
    let WriteError::ClaimTaken { key, holder } = lost else {
        panic!("{lost:?}");
    };
    assert_eq!(key, host);
    assert_eq!(holder.unwrap().app, id(winner));
    // And nothing of the loser's write happened.
    assert_eq!(world.cloud.state.memory(&id(loser)).await.unwrap(), None);
    let n = if loser == "a1" { 1 } else { 2 };
    assert_eq!(world.cloud.state.gate(&operation(n)).await.unwrap(), None);
    assert_eq!(world.cloud.state.events(&id(loser), 9).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_ours_already_keeps_its_time() {
    let world = world().await;
    let state = &world.cloud.state;
    state.write(&intent(memory("a1", 1, 1), 1)).await.unwrap();
    let mut again = intent(memory("a1", 2, 2), 2);
    again.at = start() + Duration::from_hours(1);
    state.write(&again).await.unwrap();
    let slot = identity("a1.example.com").slot;
    assert_eq!(
        state
            .claims(&[slot])
            .await
            .unwrap()
            .into_values()
            .next()
            .unwrap()
            .since,
        start()
    );
}

#[tokio::test(start_paused = true)]
async fn claims_are_given_back_also_when_they_are_gone_but_never_those_of_others() {
    let world = world().await;
    let state = &world.cloud.state;
    state.write(&intent(memory("a1", 1, 1), 1)).await.unwrap();
    let slot = identity("a1.example.com").slot;
    let release = |app: &str, version: u64, n: u8| Write {
        release: vec![slot.clone()],
        ..write(memory(app, version, n))
    };
    let foreign = state.write(&release("b1", 1, 2)).await;
    assert!(
        matches!(&foreign, Err(WriteError::ClaimTaken { holder: Some(holder), .. }) if holder.app == id("a1")),
        "{foreign:?}"
    );
    for version in [2, 3] {
        state.write(&release("a1", version, 1)).await.unwrap();
        assert!(
            state
                .claims(std::slice::from_ref(&slot))
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_is_never_opened_twice() {
    let world = world().await;
    let state = &world.cloud.state;
    state.write(&intent(memory("a1", 1, 1), 1)).await.unwrap();
    state.close_gate(&operation(1)).await.unwrap();
    let again = state.write(&intent(memory("a1", 2, 1), 1)).await;
    assert!(matches!(again, Err(WriteError::VersionConflict)), "{again:?}");
    assert_eq!(state.gate(&operation(1)).await.unwrap(), Some(Gate::Closed));
    assert_eq!(state.memory(&id("a1")).await.unwrap().unwrap().version, 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_succeeded_unseen_has_succeeded() {
    let cases: [(&str, &str, MakeWrite); 2] = [
        ("memory alone", "dynamodb.PutItem", || write(memory("a1", 1, 1))),
        ("a transaction", "dynamodb.TransactWriteItems", || {
            intent(memory("a1", 1, 1), 1)
        }),
    ];
    for (case, call, make) in cases {
        for fault in [
            Fault::LoseResponse,
            Fault::HangAfterApplying,
            Fault::Duplicate,
            Fault::TruncatedBody,
        ] {
            let world = world().await;
            world
                .sim
                .faults()
                .set(FaultPlan::new().on(call, 1, fault.clone()));
            let wrote = world.cloud.state.write(&make()).await;
            assert_eq!(world.sim.faults().injected()[fault.name()], 1);
            let stored = world.cloud.state.memory(&id("a1")).await.unwrap();
            assert_eq!(stored, Some(memory("a1", 1, 1)), "{case}, {}", fault.name());
            if fault != Fault::TruncatedBody {
                assert!(wrote.is_ok(), "{case}, {}: {wrote:?}", fault.name());
                continue;
            }
            // Half an answer says nothing; the caller's next pass writes the same again.
            world.cloud.state.write(&make()).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_intent_sent_again_has_succeeded() {
    let world = world().await;
    let state = &world.cloud.state;
    state.write(&intent(memory("a1", 1, 1), 1)).await.unwrap();
    let before = stored(&world);
    state.write(&intent(memory("a1", 1, 1), 1)).await.unwrap();
    assert_eq!(stored(&world), before);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_finds_its_own_memory_stored_has_succeeded() {
    let world = world().await;
    let state = &world.cloud.state;
    state.write(&intent(memory("a1", 1, 1), 1)).await.unwrap();
    let before = stored(&world);
    // Another line of history makes another token, so that only what is stored can tell.
    let mut again = intent(memory("a1", 1, 1), 1);
    again.events = vec![event("a1", 2)];
    state.write(&again).await.unwrap();
    assert_eq!(stored(&world), before);
    assert_eq!(state.events(&id("a1"), 9).await.unwrap(), [event("a1", 1)]);
    again.memory.status.message = "another".to_owned();
    let other = state.write(&again).await;
    assert!(matches!(other, Err(WriteError::VersionConflict)), "{other:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_write_changes_nothing_that_came_after_it() {
    for transacts in [false, true] {
        let world = world().await;
        let state = &world.cloud.state;
        state.write(&write(memory("a1", 1, 1))).await.unwrap();
        let late = if transacts {
            intent(memory("a1", 2, 2), 2)
        } else {
            write(memory("a1", 2, 2))
        };
        // Every attempt is told that the connection broke, and arrives ten minutes later.
        let plan = FaultPlan::new().rate_of("dynamodb", 1.0, Fault::DeliverLate(Duration::from_mins(10)));
        world.sim.faults().set(plan);
        assert!(matches!(
            state.write(&late).await,
            Err(WriteError::Other(Error::Unavailable { .. }))
        ));
        world.sim.faults().clear();
        state.write(&write(memory("a1", 2, 3))).await.unwrap();
        tokio::time::sleep(Duration::from_secs(700)).await;
        world.sim.advance();
        assert_eq!(state.memory(&id("a1")).await.unwrap(), Some(memory("a1", 2, 3)));
        assert_eq!(state.gate(&operation(2)).await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn forgetting_deletes_the_memory_once_and_only_the_version_that_was_read() {
    for with_events in [false, true] {
        let world = world().await;
        let state = &world.cloud.state;
        state.write(&write(memory("a1", 1, 1))).await.unwrap();
        let forget = |version: u64| Write {
            forget: true,
            events: if with_events { vec![event("a1", 9)] } else { vec![] },
            ..write(memory("a1", version, 1))
        };
        let early = state.write(&forget(3)).await;
        assert!(matches!(early, Err(WriteError::VersionConflict)), "{early:?}");
        world
            .sim
            .faults()
            .set(FaultPlan::new().on("dynamodb", 1, Fault::LoseResponse));
        state.write(&forget(2)).await.unwrap();
        assert_eq!(world.state("app#a1"), None);
        state.write(&forget(2)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_settled_gate_gets_an_expiry_and_a_gate_that_is_gone_hinders_nothing() {
    let world = world().await;
    let state = &world.cloud.state;
    state.write(&intent(memory("a1", 1, 1), 1)).await.unwrap();
    let expire = |version: u64, n: u8| Write {
        expire_gate: Some((operation(n), "2026-12-20T09:00:00Z".parse().unwrap())),
        events: vec![event("a1", n)],
        ..write(memory("a1", version, n))
    };
    state.write(&expire(2, 1)).await.unwrap();
    let gate = world.state(&format!("gate#{}", operation(1))).unwrap();
    assert_eq!(gate["ttl"], json!({ "N": "1797757200" }));
    assert_eq!(gate["app"], json!({ "S": "a1" }));
    // No gate of operation 5: the rest of the write happens, and no gate comes to be.
    state.write(&expire(3, 5)).await.unwrap();
    assert_eq!(state.memory(&id("a1")).await.unwrap().unwrap().version, 3);
    assert_eq!(world.state(&format!("gate#{}", operation(5))), None);
    assert!(
        state
            .events(&id("a1"), 9)
            .await
            .unwrap()
            .contains(&event("a1", 5))
    );
}
