//! Reads schedules and finds those that can't mean what they say: a wake while everything is closed, a stop that
//! nothing can reach. What a schedule does at a given time is the model's business.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::rule::{Wrong, choice, duration, show};
use super::section::Section;
use super::{days, values};
use crate::model::schedule::{Cron, CurfewAction, ManualStart, Schedule};

const ACTIONS: [(&str, CurfewAction); 2] = [
    ("destroy", CurfewAction::Destroy),
    ("suspend", CurfewAction::Suspend),
];
const STARTS: [(&str, ManualStart); 3] = [
    ("until-next-stop", ManualStart::UntilNextStop),
    ("keep", ManualStart::Keep),
    ("enforce", ManualStart::Enforce),
];

/// The longest that a schedule may be closed after a boundary, and the earliest that it may warn of one.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// Lints look at a year from here on, in which every weekday, month and change of a clock comes; any will do.
const LINTED_FROM: i64 = 1_767_225_600;
const LINTED_FOR: SignedDuration = SignedDuration::from_hours(366 * 24);
/// Of a schedule with more times than this in a year the first ones tell enough.
const LINTED_MAX: usize = 2000;

/// The schedules that can be read, and the names of all.
pub(super) fn schedules(root: &mut Section<'_>) -> (BTreeMap<String, Schedule>, BTreeSet<String>) {
    let mut schedules = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (name, mut section) in root.named("schedules", &values::label()) {
        names.insert(name.clone());
        if let Some(schedule) = schedule(&name, &mut section) {
            lint(&section, &schedule);
            schedules.insert(name, schedule);
        }
        section.finish();
    }
    (schedules, names)
}

fn schedule(name: &str, section: &mut Section<'_>) -> Option<Schedule> {
    let time_zone = section.required("time_zone", &values::zone());
    let teardown = section.required("teardown", &values::cron());
    let action = section.or_default("action", &choice(&ACTIONS), "destroy");
    let closed_for = section.optional("closed_for", &duration(MINUTE, WEEK));
    let manual_start = section.or_default("manual_start", &choice(&STARTS), "until-next-stop");
    let days_off = days::off(section);
    let wake = section.optional("wake", &values::wake());
    let nights = section.integer_or("destroy_after", &(1..=400), "never");
    let warn_before = section.optional("warn_before", &duration(MINUTE, WEEK));
    Some(Schedule {
        action,
        closed_for,
        wake,
        destroy_after: nights,
        warn_before,
        days_off,
        manual_start,
        ..Schedule::new(name, time_zone?, teardown?)
    })
}

/// Notes what contradicts itself, each with the way out. Of what was not understood nothing more is said.
fn lint(section: &Section<'_>, schedule: &Schedule) {
    lint_action(section, schedule);
    lint_manual_start(section, schedule);
    if section.sound(&["closed_for", "warn_before"]) {
        lint_gaps(section, schedule);
    }
    if section.sound(&["closed_for", "wake", "warn_before"]) {
        lint_wake(section, schedule);
    }
}

/// What is only about suspended apps is no part of a schedule that destroys.
fn lint_action(section: &Section<'_>, schedule: &Schedule) {
    if schedule.action == CurfewAction::Suspend || !section.sound(&["action"]) {
        return;
    }
    for (key, given, what) in [
        ("wake", schedule.wake.is_some(), "nothing is left to wake"),
        (
            "destroy_after",
            schedule.destroy_after.is_some(),
            "nothing is left to destroy",
        ),
    ] {
        if given {
            let problem = format!("has no effect: the schedule destroys, so {what}");
            let remedy = "set action = \"suspend\", or leave it out";
            section.wrong(key, Wrong::new(problem, remedy));
        }
    }
}

fn lint_manual_start(section: &Section<'_>, schedule: &Schedule) {
    let closes = ["closed_for", "days_off", "days_off_file"]
        .iter()
        .any(|key| section.has(key));
    if schedule.manual_start != ManualStart::UntilNextStop && !closes {
        let problem = "is about requests while the schedule is closed, and it never is";
        let remedy = "give closed_for or days_off, or leave it out";
        section.wrong("manual_start", Wrong::new(problem, remedy));
    }
}

