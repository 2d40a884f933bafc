//! Does the app work? Ready is said only while the rollout is complete, counts agree, targets are healthy
//! and the app answered.

use super::desire::Wish;
use super::draft::{Draft, Step};
use super::plan::Requeue;
use crate::model::observed::{Observed, Probe, Rollout, Service, StoppedTask};
use crate::model::schedule::later;
use crate::model::status::Phase;
use crate::model::utc;

/// How far one look got in telling whether the app works.
enum Health {
    Works,
    Broken(&'static str, String),
    /// Some part could not be looked at: what was known stands.
    Unclear,
}

/// Judges a running app whose deployment, service and route are in place.
pub(super) fn judge(draft: &mut Draft<'_>, wish: &Wish) -> Step {
    let Observed::Present(service) = &draft.view.service else {
        // `service::run` has handled every other answer.
        return Step::wait(
            Phase::Starting,
            "WaitingForObservation",
            "No look yet.",
            Requeue::Progress,
        );
    };
    note_stopped_task(draft);
    match examine(draft, service) {
        Health::Works => {
            draft.memory.ready_since.get_or_insert(draft.now);
            draft.memory.answered = draft.memory.accepted.as_ref().map(|accepted| accepted.request.at);
            draft.memory.unready_since = None;
            draft.memory.failures = None;
            draft.memory.stopped_task = None;
            ready(wish)
        }
        Health::Unclear => Step {
            requeue: if draft.memory.ready_since.is_some() {
                Requeue::Sweep
            } else {
                Requeue::Progress
            },
            ..Step::blind(Phase::Starting, "Its health could not be looked at.")
        },
        Health::Broken(reason, message) => {
            draft.memory.ready_since = None;
            broken(draft, reason, message)
        }
    }
}

fn ready(wish: &Wish) -> Step {
    let message = match &wish.next {
        Some(next) => format!("It answers. {} at {} ({}).", next.action, utc(next.at), next.rule),
        None => "It answers.".to_owned(),
    };
    let requeue = wish
        .next
        .as_ref()
        .map_or(Requeue::Sweep, |next| Requeue::At(next.at));
    Step::wait(Phase::Ready, "Ready", message, requeue)
}

fn broken(draft: &mut Draft<'_>, reason: &'static str, message: String) -> Step {
    let since = *draft.memory.unready_since.get_or_insert(draft.now);
    let deadline = later(since, draft.policy.timing.ready_deadline);
    if draft.now < deadline {
        return Step::wait(Phase::Starting, reason, message, Requeue::Progress);
    }
    let message = format!(
        "{message} It should have been Ready by {}. Mend the app and request it again, or set it to Destroyed.",
        utc(deadline)
    );
    Step::wait(Phase::Failed, reason, message, Requeue::Progress).because("ReadyDeadline")
}

fn examine(draft: &Draft<'_>, service: &Service) -> Health {
    if planted!(StatusBelieved) && draft.memory.status.phase == Phase::Ready {
        return Health::Works;
    }
    match &service.rollout {
        Rollout::Failed(why) => {
            return Health::Broken(
                "RolloutFailed",
                with_stop(draft, format!("Its rollout failed: {why}.")),
            );
        }
        Rollout::Completed
            if service.running_count == service.desired_count
                && service.pending_count == 0
                && service.deployments == 1 => {}
        Rollout::InProgress | Rollout::Completed => {
            let counts = format!(
                "{} of {} tasks run, {} on their way.",
                service.running_count, service.desired_count, service.pending_count
            );
            let reason = if draft.memory.stopped_task.is_some() {
                "TasksFailing"
            } else {
                "RolloutInProgress"
            };
            return Health::Broken(reason, with_stop(draft, counts));
        }
    }
    let has_group = draft
        .memory
        .deployment
        .as_ref()
        .is_some_and(|deployed| deployed.blueprint.target_group.is_some());
    let mut unclear = false;
    if has_group {
        match draft.view.target_group.present().map(|group| &group.targets) {
            Some(Observed::Present(targets)) if targets.healthy > 0 && targets.unhealthy == 0 => {}
            Some(Observed::Present(targets)) => {
                let why = targets.reason.as_deref().unwrap_or("no target is registered");
                let message = format!(
                    "{} healthy targets, {} not ({why}).",
                    targets.healthy, targets.unhealthy
                );
                return Health::Broken("TargetsUnhealthy", message);
            }
            Some(Observed::Absent) => {
                return Health::Broken("TargetsUnhealthy", "Its target group has no target.".to_owned());
            }
            Some(Observed::Unknown) | None => unclear = true,
        }
    }
    match &draft.view.probe {
        Observed::Present(Probe::Answered) if !unclear => Health::Works,
        _ if planted!(ReadyWithoutAnswer) && !unclear => Health::Works,
        Observed::Present(Probe::Failed(why)) => {
            Health::Broken("NotAnswering", format!("Its health URL does not answer: {why}."))
        }
        Observed::Present(Probe::Answered) | Observed::Absent | Observed::Unknown => Health::Unclear,
    }
}

/// Keeps why a task stopped, since AWS forgets it within the hour. A crash loop stops a new task every few
/// minutes for the same reason, which is news only once.
fn note_stopped_task(draft: &mut Draft<'_>) {
    let Observed::Present(seen) = &draft.view.stopped_task else {
        return;
    };
    let deployed_at = draft.memory.deployment.as_ref().map(|deployment| deployment.at);
    let stale =
        matches!((seen.stopped_at, deployed_at), (Some(stopped), Some(deployed)) if stopped < deployed);
    let same = |old: &StoppedTask| old.code == seen.code && old.reason == seen.reason;
    if !stale && !draft.memory.stopped_task.as_ref().is_some_and(same) {
        draft.memory.stopped_task = Some(seen.clone());
    }
}

fn with_stop(draft: &Draft<'_>, text: String) -> String {
    match &draft.memory.stopped_task {
        Some(task) => format!("{text} Its last task stopped: {} ({}).", task.reason, task.code),
        None => text,
    }
}
