//! What readers are told: turns the step into status, decision and plan. Nothing reads it back to decide.

use super::desire::Wish;
use super::draft::{Draft, Step};
use super::intake::Intake;
use super::keep;
use super::pause;
use super::plan::{Decision, Plan, Requeue};
use super::warn;
use crate::model::observed::Observed;
use crate::model::row::Desired;
use crate::model::status::{BuildStatus, ConditionKind, NextChange, Phase, Truth};

/// Finishes the plan.
pub(super) fn finish(mut draft: Draft<'_>, mut step: Step, wish: &Wish, intake: &Intake) -> Plan {
    let rule = step.rule.unwrap_or(wish.rule);
    // A hold is told whatever else there is to tell: it waits for a person.
    let in_suspense = !wish.may_start && wish.level != Desired::Destroyed;
    if in_suspense && !step.message.contains(&wish.because) {
        step.message = format!("{} {}", step.message, wish.because);
    }
    let warning = warn::warn(&mut draft, wish);
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
    let requeue = match (requeue, warning.look_at) {
        (Requeue::Sweep, Some(at)) => Requeue::At(at),
        (Requeue::At(next), Some(at)) => Requeue::At(next.min(at)),
        (requeue, _) => requeue,
    };
    Plan {
        action: step.action,
        memory: draft.memory,
        release: draft.release,
        forget: draft.forget,
        decision,
        warning: warning.told,
        requeue,
    }
}

fn tell(draft: &mut Draft<'_>, step: &Step, wish: &Wish, intake: &Intake) {
    let now = draft.now;
    let conditions = [
        (ConditionKind::Accepted, accepted(draft, step, intake)),
        (ConditionKind::Deployed, deployed(draft)),
        (ConditionKind::Ready, ready(step)),
        (ConditionKind::RouteHealthy, route_healthy(draft, step)),
        (ConditionKind::Stalled, stalled(draft, step, wish)),
    ];
    let build = build_status(draft);
    // While it is paused nothing changes by itself.
    let paused = draft.view.paused.present().map(pause::sentence);
    let next_change = retry(draft, step)
        .or_else(|| wish.next.clone())
        .filter(|_| paused.is_none());
    let exemption = keep::told(draft);
    let memory = &mut draft.memory;
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
    status.next_change = next_change;
    status.exemption = exemption;
    let deployment = memory.deployment.as_ref().filter(|_| step.phase == Phase::Ready);
    status.url = deployment.map(|deployment| deployment.blueprint.url.clone());
    for (
        kind,
        Told {
            truth,
            reason,
            message,
        },
    ) in conditions
    {
        status.set(kind, truth, reason, message, now);
    }
    if let Some(leftover) = &memory.leftover {
        let message = format!("{leftover}.");
        status.set(
            ConditionKind::Leftover,
            Truth::True,
            "SurvivedDestroy",
            message,
            now,
        );
    } else if status.condition(ConditionKind::Leftover).is_some() {
        let kind = ConditionKind::Leftover;
        status.set(kind, Truth::False, "NothingLeft", String::new(), now);
    }
    if let Some(sentence) = paused {
        status.set(ConditionKind::Paused, Truth::True, "Paused", sentence, now);
    } else if status.condition(ConditionKind::Paused).is_some() {
        status.set(
            ConditionKind::Paused,
            Truth::False,
            "NotPaused",
            String::new(),
            now,
        );
    }
}

/// What is told of one condition.
struct Told {
    truth: Truth,
    reason: &'static str,
    message: String,
}

impl Told {
    fn new(truth: Truth, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            truth,
            reason,
            message: message.into(),
        }
    }
}

fn retry(draft: &Draft<'_>, step: &Step) -> Option<NextChange> {
    let failures = draft
        .memory
        .failures
        .as_ref()
        .filter(|_| step.rule == Some("Backoff"))?;
    Some(NextChange {
        at: failures.retry_at,
        action: "Retry".to_owned(),
        rule: "Backoff".to_owned(),
    })
}

fn accepted(draft: &Draft<'_>, step: &Step, intake: &Intake) -> Told {
    if let Some(refusal) = &intake.refusal {
        let mut problems: Vec<String> = refusal.problems.iter().map(ToString::to_string).collect();
        if draft.memory.accepted.is_some() {
            problems.push("what was accepted before stays in force".to_owned());
        }
        problems.extend(intake.notes.iter().cloned());
        return Told::new(Truth::False, refusal.reason, problems.join("; "));
    }
    if step.phase == Phase::Refused {
        return Told::new(Truth::False, step.reason, step.message.clone());
    }
    Told::new(Truth::True, "Accepted", intake.notes.join(" "))
}

fn deployed(draft: &Draft<'_>) -> Told {
    let Some(deployment) = &draft.memory.deployment else {
        return Told::new(Truth::False, "NothingDeployed", "Nothing is deployed.");
    };
    let accepted = draft.memory.accepted.as_ref();
    let newest = accepted.is_none_or(|a| a.blueprint.spec_hash == deployment.blueprint.spec_hash);
    match (deployment.complete, newest) {
        (true, true) => Told::new(Truth::True, "Applied", "The newest accepted spec is applied."),
        (true, false) => Told::new(Truth::False, "OutOfDate", "An older spec is applied."),
        (false, _) => Told::new(
            Truth::False,
            "Incomplete",
            "The last build may have applied a part.",
        ),
    }
}

fn ready(step: &Step) -> Told {
    let truth = if step.phase == Phase::Ready {
        Truth::True
    } else {
        Truth::False
    };
    Told::new(truth, step.reason, step.message.clone())
}

fn route_healthy(draft: &Draft<'_>, step: &Step) -> Told {
    let deployment = draft.memory.deployment.as_ref();
    let has_group = deployment.is_some_and(|deployment| deployment.blueprint.target_group.is_some());
    if step.phase == Phase::Ready {
        return Told::new(Truth::True, "Answering", "Requests reach it.");
    }
    if !has_group {
        return Told::new(
            Truth::Unknown,
            "NoRoute",
            "It has no target group that could be looked at.",
        );
    }
    match &draft.view.target_group {
        Observed::Unknown => Told::new(Truth::Unknown, "NotKnown", "Its target group was not looked at."),
        Observed::Absent => Told::new(Truth::False, "Missing", "Its target group is missing."),
        Observed::Present(group) if !group.attached => Told::new(
            Truth::False,
            "NotAttached",
            "No load balancer uses its target group.",
        ),
        Observed::Present(group) => match &group.targets {
            Observed::Present(targets) if targets.healthy > 0 && targets.unhealthy == 0 => {
                Told::new(Truth::True, "TargetsHealthy", "Its targets are healthy.")
            }
            Observed::Present(targets) => {
                let why = targets.reason.as_deref().unwrap_or("no target is registered");
                Told::new(
                    Truth::False,
                    "TargetsUnhealthy",
                    format!("Its targets are not healthy: {why}."),
                )
            }
            Observed::Absent => Told::new(Truth::False, "TargetsUnhealthy", "It has no target."),
            Observed::Unknown => Told::new(Truth::Unknown, "NotKnown", "Its targets were not looked at."),
        },
    }
}

fn stalled(draft: &Draft<'_>, step: &Step, wish: &Wish) -> Told {
    if draft.stalled() && wish.level == Desired::Running {
        Told::new(Truth::True, "TooManyFailures", step.message.clone())
    } else if step.rule == Some("ReadyDeadline") {
        Told::new(Truth::True, "NotReadyInTime", step.message.clone())
    } else {
        Told::new(Truth::False, "Progressing", "")
    }
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
