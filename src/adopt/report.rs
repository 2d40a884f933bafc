//! Prints what was found and what came of it. Tags are anybody's text, so nothing is printed as it is.

use std::io::{self, Write};

use serde::Serialize;

use super::{Done, Line, Report};
use crate::client::Format;
use crate::client::paper::{json, or_dash, second, table};
use crate::model::status::NextChange;
use crate::planner::adopt::{Skip, Verdict};

/// Prints a report, for people or for programs.
pub fn print(report: &Report, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => people(report, out),
        Format::Json => json(out, &whole(report)),
    }
}

fn people(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.lines.is_empty() {
        return writeln!(
            out,
            "None of {} services is asked for: see adopt.where, and what was given.",
            report.services
        );
    }
    let header = ["SERVICE", "ID", "USER", "APP", "HOST NAME", "BECOMES", "WHAT"];
    table(
        out,
        Some(header),
        report.lines.iter().map(|line| {
            let named = &line.candidate.named;
            [
                format!(
                    "{}/{}",
                    line.candidate.seen.cluster, line.candidate.seen.service.name
                ),
                or_dash(named.id.as_deref()),
                or_dash(named.user.as_deref()),
                or_dash(named.app.as_deref()),
                or_dash(named.host_name.as_deref()),
                becomes(line),
                what(line, report.dry_run),
            ]
        }),
    )?;
    let counts = Counts::of(report);
    let Counts {
        adopted,
        already,
        skipped,
        failed,
    } = counts;
    if report.dry_run {
        writeln!(
            out,
            "\n{adopted} to adopt, {already} adopted already, {skipped} left alone. Nothing was changed; --apply does it."
        )
    } else {
        writeln!(
            out,
            "\n{adopted} adopted, {already} adopted already, {skipped} left alone, {failed} failed."
        )
    }
}

fn becomes(line: &Line) -> String {
    match &line.candidate.verdict {
        Verdict::Adopt(adoption) => adoption.becomes.to_string(),
        Verdict::Already | Verdict::Skip(_) => "-".to_owned(),
    }
}

fn what(line: &Line, dry_run: bool) -> String {
    if let Err(why) = &line.result {
        return format!("failed: {why}");
    }
    match &line.candidate.verdict {
        Verdict::Already => "already".to_owned(),
        Verdict::Skip(skip) => format!("left alone: it {skip}"),
        Verdict::Adopt(adoption) => {
            let mut parts = vec![if dry_run { "to adopt" } else { "adopted" }.to_owned()];
            parts.extend(adoption.notes.iter().cloned());
            parts.extend(
                adoption
                    .next
                    .as_ref()
                    .map(|next| format!("{} at {} ({})", next.action, second(next.at), next.rule)),
            );
            parts.join("; ")
        }
    }
}

#[derive(Default, Serialize)]
struct Counts {
    adopted: usize,
    already: usize,
    skipped: usize,
    failed: usize,
}

impl Counts {
    fn of(report: &Report) -> Self {
        let mut counts = Self::default();
        for line in &report.lines {
            let count = match (&line.candidate.verdict, &line.result) {
                (_, Err(_)) => &mut counts.failed,
                (Verdict::Adopt(_), Ok(Done::Nothing | Done::Adopted)) => &mut counts.adopted,
                (Verdict::Already, Ok(_)) => &mut counts.already,
                (Verdict::Skip(_), Ok(_)) => &mut counts.skipped,
            };
            *count += 1;
        }
        counts
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    dry_run: bool,
    services: Vec<One<'a>>,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    cluster: &'a str,
    service: &'a str,
    id: Option<&'a str>,
    user: Option<&'a str>,
    app: Option<&'a str>,
    host_name: Option<&'a str>,
    /// `adopt`, `already`, `skip` or `failed`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    becomes: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_change: Option<&'a NextChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'a Skip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

fn whole(report: &Report) -> Whole<'_> {
    Whole {
        dry_run: report.dry_run,
        services: report.lines.iter().map(one).collect(),
        counts: Counts::of(report),
    }
}

fn one(line: &Line) -> One<'_> {
    let (seen, named) = (&line.candidate.seen, &line.candidate.named);
    let (adoption, skipped, outcome) = match &line.candidate.verdict {
        Verdict::Adopt(adoption) => (Some(adoption), None, "adopt"),
        Verdict::Already => (None, None, "already"),
        Verdict::Skip(skip) => (None, Some(skip), "skip"),
    };
    let error = line.result.as_ref().err().map(String::as_str);
    One {
        cluster: seen.cluster.as_str(),
        service: seen.service.name.as_str(),
        id: named.id.as_deref(),
        user: named.user.as_deref(),
        app: named.app.as_deref(),
        host_name: named.host_name.as_deref(),
        outcome: if error.is_some() { "failed" } else { outcome },
        becomes: adoption.map(|adoption| adoption.becomes.to_string()),
        notes: adoption.map_or(&[], |adoption| adoption.notes.as_slice()),
        next_change: adoption.and_then(|adoption| adoption.next.as_ref()),
        skipped,
        error,
    }
}
