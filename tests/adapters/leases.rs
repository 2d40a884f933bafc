//! Leases in the table: one holder at a time, whoever asks first, and a lost answer is no lost lease.

use std::collections::BTreeMap;

use lamplighter::cloud::{Error, Swapped};
use lamplighter::model::lease::{Lease, Shard};
use serde_json::json;
use simcloud::{Fault, FaultPlan, ServerError};

use crate::support::{World, world};

const ZERO: Shard = Shard(0);

fn lease(owner: Option<&str>, epoch: u64, beat: u64) -> Lease {
    Lease {
        owner: owner.map(str::to_owned),
        epoch,
        beat,
        asked: None,
    }
}

async fn stored(world: &World) -> Option<Lease> {
    world.cloud.state.leases(&[ZERO]).await.unwrap().remove(&ZERO)
}

#[tokio::test(start_paused = true)]
async fn a_lease_goes_from_hand_to_hand_and_its_item_stays() {
    let world = world().await;
    let state = &world.cloud.state;
    assert_eq!(stored(&world).await, None);
    let steps = [
        lease(Some("a"), 1, 1),
        lease(Some("a"), 1, 2),
        lease(None, 1, 3),
        lease(Some("b"), 2, 4),
        lease(Some("b"), 2, u64::MAX),
    ];
    let mut before = None;
    for step in steps {
        let became = state.swap_lease(ZERO, before.as_ref(), &step).await.unwrap();
        assert_eq!(became, Swapped::Done { before });
        assert_eq!(stored(&world).await.as_ref(), Some(&step));
        before = Some(step);
    }
    let item = world.state("lease#0").unwrap();
    assert_eq!(item["owner"], json!({ "S": "b" }));
    assert_eq!(item.get("ttl"), None);
    assert!(state.snapshot().await.unwrap().unreadable.is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_that_take_a_lease_one_gets_it_and_the_other_learns_who() {
    for before in [None, Some(lease(None, 4, 7)), Some(lease(Some("dead"), 4, 7))] {
        let world = world().await;
        if let Some(before) = &before {
            let put = world.cloud.state.swap_lease(ZERO, None, before).await.unwrap();
            assert_eq!(put, Swapped::Done { before: None });
        }
        let other = world.another();
        let (a, b) = (lease(Some("a"), 5, 8), lease(Some("b"), 5, 8));
        let (left, right) = tokio::join!(
            world.cloud.state.swap_lease(ZERO, before.as_ref(), &a),
            other.cloud.state.swap_lease(ZERO, before.as_ref(), &b),
        );
        let (left, right) = (left.unwrap(), right.unwrap());
        let won = Swapped::Done { before };
        let (winner, lost) = if left == won { (a, right) } else { (b, left) };
        let stored_now = Some(winner);
        assert_eq!(
            lost,
            Swapped::Lost {
                stored: stored_now.clone()
            }
        );
        assert_eq!(stored(&world).await, stored_now);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_was_overtaken_changes_nothing() {
    let world = world().await;
    let state = &world.cloud.state;
    let now = lease(Some("b"), 2, 5);
    state.swap_lease(ZERO, None, &now).await.unwrap();
    let wrong = [
        None,
        Some(lease(Some("a"), 2, 5)),
        Some(lease(Some("b"), 1, 5)),
        Some(lease(Some("b"), 2, 4)),
        Some(lease(None, 2, 5)),
    ];
    for expected in wrong {
        let became = state
            .swap_lease(ZERO, expected.as_ref(), &lease(Some("a"), 3, 6))
            .await;
        let lost = Swapped::Lost {
            stored: Some(now.clone()),
        };
        assert_eq!(became.unwrap(), lost, "{expected:?}");
    }
    // Nor does one come back that was deleted by hand.
    let gone = state
        .swap_lease(Shard(1), Some(&now), &lease(Some("b"), 2, 6))
        .await;
    assert_eq!(gone.unwrap(), Swapped::Lost { stored: None });
    assert_eq!(world.state("lease#1"), None);
    assert_eq!(stored(&world).await, Some(now));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_got_lost_is_recognised() {
    let world = world().await;
    let state = &world.cloud.state;
    let first = lease(Some("a"), 1, 1);
    state.swap_lease(ZERO, None, &first).await.unwrap();
    let lose = FaultPlan::new().on("dynamodb.UpdateItem", 1, Fault::LoseResponse);
    world.sim.faults().set(lose);
    world.sim.world().reset_calls();
    let second = lease(Some("a"), 1, 2);
    let became = state.swap_lease(ZERO, Some(&first), &second).await.unwrap();
    assert_eq!(became, Swapped::Done { before: None });
    assert_eq!(world.count("dynamodb.UpdateItem"), 2);
    assert_eq!(stored(&world).await, Some(second));
}

#[tokio::test(start_paused = true)]
async fn a_wish_moves_nothing_and_goes_with_the_next_renewal() {
    let world = world().await;
    let state = &world.cloud.state;
    let held = lease(Some("a"), 1, 1);
    state.swap_lease(ZERO, None, &held).await.unwrap();
    let wish = Lease {
        asked: Some("b".to_owned()),
        ..held.clone()
    };
    state.swap_lease(ZERO, Some(&held), &wish).await.unwrap();
    let renewed = lease(Some("a"), 1, 2);
    let became = state.swap_lease(ZERO, Some(&held), &renewed).await.unwrap();
    assert_eq!(became, Swapped::Done { before: Some(wish) });
    assert_eq!(stored(&world).await, Some(renewed));
}

#[tokio::test(start_paused = true)]
async fn leases_are_read_by_the_hundred() {
    let world = world().await;
    let state = &world.cloud.state;
    let all: Vec<Shard> = (0..250).map(Shard).collect();
    for shard in all.iter().filter(|shard| shard.0 % 2 == 0) {
        state
            .swap_lease(*shard, None, &lease(Some("a"), u64::from(shard.0), 1))
            .await
            .unwrap();
    }
    world.sim.world().reset_calls();
    let found = state.leases(&all).await.unwrap();
    assert_eq!(world.count("dynamodb.BatchGetItem"), 3);
    let expected: BTreeMap<Shard, u64> = (0..125).map(|n| (Shard(n * 2), u64::from(n * 2))).collect();
    let epochs: BTreeMap<Shard, u64> = found.iter().map(|(shard, lease)| (*shard, lease.epoch)).collect();
    assert_eq!(epochs, expected);
    state.leases(&[Shard(7)]).await.unwrap();
    assert_eq!(world.count("dynamodb.GetItem"), 1);
    assert_eq!(state.leases(&[]).await.unwrap(), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_read_is_an_error_that_names_it() {
    let bad = [
        json!({ "pk": { "S": "lease#0" }, "owner": { "S": "a" }, "epoch": { "N": "1" } }),
        json!({ "pk": { "S": "lease#0" }, "owner": { "S": "a" }, "epoch": { "N": "-1" }, "beat": { "N": "1" } }),
        json!({ "pk": { "S": "lease#0" }, "owner": { "N": "1" }, "epoch": { "N": "1" }, "beat": { "N": "1" } }),
    ];
    for item in bad {
        let world = world().await;
        world.put("lamplighter-state", &item);
        for shards in [&[ZERO][..], &[ZERO, Shard(1)]] {
            let error = world.cloud.state.leases(shards).await.unwrap_err();
            assert!(
                matches!(&error, Error::Unreadable { problem, .. } if problem.contains("lease#0")),
                "{error:?}"
            );
        }
        assert!(world.cloud.state.snapshot().await.unwrap().unreadable.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_down_is_not_a_free_lease() {
    let world = world().await;
    let down = Fault::InternalError(ServerError::Html503);
    world
        .sim
        .faults()
        .set(FaultPlan::new().rate_of("dynamodb", 1.0, down));
    let state = &world.cloud.state;
    assert!(matches!(
        state.leases(&[ZERO]).await,
        Err(Error::Unavailable { .. })
    ));
    let swap = state.swap_lease(ZERO, None, &lease(Some("a"), 1, 1)).await;
    assert!(matches!(swap, Err(Error::Unavailable { .. })));
}
