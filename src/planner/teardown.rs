//! Destroyed: is anything left, has that been verified, and what may be given back?

use super::contest::SUPERSEDED;
use super::desire::Wish;
use super::draft::{Draft, Step};
use super::intake::Intake;
use super::owner::{self, OWNER_INACTIVE};
use super::plan::{Action, Class, Requeue};
use super::recall;
use super::times::CLOSED;
use crate::model::Timestamp;
use crate::model::blueprint::{Blueprint, BuildKind};
use crate::model::memory::{Ending, Leftover, Operation};
use crate::model::observed::Observed;
use crate::model::policy::Deletions;
use crate::model::schedule::later;
use crate::model::status::Phase;
use crate::model::utc;

/// The reason with which the life of an app ends whose row is gone. Its memory may be forgotten from then on.
pub const GONE: &str = "Gone";

/// Destroys what there is; once nothing is, gives back claims and in the end the memory.
pub(super) fn leave_nothing(draft: &mut Draft<'_>, wish: &Wish, intake: &Intake) -> Step {
    draft.memory.ready_since = None;
    draft.memory.unready_since = None;
    let Some(deployment) = draft.memory.deployment.clone() else {
        // What it makes or leaves is only known once it is over.
        return recall::wait_for_it(draft, Phase::Destroying)
            .unwrap_or_else(|| give_back(draft, wish, intake));
    };
    if let Some(step) = quarantine(draft) {
        return step;
    }
    if let Some(done_at) = destroyed_at(draft.memory.operation.as_ref()) {
        match planted!(DestroyNotVerified => Verdict::Gone, else verify(draft, &deployment.blueprint, done_at))
        {
            Verdict::Gone => {
                draft.memory.deployment = None;
                draft.memory.leftover = None;
                draft.memory.failures = None;
                draft.memory.service_absent_since = None;
                draft.memory.stopped_task = None;
                return give_back(draft, wish, intake);
            }
            Verdict::Wait(step) => return step,
            Verdict::Leftover(what) => {
                let before = draft.memory.leftover.take();
                draft.memory.leftover = Some(Leftover {
                    since: before.as_ref().map_or(draft.now, |before| before.since),
                    what: what.clone(),
                    destroys: before.map_or(1, |before| before.destroys.saturating_add(1)),
                });
                draft.count_failure(BuildKind::Destroy, format!("{what} survived the destroy"));
                // The operation that said it was done was not: the next destroy starts from here.
                if let Some(operation) = &mut draft.memory.operation
                    && let Some(settled) = &mut operation.settled
                {
                    settled.outcome = Ending::Leftover;
                }
            }
        }
    }
    if let Some(step) = delete_leftover(draft, &deployment.blueprint) {
        return step;
    }
    let step = draft.intend(
        BuildKind::Destroy,
        Class::Teardown,
        deployment.blueprint,
        Vec::new(),
    );
    Step {
        message: format!("{} {}", wish.because, step.message),
        ..step
    }
}

/// An orphan is left alone for a while, and for good unless policy says otherwise: whoever lost it may want it back,
/// and a row with its id is all it takes. `None`: it is none, or it is to go.
fn quarantine(draft: &Draft<'_>) -> Option<Step> {
    let found = draft.memory.found.as_ref()?;
    // What was begun is brought to its end.
    if draft.memory.operation.is_some() {
        return None;
    }
    let orphans = draft.policy.orphans;
    let due = later(found.since, orphans.reap_after);
    let since = utc(found.since);
    let (what, requeue) = if !orphans.reap {
        (
            "It stays until a row with its id asks for it or asks for Destroyed.".to_owned(),
            Requeue::Sweep,
        )
    } else if let Deletions::Held { vanished, known, .. } = &draft.view.deletions {
        (
            format!("{vanished} of {known} apps have no row, which is held until `lamplighter approve`."),
            Requeue::Sweep,
        )
    } else if draft.now < due {
        (
            format!("It is destroyed after {} unless a row asks for it.", utc(due)),
            Requeue::At(due),
        )
    } else if draft.view.reap {
        return None;
    } else {
        (
            "It is due to be destroyed, and waits for its turn.".to_owned(),
            Requeue::Sweep,
        )
    };
    let message = format!("Found in AWS at {since}: nothing asks for it, and nothing remembered it. {what}");
    Some(Step::wait(Phase::Pending, "Quarantined", message, requeue).because("Orphan"))
}

/// Deletes the service that so many destroys have left, if policy says so and it is the app's beyond doubt. That is
/// tried between destroys only: it may be denied for ever, and destroys go on all the same. The next one is verified
/// as any. A target group is left to people: it costs nothing, and a listener of others may use it.
fn delete_leftover(draft: &Draft<'_>, blueprint: &Blueprint) -> Option<Step> {
    let after = draft.policy.force_delete_after;
    let leftover = draft.memory.leftover.as_ref()?;
    let seen = draft.view.service.present()?;
    let next_destroy = draft.failures(BuildKind::Destroy)?.retry_at;
    let ours = seen.name == *blueprint.service() && seen.instance_id.as_ref() == Some(&draft.view.id);
    if after == 0 || leftover.destroys < after || !ours || seen.draining || draft.now >= next_destroy {
        return None;
    }
    let message = format!("{leftover}; the service is being deleted.");
    let action = Action::DeleteService {
        cluster: blueprint.cluster.clone(),
        service: seen.name.clone(),
    };
    let step = Step::act(Phase::Destroying, "DeletingLeftover", message, action).because("Leftover");
    // AWS: a look right after it may show the service as it was.
    Some(Step {
        requeue: Requeue::Progress,
        ..step
    })
}

