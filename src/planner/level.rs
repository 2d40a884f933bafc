//! How much of an app do row and time allow at one instant, by which rule, and what changes that next? Without words,
//! which `desire` has for people, so that `forecast` can ask the same for a year of instants.

use jiff::Timestamp;

use super::contest::SUPERSEDED;
use super::owner::OWNER_INACTIVE;
use super::times::{self, Ask, Coming, Times, is_a_nap};
use crate::model::memory::Stop;
use crate::model::row::Desired;

/// What the row asks.
pub(super) const ROW: &str = "Row";

/// What is remembered of time from one look to the next.
#[derive(Debug)]
pub(super) struct Remembered<'m> {
    /// The stop that has begun.
    pub(super) stop: &'m mut Option<Stop>,
    /// When its schedule last let it run.
    pub(super) woken_at: &'m mut Option<Timestamp>,
    /// Until when it was exempt last.
    pub(super) kept_until: &'m mut Option<Timestamp>,
}

/// What an app may be at most.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) at_most: Desired,
    /// The rule that says so.
    pub(super) rule: &'static str,
    pub(super) times: Times,
}

/// What an app whose row asks for `desired` may be at `now`, by time and by `others`, stops for other reasons. A stop
/// that has come due is remembered, and so is a wake.
pub(super) fn at(
    ask: Ask<'_>,
    desired: Desired,
    remembered: Remembered<'_>,
    others: impl IntoIterator<Item = Stop>,
    now: Timestamp,
) -> Level {
    let Remembered {
        stop,
        woken_at,
        kept_until,
    } = remembered;
    // One that is not there any more, and was to last longer, ends now.
    *kept_until = kept_until.map(|until| until.min(now)).max(ask.keep_until);
    let asleep = stop.as_ref().filter(|stop| is_a_nap(stop));
    let ask = Ask {
        woken_at: *woken_at,
        kept_until: *kept_until,
        asleep_since: asleep.map(|stop| stop.due),
        ..ask
    };
    let mut times = Times::of(&ask, now);
    if planted!(StopUndone) && times.due.is_none() {
        *stop = None;
    }
    wake(stop, woken_at, &times);
    for due in times.due.take().into_iter().chain(others) {
        let lowest = stop.as_ref().map_or(desired, |old| old.at_most.min(desired));
        if due.at_most < lowest {
            let away_since = stop.as_ref().map(|old| old.away_since.unwrap_or(old.due));
            *stop = Some(Stop { away_since, ..due });
        }
    }
    let (mut level, mut rule) = (desired, ROW);
    if let Some(stop) = stop.as_ref().filter(|stop| stop.at_most < level) {
        (level, rule) = (stop.at_most, rule_of(stop));
    }
    if let Some(held) = times.held.filter(|held| held.at_most < level) {
        (level, rule) = (held.at_most, times::CLOSED);
    }
    Level {
        at_most: level,
        rule,
        times,
    }
}

/// What its schedule has suspended, it also wakes. That is remembered, lest a clock that goes back puts the app to
/// sleep again.
fn wake(stop: &mut Option<Stop>, woken_at: &mut Option<Timestamp>, times: &Times) {
    let Some(woken) = times.woken else { return };
    match stop {
        Some(stop) if !is_a_nap(stop) => return,
        Some(asleep) if asleep.due < woken => *stop = None,
        Some(_) | None => {}
    }
    *woken_at = Some(woken);
}

/// What time changes next, if everything stays as it is until then, for an app at `level` by `rule`. `starts`: whether
/// anything may be started for it.
pub(super) fn next(
    times: &Times,
    (level, rule): (Desired, &str),
    stop: Option<&Stop>,
    starts: bool,
) -> Option<Coming> {
    let asleep = stop.is_some_and(is_a_nap) && level == Desired::Suspended;
    let opens = times.held.map(|held| Coming {
        at: held.until,
        rule: times::CLOSED,
        level: Desired::Running,
    });
    let coming = times.coming.iter().copied().chain(opens);
    let changes = coming.filter(|coming| match coming.rule {
        times::WAKE => starts && asleep,
        times::CLOSED => starts && (asleep || rule == times::CLOSED),
        _ => coming.level < level,
    });
    changes.min_by_key(|coming| (coming.at, coming.level))
}

/// The rule of a stop. One of a release that had others counts as the end of the day.
pub(super) fn rule_of(stop: &Stop) -> &'static str {
    let rules = [
        SUPERSEDED,
        OWNER_INACTIVE,
        times::EXPIRES_AT,
        times::MAX_LIFETIME,
        times::NIGHTS_UNUSED,
        times::KEEP_UNTIL,
    ];
    let known = rules.into_iter().find(|rule| *rule == stop.rule);
    known.unwrap_or(times::CURFEW)
}
