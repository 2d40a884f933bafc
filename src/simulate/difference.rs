//! A comparison for people, in sentences, and for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::compare::{Affected, Comparison, Difference, Group, What};
use super::parts::{count, long, names};
use crate::client::paper::{self, shown};

/// Prints a comparison. `all`: every app is named.
pub fn people(comparison: &Comparison, all: bool, out: &mut dyn Write) -> io::Result<()> {
    let utc = |at: jiff::Timestamp| at.strftime("%a %F %H:%M UTC").to_string();
    let apps = count(comparison.apps, "app", "apps");
    writeln!(
        out,
        "{} to {}, {apps}.",
        utc(comparison.span.from),
        utc(comparison.span.to)
    )?;
    for note in &comparison.notes {
        writeln!(out, "{}", shown(note))?;
    }
    if comparison.groups.is_empty() {
        return writeln!(out, "No app is treated differently.");
    }
    for (group, differences) in &comparison.groups {
        writeln!(out, "\n{}", shown(&title(group)))?;
        for affected in differences {
            writeln!(out, "  {}.", sentence(affected))?;
            if all {
                writeln!(out, "    {}", shown(&names(&ids(affected), true)))?;
            }
        }
    }
    Ok(())
}

fn title(group: &Group) -> String {
    let named = |schedule: &Option<String>| match schedule.as_deref() {
        None => "not accepted".to_owned(),
        Some("-") => "no schedule".to_owned(),
        Some(name) => format!("schedule {name}"),
    };
    let (old, new) = (named(&group.old), named(&group.new));
    if old == new {
        format!("{}, {new}", group.entry)
    } else {
        format!("{}, {old} -> {new}", group.entry)
    }
}

fn ids(affected: &Affected) -> Vec<&str> {
    affected.apps.iter().map(|(id, _)| id.as_str()).collect()
}

/// A whole sentence without its full stop.
fn sentence(affected: &Affected) -> String {
    let apps = affected.apps.len();
    let exempt = affected.apps.iter().filter(|(_, exempt)| *exempt).count();
    let one = apps == 1;
    let apps = count(apps, "app", "apps");
    let says = says(affected.difference, one);
    let first = affected.first.strftime("%a %F %H:%M UTC");
    let of_them = match exempt {
        0 => String::new(),
        _ if one => "; it is exempt at the beginning".to_owned(),
        1 => "; 1 of them is exempt at the beginning".to_owned(),
        n => format!("; {n} of them are exempt at the beginning"),
    };
    format!("{apps} {says}, first at {first}{of_them}")
}

fn says(difference: Difference, one: bool) -> String {
    let verb = |single: &str, many: &str| if one { single } else { many }.to_owned();
    let does = |what| match what {
        What::Stop => verb("stops", "stop"),
        What::Start => verb("starts", "start"),
    };
    match difference {
        Difference::Refused => verb("is not accepted any more", "are not accepted any more"),
        Difference::Accepted => verb("is accepted, and was not", "are accepted, and were not"),
        Difference::AtFirst { old, new } => {
            format!("{} {new} at the beginning instead of {old}", verb("is", "are"))
        }
        Difference::DestroyedInstead => verb(
            "is destroyed instead of suspended",
            "are destroyed instead of suspended",
        ),
        Difference::SuspendedInstead => verb(
            "is suspended instead of destroyed",
            "are suspended instead of destroyed",
        ),
        Difference::Moved {
            what,
            earlier,
            by: (least, most),
        } => {
            let way = if earlier { "earlier" } else { "later" };
            let by = if least == most {
                long(least)
            } else {
                format!("{} to {}", long(least), long(most))
            };
            format!("{} {by} {way}", does(what))
        }
        Difference::Never { what } => match what {
            What::Stop => verb("does not stop any more", "do not stop any more"),
            What::Start => verb("does not start any more", "do not start any more"),
        },
        Difference::Now { what } => format!("{}, and did not before", does(what)),
        Difference::Warned { old, new } => match (old, new) {
            (_, None) => verb("is not warned any more", "are not warned any more"),
            (None, Some(new)) => format!(
                "{} warned {} before a stop, and not at all before",
                verb("is", "are"),
                long(new)
            ),
            (Some(old), Some(new)) => {
                format!(
                    "{} warned {} before a stop instead of {}",
                    verb("is", "are"),
                    long(new),
                    long(old)
                )
            }
        },
        Difference::Fewer { what, times } => format!("{} {} less", does(what), often(times)),
        Difference::More { what, times } => format!("{} {} more", does(what), often(times)),
    }
}

fn often(times: usize) -> String {
    match times {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    version: u8,
    from: jiff::Timestamp,
    to: jiff::Timestamp,
    apps: usize,
    differences: Vec<One<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    app: &'a str,
    old_schedule: Option<&'a str>,
    new_schedule: Option<&'a str>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_seconds: Option<[i64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<usize>,
    sentence: String,
    first: jiff::Timestamp,
    ids: Vec<&'a str>,
    exempt: Vec<&'a str>,
}

/// Prints a comparison for programs.
pub fn json(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let differences = comparison.groups.iter();
    let differences =
        differences.flat_map(|(group, found)| found.iter().map(move |affected| one(group, affected)));
    let whole = Whole {
        version: 1,
        from: comparison.span.from,
        to: comparison.span.to,
        apps: comparison.apps,
        differences: differences.collect(),
        notes: &comparison.notes,
    };
    paper::json(out, &whole)
}

fn one<'a>(group: &'a Group, affected: &'a Affected) -> One<'a> {
    let exempt = affected.apps.iter().filter(|(_, exempt)| *exempt);
    let word = |what| match what {
        What::Stop => "stop",
        What::Start => "start",
    };
    let (kind, what, times) = match affected.difference {
        Difference::Refused => ("refused", None, None),
        Difference::Accepted => ("accepted", None, None),
        Difference::AtFirst { .. } => ("atFirst", None, None),
        Difference::DestroyedInstead => ("destroyedInstead", None, None),
        Difference::SuspendedInstead => ("suspendedInstead", None, None),
        Difference::Moved {
            what, earlier: true, ..
        } => ("earlier", Some(what), None),
        Difference::Moved {
            what, earlier: false, ..
        } => ("later", Some(what), None),
        Difference::Warned { .. } => ("warned", None, None),
        Difference::Never { what } => ("never", Some(what), None),
        Difference::Now { what } => ("now", Some(what), None),
        Difference::Fewer { what, times } => ("fewer", Some(what), Some(times)),
        Difference::More { what, times } => ("more", Some(what), Some(times)),
    };
    let by = match affected.difference {
        Difference::Moved {
            by: (least, most), ..
        } => Some([least.as_secs(), most.as_secs()]),
        _ => None,
    };
    One {
        app: &group.entry,
        old_schedule: group.old.as_deref().filter(|name| *name != "-"),
        new_schedule: group.new.as_deref().filter(|name| *name != "-"),
        kind,
        what: what.map(word),
        by_seconds: by,
        times,
        sentence: format!("{}.", sentence(affected)),
        first: affected.first,
        ids: ids(affected),
        exempt: exempt.map(|(id, _)| id.as_str()).collect(),
    }
}
