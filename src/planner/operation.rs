//! Is an operation in flight, and where does it stand? Nothing else is decided until it is settled.
//!
//! An operation is settled when its gate was closed before any build passed, or when the build that holds
//! the gate is complete. That never reverts, and nothing but closing the gate abandons an operation: a
//! `StartBuild` that was sent may still arrive late, and only the gate can turn its build away.

use std::sync::Arc;

use super::desire::Wish;
use super::draft::{Draft, Step};
use super::plan::{Action, Requeue};
use super::recall;
use super::ungated;
use crate::model::blueprint::BuildKind;
use crate::model::cost::Spent;
use crate::model::memory::{Deployment, Ending, Operation, Settled};
use crate::model::observed::{Build, BuildFailure, BuildState, Gate, Observed};
use crate::model::policy::{Admission, LONGEST_BUILD_LIFE, TOKEN_LIFE};
use crate::model::row::Desired;
use crate::model::schedule::later;
use crate::model::status::Phase;
use crate::model::utc;
use crate::model::{SignedDuration, Timestamp};

/// How much of a token's life is left unused, for the way to AWS and clocks that differ.
const TOKEN_MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// Takes the operation in flight one step further. `None`: there is none.
pub(super) fn progress(draft: &mut Draft<'_>, wish: &Wish) -> Option<Step> {
    let operation = draft.memory.in_flight()?.clone();
    if !operation.gate {
        return Some(ungated::progress(draft, &operation, wish));
    }
    if let Some(step) = recall::adopt_listed_build(draft, &operation) {
        return Some(step);
    }
    let step = match &draft.view.gate {
        Observed::Unknown => waiting_for_a_look(&operation),
        Observed::Present(Gate::Closed) => settle_closed(draft, &operation, wish),
        Observed::Present(_) if planted!(GateIgnored) && operation.build.is_some() => {
            held(draft, &operation, wish)
        }
        Observed::Present(Gate::Held(holder)) if operation.build.as_ref() != Some(holder) => {
            if let Some(mine) = &mut draft.memory.operation {
                mine.build = Some(holder.clone());
            }
            Step::wait(
                phase(&operation),
                "BuildAdopted",
                format!("Build {holder} passed the gate of this operation."),
                Requeue::Now,
            )
        }
        Observed::Present(Gate::Held(_)) => held(draft, &operation, wish),
        Observed::Present(Gate::Open) => open(draft, &operation, wish),
        Observed::Absent => gate_is_missing(draft, &operation),
    };
    if planted!(GateLeftOpen) && matches!(step.action, Some(Action::CloseGate { .. })) {
        return Some(settle_closed(draft, &operation, wish));
    }
    Some(step)
}

/// A build runs past the gate: let it end, unless it overruns every deadline.
fn held(draft: &mut Draft<'_>, operation: &Operation, wish: &Wish) -> Step {
    match &draft.view.build {
        Observed::Unknown => waiting_for_a_look(operation),
        Observed::Absent => not_found(draft, operation),
        Observed::Present(build) => match &build.state {
            BuildState::Succeeded => settle(draft, &Ending::Succeeded),
            BuildState::Failed(failure) => settle(draft, &Ending::Failed(failure.clone())),
            BuildState::Running
                if planted!(SettledWhileRunning) && no_longer_wanted(draft, operation, wish).is_some() =>
            {
                settle(draft, &Ending::Lost)
            }
            BuildState::Running => running(draft, operation, build, wish),
        },
    }
}

fn running(draft: &Draft<'_>, operation: &Operation, build: &Build, wish: &Wish) -> Step {
    if let Some(step) = stop_overrun(draft, operation, build) {
        return step;
    }
    let message = match (operation.kind, no_longer_wanted(draft, operation, wish)) {
        (_, Some(why)) => format!(
            "{why}, but the build is past its gate and may have applied something, so it is left to end \
             ({}) before the next step.",
            build.phase
        ),
        (BuildKind::Apply, None) => format!("The build is deploying ({}).", build.phase),
        (BuildKind::Destroy, None) => format!("The build is destroying ({}). {}", build.phase, wish.because),
    };
    Step::wait(
        phase(operation),
        reason_running(operation),
        message,
        Requeue::Progress,
    )
}

