//! Does the service have the tasks it should have? Scales it, or finds that it is missing.

use super::build;
use super::desire::Wish;
use super::draft::{Draft, Step};
use super::plan::{Action, Requeue};
use super::times::CLOSED;
use crate::model::blueprint::Blueprint;
use crate::model::memory::Holding;
use crate::model::observed::{Observed, Service};
use crate::model::row::quoted;
use crate::model::schedule::later;
use crate::model::status::Phase;
use crate::model::utc;

/// Running: the service is there and has its tasks. `None`: it does.
pub(super) fn run(draft: &mut Draft<'_>, wish: &Wish) -> Option<Step> {
    let step = to_its_tasks(draft, wish);
    if step.as_ref().is_some_and(|step| !step.blind) {
        draft.memory.ready_since = None;
    }
    step
}

fn to_its_tasks(draft: &mut Draft<'_>, wish: &Wish) -> Option<Step> {
    let deployment = draft.memory.deployment.clone()?;
    let blueprint = deployment.blueprint;
    let service = match &draft.view.service {
        Observed::Unknown => return Some(waiting_for_a_look(Phase::Starting)),
        Observed::Absent => return Some(missing(draft, wish, deployment.at)),
        Observed::Present(service) => service,
    };
    draft.memory.service_absent_since = None;
    if let Some(step) = not_ours(draft, service, Phase::Starting) {
        return Some(step);
    }
    if service.draining {
        return Some(Step::wait(
            Phase::Starting,
            "ServiceDraining",
            "Somebody deleted its service, which is draining; it is made again once it is gone.",
            Requeue::Progress,
        ));
    }
    if service.desired_count != blueprint.tasks && wish.may_start && !planted!(DriftIgnored) {
        return Some(scale(&blueprint, service, blueprint.tasks, Phase::Starting));
    }
    None
}

/// Suspended: the service is there and has no task.
pub(super) fn suspend(draft: &mut Draft<'_>, wish: &Wish) -> Step {
    let deployment = draft.memory.deployment.clone();
    if deployment.is_some() && draft.view.service.is_unknown() {
        return waiting_for_a_look(Phase::Suspending);
    }
    draft.memory.ready_since = None;
    draft.memory.unready_since = None;
    // What was missed of it while it ran says nothing about when it runs again.
    draft.memory.service_absent_since = None;
    draft.memory.route_lost_since = None;
    let Some(deployment) = deployment else {
        return nothing_to_suspend(draft, wish);
    };
    let Observed::Present(service) = &draft.view.service else {
        let message = format!("{} It has no service; resuming makes one.", wish.because);
        return Step::wait(Phase::Suspended, "Suspended", message, Requeue::Sweep);
    };
    if let Some(step) = not_ours(draft, service, Phase::Suspending) {
        return step;
    }
    if service.draining {
        return Step::wait(
            Phase::Suspending,
            "ServiceDraining",
            "Somebody deleted its service, which is draining.",
            Requeue::Progress,
        );
    }
    if service.desired_count != 0 {
        let step = scale(&deployment.blueprint, service, 0, Phase::Suspending);
        return Step {
            message: format!("{} {}", wish.because, step.message),
            ..step
        };
    }
    if service.running_count + service.pending_count > 0 {
        let message = format!("{} Its tasks are stopping.", wish.because);
        return Step::wait(Phase::Suspending, "TasksStopping", message, Requeue::Progress);
    }
    if planted!(SlotFreedBySuspending) {
        return nothing_to_suspend(draft, wish);
    }
    let message = format!("{} It resumes without a build.", wish.because);
    let reason = if wish.rule == CLOSED { CLOSED } else { "Suspended" };
    Step::wait(Phase::Suspended, reason, message, Requeue::Sweep)
}

/// Nothing was ever applied, so there is nothing to suspend and no slot to keep.
fn nothing_to_suspend(draft: &mut Draft<'_>, wish: &Wish) -> Step {
    if let Some(holding) = draft.memory.holding.take() {
        if holding.slot {
            draft.release.push(holding.identity.slot.clone());
        }
        draft.memory.holding = Some(Holding {
            slot: false,
            ..holding
        });
    }
    if wish.rule == CLOSED {
        return Step::wait(Phase::Pending, CLOSED, wish.because.clone(), Requeue::Sweep);
    }
    let message = format!(
        "{} Nothing of it is deployed; it is deployed when it is to run.",
        wish.because
    );
    Step::wait(Phase::Suspended, "NothingDeployed", message, Requeue::Sweep)
}

/// Not there: believed after a second look, and not before a fresh deployment had time to show.
fn missing(draft: &mut Draft<'_>, wish: &Wish, deployed_at: jiff::Timestamp) -> Step {
    let timing = &draft.policy.timing;
    let first = *draft.memory.service_absent_since.get_or_insert(draft.now);
    let believed_at = later(first, timing.confirm_absence).max(later(deployed_at, timing.appear_grace));
    if draft.now < believed_at && !planted!(AbsenceBelievedAtOnce) {
        let message = format!(
            "Its service does not show; believed missing from {} on.",
            utc(believed_at)
        );
        return Step::wait(Phase::Starting, "ServiceNotSeen", message, Requeue::Progress);
    }
    build::repair(draft, wish, "Its service is missing")
}

/// A service of our exact name that carries another app's tag is never touched.
fn not_ours(draft: &Draft<'_>, service: &Service, phase: Phase) -> Option<Step> {
    let owner = service
        .instance_id
        .as_ref()
        .filter(|owner| **owner != draft.view.id)?;
    let message = format!(
        "Service {} carries the tag of app {}, so it is left alone. Remove or rename that service.",
        service.name,
        quoted(owner.as_str())
    );
    Some(Step::wait(phase, "ServiceNotOurs", message, Requeue::Sweep))
}

fn scale(blueprint: &Blueprint, service: &Service, tasks: u32, phase: Phase) -> Step {
    let message = format!("Setting its tasks from {} to {tasks}.", service.desired_count);
    let action = Action::Scale {
        cluster: blueprint.cluster.clone(),
        service: service.name.clone(),
        tasks,
    };
    // The answer of the next look may be stale, so it is left to the batched look at apps under way.
    Step {
        requeue: Requeue::Progress,
        ..Step::act(phase, "Scaling", message, action)
    }
}

fn waiting_for_a_look(phase: Phase) -> Step {
    Step::blind(
        phase,
        "Its service could not be looked at; nothing is decided until it can be.",
    )
}
