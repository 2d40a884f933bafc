//! Is a stop to be told beforehand? So long before a stop by time as the app's schedule says, once for each deadline.
//! It comes from the same number as the stop, so a deadline that moves is warned of where it went.

use jiff::Timestamp;

use super::desire::Wish;
use super::draft::Draft;
use super::plan::Decision;
use super::times;
use crate::model::row::Desired;
use crate::model::schedule::later;
use crate::model::status::NextChange;
use crate::model::utc;
use crate::model::warned::{Delivery, Warned};

/// What is told of a stop that is near.
pub(super) const STOP_SOON: &str = "StopSoon";

/// What came of asking.
#[derive(Debug, Default)]
pub(super) struct Warning {
    /// The line of history, where the warning is due now.
    pub(super) told: Option<Decision>,
    /// When to look again, where it is not due yet.
    pub(super) look_at: Option<Timestamp>,
}

/// Notes a warning that is due, and what became of its delivery.
pub(super) fn warn(draft: &mut Draft<'_>, wish: &Wish) -> Warning {
    if !draft.view.paused.is_absent() {
        // Nothing is promised while it is paused, so nothing is taken back either.
        return Warning::default();
    }
    let stop = stop(draft, wish).cloned();
    settle(draft, stop.as_ref());
    let (Some(stop), Some(before)) = (stop, warn_before(draft)) else {
        return Warning::default();
    };
    let warn_at = planted!(WarnedEarly => draft.now, else later(stop.at, -before));
    if warn_at > draft.now {
        return Warning {
            told: None,
            look_at: Some(warn_at),
        };
    }
    let known = draft.memory.warned.as_ref();
    let is_told = |warned: &Warned| planted!(WarnedOnceForAll) || warned.deadline == stop.at;
    if known.is_some_and(is_told) && !planted!(WarnedTwice) {
        return Warning::default();
    }
    draft.memory.warned = Some(Warned {
        deadline: stop.at,
        rule: stop.rule.clone(),
        action: stop.action.clone(),
        at: draft.now,
        webhook: draft.policy.webhook.then_some(Delivery::Pending),
    });
    let verb = if stop.action == "Suspend" {
        "suspended"
    } else {
        "destroyed"
    };
    let way_out = if matches!(stop.rule.as_str(), times::EXPIRES_AT | times::MAX_LIFETIME) {
        ""
    } else {
        "; `lamplighter apps keep` puts that off"
    };
    let message = format!("It is {verb} at {} ({}){way_out}.", utc(stop.at), stop.rule);
    Warning {
        told: Some(Decision {
            rule: known_rule(&stop.rule),
            reason: STOP_SOON,
            message,
        }),
        look_at: None,
    }
}

/// The next stop by time of an app that is up: it is wanted to run, and something of it is deployed.
fn stop<'w>(draft: &Draft<'_>, wish: &'w Wish) -> Option<&'w NextChange> {
    let is_up = wish.level == Desired::Running && draft.memory.deployment.is_some();
    let next = wish.next.as_ref().filter(|_| is_up)?;
    STOPS.contains(&next.rule.as_str()).then_some(next)
}

/// The rules that stop an app by time.
const STOPS: [&str; 5] = [
    times::CURFEW,
    times::KEEP_UNTIL,
    times::NIGHTS_UNUSED,
    times::EXPIRES_AT,
    times::MAX_LIFETIME,
];

fn known_rule(rule: &str) -> &'static str {
    STOPS
        .into_iter()
        .find(|known| *known == rule)
        .unwrap_or(times::CURFEW)
}

fn warn_before(draft: &Draft<'_>) -> Option<jiff::SignedDuration> {
    let accepted = draft.memory.accepted.as_ref()?;
    draft.policy.schedule_of(accepted)?.warn_before
}

/// A delivery that is over is noted, and one whose stop has moved meanwhile is not wanted any more. As history does, the
/// webhook hears of each deadline once: one that moved away and is back is delivered if the receiver does not have it.
fn settle(draft: &mut Draft<'_>, stop: Option<&NextChange>) {
    let Some(warned) = &mut draft.memory.warned else {
        return;
    };
    let deadline = warned.deadline;
    let noticed = draft
        .view
        .notice
        .as_ref()
        .filter(|notice| notice.deadline == deadline);
    // The attempt was under way when the stop moved.
    if warned.webhook == Some(Delivery::Withdrawn)
        && noticed.is_some_and(|notice| notice.came == Delivery::Delivered)
    {
        warned.webhook = Some(Delivery::Delivered);
    }
    // It moved away before the receiver knew of it, and is back.
    if warned.webhook == Some(Delivery::Withdrawn) && stop.is_some_and(|stop| stop.at == warned.deadline) {
        warned.webhook = Some(Delivery::Pending);
    }
    if warned.webhook != Some(Delivery::Pending) {
        return;
    }
    if let Some(notice) = noticed {
        warned.webhook = Some(notice.came);
    } else if stop.is_none_or(|stop| stop.at != warned.deadline) {
        warned.webhook = Some(Delivery::Withdrawn);
    }
}
