//! Schedules: when an app is due to stop, when it may start, and when it is woken. Everything is computed from
//! cron expressions at `now`; no timer has to fire for it to be true. How a time falls when a clock changes is
//! in `cron`.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use super::cron::Cron;
use super::cron::first_shown;

/// What happens to an app at the end of its day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CurfewAction {
    /// Nothing is left of it.
    #[default]
    Destroy,
    /// Its tasks stop; the rest stays.
    Suspend,
}

/// What becomes of a request that is made while the schedule is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManualStart {
    /// It is carried out, and the app stops at the next boundary as any other.
    #[default]
    UntilNextStop,
    /// It is carried out, and the next boundary passes it by: the one after that stops it.
    Keep,
    /// It waits until the schedule opens.
    Enforce,
}

/// A named schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its name in the configuration.
    pub name: String,
    /// The zone its times are in, unless a row brings its own.
    pub time_zone: TimeZone,
    /// When apps are due to stop: its boundaries.
    pub teardown: Cron,
    /// What stopping means.
    pub action: CurfewAction,
    /// For how long after a boundary it is closed, by the clock on the wall: twelve hours from 19:00 end at 07:00,
    /// also in a night in which clocks change.
    pub closed_for: Option<SignedDuration>,
    /// When apps that a boundary suspended run again.
    pub wake: Option<Cron>,
    /// After how many nights an app that it suspends, and that nobody asked for since, is destroyed. A night
    /// begins with each boundary.
    pub destroy_after: Option<u32>,
    /// How long before a stop its owner is warned.
    pub warn_before: Option<SignedDuration>,
    /// Days on which nothing is woken, and on which it is closed from midnight to midnight. Boundaries come
    /// on them as on any other: stopping is always safe.
    pub days_off: BTreeSet<Date>,
    /// What becomes of requests while it is closed.
    pub manual_start: ManualStart,
}

/// How many nights and days off may follow on each other without a gap before that counts as closed for ever.
const CLOSINGS_MAX: usize = 1000;

impl Schedule {
    /// A schedule that destroys at each boundary and is otherwise as plain as can be.
    pub fn new(name: impl Into<String>, time_zone: TimeZone, teardown: Cron) -> Self {
        Self {
            name: name.into(),
            time_zone,
            teardown,
            action: CurfewAction::Destroy,
            closed_for: None,
            wake: None,
            destroy_after: None,
            warn_before: None,
            days_off: BTreeSet::new(),
            manual_start: ManualStart::UntilNextStop,
        }
    }

    /// The zone that counts for an app: its row's, else the schedule's.
    pub fn zone<'a>(&'a self, own: Option<&'a TimeZone>) -> &'a TimeZone {
        own.unwrap_or(&self.time_zone)
    }

    /// The latest boundary at or before `now`, in the row's zone or the schedule's.
    pub fn latest_boundary(&self, now: Timestamp, zone: Option<&TimeZone>) -> Option<Timestamp> {
        self.teardown.latest(now, self.zone(zone))
    }

    /// The next boundary after `now`.
    pub fn next_boundary(&self, now: Timestamp, zone: Option<&TimeZone>) -> Option<Timestamp> {
        self.teardown.next(now, self.zone(zone))
    }

    /// Until when it is closed, if it is at `now`: nights and days off that touch each other count as one.
    pub fn closed_until(&self, now: Timestamp, zone: Option<&TimeZone>) -> Option<Timestamp> {
        let zone = self.zone(zone);
        let mut until = now;
        for _ in 0..CLOSINGS_MAX {
            let ends = [self.night_ends(until, zone), self.day_off_ends(until, zone)];
            match ends.into_iter().flatten().max() {
                Some(end) if end > until => until = end,
                Some(_) | None => break,
            }
        }
        (until > now).then_some(until)
    }

    fn night_ends(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let length = self.closed_for?;
        let boundary = self.teardown.latest(now, zone)?;
        let opens = zone.to_datetime(boundary).checked_add(length).ok()?;
        first_shown(opens, zone)
    }

