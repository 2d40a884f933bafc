//! Schedules: when an app is due to stop. A boundary is computed from the cron expression at `now`; no
//! timer has to fire for it to be true.
//!
//! Across changes of the clock, as `croner` 4 has it and the tests below hold it to: a boundary at a local
//! time that does not exist falls on the first instant after the gap; one that exists twice falls on the
//! first of the two.

use std::str::FromStr as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

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

/// A named schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name in the configuration.
    pub name: String,
    /// The zone its times are in, unless a row brings its own.
    pub time_zone: TimeZone,
    /// When apps are due to stop.
    pub teardown: Cron,
    /// What stopping means.
    pub action: CurfewAction,
}

/// A five-field cron expression: minute, hour, day of month, month, day of week.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    inner: croner::Cron,
}

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
        Ok(Self {
            text: text.to_owned(),
            inner,
        })
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The latest time at or before `now`, if there ever was one.
    pub fn latest(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let found = self
            .inner
            .find_previous_occurrence(&now.to_zoned(zone.clone()), true)
            .ok()?;
        Some(found.timestamp())
    }

    /// The first time after `now`, if there ever is one.
    pub fn next(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let found = self
            .inner
            .find_next_occurrence(&now.to_zoned(zone.clone()), false)
            .ok()?;
        Some(found.timestamp())
    }
}

impl Schedule {
    /// The latest boundary at or before `now`, in the row's zone or the schedule's.
    pub fn latest_boundary(&self, now: Timestamp, zone: Option<&TimeZone>) -> Option<Timestamp> {
        self.teardown.latest(now, zone.unwrap_or(&self.time_zone))
    }

    /// The next boundary after `now`.
    pub fn next_boundary(&self, now: Timestamp, zone: Option<&TimeZone>) -> Option<Timestamp> {
        self.teardown.next(now, zone.unwrap_or(&self.time_zone))
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
