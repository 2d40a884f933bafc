//! The append-only history of an app: decisions that changed, transitions, who asked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{AppId, Entropy, ulid_at};

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
    /// When DynamoDB may forget it, in epoch seconds.
    pub ttl: i64,
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
