//! A simulation for people: for each app, or all that are alike, a line for each day on which something happens, and for
//! the days between. Days that are the same are one line.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::calendar::{self, Day};
use super::parts::{self, State, alike, count, long, names, verb, wall};
use super::{Invalid, Life, Simulation, Span};
use crate::client::paper::shown;
use crate::planner::forecast::Change;

/// Prints a simulation. `all`: every app is named.
pub fn people(simulation: &Simulation<'_>, all: bool, out: &mut dyn Write) -> io::Result<()> {
    let Span { from, to } = simulation.span;
    let utc = |at: jiff::Timestamp| at.strftime("%a %F %H:%M UTC").to_string();
    let apps = count(simulation.lives.len(), "app", "apps");
    writeln!(out, "{} to {}, {apps}.", utc(from), utc(to))?;
    for note in &simulation.notes {
        writeln!(out, "{}", shown(note))?;
    }
    let mut calendars: BTreeMap<(String, String), Vec<Day>> = BTreeMap::new();
    for group in alike(&simulation.lives) {
        let life = group[0];
        let key = (life.schedule_name().to_owned(), life.zone_name().to_owned());
        let days = calendars
            .entry(key)
            .or_insert_with(|| calendar::days(simulation.span, &life.zone, life.schedule));
        writeln!(out)?;
        title(&group, all, out)?;
        lines(life, days, out)?;
    }
    refused(&simulation.invalid, out)
}

fn title(group: &[&Life<'_>], all: bool, out: &mut dyn Write) -> io::Result<()> {
    let life = group[0];
    let ids: Vec<&str> = group.iter().map(|life| life.id.as_str()).collect();
    let whose = match group {
        [life] => format!("{} of {}", life.entry, life.user),
        _ => life.entry.clone(),
    };
    let days = match life.schedule {
        Some(schedule) => format!("schedule {}, {}", schedule.name, life.zone_name()),
        None => format!("no schedule, {}", life.zone_name()),
    };
    writeln!(
        out,
        "{}",
        shown(&format!("{}: {whose}, {days}", names(&ids, all)))
    )?;
    let state = State::at_first(life.first);
    let since = life.first.held.map_or_else(String::new, |until| {
        format!(
            " until {} {}",
            parts::day(life.zone.to_datetime(until).date()),
            wall(until, &life.zone)
        )
    });
    writeln!(
        out,
        "  at the beginning {}{since} ({})",
        state.word(),
        life.first.rule
    )?;
    for note in &life.notes {
        writeln!(out, "  {}", shown(note))?;
    }
    Ok(())
}

/// What one day says, and how many days in a row.
struct Line {
    first: String,
    last: Option<String>,
    says: String,
}

fn lines(life: &Life<'_>, days: &[Day], out: &mut dyn Write) -> io::Result<()> {
    let mut lines: Vec<Line> = Vec::new();
    let mut state = State::at_first(life.first);
    let mut changes = life.changes.iter().peekable();
    for day in days {
        let mut today = Vec::new();
        while let Some(change) = changes.next_if(|change| change.at < day.to) {
            state = state.after(change);
            today.push(change);
        }
        if state == State::Gone && today.is_empty() {
            break;
        }
        let told = says(life, day, &today, state);
        let date = parts::day(day.date);
        match lines.last_mut() {
            Some(same) if same.says == told => same.last = Some(date),
            _ => lines.push(Line {
                first: date,
                last: None,
                says: told,
            }),
        }
    }
    for line in lines {
        let last = line.last.map_or_else(String::new, |last| format!(" .. {last}"));
        writeln!(out, "  {}{last:18}  {}", line.first, line.says)?;
    }
    Ok(())
}

fn says(life: &Life<'_>, day: &Day, today: &[&Change], state: State) -> String {
    let mut parts: Vec<String> = Vec::new();
    if day.off {
        parts.push("day off".to_owned());
    }
    if let Some(clocks) = day.clocks {
        let way = if clocks.by.is_negative() {
            "back"
        } else {
            "forward"
        };
        parts.push(format!("clocks go {way} {}", long(clocks.by)));
    }
    if today.is_empty() {
        parts.push(format!("{} all day", state.word()));
    }
    parts.extend(today.iter().map(|change| {
        let then = if change.held { ", held" } else { "" };
        format!(
            "{} {} ({}{then})",
            wall(change.at, &life.zone),
            verb(change.act),
            change.rule
        )
    }));
    parts.join("  ")
}

fn refused(invalid: &[Invalid], out: &mut dyn Write) -> io::Result<()> {
    if invalid.is_empty() {
        return Ok(());
    }
    let rows = count(
        invalid.len(),
        "row cannot be carried out as it stands",
        "rows cannot be carried out as they stand",
    );
    writeln!(out, "\n{rows}:")?;
    for row in invalid {
        let then = if row.runs_on {
            "; what was accepted before runs on"
        } else {
            ""
        };
        for problem in &row.problems {
            writeln!(out, "  {}", shown(&format!("{}: {problem}{then}", row.id)))?;
        }
    }
    Ok(())
}