/// No build has passed yet.
fn open(draft: &mut Draft<'_>, operation: &Operation, wish: &Wish) -> Step {
    // While it goes on, closing the gate would prove nothing; once it has ended, that comes first.
    if let Observed::Present(build) = &draft.view.build
        && build.state == BuildState::Running
        && build.is_beyond_its_gate()
    {
        return running(draft, operation, build, wish);
    }
    let superseded =
        recall::is_superseded(draft, operation).then_some("A later operation of the app is under way");
    let unwanted = operation.cancel.clone().or_else(|| {
        superseded
            .or_else(|| no_longer_wanted(draft, operation, wish))
            .map(str::to_owned)
    });
    if let Some(why) = unwanted {
        if let Some(mine) = &mut draft.memory.operation {
            mine.cancel = Some(why.clone());
        }
        return close_gate(operation, &why);
    }
    if let Some(error) = &operation.start_error {
        return close_gate(operation, error);
    }
    let Some(id) = &operation.build else {
        return start(draft, operation);
    };
    match &draft.view.build {
        Observed::Unknown => waiting_for_a_look(operation),
        // AWS: a build may not be listed right after it was started.
        Observed::Absent if draft.now < later(operation.intended_at, draft.policy.timing.appear_grace) => {
            waiting_for_a_look(operation)
        }
        Observed::Absent => close_gate(operation, &format!("CodeBuild does not know build {id}")),
        Observed::Present(build) => match &build.state {
            // It ended without passing the gate. Another build of this operation may still be on its way,
            // so the gate has the last word.
            BuildState::Succeeded | BuildState::Failed(_) => {
                close_gate(operation, "Its build ended before it passed the gate")
            }
            BuildState::Running => {
                if overrun(draft, operation) {
                    return close_gate(operation, "Its build overran its deadline");
                }
                let message = if build.phase == "QUEUED" {
                    "The build waits in CodeBuild's queue.".to_owned()
                } else {
                    format!("The build is being prepared ({}).", build.phase)
                };
                Step::wait(
                    phase(operation),
                    reason_running(operation),
                    message,
                    Requeue::Progress,
                )
            }
        },
    }
}

/// Sends the frozen request, again if need be, while CodeBuild still honours its token. After that the same
/// request could start a second build, so the operation is given up by closing its gate; if a build has
/// passed meanwhile, the gate names it.
fn start(draft: &Draft<'_>, operation: &Operation) -> Step {
    if draft.now >= token_ends(operation) && !planted!(TokenExpiryIgnored) {
        return close_gate(
            operation,
            "No answer to StartBuild came while its token was valid",
        );
    }
    send(draft, operation)
}

/// Until when the request may be sent.
pub(super) fn token_ends(operation: &Operation) -> Timestamp {
    let usable = TOKEN_LIFE.checked_sub(TOKEN_MARGIN).unwrap_or(TOKEN_LIFE);
    later(operation.intended_at, usable)
}

/// Sends the frozen request as soon as there is room.
pub(super) fn send(draft: &Draft<'_>, operation: &Operation) -> Step {
    if let Admission::Waiting { place, reason, until } = &draft.view.admission {
        let message = format!("Number {place} in line for a build: {reason}.");
        return Step::wait(
            phase(operation),
            "WaitingForBuildSlot",
            message,
            Requeue::At(*until),
        )
        .because("Admission");
    }
    let mut message = format!(
        "Asking CodeBuild to start the build in {}.",
        operation.request.project
    );
    if let Some(trouble) = &operation.start_trouble {
        message = format!("{message} Last answer: {trouble}.");
    }
    let action = Action::StartBuild {
        request: Arc::clone(&operation.request),
    };
    Step::act(phase(operation), "BuildStarting", message, action)
}

