//! The append-only history of an app: decisions that changed, transitions, who asked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::name::{AppId, Entropy, ulid_at};
use super::row::Desired;
use super::status::Exemption;

/// One line of an app's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The app.
    pub id: AppId,
    /// A ULID: the sort key, ordered by time.
    pub at: String,
    /// When, for people.
    pub time: Timestamp,
    /// The rule that decided, for example `Curfew`.
    pub rule: String,
    /// What it came to, for example `DestroyStarted`.
    pub reason: String,
    /// The same for people.
    pub message: String,
    /// The one-word state the app was in afterwards.
    pub phase: String,
    /// The version of the app's memory that it was written with: what the state table must not be behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The life of that memory; see [`super::memory::Memory::life`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<String>,
    /// Who asked, if the row says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// What mattered to the decision. Not there in a line of an older binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
    /// When DynamoDB may forget it, in epoch seconds.
    pub ttl: i64,
}

/// What mattered to a decision: a fixed number of facts, none longer than a name or the reason of an exemption.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    /// What the accepted row asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Desired>,
    /// When that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Timestamp>,
    /// The portal's generation of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The schedule that its row or its catalogue entry named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// That it was exempt from the end of its day, by its row or by what was given, until when, by whom and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
    /// Its hard end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The rule of the stop that had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_rule: Option<String>,
    /// When that stop was due: the boundary, or the end of what put it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_due: Option<Timestamp>,
    /// Since when it had been away by that stop and those before it, where it was not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_since: Option<Timestamp>,
    /// When its schedule last let it run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woken_at: Option<Timestamp>,
    /// Since when its row had been missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_gone_since: Option<Timestamp>,
    /// Since when it had been an orphan: found in AWS, and nothing asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_since: Option<Timestamp>,
    /// The newest operation, which names its build's gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The build that ran it, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// How many builds had failed in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// The slot that it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Inputs {
    /// What a memory says of them.
    pub fn of(memory: &Memory) -> Self {
        let accepted = memory.accepted.as_ref();
        let stop = memory.stop.as_ref();
        let operation = memory.operation.as_ref();
        let schedule = accepted.and_then(|spec| spec.own_schedule.as_ref().or(spec.schedule.as_ref()));
        let slot = memory.holding.as_ref().filter(|holding| holding.slot);
        Self {
            desired: accepted.map(|spec| spec.desired),
            requested_at: accepted.map(|spec| spec.request.at),
            generation: accepted.and_then(|spec| spec.request.generation),
            schedule: schedule.cloned(),
            exemption: memory.status.exemption.clone(),
            expires_at: accepted.and_then(|spec| spec.expires_at),
            stop_rule: stop.map(|stop| stop.rule.clone()),
            stop_due: stop.map(|stop| stop.due),
            away_since: stop.and_then(|stop| stop.away_since),
            woken_at: memory.woken_at,
            row_gone_since: memory.row_gone.as_ref().map(|gone| gone.since),
            found_since: memory.found.as_ref().map(|found| found.since),
            operation: operation.map(|operation| operation.id.to_string()),
            build: operation.and_then(|operation| operation.build.as_ref().map(ToString::to_string)),
            failures: memory.failures.as_ref().map_or(0, |failures| failures.count),
            slot: slot.map(|holding| holding.identity.slot.to_string()),
        }
    }
}

impl Event {
    /// How long history is kept.
    pub const KEPT_DAYS: i64 = 90;

    /// The sort key and the expiry of an event that happened at `time`.
    pub fn keys(time: Timestamp, entropy: Entropy) -> (String, i64) {
        (
            ulid_at(entropy, time),
            time.as_second() + Self::KEPT_DAYS * 86_400,
        )
    }
}

/// The sort key that all lines of `time` and later are at or after, and all earlier ones before.
pub fn first_key(time: Timestamp) -> String {
    ulid_at(Entropy([0; 16]), time)
}
