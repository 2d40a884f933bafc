//! Why is an app as it is, and when does that change? Told from what is remembered of it and from its history; nothing
//! is decided here. The text is made in this one place, for the API and the CLI alike.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::ApiState;
use super::apps::{self, IdInPath};
use super::dto::{EventLine, Inputs, NextTime, NextTimes, Verdict, When, Why};
use super::problem::Refused;
use crate::controller::handle::AppSummary;
use crate::model::history::Event;
use crate::model::memory::Memory;
use crate::model::row::Desired;
use crate::model::status::{ConditionKind, NextChange, Phase, Truth};
use crate::model::utc;

type Answer = Result<Response, Refused>;

/// How many decisions are told.
const DECISIONS: u32 = 10;

pub(super) async fn why(State(state): State<ApiState>, path: IdInPath) -> Answer {
    let summary = apps::summary(&state, apps::id(path)?).await?;
    let events = state.state.events(&summary.id, DECISIONS).await;
    let events = events.map_err(|error| Refused::read(&error))?;
    Ok(Json(explain(&summary, events)).into_response())
}

pub(super) async fn when(State(state): State<ApiState>, path: IdInPath) -> Answer {
    let summary = apps::summary(&state, apps::id(path)?).await?;
    Ok(Json(foretell(&summary)).into_response())
}

pub(super) async fn next_times(State(state): State<ApiState>) -> Json<NextTimes> {
    let now = state.handle.now();
    let schedules = state.handle.schedules();
    let next = schedules.values().map(|schedule| NextTime {
        schedule: schedule.name.clone(),
        time_zone: schedule.time_zone.iana_name().unwrap_or("UTC").to_owned(),
        action: schedule.action,
        boundary: schedule.next_boundary(now, None),
        wake: schedule.next_wake(now, None),
        closed_until: schedule.closed_until(now, None),
    });
    Json(NextTimes {
        schedules: next.collect(),
    })
}

/// Why an app is as it is.
pub fn explain(app: &AppSummary, events: Vec<Event>) -> Why {
    let now = app.memory.as_ref().map(verdict);
    let mut why = Why {
        id: app.id.to_string(),
        next: next(app),
        changes: changes(app),
        decisions: events.into_iter().map(EventLine::from).collect(),
        text: String::new(),
        now,
    };
    why.text = why_text(&why);
    why
}

/// What happens next to an app.
pub fn foretell(app: &AppSummary) -> When {
    let mut when = When {
        id: app.id.to_string(),
        next: next(app),
        changes: changes(app),
        text: String::new(),
    };
    let mut text = next_line(when.next.as_ref(), app.memory.is_some());
    list(&mut text, &when.changes);
    when.text = text;
    when
}

fn verdict(memory: &Memory) -> Verdict {
    // A record of an older binary may have no decision yet.
    let (rule, _) = memory.decision.split_once('/').unwrap_or(("Observation", ""));
    Verdict {
        asked: memory.accepted.as_ref().map(|accepted| accepted.desired),
        rule: rule.to_owned(),
        reason: memory.status.reason.clone(),
        message: memory.status.message.clone(),
        phase: memory.status.phase,
        inputs: Inputs::of(memory),
    }
}

fn next(app: &AppSummary) -> Option<NextChange> {
    app.memory.as_ref()?.status.next_change.clone()
}

/// What would change it: the ways out of what holds it, then what puts off what comes next.
fn changes(app: &AppSummary) -> Vec<String> {
    let Some(memory) = &app.memory else {
        return vec!["It is looked at with the next sweep.".to_owned()];
    };
    let mut ways: Vec<&str> = Vec::new();
    if is_true(memory, ConditionKind::Paused) {
        ways.push("`lamplighter resume` ends the pause, with --app for a pause of this app alone.");
    }
    let (rule, reason) = memory.decision.split_once('/').unwrap_or_default();
    ways.extend(way_out(rule, reason));
    if let Some(accepted) = app.row.as_ref().and(memory.accepted.as_ref()) {
        let waits = memory.stop.is_some() && accepted.desired > Desired::Destroyed;
        let told = matches!(
            rule,
            "Curfew"
                | "KeepUntil"
                | "ExpiresAt"
                | "MaxLifetime"
                | "NightsUnused"
                | "Superseded"
                | "OwnerInactive"
        );
        if waits && !told {
            ways.push("A new request starts its day anew: raise `generation` and set `requestedAt` to now.");
        }
    }
    let next = memory.status.next_change.as_ref();
    ways.extend(next.filter(|_| app.row.is_some()).and_then(put_off));
    if app.row.is_some() && memory.status.phase == Phase::Ready {
        ways.push("`desired` = `Suspended` or `Destroyed` in its row stops it at once.");
    }
    if ways.is_empty() {
        ways.push("Nothing has to be done; it goes on by itself.");
    }
    ways.into_iter().map(str::to_owned).collect()
}

