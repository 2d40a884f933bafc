//! The build's side of the promise *one build per app*: the shipped `gate.sh`, run with the real AWS CLI against
//! a real conditional write. The daemon's side of the gate is tested with the executor.
//!
//! The DynamoDB here is the embedded emulator that `lamplighter dev` uses, served on a loopback port.
#![cfg(feature = "dev")]

#[path = "gate/buildspec.rs"]
mod buildspec;
#[path = "gate/support.rs"]
mod support;

use support::{Build, Gate, State};

const PASSED: i32 = 0;
const REFUSED: i32 = 90;
const COULD_NOT_ASK: i32 = 91;

/// One build of the operation `op-1` comes to a gate in the given state: how it ends, what it says, and who holds
/// the gate afterwards.
fn check(given: &Gate, me: &str, expected: i32, says: &str, holder_afterwards: Option<&str>) {
    let state = State::serve();
    state.put(given);
    let ended = Build::new(me).state_at(state.endpoint()).ask();
    ended.assert(expected, says);
    assert_eq!(
        state.holder("op-1").as_deref(),
        holder_afterwards,
        "the item after: {}",
        ended.said
    );
    assert_eq!(
        state.exists("op-1"),
        !matches!(given, Gate::Missing),
        "a gate is only ever made by Lamplighter"
    );
}

#[test]
fn the_first_build_at_an_open_gate_passes_and_is_recorded() {
    check(
        &Gate::Open,
        "shop:1",
        PASSED,
        "passed: operation op-1",
        Some("shop:1"),
    );
}

#[test]
fn a_build_that_holds_the_gate_passes_again() {
    check(
        &Gate::Held("shop:1"),
        "shop:1",
        PASSED,
        "passed: operation op-1",
        Some("shop:1"),
    );
}

#[test]
fn a_second_build_is_refused_and_told_which_one_came_first() {
    check(
        &Gate::Held("shop:1"),
        "shop:2",
        REFUSED,
        "was taken by build shop:1; this is build shop:2",
        Some("shop:1"),
    );
}

#[test]
fn a_build_is_refused_once_lamplighter_has_closed_the_gate() {
    check(
        &Gate::Held("closed"),
        "shop:1",
        REFUSED,
        "was closed by Lamplighter",
        Some("closed"),
    );
}

#[test]
fn a_build_that_finds_no_gate_is_refused_and_makes_none() {
    check(&Gate::Missing, "shop:1", REFUSED, "has no gate", None);
}

#[test]
fn of_builds_that_come_at_once_exactly_one_passes() {
    let state = State::serve();
    state.put(&Gate::Open);
    let ended: Vec<_> = std::thread::scope(|scope| {
        let build = |n| Build::new(&format!("shop:{n}")).state_at(state.endpoint());
        let running: Vec<_> = (1..=4).map(|n| scope.spawn(move || build(n).ask())).collect();
        running
            .into_iter()
            .map(|build| build.join().expect("the build ran"))
            .collect()
    });
    let passed: Vec<_> = ended.iter().filter(|build| build.code == PASSED).collect();
    let refused = ended.iter().filter(|build| build.code == REFUSED).count();
    assert_eq!((passed.len(), refused), (1, 3), "{ended:#?}");
    assert_eq!(state.holder("op-1").as_deref(), Some(passed[0].me.as_str()));
}

#[test]
fn a_build_whose_first_answer_is_lost_passes_with_its_second_try() {
    let state = State::serve();
    state.put(&Gate::Open);
    let lossy = support::lose_the_first_answer(state.endpoint());
    let ended = Build::new("shop:1").state_at(&lossy).ask();
    ended.assert(PASSED, "passed: operation op-1");
    assert!(
        ended.said.contains("try 1 of"),
        "the first try must have failed: {}",
        ended.said
    );
    assert_eq!(state.holder("op-1").as_deref(), Some("shop:1"));
}

#[test]
fn a_missing_table_is_no_answer() {
    let state = State::serve();
    let ended = Build::new("shop:1")
        .state_at(state.endpoint())
        .with("LAMPLIGHTER_STATE_TABLE", "another-table")
        .ask();
    ended.assert(COULD_NOT_ASK, "the table another-table does not exist");
}

#[test]
fn an_unreachable_table_is_no_answer_after_the_last_try() {
    let ended = Build::new("shop:1").state_at(&support::nobody_listens()).ask();
    ended.assert(COULD_NOT_ASK, "no answer after 2 tries");
}

#[test]
fn a_missing_variable_is_named() {
    for name in [
        "LAMPLIGHTER_STATE_TABLE",
        "LAMPLIGHTER_OPERATION_ID",
        "CODEBUILD_BUILD_ID",
    ] {
        let build = || Build::new("shop:1").state_at("http://127.0.0.1:9");
        let says = format!("the environment variable {name} is not set");
        build().without(name).ask().assert(COULD_NOT_ASK, &says);
        build().with(name, "").ask().assert(COULD_NOT_ASK, &says);
    }
}

#[test]
fn a_value_that_could_change_the_request_is_not_sent() {
    let state = State::serve();
    state.put(&Gate::Open);
    let hostile = [
        ("LAMPLIGHTER_OPERATION_ID", r#"op-2"}, "x": {"S": ""#),
        ("LAMPLIGHTER_OPERATION_ID", "op-1\nop-2"),
        ("CODEBUILD_BUILD_ID", r#"shop:1"}}"#),
        ("CODEBUILD_BUILD_ID", "closed"),
        ("LAMPLIGHTER_STATE_TABLE", "--debug"),
        ("LAMPLIGHTER_STATE_TABLE", "file:///etc/hostname"),
    ];
    for (name, value) in hostile {
        let ended = Build::new("shop:1")
            .state_at(state.endpoint())
            .with(name, value)
            .ask();
        ended.assert(COULD_NOT_ASK, &format!("the environment variable {name} holds"));
    }
    assert_eq!(state.holder("op-1"), None, "none of them reached the gate");
}

#[test]
fn without_the_aws_cli_there_is_no_answer() {
    Build::new("shop:1")
        .with("PATH", "/nonexistent")
        .ask()
        .assert(COULD_NOT_ASK, "the AWS CLI (aws) is not installed");
}
