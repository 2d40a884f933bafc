//! Cron expressions on a clock on the wall.
//!
//! Across changes of the clock, a time falls on the instant at which a clock on the wall first shows it, or a
//! later one: after a gap that skips it, and on the first of two where it comes twice. `croner` would treat
//! lists, ranges and steps differently from single times there, so it is only asked about the wall clock; what
//! instant that is is decided here, alike for every expression.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// A five-field cron expression: minute, hour, day of month, month, day of week.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    inner: croner::Cron,
    /// Whether it ever comes. One that does not, such as 31 February, is searched for through thousands of
    /// years, so that is found out once.
    comes: bool,
    found: Arc<Mutex<BTreeMap<String, Stretch>>>,
}

/// Times in one zone that were found before: a sweep asks the same of every app, and a search takes a hundred
/// times as long as a look at what it found. Every time between the first and the last is there.
#[derive(Debug, Default)]
struct Stretch(VecDeque<Timestamp>);

/// How many times are searched for ahead.
const AHEAD: usize = 16;
/// How many times may lie between those that are known and those that are asked for, until they are left out. That
/// covers the requests of most of a year where a day has one boundary.
const BETWEEN: usize = 256;
/// How many are kept. Rows choose zones, so it bounds memory.
const KEPT: usize = 1024;

/// The times around an instant: the latest that is not after it, and the first that is.
type Around = (Option<Timestamp>, Option<Timestamp>);

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Cron {
    /// Parses an expression; the error is for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.split_whitespace().count() != 5 {
            return Err("has not the five fields minute, hour, day of month, month, day of week".to_owned());
        }
        let inner = croner::Cron::from_str(text).map_err(|e| format!("is not a cron expression ({e})"))?;
        let comes = inner
            .find_next_occurrence(&jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0), true)
            .is_ok();
        Ok(Self {
            text: text.to_owned(),
            inner,
            comes,
            found: Arc::default(),
        })
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The latest time at or before `now`, if there ever was one.
    pub fn latest(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.around(now, zone).0
    }

    /// The first time after `now`, if there ever is one.
    pub fn next(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.around(now, zone).1
    }

    fn around(&self, now: Timestamp, zone: &TimeZone) -> Around {
        if !self.comes {
            return (None, None);
        }
        let Some(name) = zone.iana_name() else {
            return (self.search_back(now, zone), self.search_on(now, zone));
        };
        // Each change of a stretch leaves it whole, so a panic elsewhere does not make it worthless.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stretch) = found.get_mut(name) {
            return stretch.around(self, now, zone);
        }
        found.entry(name.to_owned()).or_default().around(self, now, zone)
    }

    fn search_back(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let shown = zone.to_datetime(now);
        // A clock that went back shows times that it has shown before; those up to the change are past.
        let mut wall = match zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Fold { before, .. } => before.to_datetime(now),
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => shown,
        };
        let mut inclusive = true;
        loop {
            wall = self.inner.find_previous_occurrence(&wall, inclusive).ok()?;
            inclusive = false;
            let at = first_shown(wall, zone)?;
            if at <= now {
                return Some(at);
            }
        }
    }

    fn search_on(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut wall = zone.to_datetime(now);
        loop {
            wall = self.inner.find_next_occurrence(&wall, false).ok()?;
            // What comes a second time is past already.
            let at = first_shown(wall, zone)?;
            if at > now {
                return Some(at);
            }
        }
    }
}

impl Stretch {
    fn around(&mut self, cron: &Cron, now: Timestamp, zone: &TimeZone) -> Around {
        if self.0.back().is_none_or(|last| *last <= now) {
            self.reach(cron, now, zone);
        }
        if !self.covers(now) {
            // Long before those that are known, before the first of all, or after the last.
            return (cron.search_back(now, zone), cron.search_on(now, zone));
        }
        let after = self.0.partition_point(|at| *at <= now);
        let latest = after.checked_sub(1).and_then(|at| self.0.get(at));
        (latest.copied(), self.0.get(after).copied())
    }

    fn covers(&self, now: Timestamp) -> bool {
        let ends = self.0.front().zip(self.0.back());
        ends.is_some_and(|(first, last)| *first <= now && now < *last)
    }

    /// Goes on to beyond `now`, or begins anew there where that is too far.
    fn reach(&mut self, cron: &Cron, now: Timestamp, zone: &TimeZone) {
        for _ in 0..BETWEEN / AHEAD {
            if self.0.is_empty() || self.covers(now) || !self.go_on(cron, zone) {
                break;
            }
        }
        if !self.covers(now) {
            self.0 = cron.search_back(now, zone).into_iter().collect();
            self.go_on(cron, zone);
        }
        self.0.drain(..self.0.len().saturating_sub(KEPT));
    }