/// The gate is closed, and yet a build is beyond it. Either the table was restored from a backup, or the buildspec
/// does not ask. What was applied was applied, so the build is left to end and believed.
fn contradicted(draft: &mut Draft<'_>, operation: &Operation, build: Build, wish: &Wish) -> Step {
    match build.state {
        BuildState::Running => running(draft, operation, &build, wish),
        // Nobody was there when it ended, as it is after a restored backup.
        BuildState::Succeeded if overrun(draft, operation) => settle(draft, &Ending::Succeeded),
        BuildState::Succeeded => {
            let failure = BuildFailure {
                status: "SUCCEEDED".to_owned(),
                phase: None,
                context: Some("the build never passed the gate: does its buildspec run gate.sh?".to_owned()),
            };
            settle(draft, &Ending::Failed(failure))
        }
        BuildState::Failed(failure) => settle(draft, &Ending::Failed(failure)),
    }
}

fn close_gate(operation: &Operation, why: &str) -> Step {
    let message = format!("{why}; closing the gate so that no build of this operation can apply anything.");
    let action = Action::CloseGate {
        operation: operation.id.clone(),
    };
    Step::act(phase(operation), "Cancelling", message, action)
}

/// The gate is closed: nothing was applied, nor ever will be. What is left is to say whose failure it was,
/// and to save the minutes of a build that can only be turned away.
fn settle_closed(draft: &mut Draft<'_>, operation: &Operation, wish: &Wish) -> Step {
    if let Observed::Present(build) = &draft.view.build {
        if build.is_beyond_its_gate() {
            return contradicted(draft, operation, build.clone(), wish);
        }
        // It may be between its gate and its next phase, if the gate that it passed was lost.
        if build.state == BuildState::Running && build.phase == "PRE_BUILD" {
            return Step {
                requeue: Requeue::Progress,
                ..Step::act(
                    phase(operation),
                    "Cancelling",
                    "The gate is closed; its build is being stopped.",
                    Action::StopBuild {
                        build: build.id.clone(),
                    },
                )
            };
        }
    }
    let (ending, still_running) = match &draft.view.build {
        // How it ended decides whether the next try has to wait.
        Observed::Unknown if operation.build.is_some() => return waiting_for_a_look(operation),
        // A build that was called off fails at the gate, which is nobody's failure.
        Observed::Present(Build {
            state: BuildState::Failed(_) | BuildState::Succeeded,
            ..
        }) if operation.cancel.is_some() => (Ending::Abandoned, None),
        Observed::Present(Build {
            state: BuildState::Failed(failure),
            ..
        }) => (Ending::NeverRan(failure.clone()), None),
        Observed::Present(Build {
            state: BuildState::Running,
            id,
            ..
        }) => (Ending::Abandoned, Some(id.clone())),
        Observed::Present(Build {
            state: BuildState::Succeeded,
            ..
        })
        | Observed::Absent
        | Observed::Unknown => (Ending::Abandoned, None),
    };
    let mut step = settle(draft, &ending);
    if let Some(build) = still_running {
        step.action = Some(Action::StopBuild { build });
        if overrun(draft, operation) {
            let message = "the build overran its deadline before it passed its gate";
            draft.count_failure(operation.kind, message.to_owned());
        }
    }
    if let Some(error) = &operation.start_error {
        draft.count_failure(operation.kind, error.clone());
    }
    step
}

/// There is no gate item. A build that finds none is turned away, so only one that is known to have run
/// may have applied anything.
fn gate_is_missing(draft: &mut Draft<'_>, operation: &Operation) -> Step {
    match &draft.view.build {
        Observed::Unknown if operation.build.is_some() => waiting_for_a_look(operation),
        Observed::Present(build) => match &build.state {
            BuildState::Running => match stop_overrun(draft, operation, build) {
                Some(step) => step,
                None => Step::wait(
                    phase(operation),
                    "GateMissing",
                    "The gate of this operation is gone; its build is left to end.",
                    Requeue::Progress,
                ),
            },
            BuildState::Succeeded => settle(draft, &Ending::Succeeded),
            BuildState::Failed(failure) => settle(draft, &Ending::Failed(failure.clone())),
        },
        Observed::Absent if operation.build.is_some() => not_found(draft, operation),
        Observed::Absent | Observed::Unknown => settle(draft, &Ending::Lost),
    }
}