/// What does not fit between two boundaries.
fn lint_gaps(section: &Section<'_>, schedule: &Schedule) {
    let zone = &schedule.time_zone;
    let Some((shortest, longest)) = gaps(schedule) else {
        return;
    };
    let (ends, gap) = (local(shortest.ends, zone), shortest.length);
    if let Some(closed) = schedule.closed_for.filter(|closed| *closed >= gap) {
        let wrong = if closed >= longest.length {
            let problem = format!(
                "{} always reaches the next teardown: it would never open",
                show(closed)
            );
            Wrong::new(problem, "give less, or fewer times of teardown")
        } else {
            let problem = format!(
                "{} reaches the teardown of {ends}, which comes {} after another: nothing that may run can reach that one",
                show(closed),
                show(gap)
            );
            Wrong::new(problem, "give less, or leave that time out of teardown")
        };
        section.wrong("closed_for", wrong);
    } else if let Some(warned) = schedule.warn_before.filter(|warned| *warned >= gap) {
        let problem = format!(
            "{} is not shorter than the {} between the teardown of {ends} and the one before",
            show(warned),
            show(gap)
        );
        section.wrong(
            "warn_before",
            Wrong::new(problem, format!("give less than {}", show(gap))),
        );
    }
}

/// A wake while all is closed, at the very time of a stop, or so late before one that its warning comes first.
fn lint_wake(section: &Section<'_>, schedule: &Schedule) {
    let Some(wake) = schedule
        .wake
        .as_ref()
        .filter(|_| schedule.action == CurfewAction::Suspend)
    else {
        return;
    };
    let zone = &schedule.time_zone;
    let without_days_off = Schedule {
        days_off: BTreeSet::new(),
        ..schedule.clone()
    };
    for at in year_of(wake, zone) {
        let shown = local(at, zone);
        let left = schedule.next_boundary(at, None).map(|next| apart(at, next, zone));
        let late = schedule
            .warn_before
            .zip(left)
            .filter(|(warned, left)| warned >= left);
        let (key, wrong) = if schedule.latest_boundary(at, None) == Some(at) {
            let remedy = "move it to a time between two teardowns, or move teardown";
            (
                "wake",
                Wrong::new(format!("comes at the very time of a teardown, {shown}"), remedy),
            )
        } else if let Some(opens) = without_days_off.closed_until(at, None) {
            let opens = local(opens, zone);
            let problem = format!("comes at {shown}, when the schedule is closed until {opens}");
            let remedy = "move it to when the schedule is open, or shorten closed_for";
            ("wake", Wrong::new(problem, remedy))
        } else if let Some((warned, left)) = late {
            let problem = format!(
                "{} is not shorter than the {} between the wake at {shown} and the next teardown",
                show(warned),
                show(left)
            );
            (
                "warn_before",
                Wrong::new(problem, format!("give less than {}", show(left))),
            )
        } else {
            continue;
        };
        section.wrong(key, wrong);
        return;
    }
}

/// The time between two boundaries.
#[derive(Clone, Copy)]
struct Gap {
    length: SignedDuration,
    ends: Timestamp,
}

/// The shortest and the longest time between boundaries that follow on each other.
fn gaps(schedule: &Schedule) -> Option<(Gap, Gap)> {
    let zone = &schedule.time_zone;
    let mut found: Option<(Gap, Gap)> = None;
    let mut last: Option<Timestamp> = None;
    for ends in year_of(&schedule.teardown, zone) {
        if let Some(begins) = last {
            let gap = Gap {
                length: apart(begins, ends, zone),
                ends,
            };
            let (shortest, longest) = found.unwrap_or((gap, gap));
            found = Some((
                if gap.length < shortest.length {
                    gap
                } else {
                    shortest
                },
                if gap.length > longest.length { gap } else { longest },
            ));
        }
        last = Some(ends);
    }
    found
}

/// How far apart two times are by the clock on the wall, so that a change of the clock makes no mistake of a schedule.
fn apart(from: Timestamp, to: Timestamp, zone: &TimeZone) -> SignedDuration {
    zone.to_datetime(to).duration_since(zone.to_datetime(from))
}

fn year_of<'a>(cron: &'a Cron, zone: &'a TimeZone) -> impl Iterator<Item = Timestamp> + 'a {
    let from = Timestamp::from_second(LINTED_FROM).unwrap_or(Timestamp::UNIX_EPOCH);
    let next = move |at: Timestamp| cron.next(at, zone);
    std::iter::successors(next(from), move |at| next(*at))
        .take_while(move |at| at.duration_since(from) < LINTED_FOR)
        .take(LINTED_MAX)
}

fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %F %H:%M").to_string()
}
