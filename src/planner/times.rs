//! When does time stop an app, and when does it let it run again? Computed from the request at `now`: a boundary
//! that passed while nobody looked still counts, and one that a changed schedule moved has moved.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::model::memory::Stop;
use crate::model::row::Desired;
use crate::model::schedule::{CurfewAction, ManualStart, Schedule, later};

/// The end of an app's day.
pub(super) const CURFEW: &str = "Curfew";
/// The end of an exemption from that.
pub(super) const KEEP_UNTIL: &str = "KeepUntil";
/// A schedule that is closed to requests.
pub(super) const CLOSED: &str = "Closed";
/// The time at which a schedule wakes what it suspended.
pub(super) const WAKE: &str = "Wake";
/// The row's own end.
pub(super) const EXPIRES_AT: &str = "ExpiresAt";
/// The longest that the catalogue lets an app live.
pub(super) const MAX_LIFETIME: &str = "MaxLifetime";
/// Suspended for longer than anybody cared.
pub(super) const NIGHTS_UNUSED: &str = "NightsUnused";

/// What was remembered of a later time than this is not believed: the clock was wrong then, not a little ahead.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

/// All that time has to do with in one app.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// When it was last asked for.
    pub(super) requested_at: Timestamp,
    /// The schedule that ends its day.
    pub(super) schedule: Option<&'a Schedule>,
    /// Its own zone.
    pub(super) zone: Option<&'a TimeZone>,
    /// Until when it is exempt from the end of the day.
    pub(super) keep_until: Option<Timestamp>,
    /// Its hard end.
    pub(super) expires_at: Option<Timestamp>,
    /// The longest it may live from the request on.
    pub(super) max_lifetime: Option<SignedDuration>,
    /// When its schedule last let it run since the request, as far as that is remembered.
    pub(super) woken_at: Option<Timestamp>,
    /// Until when it was exempt last, as far as that is remembered.
    pub(super) kept_until: Option<Timestamp>,
    /// When a boundary suspended it, where that is remembered and was not undone since.
    pub(super) asleep_since: Option<Timestamp>,
}

/// What time makes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// The stop that has come due, of several the one that leaves least.
    pub(super) due: Option<Stop>,
    /// What is to come, in no order.
    pub(super) coming: Vec<Coming>,
    /// When its schedule last let it run since the request: opened to it, or woke it after a boundary.
    pub(super) woken: Option<Timestamp>,
    /// That the request is held, and until when.
    pub(super) held: Option<Held>,
}

/// A change that time will bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coming {
    /// When.
    pub(super) at: Timestamp,
    /// By which rule.
    pub(super) rule: &'static str,
    /// What the app may be at most from then on, or is to be again.
    pub(super) level: Desired,
}

/// A request that waits until its schedule opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// When that is.
    pub(super) until: Timestamp,
    /// What the app may be at most until then.
    pub(super) at_most: Desired,
}

impl Times {
    /// What time makes of `ask` at `now`.
    pub(super) fn of(ask: &Ask<'_>, now: Timestamp) -> Self {
        let mut times = Self::default();
        if let Some(end) = planted!(ExpiryIgnored => None, else ask.expires_at) {
            let at = planted!(
                ExemptionBeatsExpiry => ask.keep_until.map_or(end, |until| until.max(end)),
                else end
            );
            times.stop(now, at, EXPIRES_AT, Desired::Destroyed);
        }
        if let Some(most) = ask.max_lifetime {
            let at = later(ask.requested_at, most);
            times.stop(now, at, MAX_LIFETIME, Desired::Destroyed);
        }
        if let Some(schedule) = planted!(CurfewForgotten => None, else ask.schedule) {
            times.days_of(ask, schedule, now);
        }
        times
    }

    fn stop(&mut self, now: Timestamp, at: Timestamp, rule: &'static str, level: Desired) {
        if at > now {
            self.coming.push(Coming { at, rule, level });
        } else if self.due.as_ref().is_none_or(|old| level < old.at_most) {
            self.due = Some(Stop {
                away_since: None,
                due: at,
                rule: rule.to_owned(),
                at_most: level,
                by: None,
            });
        }
    }

