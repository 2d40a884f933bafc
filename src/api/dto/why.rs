//! The answers to why, to when, and to when schedules come next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Desired, EventLine, Inputs, NextChange, Phase};
use crate::model::schedule::CurfewAction;

/// Why an app is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The app.
    pub id: String,
    /// What its row asks, what it may be at most, and by which rule; null until it was looked at once.
    pub now: Option<Verdict>,
    /// What happens next by itself, if anything does.
    pub next: Option<NextChange>,
    /// What would change it, a sentence each.
    pub changes: Vec<String>,
    /// The newest decisions that are kept, newest first.
    pub decisions: Vec<EventLine>,
    /// All of it for people, in lines.
    pub text: String,
}

/// What was decided last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What the accepted row asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Desired>,
    /// The rule that decided.
    pub rule: String,
    /// What it came to.
    pub reason: String,
    /// The same for people.
    pub message: String,
    /// The one-word state.
    pub phase: Phase,
    /// What mattered.
    pub inputs: Inputs,
}

/// What happens next to an app, and what would change that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct When {
    /// The app.
    pub id: String,
    /// What happens next by itself; null: nothing.
    pub next: Option<NextChange>,
    /// What would change it, a sentence each.
    pub changes: Vec<String>,
    /// All of it for people, in lines.
    pub text: String,
}

/// The next times of every schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextTimes {
    /// The schedules, by name.
    pub schedules: Vec<NextTime>,
}

/// The next times of one schedule, in its own zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextTime {
    /// Its name.
    pub schedule: String,
    /// Its zone.
    pub time_zone: String,
    /// `destroy` or `suspend`.
    pub action: CurfewAction,
    /// The next boundary; null: it never comes again.
    pub boundary: Option<Timestamp>,
    /// The next wake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake: Option<Timestamp>,
    /// Until when it is closed, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_until: Option<Timestamp>,
}
