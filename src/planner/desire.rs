//! What is *effectively* wanted: the least of what the row asks, its expiry, the end of its day, a newer request
//! for its slot, its deletion and its owner's leave allow. Level-based: a boundary that passed while nobody looked
//! still counts.

use jiff::tz::TimeZone;

use super::contest::{self, SUPERSEDED};
use super::draft::{Draft, minute};
use super::keep;
use super::owner::{self, OWNER_INACTIVE};
use super::times::{self, Ask, Coming, Times, is_a_nap};
use crate::model::memory::{Accepted, Stop};
use crate::model::observed::Observed;
use crate::model::policy::Deletions;
use crate::model::row::Desired;
use crate::model::status::NextChange;

/// What is effectively wanted, and why.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) level: Desired,
    /// Whether anything may be started for it. False while the row is gone and that is not settled.
    pub(super) may_start: bool,
    pub(super) rule: &'static str,
    /// A whole sentence for people.
    pub(super) because: String,
    pub(super) next: Option<NextChange>,
}

/// Decides what is effectively wanted, and remembers a stop that has come due.
pub(super) fn wish(draft: &mut Draft<'_>) -> Wish {
    let Some(accepted) = draft.memory.accepted.clone() else {
        return without_a_spec(draft);
    };
    let times = times_of(draft, &accepted);
    if planted!(StopUndone) && times.due.is_none() {
        draft.memory.stop = None;
    }
    wake(draft, &times);
    let stops = [
        times.due.clone(),
        contest::outbid(draft, &accepted),
        owner::stop(draft),
    ];
    for stop in stops.into_iter().flatten() {
        let lowest = draft
            .memory
            .stop
            .as_ref()
            .map_or(accepted.desired, |old| old.at_most.min(accepted.desired));
        if stop.at_most < lowest {
            draft.memory.stop = Some(stop);
        }
    }

    let mut wish = Wish {
        level: accepted.desired,
        may_start: true,
        rule: "Row",
        because: format!("The row asks for {}.", accepted.desired),
        next: None,
    };
    if let Some(stop) = &draft.memory.stop
        && stop.at_most < wish.level
    {
        wish.level = stop.at_most;
        (wish.rule, wish.because) = explain(stop);
    }
    if let Some(held) = times.held
        && held.at_most < wish.level
    {
        wish.level = held.at_most;
        wish.rule = times::CLOSED;
        wish.because = format!(
            "It was asked for while its schedule is closed, and starts at {}.",
            minute(held.until)
        );
    }
    if let Some(inactive) = owner::inactive(draft).filter(|_| accepted.desired > Desired::Destroyed) {
        wish.level = Desired::Destroyed;
        wish.rule = OWNER_INACTIVE;
        wish.because = inactive.because();
    }
    judge_deletion(draft, &mut wish);
    wish.next = next_change(draft, &accepted, &wish, &times);
    if let (Some(stop), Some(next)) = (&draft.memory.stop, &wish.next)
        && next.rule == times::WAKE
    {
        let (due, wakes) = (minute(stop.due), minute(next.at));
        wish.because = format!("Its day ended at {due}; it wakes at {wakes}, or with a new request.");
    }
    wish
}

/// All that time has to do with in this app.
fn times_of(draft: &Draft<'_>, accepted: &Accepted) -> Times {
    let entry = draft.policy.catalogue.get(&accepted.blueprint.identity.app);
    // A zone that has left the database since is as good as none.
    let zone = accepted.time_zone.as_ref();
    let zone = zone.and_then(|name| TimeZone::get(name).ok());
    let stop = draft.memory.stop.as_ref();
    let ask = Ask {
        requested_at: accepted.request.at,
        schedule: draft.policy.schedule_of(accepted),
        zone: zone.as_ref(),
        keep_until: accepted
            .keep_until
            .max(keep::given(draft, accepted).map(|given| given.until)),
        expires_at: accepted.expires_at,
        max_lifetime: entry.and_then(|entry| entry.max_lifetime),
        woken_at: draft.memory.woken_at,
        asleep_since: stop.filter(|stop| is_a_nap(stop)).map(|stop| stop.due),
    };
    Times::of(&ask, draft.now)
}

/// What its schedule has suspended, it also wakes. That is remembered, lest a clock that goes back puts the app to
/// sleep again.
fn wake(draft: &mut Draft<'_>, times: &Times) {
    let Some(woken) = times.woken else { return };
    match &draft.memory.stop {
        Some(stop) if !is_a_nap(stop) => return,
        Some(stop) if stop.due < woken => draft.memory.stop = None,
        Some(_) | None => {}
    }
    draft.memory.woken_at = Some(woken);
}