    /// The ends and beginnings of its days.
    fn days_of(&mut self, ask: &Ask<'_>, schedule: &Schedule, now: Timestamp) {
        let at_most = match schedule.action {
            CurfewAction::Destroy => Desired::Destroyed,
            CurfewAction::Suspend => planted!(NapDestroys => Desired::Destroyed, else Desired::Suspended),
        };
        let remembered = ask.woken_at.filter(|at| *at <= later(now, AHEAD_MAX));
        let opened = self.opening(ask, schedule, at_most, remembered, now);
        let Some(first) = first_end(ask, schedule, opened) else {
            return;
        };
        let exempt = ask.keep_until.unwrap_or(Timestamp::MIN);
        let kept =
            planted!(LapsedExemptionHolds => later(exempt, SignedDuration::from_hours(12)), else exempt);
        let mut due = first;
        if schedule.action == CurfewAction::Suspend {
            let slept = ask.asleep_since.map_or(first, |since| since.min(first));
            let wake = |now| {
                let latest = planted!(WakeIgnored => None, else schedule.latest_wake(now, ask.zone));
                latest.filter(|at| *at > slept)
            };
            self.woken = self.woken.max(wake(now)).max(remembered);
            // Whom the exemption keeps up beyond a wake begins a day there like anybody else.
            if let Some(woken) = wake(now.max(kept)).max(self.woken) {
                let Some(next) = schedule.next_boundary(woken, ask.zone) else {
                    return;
                };
                due = first.max(next);
            }
            self.nights(ask, schedule, first, now);
        }
        if kept > due {
            self.stop(now, kept, KEEP_UNTIL, at_most);
        } else {
            self.stop(now, due, CURFEW, at_most);
        }
        self.waking(ask, schedule, now);
    }

    /// Holds a request that is enforced to wait, and tells when it may begin. It is let in once: neither a clock that
    /// goes back nor a schedule that changes puts it out again.
    fn opening(
        &mut self,
        ask: &Ask<'_>,
        schedule: &Schedule,
        at_most: Desired,
        remembered: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if schedule.manual_start != ManualStart::Enforce || planted!(ClosingIgnored) {
            return None;
        }
        let opens = schedule.closed_until(ask.requested_at, ask.zone)?;
        match ask.keep_until.filter(|until| *until > now) {
            _ if remembered.is_some() => {}
            _ if opens <= now => {
                self.woken = Some(opens);
            }
            // Exempt until then, and shut out again if that ends first.
            Some(until) if until < opens => self.stop(now, until, KEEP_UNTIL, at_most),
            Some(_) => {}
            None => {
                self.held = Some(Held {
                    until: opens,
                    at_most,
                });
            }
        }
        Some(opens)
    }

    /// The night in which it is destroyed, since nobody asked for it in so many before, nor did an exemption hold in them.
    fn nights(&mut self, ask: &Ask<'_>, schedule: &Schedule, first: Timestamp, now: Timestamp) {
        let Some(nights) = planted!(NightsNotCounted => None, else schedule.destroy_after) else {
            return;
        };
        let kept = planted!(ExemptNightsCounted => None, else ask.keep_until.max(ask.kept_until));
        // What is exempt is not unused, whatever the exemption puts off.
        let begins = match kept {
            Some(until) => schedule
                .next_boundary(until, ask.zone)
                .map(|next| next.max(first)),
            None => Some(first),
        };
        let boundaries = (0..nights).try_fold(begins, |at, _| Some(schedule.next_boundary(at?, ask.zone)));
        if let Some(at) = boundaries.flatten() {
            self.stop(now, at, NIGHTS_UNUSED, Desired::Destroyed);
        }
    }

    /// When what is asleep, or falls asleep now, is woken.
    fn waking(&mut self, ask: &Ask<'_>, schedule: &Schedule, now: Timestamp) {
        let falls_asleep = self
            .due
            .as_ref()
            .filter(|stop| is_a_nap(stop))
            .map(|stop| stop.due);
        let woken = self.woken;
        let asleep = ask
            .asleep_since
            .filter(|since| woken.is_none_or(|woken| *since >= woken));
        let Some(since) = falls_asleep.max(asleep) else {
            return;
        };
        if let Some(at) = schedule.next_wake(now.max(since), ask.zone) {
            self.coming.push(Coming {
                at,
                rule: WAKE,
                level: Desired::Running,
            });
        }
    }
}

/// The first boundary that counts for a request.
fn first_end(ask: &Ask<'_>, schedule: &Schedule, opened: Option<Timestamp>) -> Option<Timestamp> {
    let next = |at| schedule.next_boundary(at, ask.zone);
    // Equal to the millisecond counts as asked after the boundary.
    let asked_at = planted!(
        BoundaryIsBefore => later(ask.requested_at, SignedDuration::from_nanos(-1)),
        else ask.requested_at
    );
    let first = next(opened.unwrap_or(asked_at))?;
    let passes_by = schedule.manual_start == ManualStart::Keep
        && schedule.closed_until(ask.requested_at, ask.zone).is_some();
    if passes_by { next(first) } else { Some(first) }
}

/// Whether the next wake ends this stop.
pub(super) fn is_a_nap(stop: &Stop) -> bool {
    stop.at_most == Desired::Suspended && matches!(stop.rule.as_str(), CURFEW | KEEP_UNTIL)
}

#[cfg(test)]
pub(super) mod tests;
