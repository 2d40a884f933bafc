//! What goes over the wire, for the server and the CLI alike; `docs/api.md` describes it. Plain data.

mod log;
mod why;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

mod news;

pub use log::{LogLevels, LogRequest};
pub use why::{NextTime, NextTimes, Verdict, When, Why};

pub use crate::model::history::Inputs;
pub use crate::model::pause::{Pause, Pauses};
pub use crate::model::row::{Desired, Problem};
pub use crate::model::status::{
    BuildStatus, ConditionKind, Exemption, NextChange, Phase, Source, Status, Truth,
};
pub use crate::report::Report;
pub use news::{Gone, Missed, Opened, StopSoon};

use crate::controller::handle::{AppSummary, Fleet};
use crate::model::history::Event;
use crate::model::policy::{Deletions, Orphans};
use crate::model::row::Row;
use crate::model::{memory, orphan};

/// One app: its row as far as it is legible, and its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// Its id.
    pub id: String,
    /// Whether there is a row. Without one the app is on its way out, or gone.
    pub has_row: bool,
    /// The attributes of its row.
    #[serde(flatten)]
    pub row: RowBody,
    /// What is wrong with the row's own attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The same object as the state table's `status`; null until the app was looked at once.
    pub status: Option<Status>,
}

/// The attributes of a row, save its id. Those that are absent or illegible are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowBody {
    /// The owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The catalogue entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// What is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Desired>,
    /// The portal's counter of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// When the user last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Timestamp>,
    /// The host name asked for; the one it holds is `status.hostName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// What is passed to the build.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The zone that overrides the schedule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The schedule that it has instead of its catalogue entry's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Whether its owner is still somebody whose apps may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_active: Option<bool>,
    /// Exempt from the end of the day until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_reason: Option<String>,
    /// The hard end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who asked, if not the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
}

/// The answer to a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppList {
    /// The apps, by id.
    pub apps: Vec<App>,
    /// When the sweep began that this rests on. Changes since are in it as far as they were met.
    pub as_of: Timestamp,
}

/// The history of an app, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventList {
    /// The events.
    pub events: Vec<EventLine>,
}

/// One line of an app's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventLine {
    /// A ULID, unique and ordered by time.
    pub at: String,
    /// When.
    pub time: Timestamp,
    /// The rule that decided.
    pub rule: String,
    /// What it came to.
    pub reason: String,
    /// The same for people.
    pub message: String,
    /// The one-word state afterwards.
    pub phase: String,
    /// Who asked, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// What mattered to the decision, if that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
}

/// What AWS holds although nothing asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrphanList {
    /// Apps that no row asks for and that nothing remembered, by id.
    pub orphans: Vec<Orphan>,
    /// Apps of which something survived its destroy, by id.
    pub leftovers: Vec<Leftover>,
    /// What becomes of orphans.
    pub reaping: Reaping,
    /// When the sweep began that this rests on.
    pub as_of: Timestamp,
}

/// What becomes of orphans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reaping {
    /// Whether they are destroyed at all.
    pub enabled: bool,
    /// How many seconds after they were found.
    pub after_seconds: i64,
    /// How many of them are begun with in one sweep at most.
    pub per_sweep: u32,
}

/// An app that no row asks for and that nothing remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// Whose tag or environment it is.
    pub id: String,
    /// `Found`, `Unidentified`, `Quarantined`, `Held`, `Due` or `Reaping`.
    pub state: String,
    /// When it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Its last known owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its catalogue entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Its host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// The cluster of its service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Its service, which is what its resources are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// When it is destroyed, or would be if orphans were reaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

/// Something that survived the destroy of its app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftover {
    /// The app.
    pub id: String,
    /// What survived.
    pub what: String,
    /// Since when that is known.
    pub since: Timestamp,
    /// How many destroys in a row it survived.
    pub destroys: u32,
    /// When the next destroy is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

/// What is held back until a person says so, and what could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holds {
    /// Deletions, as the last complete sweep judged them.
    pub deletions: DeletionHold,
    /// Apps that have no row and are not over: the first 100, by id.
    pub without_row: Vec<String>,
    /// When an operator last approved a mass deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
    /// What operators have paused.
    #[serde(default, skip_serializing_if = "Pauses::is_empty")]
    pub pauses: Pauses,
    /// Items of the state table that could not be read, by key, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreadable: BTreeMap<String, String>,
}

/// Whether rows that are gone are acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all_fields = "camelCase")]
pub enum DeletionHold {
    /// No complete sweep has judged yet; nothing is acted on.
    Unjudged,
    /// They are.
    Clear {
        /// As of this sweep.
        as_of: Timestamp,
    },
    /// Too many vanished at once; nothing is acted on until an operator approves.
    Held {
        /// How many are gone.
        vanished: usize,
        /// Of how many that were known.
        known: usize,
        /// Since when.
        since: Timestamp,
    },
}

/// Why something is paused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseRequest {
    /// In an operator's words: at most 256 printable characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An exemption to be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeepRequest {
    /// Until when: RFC 3339 with an offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Or for how long from now: `90m`, `3h`, `1d`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub for_: Option<String>,
    /// Why: at most 256 printable characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who gives it: at most 256 printable characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The exemption that an app has through the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The app.
    pub id: String,
    /// What holds now; left out: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
    /// Until when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Timestamp>,
    /// What came of it, for people, with what was cut.
    pub message: String,
}