/// When the last operation destroyed this deployment, if it did. Times are not compared: a clock that went
/// back would ask for destroy after destroy until it has caught up.
fn destroyed_at(operation: Option<&Operation>) -> Option<Timestamp> {
    let operation = operation.filter(|operation| operation.kind == BuildKind::Destroy)?;
    let settled = operation.settled.as_ref()?;
    (settled.outcome == Ending::Succeeded).then_some(settled.at)
}

enum Verdict {
    Gone,
    Wait(Step),
    Leftover(String),
}

/// A successful destroy build is believed once the exact name was looked for in vain twice, far enough
/// apart, and a complete listing made since shows nothing with the app's tag.
fn verify(draft: &mut Draft<'_>, blueprint: &Blueprint, done_at: Timestamp) -> Verdict {
    let now = draft.now;
    let timing = draft.policy.timing;
    let wait = |message: &str, requeue| {
        Verdict::Wait(Step::wait(
            Phase::Destroying,
            "VerifyingDestroy",
            message,
            requeue,
        ))
    };
    // AWS: reads may be stale for minutes, so a survivor is only believed after the grace.
    let survivor = |what: String| {
        if planted!(SurvivorIgnored) {
            return Verdict::Gone;
        }
        let believed_at = later(done_at, timing.appear_grace);
        if now < believed_at {
            wait(
                &format!("{what} still shows after the destroy."),
                Requeue::Progress,
            )
        } else {
            Verdict::Leftover(what)
        }
    };
    match &draft.view.service {
        Observed::Unknown => {
            return Verdict::Wait(Step::blind(
                Phase::Destroying,
                "The service could not be looked at.",
            ));
        }
        Observed::Present(service) if planted!(DrainingIgnored) && service.draining => {}
        Observed::Present(service) => {
            draft.memory.service_absent_since = None;
            if service.draining {
                return wait("The service is draining.", Requeue::Progress);
            }
            return survivor(format!("Service {}", service.name));
        }
        Observed::Absent => {}
    }
    if let Some(group) = &blueprint.target_group {
        match &draft.view.target_group {
            Observed::Unknown => {
                return Verdict::Wait(Step::blind(
                    Phase::Destroying,
                    "The target group could not be looked at.",
                ));
            }
            Observed::Present(_) => {
                draft.memory.service_absent_since = None;
                return survivor(format!("Target group {group}"));
            }
            Observed::Absent => {}
        }
    }
    let first = *draft.memory.service_absent_since.get_or_insert(now);
    let again = later(first, timing.confirm_absence);
    if now < again && !planted!(AbsenceBelievedAtOnce) {
        let message = format!("Nothing shows; looking a second time at {}.", utc(again));
        return wait(&message, Requeue::At(again));
    }
    match &draft.view.tagged {
        Observed::Present(look) if look.at >= done_at => match look.services.first() {
            Some(name) => survivor(format!("Service {name}, which carries the app's tag,")),
            None => Verdict::Gone,
        },
        Observed::Present(_) | Observed::Absent | Observed::Unknown => wait(
            "Waiting for a complete listing of tagged services.",
            Requeue::Progress,
        ),
    }
}

/// Nothing is left in AWS: the slot is free, the names too once the row is gone, the memory in the end.
fn give_back(draft: &mut Draft<'_>, wish: &Wish, intake: &Intake) -> Step {
    let row_is_gone = matches!(wish.rule, "RowDeleted" | "Orphan");
    let mut freed = false;
    if let Some(holding) = draft.memory.holding.take() {
        if row_is_gone {
            draft.release.extend(holding.keys());
            freed = true;
        } else {
            if holding.slot && !planted!(ClaimsKept) {
                draft.release.push(holding.identity.slot.clone());
                freed = true;
            }
            draft.memory.holding = Some(crate::model::memory::Holding {
                slot: false,
                ..holding
            });
        }
    }
    if row_is_gone {
        let over_since = *draft.memory.over_since.get_or_insert(draft.now);
        let forget_at = later(over_since, draft.policy.timing.memory_retention);
        if !freed && draft.now >= forget_at {
            draft.forget = true;
        }
        let message = format!("{} Nothing of it is left.", wish.because);
        return Step::wait(Phase::Destroyed, GONE, message, Requeue::At(forget_at));
    }
    if let Some(refusal) = intake
        .refusal
        .as_ref()
        .filter(|_| draft.memory.accepted.is_none())
    {
        let problems: Vec<String> = refusal.problems.iter().map(ToString::to_string).collect();
        return Step::wait(
            Phase::Refused,
            refusal.reason,
            problems.join("; "),
            Requeue::Sweep,
        )
        .because("RowValidity");
    }
    if wish.rule == CLOSED {
        return Step::wait(Phase::Pending, CLOSED, wish.because.clone(), Requeue::Sweep);
    }
    if wish.rule == OWNER_INACTIVE && owner::inactive(draft).is_some() {
        let phase = Phase::Refused;
        return Step::wait(phase, OWNER_INACTIVE, wish.because.clone(), Requeue::Sweep);
    }
    let message = format!("{} Nothing of it is left.", wish.because);
    if wish.rule == SUPERSEDED {
        return Step::wait(Phase::Refused, SUPERSEDED, message, Requeue::Sweep);
    }
    Step::wait(Phase::Destroyed, "Destroyed", message, Requeue::Sweep)
}
