//! What readers are told: turns the step into status, decision and plan. Nothing reads it back to decide.

use super::desire::Wish;
use super::draft::{Draft, Step};
use super::intake::Intake;
use super::plan::{Decision, Plan, Requeue};
use crate::model::observed::Observed;
use crate::model::row::Desired;
use crate::model::status::{BuildStatus, ConditionKind, NextChange, Phase, Truth};

/// Finishes the plan.
pub(super) fn finish(mut draft: Draft<'_>, step: Step, wish: &Wish, intake: &Intake) -> Plan {
    let rule = step.rule.unwrap_or(wish.rule);
    let decision = Decision {
        rule,
        reason: step.reason,
        message: step.message.clone(),
    };
    // What was told last stands while the look that would change it cannot be had.
    if !step.blind || draft.memory.version == 0 {
        tell(&mut draft, &step, wish, intake);
        draft.memory.decision = format!("{rule}/{}", step.reason);
    }
    let requeue = match (step.requeue, &wish.next) {
        // Whatever it waits for, the next stop by time is due at its time.
        (Requeue::Sweep, Some(next)) => Requeue::At(next.at),
        (Requeue::At(at), Some(next)) => Requeue::At(at.min(next.at)),
        (requeue, _) => requeue,
    };
    Plan {
        action: step.action,
        memory: draft.memory,
        release: draft.release,
        forget: draft.forget,
        decision,
        requeue,
    }
}

fn tell(draft: &mut Draft<'_>, step: &Step, wish: &Wish, intake: &Intake) {
    let now = draft.now;
    let build = build_status(draft);
    let stalled = draft.stalled();
    let memory = &mut draft.memory;
    let retry_at = memory
        .failures
        .as_ref()
        .map(|f| f.retry_at)
        .filter(|_| step.reason == "WaitingToRetry");
    let identity = memory
        .holding
        .as_ref()
        .map(|holding| &holding.identity)
        .or_else(|| {
            memory
                .accepted
                .as_ref()
                .map(|accepted| &accepted.blueprint.identity)
        });
    let status = &mut memory.status;
    status.observed_generation = memory.request.as_ref().and_then(|request| request.generation);
    status.phase = step.phase;
    step.reason.clone_into(&mut status.reason);
    status.message.clone_from(&step.message);
    status.host_name = identity.map(|identity| identity.host_name.to_string());
    status.resource_name = identity.map(|identity| identity.resource_name.to_string());
    status.build = build;
    status.next_change = match retry_at {
        Some(at) => Some(NextChange {
            at,
            action: "Retry".to_owned(),
            rule: "Backoff".to_owned(),
        }),
        None => wish.next.clone(),
    };
    let ready = step.phase == Phase::Ready;
    status.url = ready
        .then(|| {
            memory
                .deployment
                .as_ref()
                .map(|deployment| deployment.blueprint.url.clone())
        })
        .flatten();

    let (accepted, reason, message) = accepted(step, intake, memory.accepted.is_some());
    status.set(ConditionKind::Accepted, accepted, reason, message, now);

    let deployed = memory.deployment.as_ref().map(|deployment| {
        let newest = memory
            .accepted
            .as_ref()
            .is_none_or(|accepted| accepted.blueprint.spec_hash == deployment.blueprint.spec_hash);
        (deployment.complete, newest)
    });
    let (truth, reason, message) = match deployed {
        Some((true, true)) => (Truth::True, "Applied", "The newest accepted spec is applied."),
        Some((true, false)) => (Truth::False, "OutOfDate", "An older spec is applied."),
        Some((false, _)) => (
            Truth::False,
            "Incomplete",
            "The last build may have applied a part.",
        ),
        None => (Truth::False, "NothingDeployed", "Nothing is deployed."),
    };
    status.set(ConditionKind::Deployed, truth, reason, message.to_owned(), now);

    let truth = if ready { Truth::True } else { Truth::False };
    status.set(
        ConditionKind::Ready,
        truth,
        step.reason,
        step.message.clone(),
        now,
    );

    let has_group = memory
        .deployment
        .as_ref()
        .is_some_and(|d| d.blueprint.target_group.is_some());
    let (truth, reason) = match (&draft.view.target_group, has_group) {
        (_, false) => (
            ready.then_some(Truth::True),
            if ready { "Answering" } else { "NoRoute" },
        ),
        _ if ready => (Some(Truth::True), "Answering"),
        (Observed::Present(group), true) if !group.attached => (Some(Truth::False), "NotAttached"),
        (Observed::Absent, true) => (Some(Truth::False), "Missing"),
        (Observed::Present(_) | Observed::Unknown, true) => (None, "NotKnown"),
    };
    let truth = truth.unwrap_or(Truth::Unknown);
    status.set(ConditionKind::RouteHealthy, truth, reason, String::new(), now);

    let late = step.rule == Some("ReadyDeadline");
    let (truth, reason) = match (stalled, late, wish.level) {
        (true, _, Desired::Running) => (Truth::True, "TooManyFailures"),
        (_, true, _) => (Truth::True, "NotReadyInTime"),
        _ => (Truth::False, "Progressing"),
    };
    let message = if truth == Truth::True {
        step.message.clone()
    } else {
        String::new()
    };
    status.set(ConditionKind::Stalled, truth, reason, message, now);
}

fn accepted(step: &Step, intake: &Intake, ever: bool) -> (Truth, &'static str, String) {
    if let Some(refusal) = &intake.refusal {
        let mut problems: Vec<String> = refusal.problems.iter().map(ToString::to_string).collect();
        if ever {
            problems.push("what was accepted before stays in force".to_owned());
        }
        return (Truth::False, refusal.reason, problems.join("; "));
    }
    if step.phase == Phase::Refused {
        return (Truth::False, step.reason, step.message.clone());
    }
    (Truth::True, "Accepted", intake.notes.join(" "))
}

/// The build at work, or the last one.
fn build_status(draft: &Draft<'_>) -> Option<BuildStatus> {
    let operation = draft.memory.operation.as_ref()?;
    let id = operation.build.as_ref().map(ToString::to_string);
    let seen = draft
        .view
        .build
        .present()
        .filter(|build| Some(build.id.to_string()) == id);
    let before = draft
        .memory
        .status
        .build
        .clone()
        .filter(|before| before.operation == operation.id.as_str());
    Some(BuildStatus {
        operation: operation.id.to_string(),
        kind: operation.kind.as_str().to_owned(),
        phase: seen
            .map(|build| build.phase.clone())
            .or_else(|| before.as_ref().and_then(|before| before.phase.clone())),
        logs_url: seen
            .and_then(|build| build.logs_url.clone())
            .or_else(|| before.and_then(|before| before.logs_url)),
        id,
    })
}
