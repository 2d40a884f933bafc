//! The words of every way to show a simulation.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Life;
use crate::model::row::Desired;
use crate::planner::forecast::{Act, Change, Now};

/// What an app is between two changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Asleep,
    Held,
    Gone,
}

impl State {
    pub(super) fn at_first(now: Now) -> Self {
        match (now.level, now.held) {
            (Desired::Running, _) => Self::Up,
            (Desired::Suspended | Desired::Destroyed, Some(_)) => Self::Held,
            (Desired::Suspended, None) => Self::Asleep,
            (Desired::Destroyed, None) => Self::Gone,
        }
    }

    /// What it is after `change`; a warning changes nothing.
    pub(super) fn after(self, change: &Change) -> Self {
        match change.act {
            Act::Warn => self,
            Act::Start | Act::Resume => Self::Up,
            Act::Suspend | Act::Destroy if change.held => Self::Held,
            Act::Suspend => Self::Asleep,
            Act::Destroy => Self::Gone,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Asleep => "suspended",
            Self::Held => "held",
            Self::Gone => "gone",
        }
    }
}

pub(super) fn verb(act: Act) -> &'static str {
    match act {
        Act::Warn => "warn",
        Act::Start => "start",
        Act::Resume => "resume",
        Act::Suspend => "suspend",
        Act::Destroy => "destroy",
    }
}

/// A date with its weekday.
pub(super) fn day(date: Date) -> String {
    date.strftime("%a %F").to_string()
}

/// A time of the day as the clock on the wall shows it, with seconds where there are any.
pub(super) fn wall(at: Timestamp, zone: &TimeZone) -> String {
    let shown = zone.to_datetime(at);
    let form = if shown.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    shown.strftime(form).to_string()
}

/// A length of time, of at most two units, cut to whole seconds.
pub(super) fn long(length: SignedDuration) -> String {
    let secs = length.as_secs().unsigned_abs();
    let units = [
        (secs / 86_400, "d"),
        (secs / 3600 % 24, "h"),
        (secs / 60 % 60, "min"),
        (secs % 60, "s"),
    ];
    let parts = units.iter().filter(|(n, _)| *n > 0).take(2);
    let parts: Vec<String> = parts.map(|(n, unit)| format!("{n} {unit}")).collect();
    if parts.is_empty() {
        "0 s".to_owned()
    } else {
        parts.join(" ")
    }
}

/// So many of something.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {many}")
    }
}

/// The lives that look the same in every way, together, in the order of the first of each.
pub(super) fn alike<'a, 'p>(lives: &'a [Life<'p>]) -> Vec<Vec<&'a Life<'p>>> {
    let mut places: BTreeMap<_, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&Life<'p>>> = Vec::new();
    for life in lives {
        let first = (life.first.level, life.first.rule, life.first.held);
        let key = (
            &life.entry,
            life.schedule_name(),
            life.zone_name(),
            first,
            &life.changes,
            &life.notes,
        );
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(life);
    }
    groups
}

/// How many names are given before the rest are counted.
const NAMED: usize = 6;

/// The names of apps; of many, unless `all`, the first ones and how many more there are.
pub(super) fn names(ids: &[&str], all: bool) -> String {
    let shown = if all || ids.len() <= NAMED + 1 {
        ids.len()
    } else {
        NAMED
    };
    let text = ids[..shown].join(", ");
    match ids.len() - shown {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
