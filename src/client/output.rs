//! Prints answers, for people as tables and for programs as JSON. Text from the server may come from
//! anybody who can write a row, so no control character of it ever reaches a terminal.

use std::io::{self, Write};

use serde::Serialize;

use super::args::Format;
use super::error::ClientError;
use super::paper::{json, or_dash, second, shown, table};
use crate::api::dto::{
    App, AppList, Approval, ConditionKind, DeletionHold, EventList, Exemption, Holds, Kept, LogLevels,
    OrphanList, Pause, Pauses, Source, Status, Truth,
};

type Printed = Result<(), ClientError>;

pub(super) struct Printer<'a> {
    format: Format,
    out: &'a mut dyn Write,
}

impl<'a> Printer<'a> {
    pub(super) fn new(format: Format, out: &'a mut dyn Write) -> Self {
        Self { format, out }
    }

    pub(super) fn apps(&mut self, list: &AppList) -> Printed {
        self.either(list, |out| {
            if list.apps.is_empty() {
                return writeln!(out, "No apps.");
            }
            let header = ["ID", "APP", "USER", "PHASE", "URL", "REASON", "NEXT CHANGE"];
            let rows = list.apps.iter().map(|app| {
                let status = app.status.as_ref();
                [
                    app.id.clone(),
                    or_dash(app.row.app.as_deref()),
                    or_dash(app.row.user.as_deref()),
                    app.phase().to_string(),
                    or_dash(status.and_then(|status| status.url.as_deref())),
                    or_dash(status.map(|status| status.reason.as_str())),
                    or_dash(status.and_then(next_change).as_deref()),
                ]
            });
            table(out, Some(header), rows)
        })
    }

    pub(super) fn app(&mut self, app: &App) -> Printed {
        self.either(app, |out| table(out, None, lines(app)))
    }

    pub(super) fn events(&mut self, list: &EventList) -> Printed {
        self.either(list, |out| {
            if list.events.is_empty() {
                return writeln!(out, "No events.");
            }
            let header = ["TIME", "PHASE", "RULE", "REASON", "MESSAGE"];
            let rows = list.events.iter().map(|event| {
                [
                    second(event.time),
                    event.phase.clone(),
                    event.rule.clone(),
                    event.reason.clone(),
                    event.message.clone(),
                ]
            });
            table(out, Some(header), rows)
        })
    }

    /// What the server has put into words, line by line.
    pub(super) fn told(&mut self, answer: &impl Serialize, text: &str) -> Printed {
        self.either(answer, |out| {
            text.lines().try_for_each(|line| writeln!(out, "{}", shown(line)))
        })
    }

    pub(super) fn asked(&mut self, app: &App) -> Printed {
        self.either(app, |out| {
            let desired = app.row.desired.map(|desired| desired.to_string());
            writeln!(
                out,
                "{} is asked to be {}; it is {} now.",
                shown(&app.id),
                or_dash(desired.as_deref()),
                app.phase()
            )
        })
    }

    pub(super) fn deleted(&mut self, id: &str, left: Option<&App>) -> Printed {
        match left {
            Some(app) => self.either(app, |out| {
                writeln!(
                    out,
                    "The row of {} is deleted; the app is {} and is destroyed if anything is left of it.",
                    shown(id),
                    app.phase()
                )
            }),
            None => self.either(&serde_json::json!({ "id": id, "hasRow": false }), |out| {
                writeln!(
                    out,
                    "The row of {} is deleted, and nothing is left of it.",
                    shown(id)
                )
            }),
        }
    }

    pub(super) fn about_to_approve(&mut self, holds: &Holds) -> Printed {
        if let (Format::Table, DeletionHold::Held { since, .. }) = (self.format, &holds.deletions) {
            writeln!(
                self.out,
                "Held since {}. Apps without a row: {}",
                second(*since),
                shown(&holds.without_row.join(" "))
            )?;
        }
        Ok(())
    }

    pub(super) fn approved(&mut self, approval: &Approval) -> Printed {
        self.either(approval, |out| {
            writeln!(
                out,
                "Approved: {} of {} rows are gone, and the next complete sweep acts on it.",
                approval.vanished, approval.known
            )
        })
    }

    pub(super) fn holds(&mut self, holds: &Holds) -> Printed {
        self.either(holds, |out| {
            match &holds.deletions {
                DeletionHold::Held {
                    vanished,
                    known,
                    since,
                } => writeln!(
                    out,
                    "Deletions are held since {}: {vanished} of {known} rows are gone. `lamplighter approve` lets \
                     them go on.\nApps without a row: {}",
                    second(*since),
                    shown(&holds.without_row.join(" "))
                )?,
                DeletionHold::Unjudged => writeln!(out, "The first complete sweep is not over.")?,
                DeletionHold::Clear { .. } => writeln!(out, "No deletion is held.")?,
            }
            for (key, reason) in &holds.unreadable {
                writeln!(
                    out,
                    "{} in the state table cannot be read: {}",
                    shown(key),
                    shown(reason)
                )?;
            }
            paused(out, &holds.pauses)
        })
    }