    fn day_off_ends(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = zone.to_datetime(now).date();
        if !self.days_off.contains(&today) || planted!(DaysOffIgnored) {
            return None;
        }
        first_shown(today.tomorrow().ok()?.at(0, 0, 0, 0), zone)
    }

    /// The latest time at or before `now` at which it woke what was suspended.
    pub fn latest_wake(&self, now: Timestamp, zone: Option<&TimeZone>) -> Option<Timestamp> {
        let (zone, wake) = (self.zone(zone), self.wake.as_ref()?);
        let mut at = wake.latest(now, zone)?;
        for _ in 0..CLOSINGS_MAX {
            if !self.is_off(at, zone) {
                return Some(at);
            }
            let before = at.checked_sub(SignedDuration::from_nanos(1)).ok()?;
            at = wake.latest(before, zone)?;
        }
        None
    }

    /// The next time after `now` at which it wakes what is suspended.
    pub fn next_wake(&self, now: Timestamp, zone: Option<&TimeZone>) -> Option<Timestamp> {
        let (zone, wake) = (self.zone(zone), self.wake.as_ref()?);
        let mut at = wake.next(now, zone)?;
        for _ in 0..CLOSINGS_MAX {
            if !self.is_off(at, zone) {
                return Some(at);
            }
            at = wake.next(at, zone)?;
        }
        None
    }

    fn is_off(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let any = !self.days_off.is_empty() && !planted!(DaysOffIgnored);
        any && self.days_off.contains(&zone.to_datetime(at).date())
    }
}