/// A build that may be past its gate is not known to CodeBuild: after the longest life of a build it is lost,
/// before that it counts as running.
pub(super) fn not_found(draft: &mut Draft<'_>, operation: &Operation) -> Step {
    let forgotten_at = later(operation.intended_at, LONGEST_BUILD_LIFE);
    if draft.now >= forgotten_at || planted!(UnknownBuildIsOver) {
        return settle(draft, &Ending::Lost);
    }
    let message = format!(
        "CodeBuild does not know its build, which may be past its gate. It is taken for running until {}.",
        utc(forgotten_at)
    );
    Step::wait(
        phase(operation),
        "BuildNotFound",
        message,
        Requeue::At(forgotten_at),
    )
}

/// Records how the operation ended and what follows for the deployment and the count of failures.
pub(super) fn settle(draft: &mut Draft<'_>, outcome: &Ending) -> Step {
    let now = draft.now;
    let operation = draft
        .memory
        .operation
        .as_mut()
        .expect("only an operation in flight is settled");
    operation.settled = Some(Settled {
        at: now,
        outcome: outcome.clone(),
    });
    // Two readings that settle the same operation count its build once: memory is written by its version.
    if let Observed::Present(build) = &draft.view.build
        && operation.build.as_ref() == Some(&build.id)
        && let Some(started) = build.started_at
    {
        let ended = build.ended_at.unwrap_or(now);
        draft.memory.spent = Some(Spent::with(draft.memory.spent.as_ref(), started, ended));
    }
    let kind = operation.kind;
    let blueprint = operation.blueprint.clone();
    let refused = operation.start_error.is_some();
    // Without a gate a build that is not wanted is stopped, which is nobody's failure.
    let stopped = !operation.gate && operation.cancel.is_some();
    match (outcome, kind) {
        (Ending::Succeeded, BuildKind::Apply) => {
            draft.memory.deployment = Some(Deployment {
                blueprint,
                complete: true,
                at: now,
            });
            draft.memory.stopped_task = None;
        }
        // What was never answered may be carried out yet; what was refused won't be.
        (Ending::Unseen, _) if refused => {}
        (Ending::Failed(_) | Ending::Lost | Ending::Leftover | Ending::Unseen, BuildKind::Apply) => {
            let half = Deployment {
                blueprint,
                complete: false,
                at: now,
            };
            draft.memory.deployment =
                planted!(HalfDeploymentForgotten => draft.memory.deployment.take(), else Some(half));
        }
        // Whatever a destroy removed, what is left is not complete any more.
        (
            Ending::Succeeded | Ending::Failed(_) | Ending::Lost | Ending::Leftover | Ending::Unseen,
            BuildKind::Destroy,
        ) => {
            if let Some(deployment) = &mut draft.memory.deployment {
                deployment.complete = false;
            }
        }
        (Ending::NeverRan(_) | Ending::Abandoned, _) => {}
    }
    match outcome {
        Ending::Failed(_) if stopped => {}
        Ending::Failed(failure) | Ending::NeverRan(failure) if failure.is_capacity() => {
            draft.defer(kind, failure.summary());
        }
        Ending::Failed(failure) | Ending::NeverRan(failure) => draft.count_failure(kind, failure.summary()),
        Ending::Lost | Ending::Leftover => draft.count_failure(kind, "the build was lost".to_owned()),
        Ending::Succeeded | Ending::Abandoned | Ending::Unseen => {}
    }
    draft.memory.ready_since = None;
    draft.memory.unready_since = None;
    draft.memory.service_absent_since = None;
    draft.memory.route_lost_since = None;
    let (reason, message) = match (outcome, kind) {
        (Ending::Succeeded, BuildKind::Apply) => ("Deployed", "The build deployed the app.".to_owned()),
        (Ending::Succeeded, BuildKind::Destroy) => {
            ("DestroyBuildDone", "The build destroyed the app.".to_owned())
        }
        (Ending::Abandoned, _) => (
            "Abandoned",
            "The build was called off before it applied anything.".to_owned(),
        ),
        (Ending::Unseen, _) => (
            "BuildNotSeen",
            "No build of this operation was ever seen.".to_owned(),
        ),
        (Ending::Failed(f) | Ending::NeverRan(f), _) => ("BuildFailed", f.summary()),
        (Ending::Lost | Ending::Leftover, _) => (
            "BuildLost",
            "CodeBuild does not know the build any more.".to_owned(),
        ),
    };
    let phase = match kind {
        BuildKind::Apply => Phase::Deploying,
        BuildKind::Destroy => Phase::Destroying,
    };
    Step::wait(phase, reason, message, Requeue::Now)
}