    /// Whether there are any more.
    fn go_on(&mut self, cron: &Cron, zone: &TimeZone) -> bool {
        for _ in 0..AHEAD {
            let last = self.0.back();
            let Some(next) = last.and_then(|last| cron.search_on(*last, zone)) else {
                return false;
            };
            self.0.push_back(next);
        }
        true
    }
}

/// When a clock in this zone first shows `wall`, or a later time where it skips that one.
pub(super) fn first_shown(wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let shown = zone.to_ambiguous_timestamp(wall);
    match shown.offset() {
        // Read with the offset that only holds after the gap, the time lies before the change.
        AmbiguousOffset::Gap { after, .. } => {
            let before_change = after.to_timestamp(wall).ok()?;
            let change = zone.following(before_change).next()?;
            Some(change.timestamp())
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => shown.earlier().ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::schedule::later;
    use super::*;
    use jiff::SignedDuration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Where `cron` in `zone` was due last and is due next, seen from `now`.
    #[track_caller]
    fn check(cron: &str, zone: &str, now: &str, latest: &str, next: &str) {
        let cron = Cron::parse(cron).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        assert_eq!(cron.latest(at(now), &zone), Some(at(latest)), "latest");
        assert_eq!(cron.next(at(now), &zone), Some(at(next)), "next");
    }

    #[test]
    fn a_boundary_counts_from_its_very_instant_on() {
        let berlin = |now, latest, next| check("0 19 * * *", "Europe/Berlin", now, latest, next);
        berlin(
            "2026-11-20T17:59:59.999999999Z",
            "2026-11-19T18:00:00Z",
            "2026-11-20T18:00:00Z",
        );
        berlin(
            "2026-11-20T18:00:00Z",
            "2026-11-20T18:00:00Z",
            "2026-11-21T18:00:00Z",
        );
        berlin(
            "2026-11-20T18:00:00.000000001Z",
            "2026-11-20T18:00:00Z",
            "2026-11-21T18:00:00Z",
        );
        berlin(
            "2026-11-20T18:00:00.999Z",
            "2026-11-20T18:00:00Z",
            "2026-11-21T18:00:00Z",
        );
    }

    #[test]
    fn a_time_that_a_clock_going_forward_skips_falls_on_the_first_instant_after() {
        // 2026-03-29, 02:00 becomes 03:00 at 01:00 UTC.
        let berlin = |cron, now, latest, next| check(cron, "Europe/Berlin", now, latest, next);
        berlin(
            "30 2 * * *",
            "2026-03-29T00:59:59Z",
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
        );
        berlin(
            "30 2 * * *",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z",
        );
        // A list and a range obey the same rule as a single time, and what falls together comes once.
        berlin(
            "15,45 2,3 * * *",
            "2026-03-29T00:59:59Z",
            "2026-03-28T02:45:00Z",
            "2026-03-29T01:00:00Z",
        );
        berlin(
            "15,45 2,3 * * *",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:15:00Z",
        );
        // 2026-03-08, 02:00 becomes 03:00 at 07:00 UTC.
        check(
            "0 2 * * *",
            "America/New_York",
            "2026-03-08T06:59:59Z",
            "2026-03-07T07:00:00Z",
            "2026-03-08T07:00:00Z",
        );
        // 2026-10-04, 02:00 becomes 02:30 at 15:30 UTC the day before.
        let lord_howe = |cron, now, latest, next| check(cron, "Australia/Lord_Howe", now, latest, next);
        lord_howe(
            "15 2 * * *",
            "2026-10-03T15:29:59Z",
            "2026-10-02T15:45:00Z",
            "2026-10-03T15:30:00Z",
        );
        lord_howe(
            "30 2 * * *",
            "2026-10-03T15:29:59Z",
            "2026-10-02T16:00:00Z",
            "2026-10-03T15:30:00Z",
        );
    }

    #[test]
    fn a_time_that_a_clock_going_back_shows_twice_falls_on_the_first() {
        // 2026-10-25, 03:00 becomes 02:00 at 01:00 UTC: 02:30 is 00:30 UTC and again 01:30 UTC.
        let berlin = |cron, now, latest, next| check(cron, "Europe/Berlin", now, latest, next);
        berlin(
            "30 2 * * *",
            "2026-10-25T00:29:59Z",
            "2026-10-24T00:30:00Z",
            "2026-10-25T00:30:00Z",
        );
        berlin(
            "30 2 * * *",
            "2026-10-25T00:30:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        );
        berlin(
            "30 2 * * *",
            "2026-10-25T01:30:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        );
        // Seen from the second 02:10, the first 02:30 is past.
        berlin(
            "30 2 * * *",
            "2026-10-25T01:10:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        );
        berlin(
            "*/30 * * * *",
            "2026-10-25T01:10:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T02:00:00Z",
        );
        // 2026-11-01, 02:00 becomes 01:00 at 06:00 UTC.
        check(
            "30 1 * * *",
            "America/New_York",
            "2026-11-01T06:45:00Z",
            "2026-11-01T05:30:00Z",
            "2026-11-02T06:30:00Z",
        );
        // 2026-04-05, 02:00 becomes 01:30 at 15:00 UTC the day before.
        check(
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T15:20:00Z",
            "2026-04-04T14:45:00Z",
            "2026-04-05T15:15:00Z",
        );
    }

    #[test]
    fn a_leap_day_comes_every_four_years() {
        check(
            "0 19 29 2 *",
            "Europe/Berlin",
            "2027-01-01T00:00:00Z",
            "2024-02-29T18:00:00Z",
            "2028-02-29T18:00:00Z",
        );
        // 2100 has none.
        check(
            "0 19 29 2 *",
            "UTC",
            "2098-01-01T00:00:00Z",
            "2096-02-29T19:00:00Z",
            "2104-02-29T19:00:00Z",
        );
    }

    #[test]
    fn the_last_day_of_a_month_is_its_own() {
        check(
            "0 19 L * *",
            "UTC",
            "2028-02-15T00:00:00Z",
            "2028-01-31T19:00:00Z",
            "2028-02-29T19:00:00Z",
        );
        check(
            "0 19 L * *",
            "UTC",
            "2026-02-28T19:00:00Z",
            "2026-02-28T19:00:00Z",
            "2026-03-31T19:00:00Z",
        );
    }

    #[test]
    fn a_time_that_never_comes_is_never_due() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for text in ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
            let cron = Cron::parse(text).unwrap();
            assert_eq!(cron.latest(at("2026-11-20T18:00:00Z"), &zone), None, "{text}");
            assert_eq!(cron.next(at("2026-11-20T18:00:00Z"), &zone), None, "{text}");
        }
    }

    /// A pass asks twice and a sweep plans every app, so no expression may take more than a blink. The
    /// bound is coarse: a search through thousands of years misses it by far, a busy machine does not.
    #[test]
    fn rare_times_are_found_as_fast_as_common_ones() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for text in [
            "0 19 * * *",
            "0 19 1 1 *",
            "0 19 29 2 *",
            "0 0 31 2 *",
            "59 23 31 12 *",
            "* * * * *",
            "0 19 * * 5#L",
        ] {
            let cron = Cron::parse(text).unwrap();
            let began = tokio::time::Instant::now();
            for day in 0..200 {
                let now = later(at("2026-03-20T18:30:30Z"), SignedDuration::from_hours(24 * day));
                assert_eq!(cron.latest(now, &zone).is_some(), cron.next(now, &zone).is_some());
            }
            let took = began.elapsed();
            assert!(
                took < std::time::Duration::from_secs(4),
                "{text}: 400 searches took {took:?}"
            );
        }
    }

    /// What was found before is only ever a faster way to the same answer.
    #[test]
    fn it_is_told_alike_in_whatever_order_it_is_asked() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for text in ["0 19 * * *", "*/20 * * * *", "0 19 29 2 *"] {
            let asked = Cron::parse(text).unwrap();
            // Back and forth, near and far, and further than a stretch is kept.
            for step in 0_i64..300 {
                let hours = (step * 7919) % 900 * if step % 5 == 0 { 60 } else { 1 };
                let now = later(at("2026-03-20T18:30:30Z"), SignedDuration::from_hours(hours));
                let fresh = Cron::parse(text).unwrap();
                assert_eq!(
                    asked.latest(now, &zone),
                    fresh.search_back(now, &zone),
                    "{text} {now}"
                );
                assert_eq!(
                    asked.next(now, &zone),
                    fresh.search_on(now, &zone),
                    "{text} {now}"
                );
            }
            let found = asked.found.lock().unwrap();
            assert!(found.values().all(|stretch| stretch.0.len() <= KEPT));
        }
    }

    #[test]
    fn the_ends_of_time_are_no_trouble() {
        let zone = TimeZone::get("Pacific/Kiritimati").unwrap();
        for text in ["0 19 * * *", "* * * * *", "0 0 29 2 *"] {
            let cron = Cron::parse(text).unwrap();
            assert!(
                cron.latest(Timestamp::MAX, &zone)
                    .is_none_or(|at| at <= Timestamp::MAX)
            );
            assert_eq!(cron.next(Timestamp::MAX, &zone), None);
            assert!(
                cron.next(Timestamp::MIN, &zone)
                    .is_none_or(|at| at > Timestamp::MIN)
            );
            assert_eq!(cron.latest(Timestamp::MIN, &zone), None);
        }
    }

    #[test]
    fn an_expression_that_would_be_misread_is_refused() {
        for bad in [
            "",
            "* * * *",
            "0 0 19 * * *",
            "60 19 * * *",
            "0 24 * * *",
            "0 19 * * FRI-MON",
            "0 19 32 * *",
            "@daily",
            "a b c d e",
        ] {
            assert!(Cron::parse(bad).is_err(), "{bad}");
        }
    }
}
