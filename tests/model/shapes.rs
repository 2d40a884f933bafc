//! The checks themselves: shapes in which every promise holds in every state, and wrong surroundings in which one of
//! them must be seen to break. `cargo test --test model -- --nocapture` prints what each came to.
#![allow(clippy::print_stdout, reason = "what a check came to is to be read")]

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use stateright::{Checker, HasDiscoveries, Model as _};

use crate::Model;
use crate::promises::{ONE_BUILD, ONE_INSTANCE, READY, REFUSED, SECOND_BUILD, TURNED_AWAY, is_promise};
use crate::shape::{Shape, Surroundings};
use crate::state::{Budget, Wish};
use crate::steps::Step;

const ONE_APP: [(&str, &str); 1] = [("ann", "ann.example.com")];
/// One user, whose slot has room for one of them.
const ONE_SLOT: [(&str, &str); 2] = [("ann", "one.example.com"), ("ann", "two.example.com")];
/// Two users who want the same host name.
const ONE_HOST: [(&str, &str); 2] = [("ann", "shop.example.com"), ("bob", "shop.example.com")];
/// Two users who have nothing to do with each other.
const TWO_USERS: [(&str, &str); 2] = [("ann", "ann.example.com"), ("bob", "bob.example.com")];

const UP_OR_GONE: [Wish; 2] = [Wish::Running, Wish::Destroyed];
const ALL_WISHES: [Wish; 5] = [
    Wish::Running,
    Wish::Larger,
    Wish::Suspended,
    Wish::Destroyed,
    Wish::Gone,
];

/// One of each: what most counterexamples need, and more than any needs.
const ONE_OF_EACH: Budget = Budget {
    crashes: 1,
    expiries: 1,
    losses: 1,
    failures: 0,
    changes: 1,
    takeovers: 0,
};
/// As much as may go wrong in all.
const MANY: Budget = Budget {
    crashes: 3,
    expiries: 2,
    losses: 3,
    failures: 0,
    changes: 0,
    takeovers: 0,
};
const NONE: Budget = Budget {
    crashes: 0,
    expiries: 0,
    losses: 0,
    failures: 0,
    changes: 0,
    takeovers: 0,
};

