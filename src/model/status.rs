//! What readers are told of an app, by the Kubernetes conventions. This is the stable read contract of
//! `docs/contract.md`; no decision reads it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The status of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The generation of the row this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<u64>,
    /// One word for people, derived from the rest.
    pub phase: Phase,
    /// CamelCase: why it is in this phase.
    pub reason: String,
    /// The same for people, with the way out where there is one.
    pub message: String,
    /// Where the app answers. There only while `Ready` is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The host name it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// The name of its AWS resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// The build at work, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildStatus>,
    /// What happens next by itself, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_change: Option<NextChange>,
    /// That it is exempt from the end of its day, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Exemption>,
    /// The conditions, ordered by type.
    pub conditions: Vec<Condition>,
}

/// One word for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Asked for; nothing has begun.
    #[default]
    Pending,
    /// A build applies.
    Deploying,
    /// Deployed; its service is coming up.
    Starting,
    /// Up and answering.
    Ready,
    /// Its tasks are being stopped.
    Suspending,
    /// There, with no task running.
    Suspended,
    /// A build destroys, or what it left is being looked for.
    Destroying,
    /// Nothing of it is left.
    Destroyed,
    /// Asked for in a way that cannot be.
    Refused,
    /// Tried too often; a new request is needed.
    Failed,
}

impl Phase {
    /// Reads what [`Phase::as_str`] tells.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// All phases, in the order of a life.
    pub const ALL: [Phase; 10] = [
        Phase::Pending,
        Phase::Deploying,
        Phase::Starting,
        Phase::Ready,
        Phase::Suspending,
        Phase::Suspended,
        Phase::Destroying,
        Phase::Destroyed,
        Phase::Refused,
        Phase::Failed,
    ];

    /// As readers see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Deploying => "Deploying",
            Phase::Starting => "Starting",
            Phase::Ready => "Ready",
            Phase::Suspending => "Suspending",
            Phase::Suspended => "Suspended",
            Phase::Destroying => "Destroying",
            Phase::Destroyed => "Destroyed",
            Phase::Refused => "Refused",
            Phase::Failed => "Failed",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The build at work, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildStatus {
    /// The operation it runs.
    pub operation: String,
    /// `apply` or `destroy`.
    pub kind: String,
    /// CodeBuild's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// CodeBuild's phase when last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs_url: Option<String>,
}

/// What happens next by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextChange {
    /// When.
    pub at: Timestamp,
    /// What: `Destroy`, `Suspend`, `Resume`, `Start` or `Retry`.
    pub action: String,
    /// The rule behind it: `Curfew`, `KeepUntil`, `Wake`, `Closed`, `NightsUnused`, `ExpiresAt`, `MaxLifetime` or `Backoff`.
    pub rule: String,
}

/// An exemption from the end of the day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exemption {
    /// The end of the day that it puts off, if its schedule has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Until when.
    pub until: Timestamp,
    /// Where it comes from. Of both, the later one is told.
    pub source: Source,
    /// Who gave it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where an exemption comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The row's `keepUntil`.
    Row,
    /// The API.
    Api,
}

/// One aspect of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect.
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    /// Whether it holds.
    pub status: Truth,
    /// CamelCase, never empty.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
}

/// The aspects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionKind {
    /// The row can be carried out.
    Accepted,
    /// The newest accepted spec is applied.
    Deployed,
    /// The app works at its URL.
    Ready,
    /// Its route (target group) carries traffic to it.
    RouteHealthy,
    /// Lamplighter gave up until a new request.
    Stalled,
    /// Something survived a destroy. Not there as long as nothing ever has.
    Leftover,
    /// An operator paused it. Not there as long as nobody ever has.
    Paused,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    /// It does.
    True,
    /// It does not.
    False,
    /// We do not know.
    Unknown,
}

impl Status {
    /// The condition of a kind, if it was ever set.
    pub fn condition(&self, kind: ConditionKind) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Sets a condition; the time moves only when its truth does.
    pub fn set(&mut self, kind: ConditionKind, status: Truth, reason: &str, message: String, now: Timestamp) {
        let found = self
            .conditions
            .iter()
            .position(|condition| condition.kind == kind);
        let since = found
            .map(|at| &self.conditions[at])
            .filter(|old| old.status == status)
            .map_or(now, |old| old.last_transition_time);
        let condition = Condition {
            kind,
            status,
            reason: reason.to_owned(),
            message,
            last_transition_time: since,
        };
        match found {
            Some(at) => self.conditions[at] = condition,
            None => self.conditions.push(condition),
        }
        self.conditions.sort_by_key(|condition| condition.kind);
    }
}
