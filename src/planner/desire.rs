//! What is *effectively* wanted: the least of what the row asks, its expiry, the end of its day, a newer request
//! for its slot and its deletion allow. Level-based: a boundary that passed while nobody looked still counts.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::contest::{self, SUPERSEDED};
use super::draft::{Draft, minute};
use crate::model::memory::{Accepted, Stop};
use crate::model::observed::Observed;
use crate::model::policy::Deletions;
use crate::model::row::Desired;
use crate::model::schedule::{CurfewAction, later};
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
    let times = Times::of(draft, &accepted, accepted.request.at);
    if planted!(StopUndone) && times.due.is_none() {
        draft.memory.stop = None;
    }
    for stop in [times.due, contest::outbid(draft, &accepted)]
        .into_iter()
        .flatten()
    {
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
    judge_deletion(draft, &mut wish);
    wish.next = times
        .next
        .into_iter()
        .filter(|(stop, _)| stop.at_most < wish.level)
        // While it is paused no deadline is carried out, so none is promised.
        .filter(|_| draft.view.paused.is_absent())
        .min_by_key(|(stop, _)| stop.due)
        .map(|(stop, rule)| NextChange {
            at: stop.due,
            action: match stop.at_most {
                Desired::Suspended => "Suspend".to_owned(),
                Desired::Destroyed | Desired::Running => "Destroy".to_owned(),
            },
            rule: rule.to_owned(),
        });
    wish
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
        "ExpiresAt" => ("ExpiresAt", format!("It expired at {due}.")),
        "MaxLifetime" => ("MaxLifetime", format!("Its longest lifetime ended at {due}.")),
        _ => (
            "Curfew",
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

/// The stops that time brings: the one that is due, and those to come.
struct Times {
    due: Option<Stop>,
    next: Vec<(Stop, &'static str)>,
}

impl Times {
    fn of(draft: &Draft<'_>, accepted: &Accepted, requested_at: Timestamp) -> Self {
        let now = draft.now;
        let mut due: Option<Stop> = None;
        let mut next = Vec::new();
        let mut consider = |at: Timestamp, rule: &'static str, shown: &'static str, at_most: Desired| {
            let stop = Stop {
                due: at,
                rule: rule.to_owned(),
                at_most,
                by: None,
            };
            if at <= now {
                if due.as_ref().is_none_or(|old| stop.at_most < old.at_most) {
                    due = Some(stop);
                }
            } else {
                next.push((stop, shown));
            }
        };
        if let Some(at) = planted!(ExpiryIgnored => None, else accepted.expires_at) {
            consider(at, "ExpiresAt", "ExpiresAt", Desired::Destroyed);
        }
        let entry = draft.policy.catalogue.get(&accepted.blueprint.identity.app);
        if let Some(most) = entry.and_then(|entry| entry.max_lifetime) {
            consider(
                later(requested_at, most),
                "MaxLifetime",
                "MaxLifetime",
                Desired::Destroyed,
            );
        }
        let curfew = planted!(CurfewForgotten => None, else curfew(draft, accepted, requested_at));
        if let Some((at, shown, at_most)) = curfew {
            consider(at, "Curfew", shown, at_most);
        }
        Times { due, next }
    }
}

/// When the app's day ends: at the latest boundary, if the last request is older than that and no exemption
/// holds; else when the exemption lapses; else at the next boundary.
fn curfew(
    draft: &Draft<'_>,
    accepted: &Accepted,
    requested_at: Timestamp,
) -> Option<(Timestamp, &'static str, Desired)> {
    let schedule = draft.policy.schedules.get(accepted.schedule.as_ref()?)?;
    let zone = accepted
        .time_zone
        .as_ref()
        .and_then(|name| TimeZone::get(name).ok());
    let at_most = match schedule.action {
        CurfewAction::Destroy => Desired::Destroyed,
        CurfewAction::Suspend => planted!(NapDestroys => Desired::Destroyed, else Desired::Suspended),
    };
    let now = draft.now;
    // An exemption puts off a stop; it never undoes one that fell due, since that is remembered.
    let keep = accepted.keep_until.filter(|until| *until > now);
    let boundary = match schedule.latest_boundary(now, zone.as_ref()) {
        // Equal to the millisecond counts as asked after the boundary.
        Some(latest) if requested_at < latest || planted!(BoundaryIsBefore) && requested_at == latest => {
            latest
        }
        Some(_) | None => schedule.next_boundary(now, zone.as_ref())?,
    };
    match keep {
        Some(until) if until > boundary => Some((until, "KeepUntil", at_most)),
        Some(_) | None => Some((boundary, "Curfew", at_most)),
    }
}