/// What time changes next, if everything stays as it is until then.
fn next_change(draft: &Draft<'_>, accepted: &Accepted, wish: &Wish, times: &Times) -> Option<NextChange> {
    // While it is paused nothing is carried out, so none is promised.
    if !draft.view.paused.is_absent() {
        return None;
    }
    let asleep = draft.memory.stop.as_ref().is_some_and(is_a_nap) && wish.level == Desired::Suspended;
    let starts = wish.may_start && accepted.desired == Desired::Running;
    let opens = times.held.map(|held| Coming {
        at: held.until,
        rule: times::CLOSED,
        level: Desired::Running,
    });
    let next = times
        .coming
        .iter()
        .copied()
        .chain(opens)
        .filter(|coming| match coming.rule {
            times::WAKE => starts && asleep,
            times::CLOSED => starts && wish.rule == times::CLOSED,
            _ => coming.level < wish.level,
        })
        .min_by_key(|coming| (coming.at, coming.level))?;
    let action = match (next.rule, next.level) {
        (times::WAKE, _) => "Resume",
        (_, Desired::Running) => "Start",
        (_, Desired::Suspended) => "Suspend",
        (_, Desired::Destroyed) => "Destroy",
    };
    Some(NextChange {
        at: next.at,
        action: action.to_owned(),
        rule: next.rule.to_owned(),
    })
}

/// Nothing was ever accepted. What may be there all the same, since AWS told of it, stays as it is until a row that
/// makes sense asks for something, asks for its end, or is known to be gone.
fn without_a_spec(draft: &mut Draft<'_>) -> Wish {
    let mut wish = Wish {
        level: Desired::Destroyed,
        may_start: false,
        rule: "NeverAccepted",
        because: "Nothing was ever accepted for this app.".to_owned(),
        next: None,
    };
    let there = draft.memory.deployment.is_some();
    match &draft.view.row {
        Observed::Present(_) if there && let Some(inactive) = owner::inactive(draft) => {
            wish.rule = OWNER_INACTIVE;
            wish.because = inactive.because();
        }
        Observed::Present(row) if there && row.desired != Some(Desired::Destroyed) => {
            wish.level = Desired::Running;
        }
        Observed::Present(_) | Observed::Unknown => {}
        Observed::Absent if draft.memory.found.is_some() => {
            wish.rule = "Orphan";
            "It was found in AWS, and nothing asks for it.".clone_into(&mut wish.because);
        }
        Observed::Absent if there => {
            wish.level = Desired::Running;
            wish.rule = "Row";
            judge_deletion(draft, &mut wish);
        }
        Observed::Absent => wish.rule = "RowDeleted",
    }
    wish
}

fn explain(stop: &Stop) -> (&'static str, String) {
    let due = minute(stop.due);
    match stop.rule.as_str() {
        SUPERSEDED => (SUPERSEDED, contest::lost(stop)),
        times::EXPIRES_AT => (times::EXPIRES_AT, format!("It expired at {due}.")),
        times::MAX_LIFETIME => (
            times::MAX_LIFETIME,
            format!("Its longest lifetime ended at {due}."),
        ),
        times::NIGHTS_UNUSED => (
            times::NIGHTS_UNUSED,
            format!("By {due} nobody had asked for it in too many nights; a new request deploys it again."),
        ),
        OWNER_INACTIVE => (
            OWNER_INACTIVE,
            format!("Its owner was not active at {due}; a new request starts it again."),
        ),
        times::KEEP_UNTIL => (
            times::KEEP_UNTIL,
            format!("Its exemption ended at {due}; a new request starts it again."),
        ),
        _ => (
            times::CURFEW,
            format!("Its day ended at {due}; a new request starts it again."),
        ),
    }
}

/// A row that is gone asks for destruction, once a complete sweep has seen it gone as well and found no
/// mass disappearance. Until then things stay as they are, and nothing is started. What was confirmed once
/// stays so: a later hold does not bring half of an app back.
fn judge_deletion(draft: &mut Draft<'_>, wish: &mut Wish) {
    let Some(gone) = &mut draft.memory.row_gone else {
        return;
    };
    wish.may_start = false;
    if draft.view.deletions
        == (Deletions::Clear {
            gone_since: Some(gone.since),
        })
    {
        gone.confirmed = true;
    }
    gone.confirmed |= planted!(DeletionUnconfirmed);
    gone.held |= matches!(draft.view.deletions, Deletions::Held { .. }) && !gone.confirmed;
    if gone.confirmed {
        wish.level = Desired::Destroyed;
        wish.rule = "RowDeleted";
        "Its row was deleted.".clone_into(&mut wish.because);
        return;
    }
    // A stop by time goes on whatever became of the row, for its own reason.
    if wish.rule != "Row" {
        return;
    }
    match &draft.view.deletions {
        Deletions::Clear { .. } | Deletions::Unjudged => {
            wish.rule = "RowGone";
            "Its row is gone; the next sweep has to confirm it.".clone_into(&mut wish.because);
        }
        // So does one that the row asked for while it was there.
        Deletions::Held { .. } if wish.level < Desired::Running => {}
        Deletions::Held {
            vanished,
            known,
            since,
        } => {
            wish.rule = "MassDeletionHeld";
            wish.because = format!(
                "{vanished} of {known} rows have vanished since {}. Nothing is torn down for that until the \
                 rows are back or an operator runs `lamplighter approve`.",
                minute(*since)
            );
        }
    }
}