/// `base + delta`, kept inside what a timestamp can hold.
pub fn later(base: Timestamp, delta: SignedDuration) -> Timestamp {
    base.checked_add(delta).unwrap_or(if delta.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Suspends at 19:00 in Berlin, is closed for twelve hours, wakes at 07:30 on weekdays.
    fn office() -> Schedule {
        Schedule {
            action: CurfewAction::Suspend,
            closed_for: Some(SignedDuration::from_hours(12)),
            wake: Some(Cron::parse("30 7 * * MON-FRI").unwrap()),
            ..Schedule::new(
                "office",
                TimeZone::get("Europe/Berlin").unwrap(),
                Cron::parse("0 19 * * *").unwrap(),
            )
        }
    }

    fn off(days: &[&str]) -> BTreeSet<Date> {
        days.iter().map(|day| day.parse().unwrap()).collect()
    }

    /// aws-solutions/instance-scheduler-on-aws#39, #204: over midnight, and where clocks change.
    #[test]
    fn a_night_begins_with_its_boundary_and_ends_by_the_clock_on_the_wall() {
        let schedule = office();
        let closed = |now| schedule.closed_until(at(now), None);
        assert_eq!(closed("2026-11-20T17:59:59.999Z"), None);
        assert_eq!(closed("2026-11-20T18:00:00Z"), Some(at("2026-11-21T06:00:00Z")));
        assert_eq!(
            closed("2026-11-21T05:59:59.999Z"),
            Some(at("2026-11-21T06:00:00Z"))
        );
        assert_eq!(closed("2026-11-21T06:00:00Z"), None);
        // Of 23 hours and of 25: both nights end at 07:00.
        assert_eq!(closed("2026-03-29T02:00:00Z"), Some(at("2026-03-29T05:00:00Z")));
        assert_eq!(closed("2026-10-25T00:00:00Z"), Some(at("2026-10-25T06:00:00Z")));
        // Over the end of the year.
        assert_eq!(closed("2026-12-31T23:30:00Z"), Some(at("2027-01-01T06:00:00Z")));
    }

    /// aws-solutions/instance-scheduler-on-aws#48, #145.
    #[test]
    fn a_closed_time_goes_over_the_end_of_the_week() {
        let schedule = Schedule {
            closed_for: Some(SignedDuration::from_hours(60)),
            ..Schedule::new(
                "weekend",
                TimeZone::get("Europe/Berlin").unwrap(),
                Cron::parse("0 19 * * FRI").unwrap(),
            )
        };
        let closed = |now| schedule.closed_until(at(now), None);
        assert_eq!(closed("2026-11-20T17:00:00Z"), None);
        // Friday 19:00 to Monday 07:00, and the same where the weekend has an hour less.
        assert_eq!(closed("2026-11-22T12:00:00Z"), Some(at("2026-11-23T06:00:00Z")));
        assert_eq!(closed("2026-03-29T12:00:00Z"), Some(at("2026-03-30T05:00:00Z")));
    }

    #[test]
    fn a_night_that_ends_where_the_clock_skips_ends_with_the_gap() {
        let schedule = Schedule {
            closed_for: Some(SignedDuration::from_mins(450)),
            ..office()
        };
        // 19:00 and seven and a half hours are 02:30, which 2026-03-29 has not.
        assert_eq!(
            schedule.closed_until(at("2026-03-29T00:00:00Z"), None),
            Some(at("2026-03-29T01:00:00Z"))
        );
    }

    #[test]
    fn days_off_are_closed_whole_and_join_the_nights_around_them() {
        let schedule = Schedule {
            days_off: off(&["2026-12-24", "2026-12-25"]),
            ..office()
        };
        let closed = |now| schedule.closed_until(at(now), None);
        // Wednesday's night, two days off with the night between, and the night after them.
        assert_eq!(closed("2026-12-23T18:00:00Z"), Some(at("2026-12-26T06:00:00Z")));
        assert_eq!(closed("2026-12-24T12:00:00Z"), Some(at("2026-12-26T06:00:00Z")));
        assert_eq!(closed("2026-12-23T12:00:00Z"), None);
        let without_nights = Schedule {
            closed_for: None,
            ..schedule.clone()
        };
        assert_eq!(
            without_nights.closed_until(at("2026-12-24T12:00:00Z"), None),
            Some(at("2026-12-25T23:00:00Z"))
        );
    }

    #[test]
    fn what_is_always_closed_has_an_end_all_the_same() {
        let schedule = Schedule {
            closed_for: Some(SignedDuration::from_hours(24)),
            ..office()
        };
        assert!(
            schedule.closed_until(at("2026-12-24T12:00:00Z"), None).unwrap() > at("2028-01-01T00:00:00Z")
        );
    }

    /// aws-solutions/instance-scheduler-on-aws#515, #206: holidays.
    #[test]
    fn nothing_is_woken_on_a_day_off() {
        let schedule = Schedule {
            days_off: off(&["2026-11-23", "2026-11-24"]),
            ..office()
        };
        // Monday and Tuesday are off; the weekend has no wake anyway.
        let now = at("2026-11-24T12:00:00Z");
        assert_eq!(schedule.latest_wake(now, None), Some(at("2026-11-20T06:30:00Z")));
        assert_eq!(schedule.next_wake(now, None), Some(at("2026-11-25T06:30:00Z")));
        let friday = at("2026-11-20T06:30:00Z");
        assert_eq!(schedule.latest_wake(friday, None), Some(friday));
        assert_eq!(schedule.next_wake(friday, None), Some(at("2026-11-25T06:30:00Z")));
    }

    #[test]
    fn a_day_off_is_that_of_the_apps_own_zone() {
        let schedule = Schedule {
            closed_for: None,
            days_off: off(&["2026-12-25"]),
            ..office()
        };
        let (auckland, now) = (
            TimeZone::get("Pacific/Auckland").unwrap(),
            at("2026-12-24T12:00:00Z"),
        );
        assert_eq!(schedule.closed_until(now, None), None);
        assert_eq!(
            schedule.closed_until(now, Some(&auckland)),
            Some(at("2026-12-25T11:00:00Z"))
        );
    }

    #[test]
    fn a_day_that_a_zone_left_out_ends_with_the_one_before() {
        // Samoa had no 30 December 2011.
        let apia = TimeZone::get("Pacific/Apia").unwrap();
        let schedule = Schedule {
            closed_for: None,
            days_off: off(&["2011-12-29", "2011-12-30"]),
            ..office()
        };
        assert_eq!(
            schedule.closed_until(at("2011-12-30T00:00:00Z"), Some(&apia)),
            Some(at("2011-12-30T10:00:00Z"))
        );
    }
}