/// Walks through every state: each promise holds in all of them, and what is named in `met` is met in some.
fn holds(name: &str, shape: Shape, met: &[&'static str]) -> usize {
    let began = Instant::now();
    let checker = Model::of(shape)
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    for (promise, path) in checker.discoveries() {
        let broken = is_promise(promise);
        assert!(
            !broken,
            "{name}: {promise} is broken by\n{}",
            told(path.into_actions())
        );
    }
    for thing in met {
        assert!(checker.discovery(thing).is_some(), "{name}: never met {thing}");
    }
    let (states, longest) = (
        checker.unique_state_count(),
        checker.model().calm.longest.load(Ordering::Relaxed),
    );
    println!(
        "{name}: every promise holds in {states} states ({} steps tried, {} deep, at most {longest} from rest; {:.1} s)",
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f32()
    );
    states
}

/// Walks until a promise is broken, as it must be, by the fewest steps.
fn breaks(surroundings: Surroundings, shape: Shape, promise: &'static str) {
    let mut model = Model::of(shape.within(surroundings));
    model.only = Some(promise);
    let checker = model.checker().threads(1).spawn_bfs().join();
    let states = checker.unique_state_count();
    let path = checker.discovery(promise);
    let path = path.unwrap_or_else(|| panic!("{surroundings:?}: {promise} holds in all {states} states"));
    println!(
        "{surroundings:?}: {promise} is broken by\n{}",
        told(path.into_actions())
    );
}

fn told(steps: Vec<Step>) -> String {
    (1..)
        .zip(steps)
        .map(|(n, step)| format!("  {n:2}. {step}\n"))
        .collect()
}

#[test]
fn two_users_who_want_one_host_name_with_3_crashes_2_expiries_and_3_losses() {
    let shape = Shape::of(&ONE_HOST, &[], MANY);
    holds(
        "two users, one host name, 3/2/3",
        shape,
        &[READY, REFUSED, SECOND_BUILD, TURNED_AWAY],
    );
}

#[test]
fn two_apps_of_one_user_whose_rows_change() {
    let shape = Shape::of(&ONE_SLOT, &UP_OR_GONE, ONE_OF_EACH);
    holds(
        "two apps, one slot, 1/1/1 and a change",
        shape,
        &[READY, REFUSED, SECOND_BUILD, TURNED_AWAY],
    );
}

#[test]
fn two_apps_of_one_user_and_every_wish() {
    let shape = Shape::of(&ONE_SLOT, &ALL_WISHES, Budget { changes: 2, ..NONE });
    holds(
        "two apps, one slot, 2 changes to any wish",
        shape,
        &[READY, REFUSED, TURNED_AWAY],
    );
}

#[test]
fn two_users_who_share_nothing() {
    let shape = Shape::of(
        &TWO_USERS,
        &[],
        Budget {
            changes: 0,
            ..ONE_OF_EACH
        },
    );
    holds("two users, 1/1/1", shape, &[READY, SECOND_BUILD, TURNED_AWAY]);
}

#[test]
fn one_app_with_faults_of_every_kind_while_its_row_changes() {
    let budget = Budget {
        crashes: 2,
        expiries: 2,
        losses: 2,
        ..ONE_OF_EACH
    };
    let shape = Shape::of(&ONE_APP, &UP_OR_GONE, budget);
    holds(
        "one app, 2/2/2 and a change",
        shape,
        &[READY, SECOND_BUILD, TURNED_AWAY],
    );
}

#[test]
fn one_app_and_every_wish() {
    let shape = Shape::of(&ONE_APP, &ALL_WISHES, ONE_OF_EACH);
    holds(
        "one app, 1/1/1 and a change to any wish",
        shape,
        &[READY, SECOND_BUILD, TURNED_AWAY],
    );
}

#[test]
fn one_app_whose_builds_fail() {
    let budget = Budget {
        crashes: 1,
        failures: 2,
        changes: 2,
        ..NONE
    };
    let shape = Shape::of(&ONE_APP, &ALL_WISHES, budget);
    holds(
        "one app, 1 crash, 2 failed builds, 2 changes to any wish",
        shape,
        &[READY, TURNED_AWAY],
    );
}

/// What leases do is to leave fewer orders in which things happen. Without any, all replicas act on everything, always,
/// and the promises hold just as well. (With leases that get lost, who believes what is a part of the state too.)
#[test]
fn leases_add_nothing_to_safety() {
    let met = [READY, SECOND_BUILD, TURNED_AWAY];
    let shape = |takeovers| {
        let budget = Budget {
            takeovers,
            ..ONE_OF_EACH
        };
        Shape::of(&ONE_APP, &UP_OR_GONE, budget)
    };
    let kept = holds(
        "one app, a lease that is never lost",
        shape(0).with_leases(),
        &met,
    );
    let lost = holds(
        "one app, a lease that is lost twice",
        shape(2).with_leases(),
        &met,
    );
    let none = holds("one app, no leases: all act, always", shape(0), &met);
    assert!(
        kept < none && kept < lost,
        "a lease that works leaves one replica at work"
    );
}

/// What is not safe is not made safe by a lease either, not even by one that nobody ever loses.
#[test]
fn a_lease_does_not_stand_in_for_the_gate() {
    let shape = Shape::of(&ONE_APP, &UP_OR_GONE, ONE_OF_EACH).with_leases();
    breaks(Surroundings::NoGate, shape, ONE_BUILD);
}

#[test]
fn without_a_gate_two_builds_run() {
    breaks(
        Surroundings::NoGate,
        Shape::of(&ONE_APP, &UP_OR_GONE, ONE_OF_EACH),
        ONE_BUILD,
    );
}

#[test]
fn with_a_gate_that_a_new_operation_clears_two_builds_run() {
    breaks(
        Surroundings::OneGateForAll,
        Shape::of(&ONE_APP, &UP_OR_GONE, ONE_OF_EACH),
        ONE_BUILD,
    );
}

#[test]
fn replacing_an_operation_that_is_not_settled_lets_two_builds_run() {
    breaks(
        Surroundings::ReplacesUnsettled,
        Shape::of(&ONE_APP, &UP_OR_GONE, ONE_OF_EACH),
        ONE_BUILD,
    );
}

#[test]
fn writing_memory_whatever_its_version_lets_two_builds_run() {
    breaks(
        Surroundings::NoVersion,
        Shape::of(&ONE_APP, &UP_OR_GONE, ONE_OF_EACH),
        ONE_BUILD,
    );
}

#[test]
fn a_claim_that_may_be_taken_from_its_holder_lets_a_user_have_two_apps() {
    breaks(
        Surroundings::ClaimsAreTaken,
        Shape::of(&ONE_SLOT, &UP_OR_GONE, NONE),
        ONE_INSTANCE,
    );
}