/// The way out of a decision, if somebody has to take it.
fn way_out(rule: &str, reason: &str) -> Option<&'static str> {
    let way = match (rule, reason) {
        (_, "InvalidRow") => "A row without these mistakes; it is read as soon as it changes.",
        (_, "IdentityChanged") => "The old value back in the row, or `desired` = `Destroyed` first.",
        (_, "SlotTaken") => "The app that holds the slot destroyed, or a new request once it is gone.",
        (_, "HostNameTaken") => "Another `hostName`, or none.",
        (_, "NeedsNewRequest") => "A new request: raise `generation` and set `requestedAt` to now.",
        ("OwnerInactive", _) => {
            "`ownerActive` in the row, or the lists of users in the configuration; then a new request."
        }
        ("Superseded", _) => "A new request for this app, which replaces the other one in turn.",
        ("Stall", _) => "A new request: it forgets the failures.",
        ("MassDeletionHeld", _) => "The rows back in the table, or `lamplighter approve`.",
        ("RowGone", _) => "The row back in the table before a sweep has confirmed that it is gone.",
        ("RowDeleted", _) => "The row written again, which asks for it anew.",
        ("Orphan", _) => "A row with its id, which asks for it or for `Destroyed`.",
        ("Closed", _) => {
            "An exemption lets it in before, for as long as it lasts: `lamplighter apps keep`, or `keepUntil` in its row."
        }
        ("ExpiresAt", _) => "A new request with a later `expiresAt`, or none.",
        ("Curfew" | "KeepUntil" | "MaxLifetime" | "NightsUnused", _) => {
            "A new request starts its day anew: raise `generation` and set `requestedAt` to now."
        }
        _ => return None,
    };
    Some(way)
}

/// What puts off what comes next.
fn put_off(next: &NextChange) -> Option<&'static str> {
    match next.rule.as_str() {
        "Curfew" => Some(
            "An exemption puts that off: `lamplighter apps keep`, or `keepUntil` in its row; a new request before then does not.",
        ),
        "NightsUnused" => Some("A new request puts that off, or an exemption."),
        "KeepUntil" => Some(
            "A longer exemption puts that off, as far as policy allows: `lamplighter apps keep`, or `keepUntil` in its row.",
        ),
        "ExpiresAt" => Some("A later `expiresAt` in its row puts that off, or none."),
        "MaxLifetime" => Some("Only a new request puts that off; no exemption does."),
        _ => None,
    }
}

fn is_true(memory: &Memory, kind: ConditionKind) -> bool {
    let condition = memory.status.condition(kind);
    condition.is_some_and(|condition| condition.status == Truth::True)
}

fn why_text(why: &Why) -> String {
    let mut text = String::new();
    match &why.now {
        None => text.push_str("It has not been looked at yet, so nothing is remembered of it.\n"),
        Some(now) => {
            let asked = now.asked.map_or_else(
                || "nothing that was accepted".to_owned(),
                |asked| asked.to_string(),
            );
            let _ = writeln!(text, "{} ({}): {}", now.phase, now.reason, now.message);
            let row = match now.inputs.row_gone_since {
                None => format!("The row asks for {asked}"),
                Some(_) => format!("The row, which is gone, asked for {asked}"),
            };
            let _ = writeln!(text, "Decided by {}. {row}.", now.rule);
            let facts = facts(&now.inputs, None);
            if !facts.is_empty() {
                let _ = writeln!(text, "What mattered: {facts}.");
            }
        }
    }
    text.push_str(&next_line(why.next.as_ref(), why.now.is_some()));
    list(&mut text, &why.changes);
    if why.decisions.is_empty() {
        text.push_str("No decision is kept of it.\n");
        return text;
    }
    text.push_str("Decisions, newest first:\n");
    for line in &why.decisions {
        let _ = writeln!(
            text,
            "  {}  {}/{}  {}",
            utc(line.time),
            line.rule,
            line.reason,
            line.phase
        );
        let _ = writeln!(text, "    {}", line.message);
        let facts = line
            .inputs
            .as_ref()
            .map(|inputs| facts(inputs, line.requested_by.as_deref()));
        let asked = || line.requested_by.as_ref().map(|who| format!("asked by {who}"));
        if let Some(facts) = facts.filter(|facts| !facts.is_empty()).or_else(asked) {
            let _ = writeln!(text, "    {facts}");
        }
    }
    text
}

fn next_line(next: Option<&NextChange>, seen: bool) -> String {
    match next {
        Some(next) => format!("Next: {} at {}, by {}.\n", next.action, utc(next.at), next.rule),
        None if seen => "Next: nothing by itself.\n".to_owned(),
        None => "Next: not known before it was looked at.\n".to_owned(),
    }
}

fn list(text: &mut String, changes: &[String]) {
    text.push_str("What would change it:\n");
    for change in changes {
        let _ = writeln!(text, "  {change}");
    }
}

/// What mattered, in a row.
fn facts(inputs: &Inputs, requested_by: Option<&str>) -> String {
    let time = |name: &str, at: Option<Timestamp>| at.map(|at| format!("{name} {}", utc(at)));
    let word = |name: &str, value: Option<&str>| value.map(|value| format!("{name} {value}"));
    let generation = inputs.generation.map(|generation| generation.to_string());
    let stop = inputs.stop_rule.as_deref().zip(inputs.stop_due);
    let facts = [
        time("requested", inputs.requested_at),
        word("generation", generation.as_deref()),
        word("asked by", requested_by),
        word("schedule", inputs.schedule.as_deref()),
        time(
            "exempt until",
            inputs.exemption.as_ref().map(|exemption| exemption.until),
        ),
        time("expires", inputs.expires_at),
        stop.map(|(rule, due)| format!("stop {rule} due {}", utc(due))),
        time("woken", inputs.woken_at),
        time("row missed since", inputs.row_gone_since),
        time("an orphan since", inputs.found_since),
        word("build", inputs.build.as_deref()),
        (inputs.failures > 0).then(|| format!("{} failed in a row", inputs.failures)),
        word("holds", inputs.slot.as_deref()),
    ];
    facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
