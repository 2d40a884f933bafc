//! The gate in `PRE_BUILD`, case by case: who passes, who is refused, and what is left when it can't be asked.

use simcloud::{Behaviour, Match, Phase};

use crate::common::{CLUSTER, NAME, Sim, apply, phase, sim, status};

async fn exit_status(sim: &Sim, operation: &str) -> Option<String> {
    let build = sim.run(apply().operation(operation)).await;
    let (state, message) = phase(&build, "PRE_BUILD").unwrap();
    if state == "SUCCEEDED" {
        assert_eq!(status(&build), "SUCCEEDED");
        return None;
    }
    assert_eq!((status(&build), state.as_str()), ("FAILED", "FAILED"));
    assert!(phase(&build, "BUILD").is_none(), "a refused build must not build");
    assert!(
        phase(&build, "POST_BUILD").is_none(),
        "POST_BUILD follows a failed BUILD only"
    );
    let context = build
        .phases()
        .iter()
        .flat_map(aws_sdk_codebuild::types::BuildPhase::contexts)
        .find(|context| context.message() == Some(&message));
    assert_eq!(context.unwrap().status_code(), Some("COMMAND_EXECUTION_ERROR"));
    assert!(
        sim.cloud.world().service(CLUSTER, NAME).is_none(),
        "a refused build must not apply"
    );
    Some(message.split("exit status ").nth(1).unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_open_gate_lets_one_build_pass_and_remembers_it() {
    let sim = sim().await;
    sim.open_gate("op-1").await;
    assert_eq!(exit_status(&sim, "op-1").await, None);
    let build = &sim.cloud.world().builds()[0];
    assert_eq!(sim.gate_holder("op-1").await, Some(build.id.clone()));
    assert!(build.started < build.gate_passed.unwrap() && build.gate_passed <= build.applied_from);
    assert!(build.applied_from < build.applied && build.applied < build.applied_to);
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_is_mine_already_lets_me_pass_again() {
    let sim = sim().await;
    let started = sim.build(apply().operation("op-1")).await.id.unwrap();
    sim.put_gate("op-1", Some(&started)).await;
    assert_eq!(status(&sim.finish(&started).await), "SUCCEEDED");
}

#[tokio::test(start_paused = true)]
async fn a_taken_gate_refuses_with_90() {
    let sim = sim().await;
    sim.put_gate("op-1", Some("childapp:another")).await;
    assert_eq!(exit_status(&sim, "op-1").await.as_deref(), Some("90"));
    assert_eq!(sim.gate_holder("op-1").await.as_deref(), Some("childapp:another"));
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_refuses_with_90() {
    let sim = sim().await;
    sim.put_gate("op-1", Some("closed")).await;
    assert_eq!(exit_status(&sim, "op-1").await.as_deref(), Some("90"));
}

#[tokio::test(start_paused = true)]
async fn a_missing_gate_refuses_with_90_and_is_not_made() {
    let sim = sim().await;
    assert_eq!(exit_status(&sim, "op-1").await.as_deref(), Some("90"));
    let items = sim
        .aws
        .dynamodb
        .scan()
        .table_name(crate::common::TABLE)
        .send()
        .await
        .unwrap();
    assert_eq!(items.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_missing_table_cannot_be_asked_and_gives_91() {
    let sim = sim().await;
    sim.aws
        .dynamodb
        .delete_table()
        .table_name(crate::common::TABLE)
        .send()
        .await
        .unwrap();
    assert_eq!(exit_status(&sim, "op-1").await.as_deref(), Some("91"));
}

#[tokio::test(start_paused = true)]
async fn of_two_builds_of_one_operation_one_passes() {
    let sim = sim().await;
    sim.open_gate("op-1").await;
    let first = sim.build(apply().operation("op-1")).await.id.unwrap();
    let second = sim.build(apply().operation("op-1")).await.id.unwrap();
    let ends = [sim.finish(&first).await, sim.finish(&second).await];
    let mut ends: Vec<_> = ends.iter().map(status).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["FAILED", "SUCCEEDED"]);
    assert!(sim.cloud.world().violations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_operations_past_their_gates_at_once_are_a_violation() {
    let sim = sim().await;
    for operation in ["op-1", "op-2"] {
        sim.open_gate(operation).await;
        sim.build(apply().operation(operation)).await;
    }
    crate::common::wait(900).await;
    let violations = sim.cloud.world().violations();
    assert!(
        violations
            .iter()
            .any(|line| line.contains("past the gate at once")),
        "{violations:?}"
    );
    assert!(
        violations.iter().any(|line| line.contains("in BUILD at once")),
        "{violations:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_build_may_die_between_its_gate_and_terraform() {
    let sim = sim().await;
    sim.open_gate("op-1").await;
    let message = "killed".to_owned();
    let dies = Behaviour::Fail {
        phase: Phase::PreBuild,
        after_applying: true,
        message,
    };
    sim.cloud.world().behave(Match::any(), dies);
    let build = sim.run(apply().operation("op-1")).await;
    assert_eq!(status(&build), "FAILED");
    assert_eq!(sim.gate_holder("op-1").await, build.id);
    assert!(sim.cloud.world().service(CLUSTER, NAME).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_build_that_cannot_ask_leaves_the_gate_open_and_one_that_lost_the_answer_has_taken_it() {
    let sim = sim().await;
    for (operation, behaviour, taken) in [
        ("op-1", Behaviour::GateUnreachable, false),
        ("op-2", Behaviour::GateAnswerLost, true),
    ] {
        sim.open_gate(operation).await;
        sim.cloud.world().behave(Match::any(), behaviour);
        assert_eq!(exit_status(&sim, operation).await.as_deref(), Some("91"));
        assert_eq!(sim.gate_holder(operation).await.is_some(), taken);
    }
}
