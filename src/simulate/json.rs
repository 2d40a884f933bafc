//! A simulation for programs. `docs/simulate.md` describes it; within version 1 fields are added, and none is renamed.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use super::parts::verb;
use super::{Life, Simulation, calendar};
use crate::client::paper;
use crate::model::row::{Desired, Problem};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    version: u8,
    from: Timestamp,
    to: Timestamp,
    apps: Vec<One<'a>>,
    special_days: Vec<SpecialDay>,
    invalid: Vec<Refused<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    id: &'a str,
    user: &'a str,
    app: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<&'a str>,
    time_zone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_until: Option<Timestamp>,
    first: First,
    changes: Vec<Step>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct First {
    level: Desired,
    rule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    at: Timestamp,
    local: String,
    action: &'static str,
    rule: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    held: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpecialDay {
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    time_zone: String,
    date: String,
    off: bool,
    clocks_forward_seconds: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused<'a> {
    id: &'a str,
    problems: &'a [Problem],
    runs_on: bool,
}

/// Prints a simulation.
pub fn json(simulation: &Simulation<'_>, out: &mut dyn Write) -> io::Result<()> {
    let invalid = simulation.invalid.iter().map(|row| Refused {
        id: row.id.as_str(),
        problems: &row.problems,
        runs_on: row.runs_on,
    });
    let whole = Whole {
        version: 1,
        from: simulation.span.from,
        to: simulation.span.to,
        apps: simulation.lives.iter().map(one).collect(),
        special_days: special_days(simulation),
        invalid: invalid.collect(),
        notes: &simulation.notes,
    };
    paper::json(out, &whole)
}

fn one<'a>(life: &'a Life<'_>) -> One<'a> {
    let changes = life.changes.iter().map(|change| Step {
        at: change.at,
        local: change
            .at
            .to_zoned(life.zone.clone())
            .strftime("%FT%T%:z")
            .to_string(),
        action: verb(change.act),
        rule: change.rule,
        held: change.held,
    });
    One {
        id: life.id.as_str(),
        user: &life.user,
        app: &life.entry,
        schedule: life.schedule.map(|schedule| schedule.name.as_str()),
        time_zone: life.zone_name(),
        keep_until: life.keep_until,
        first: First {
            level: life.first.level,
            rule: life.first.rule,
            held_until: life.first.held,
        },
        changes: changes.collect(),
        notes: &life.notes,
    }
}

/// The days off and those on which clocks change, for each schedule and zone that is used.
fn special_days(simulation: &Simulation<'_>) -> Vec<SpecialDay> {
    let mut used: BTreeMap<(&str, &str), &Life<'_>> = BTreeMap::new();
    for life in &simulation.lives {
        used.entry((life.schedule_name(), life.zone_name()))
            .or_insert(life);
    }
    let mut found = Vec::new();
    for life in used.into_values() {
        let days = calendar::days(simulation.span, &life.zone, life.schedule);
        let special = days.into_iter().filter(|day| day.off || day.clocks.is_some());
        found.extend(special.map(|day| SpecialDay {
            schedule: life.schedule.map(|schedule| schedule.name.clone()),
            time_zone: life.zone_name().to_owned(),
            date: day.date.to_string(),
            off: day.off,
            clocks_forward_seconds: day.clocks.map_or(0, |clocks| clocks.by.as_secs()),
        }));
    }
    found
}
