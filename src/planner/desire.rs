//! What is *effectively* wanted: the least of what the row asks, its expiry, the end of its day, a newer request
//! for its slot, its deletion and its owner's leave allow. Level-based: a boundary that passed while nobody looked
//! still counts.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::contest::{self, SUPERSEDED};
use super::draft::Draft;
use super::keep;
use super::level::{self, Level, Remembered};
use super::owner::{self, OWNER_INACTIVE};
use super::times::{self, Ask, Times};
use crate::model::memory::{Accepted, Stop};
use crate::model::observed::Observed;
use crate::model::policy::{Deletions, Policy};
use crate::model::row::Desired;
use crate::model::status::NextChange;
use crate::model::utc;

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
    let others = [contest::outbid(draft, &accepted), owner::stop(draft)];
    let zone = zone_of(&accepted);
    let given = keep::given(draft, &accepted).map(|given| given.until);
    let ask = ask_of(draft.policy, &accepted, zone.as_ref(), given);
    let remembered = Remembered {
        stop: &mut draft.memory.stop,
        woken_at: &mut draft.memory.woken_at,
        kept_until: &mut draft.memory.kept_until,
    };
    let Level {
        at_most: level,
        rule,
        times,
    } = level::at(
        ask,
        accepted.desired,
        remembered,
        others.into_iter().flatten(),
        draft.now,
    );
    let because = match (&draft.memory.stop, times.held) {
        (_, Some(held)) if rule == times::CLOSED => format!(
            "It was asked for while its schedule is closed, and starts at {}.",
            utc(held.until)
        ),
        (Some(stop), _) if rule != level::ROW => explain(stop),
        _ => format!("The row asks for {}.", accepted.desired),
    };
    let mut wish = Wish {
        level,
        may_start: true,
        rule,
        because,
        next: None,
    };
    if let Some(inactive) = owner::inactive(draft).filter(|_| accepted.desired > Desired::Destroyed) {
        wish.level = Desired::Destroyed;
        wish.rule = OWNER_INACTIVE;
        wish.because = inactive.because();
    }
    judge_deletion(draft, &mut wish);
    let coming = planted!(MovedStopTold => without_exemption(draft, &accepted), else times);
    wish.next = next_change(draft, &accepted, &wish, &coming);
    if let (Some(stop), Some(next)) = (&draft.memory.stop, &wish.next)
        && next.rule == times::WAKE
    {
        let (due, wakes) = (utc(stop.due), utc(next.at));
        wish.because = format!("Its day ended at {due}; it wakes at {wakes}, or with a new request.");
    }
    wish
}

/// Its own zone. One that has left the database since is as good as none.
pub(super) fn zone_of(accepted: &Accepted) -> Option<TimeZone> {
    let zone = accepted.time_zone.as_ref();
    zone.and_then(|name| TimeZone::get(name).ok())
}

/// All that time has to do with in this app, save what is remembered of it. `given`: until when it is exempt, whatever its
/// row says.
pub(super) fn ask_of<'a>(
    policy: &'a Policy,
    accepted: &Accepted,
    zone: Option<&'a TimeZone>,
    given: Option<Timestamp>,
) -> Ask<'a> {
    let entry = policy.catalogue.get(&accepted.blueprint.identity.app);
    Ask {
        requested_at: accepted.request.at,
        schedule: policy.schedule_of(accepted),
        zone,
        keep_until: accepted.keep_until.max(given),
        expires_at: accepted.expires_at,
        max_lifetime: entry.and_then(|entry| entry.max_lifetime),
        woken_at: None,
        kept_until: None,
        asleep_since: None,
    }
}

/// What time changes next, if everything stays as it is until then.
fn next_change(draft: &Draft<'_>, accepted: &Accepted, wish: &Wish, times: &Times) -> Option<NextChange> {
    // While it is paused nothing is carried out, so none is promised.
    if !draft.view.paused.is_absent() {
        return None;
    }
    let starts = wish.may_start && accepted.desired == Desired::Running;
    let stop = draft.memory.stop.as_ref();
    let next = level::next(times, (wish.level, wish.rule), stop, starts)?;
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

/// What time would make of it if nothing had put off the end of its day.
#[cfg(feature = "planted")]
fn without_exemption(draft: &Draft<'_>, accepted: &Accepted) -> Times {
    let zone = zone_of(accepted);
    let ask = Ask {
        keep_until: None,
        ..ask_of(draft.policy, accepted, zone.as_ref(), None)
    };
    Times::of(&ask, draft.now)
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
            wish.rule = level::ROW;
            judge_deletion(draft, &mut wish);
        }
        Observed::Absent => wish.rule = "RowDeleted",
    }
    wish
}

fn explain(stop: &Stop) -> String {
    let due = utc(stop.due);
    match level::rule_of(stop) {
        SUPERSEDED => contest::lost(stop),
        times::EXPIRES_AT => format!("It expired at {due}."),
        times::MAX_LIFETIME => format!("Its longest lifetime ended at {due}."),
        times::NIGHTS_UNUSED => {
            format!("By {due} nobody had asked for it in too many nights; a new request deploys it again.")
        }
        OWNER_INACTIVE => format!("Its owner was not active at {due}; a new request starts it again."),
        times::KEEP_UNTIL => format!("Its exemption ended at {due}; a new request starts it again."),
        _ => format!("Its day ended at {due}; a new request starts it again."),
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
    if wish.rule != level::ROW {
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
                utc(*since)
            );
        }
    }
}