/// Why the operation should not go on, if so.
pub(super) fn no_longer_wanted(
    draft: &Draft<'_>,
    operation: &Operation,
    wish: &Wish,
) -> Option<&'static str> {
    match (operation.kind, wish.level) {
        (BuildKind::Apply, Desired::Destroyed) => Some("The app is to be destroyed"),
        (BuildKind::Apply, Desired::Suspended) if draft.memory.deployment.is_none() => {
            Some("The app is to be suspended and nothing of it was ever applied")
        }
        (BuildKind::Apply, Desired::Running) => {
            let asked = draft.memory.accepted.as_ref().map(|a| &a.blueprint.spec_hash);
            (wish.may_start && asked.is_some_and(|hash| *hash != operation.blueprint.spec_hash))
                .then_some("The app was asked for differently since")
        }
        (BuildKind::Apply, Desired::Suspended) | (BuildKind::Destroy, Desired::Destroyed) => None,
        (BuildKind::Destroy, Desired::Suspended | Desired::Running) => {
            wish.may_start.then_some("The app is wanted again")
        }
    }
}

/// Whether the operation took longer than CodeBuild's own timeouts allow. Counted from our own intent: AWS's
/// clock and ours need not agree.
fn overrun(draft: &Draft<'_>, operation: &Operation) -> bool {
    let request = &operation.request;
    let minutes = i64::from(request.build_timeout_minutes) + i64::from(request.queue_timeout_minutes);
    let allowed = SignedDuration::from_mins(minutes);
    let deadline = later(operation.intended_at, allowed);
    draft.now >= later(deadline, draft.policy.timing.build_overrun)
}

/// Stops a build past its gate that overran both of CodeBuild's own timeouts. It settles when it has ended.
pub(super) fn stop_overrun(draft: &Draft<'_>, operation: &Operation, build: &Build) -> Option<Step> {
    overrun(draft, operation).then(|| Step {
        requeue: Requeue::Progress,
        ..Step::act(
            phase(operation),
            "BuildOverran",
            "The build overran its deadline and is being stopped.",
            Action::StopBuild {
                build: build.id.clone(),
            },
        )
    })
}

pub(super) fn waiting_for_a_look(operation: &Operation) -> Step {
    Step::blind(
        phase(operation),
        "The build or its gate could not be looked at; nothing is decided until it can be.",
    )
}

pub(super) fn phase(operation: &Operation) -> Phase {
    match operation.kind {
        BuildKind::Apply => Phase::Deploying,
        BuildKind::Destroy => Phase::Destroying,
    }
}

pub(super) fn reason_running(operation: &Operation) -> &'static str {
    match operation.kind {
        BuildKind::Apply => "BuildRunning",
        BuildKind::Destroy => "DestroyRunning",
    }
}