/// The answer to an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Every deletion seen up to then may go on; the next complete sweep acts on it.
    pub approved_at: Timestamp,
    /// How many rows were gone.
    pub vanished: usize,
    /// Of how many that were known.
    pub known: usize,
}

/// A no, by RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemDocument {
    /// `urn:lamplighter:problem:` and the code.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What kind of no, in a word that stays.
    pub code: String,
    /// What it was this time.
    #[serde(default)]
    pub detail: String,
    /// For `invalid-row`: every field that is wrong, with the way out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// Whether the daemon does its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether it does.
    pub ready: bool,
    /// If not, why.
    pub reasons: Vec<String>,
    /// The shards whose apps it acts on. None held: it stands by. Left out: it shares with nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Shards>,
}

/// The shards a daemon holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shards {
    /// How many there are.
    pub of: u16,
    /// Those it holds, counted from zero.
    pub held: Vec<u16>,
}

impl From<&Row> for RowBody {
    fn from(row: &Row) -> Self {
        Self {
            user: row.user.as_ref().map(ToString::to_string),
            app: row.app.as_ref().map(ToString::to_string),
            desired: row.desired,
            generation: row.generation,
            requested_at: row.requested_at,
            host_name: row.host_name.as_ref().map(ToString::to_string),
            parameters: row.parameters.clone(),
            time_zone: row.time_zone.clone(),
            schedule: row.schedule.clone(),
            owner_active: row.owner_active,
            keep_until: row.keep_until,
            keep_reason: row.keep_reason.clone(),
            expires_at: row.expires_at,
            requested_by: row.requested_by.clone(),
        }
    }
}

impl From<&AppSummary> for App {
    /// An app without a row still shows whose it was, from memory.
    fn from(summary: &AppSummary) -> Self {
        let memory = summary.memory.as_ref();
        let row = summary.row.as_ref().map_or_else(
            || {
                let identity = memory
                    .and_then(|memory| {
                        memory
                            .blueprint()
                            .or(memory.accepted.as_ref().map(|a| &*a.blueprint))
                    })
                    .map(|blueprint| &blueprint.identity)
                    .or_else(|| {
                        memory
                            .and_then(|memory| memory.holding.as_ref())
                            .map(|h| &h.identity)
                    });
                RowBody {
                    user: identity.map(|identity| identity.user.to_string()),
                    app: identity.map(|identity| identity.app.to_string()),
                    ..RowBody::default()
                }
            },
            RowBody::from,
        );
        Self {
            id: summary.id.to_string(),
            has_row: summary.row.is_some(),
            row,
            problems: summary
                .row
                .as_ref()
                .map(|row| row.problems.clone())
                .unwrap_or_default(),
            status: memory.map(|memory| memory.status.clone()),
        }
    }
}

impl App {
    /// Its phase; an app nobody has looked at yet is pending.
    pub fn phase(&self) -> Phase {
        self.status.as_ref().map_or(Phase::Pending, |status| status.phase)
    }
}

impl From<Event> for EventLine {
    fn from(event: Event) -> Self {
        Self {
            at: event.at,
            time: event.time,
            rule: event.rule,
            reason: event.reason,
            message: event.message,
            phase: event.phase,
            requested_by: event.requested_by,
            inputs: event.inputs,
        }
    }
}

impl From<&orphan::Orphan> for Orphan {
    fn from(orphan: &orphan::Orphan) -> Self {
        let identity = orphan.identity.as_ref();
        Self {
            id: orphan.id.to_string(),
            state: orphan.state.as_str().to_owned(),
            since: orphan.since,
            user: identity.map(|identity| identity.user.to_string()),
            app: identity.map(|identity| identity.app.to_string()),
            host_name: identity.map(|identity| identity.host_name.to_string()),
            cluster: orphan.cluster.as_ref().map(ToString::to_string),
            resource_name: orphan.service.as_ref().map(ToString::to_string),
            due: orphan.due,
        }
    }
}

impl From<(&AppSummary, &memory::Leftover)> for Leftover {
    fn from((app, leftover): (&AppSummary, &memory::Leftover)) -> Self {
        let failures = app.memory.as_ref().and_then(|memory| memory.failures.as_ref());
        Self {
            id: app.id.to_string(),
            what: leftover.what.clone(),
            since: leftover.since,
            destroys: leftover.destroys,
            retry_at: failures.map(|failures| failures.retry_at),
        }
    }
}

impl From<Orphans> for Reaping {
    fn from(policy: Orphans) -> Self {
        Self {
            enabled: policy.reap,
            after_seconds: policy.reap_after.as_secs(),
            per_sweep: policy.per_sweep,
        }
    }
}

impl From<&Fleet> for DeletionHold {
    fn from(fleet: &Fleet) -> Self {
        match &fleet.deletions {
            Deletions::Unjudged => Self::Unjudged,
            Deletions::Clear { .. } => fleet.as_of.map_or(Self::Unjudged, |as_of| Self::Clear { as_of }),
            Deletions::Held {
                vanished,
                known,
                since,
            } => Self::Held {
                vanished: *vanished,
                known: *known,
                since: *since,
            },
        }
    }
}