    pub(super) fn orphans(&mut self, list: &OrphanList) -> Printed {
        self.either(list, |out| {
            let reaping = if list.reaping.enabled {
                "is destroyed when it is due"
            } else {
                "stays: `orphans.reap` is off"
            };
            if list.orphans.is_empty() {
                writeln!(out, "No orphans.")?;
            } else {
                writeln!(out, "What nothing asks for {reaping}.")?;
                let header = ["ID", "STATE", "APP", "USER", "HOST", "SERVICE", "FOUND", "DUE"];
                let rows = list.orphans.iter().map(|orphan| {
                    [
                        orphan.id.clone(),
                        orphan.state.clone(),
                        or_dash(orphan.app.as_deref()),
                        or_dash(orphan.user.as_deref()),
                        or_dash(orphan.host_name.as_deref()),
                        or_dash(orphan.resource_name.as_deref()),
                        or_dash(orphan.since.map(second).as_deref()),
                        or_dash(orphan.due.map(second).as_deref()),
                    ]
                });
                table(out, Some(header), rows)?;
            }
            if list.leftovers.is_empty() {
                return writeln!(out, "No leftovers.");
            }
            let header = ["ID", "SURVIVED", "DESTROYS", "SINCE", "NEXT TRY"];
            let rows = list.leftovers.iter().map(|leftover| {
                [
                    leftover.id.clone(),
                    leftover.what.clone(),
                    leftover.destroys.to_string(),
                    second(leftover.since),
                    or_dash(leftover.retry_at.map(second).as_deref()),
                ]
            });
            table(out, Some(header), rows)
        })
    }

    pub(super) fn kept(&mut self, kept: &Kept) -> Printed {
        self.either(kept, |out| {
            writeln!(out, "{}: {}", shown(&kept.id), shown(&kept.message))
        })
    }

    pub(super) fn levels(&mut self, levels: &LogLevels) -> Printed {
        self.either(levels, |out| match (&levels.filter, levels.until) {
            (Some(filter), Some(until)) => writeln!(
                out,
                "{} until {}, then {}",
                shown(filter),
                second(until),
                shown(&levels.configured)
            ),
            _ => writeln!(out, "{}, as configured", shown(&levels.configured)),
        })
    }

    pub(super) fn pauses(&mut self, pauses: &Pauses) -> Printed {
        self.either(pauses, |out| paused(out, pauses))
    }

    fn either(
        &mut self,
        answer: &impl Serialize,
        people: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Printed {
        match self.format {
            Format::Table => people(self.out)?,
            Format::Json => json(self.out, answer)?,
        }
        self.out.flush()?;
        Ok(())
    }
}

fn paused(out: &mut dyn Write, pauses: &Pauses) -> io::Result<()> {
    if pauses.is_empty() {
        return writeln!(out, "Nothing is paused.");
    }
    let mut line = |what: &str, pause: &Pause| {
        let since = pause
            .since
            .map_or_else(String::new, |at| format!(" since {}", second(at)));
        let reason = pause
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {}", shown(reason)));
        writeln!(out, "{what} is paused{since}{reason}")
    };
    if let Some(pause) = &pauses.fleet {
        line("The whole fleet", pause)?;
    }
    for (id, pause) in &pauses.apps {
        line(&shown(id.as_str()), pause)?;
    }
    Ok(())
}

fn lines(app: &App) -> Vec<[String; 2]> {
    let mut lines = vec![
        ["ID".to_owned(), app.id.clone()],
        ["APP".to_owned(), or_dash(app.row.app.as_deref())],
        ["USER".to_owned(), or_dash(app.row.user.as_deref())],
        ["PHASE".to_owned(), app.phase().to_string()],
    ];
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            lines.push([name.to_owned(), value]);
        }
    };
    let desired = app.row.desired.map(|desired| desired.to_string());
    let gone = (!app.has_row).then(|| "nothing: its row is gone".to_owned());
    line("DESIRED", desired.or(gone));
    line("REQUESTED", app.row.requested_at.map(second));
    line("KEEP UNTIL", app.row.keep_until.map(second));
    line("EXPIRES", app.row.expires_at.map(second));
    for (name, value) in &app.row.parameters {
        line("PARAMETER", Some(format!("{name}={value}")));
    }
    for problem in &app.problems {
        line("PROBLEM", Some(problem.to_string()));
    }
    if let Some(status) = &app.status {
        line("URL", status.url.clone());
        line("HOST", status.host_name.clone());
        line("REASON", Some(status.reason.clone()));
        line("MESSAGE", Some(status.message.clone()));
        line("NEXT CHANGE", next_change(status));
        line("EXEMPT", status.exemption.as_ref().map(exempt));
        line(
            "LOGS",
            status.build.as_ref().and_then(|build| build.logs_url.clone()),
        );
        for condition in &status.conditions {
            let text = format!(
                "{:?}={:?} since {}: {} {}",
                condition.kind,
                condition.status,
                second(condition.last_transition_time),
                condition.reason,
                condition.message
            );
            line("CONDITION", Some(text));
        }
    }
    lines
}

fn exempt(exemption: &Exemption) -> String {
    let by = exemption
        .by
        .as_ref()
        .map_or_else(String::new, |by| format!(" by {by}"));
    let reason = exemption
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(": {reason}"));
    let until = second(exemption.until);
    let source = match exemption.source {
        Source::Row => "by its row",
        Source::Api => "through the API",
    };
    format!("until {until}, {source}{by}{reason}")
}

fn next_change(status: &Status) -> Option<String> {
    let paused = status.condition(ConditionKind::Paused);
    if paused.is_some_and(|paused| paused.status == Truth::True) {
        return Some("none: paused".to_owned());
    }
    let next = status.next_change.as_ref()?;
    Some(format!("{} at {} ({})", next.action, second(next.at), next.rule))
}
