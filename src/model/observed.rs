//! What AWS showed us, in our own words. A failed or partial read is [`Observed::Unknown`], never absence.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::name::{AppId, BuildId, ClusterName, HostName, ResourceName};
use super::pause::Paused;
use super::row::Row;

/// The three answers a look can have. Only `Absent` says that a thing is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Observed<T> {
    /// We could not look, or only in part. Nothing follows from it but another look.
    #[default]
    Unknown,
    /// We looked, and it was not there.
    Absent,
    /// We looked, and this is it.
    Present(T),
}

impl<T> Observed<T> {
    /// The thing, if it was seen.
    pub fn present(&self) -> Option<&T> {
        match self {
            Observed::Present(thing) => Some(thing),
            Observed::Unknown | Observed::Absent => None,
        }
    }

    /// Whether a look came back without it.
    pub fn is_absent(&self) -> bool {
        matches!(self, Observed::Absent)
    }

    /// Whether no look succeeded.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Observed::Unknown)
    }
}

impl<T> From<Option<T>> for Observed<T> {
    /// A completed read: `None` means that it is not there.
    fn from(found: Option<T>) -> Self {
        found.map_or(Observed::Absent, Observed::Present)
    }
}

/// The write-once gate of one operation. An absent item is [`Observed::Absent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// No build has passed, and one still may.
    Open,
    /// We closed it before any build passed, so none ever will.
    Closed,
    /// This build passed. It is the only one that ever does.
    Held(BuildId),
}

/// One CodeBuild build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Its id, `project:uuid`.
    pub id: BuildId,
    /// Where it stands.
    pub state: BuildState,
    /// The phase it is in or ended in, as CodeBuild spells it.
    pub phase: String,
    /// When CodeBuild accepted it.
    pub started_at: Option<Timestamp>,
    /// When it was complete.
    pub ended_at: Option<Timestamp>,
    /// A link to its log, when CodeBuild gave one.
    pub logs_url: Option<String>,
}

/// What a complete listing of a project's builds says of one operation, going back to before its intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// When it began to be read.
    pub began: Timestamp,
    /// The build that carries the operation's id; of several one that runs, else the newest.
    pub mine: Option<BuildId>,
    /// A build of the same app that runs for another operation, or for none.
    pub other: Option<BuildId>,
}

/// A build as the listing of its project shows it, whoever started it and whatever for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBuild {
    /// The build.
    pub build: Build,
    /// Its plain-text environment: what its starter gave it, and whatever its project adds. Only the names that
    /// we give to builds may go anywhere from here; the rest may hold secrets of the project's.
    pub environment: Arc<BTreeMap<String, String>>,
}

/// What AWS shows of one app, whatever is remembered of it: from listings, so it may be old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Its builds, newest first, with no more of their environments than we give to builds.
    pub builds: Vec<ListedBuild>,
    /// Services that carry its tag.
    pub services: Vec<TaggedService>,
}

/// A service that carries our tags, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedService {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its name.
    pub name: ResourceName,
    /// The host name in its tag.
    pub host_name: Option<HostName>,
}

/// Whether a build goes on, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildState {
    /// Queued or running: CodeBuild has no separate status for a queued build.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended otherwise.
    Failed(BuildFailure),
}

/// Why a build did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFailure {
    /// CodeBuild's word: `FAILED`, `FAULT`, `TIMED_OUT`, `STOPPED` or `CLIENT_ERROR`.
    pub status: String,
    /// The phase that failed, if one says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The first context message of that phase, cut to a readable length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

impl Build {
    /// Whether it is seen beyond the phase of its gate, and so must have passed it, whatever the gate's item says.
    /// After the table was restored from a backup, a gate can be open that a build has passed.
    pub fn is_beyond_its_gate(&self) -> bool {
        match &self.state {
            BuildState::Running => is_beyond(&self.phase),
            BuildState::Succeeded => true,
            BuildState::Failed(failure) => failure.phase.as_deref().is_some_and(is_beyond),
        }
    }
}

/// Whether a phase of CodeBuild's comes after PRE_BUILD, in which the gate is asked.
fn is_beyond(phase: &str) -> bool {
    matches!(
        phase,
        "BUILD" | "POST_BUILD" | "UPLOAD_ARTIFACTS" | "FINALIZING" | "COMPLETED"
    )
}

impl BuildFailure {
    /// Whether the cloud, not the app, was short of something: such a failure is nobody's, and does not
    /// count against the app. AWS: `CLIENT_ERROR` in phase QUEUED is how a lack of network interfaces looks.
    pub fn is_capacity(&self) -> bool {
        self.status == "CLIENT_ERROR"
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        match (&self.phase, &self.context) {
            (Some(phase), Some(context)) => format!("{} in {phase}: {context}", self.status),
            (Some(phase), None) => format!("{} in {phase}", self.status),
            (None, _) => self.status.clone(),
        }
    }
}

/// One ECS service, ACTIVE or DRAINING. An INACTIVE one is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its exact name.
    pub name: ResourceName,
    /// Deletion is under way; nothing may be created or changed until it is over.
    pub draining: bool,
    /// How many tasks are wanted.
    pub desired_count: u32,
    /// How many run, over all deployments.
    pub running_count: u32,
    /// How many are on their way, over all deployments.
    pub pending_count: u32,
    /// The newest deployment's rollout.
    pub rollout: Rollout,
    /// How many deployments are listed; a finished rollout leaves one.
    pub deployments: u32,
    /// The tag that names the app it belongs to.
    pub instance_id: Option<AppId>,
    /// The tag that keeps the whole host name.
    pub host_name: Option<HostName>,
    /// Names of the target groups that its tasks are registered with.
    pub target_groups: Vec<String>,
}

impl Service {
    /// The one target group that tells whether traffic reaches it. Of several none does: which of them matters
    /// can't be told.
    pub fn target_group(&self) -> Option<&str> {
        match self.target_groups.as_slice() {
            [one] => Some(one),
            [] | [_, _, ..] => None,
        }
    }
}

/// AWS's `rolloutState` of the primary deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// Tasks are still being replaced, or never became steady.
    InProgress,
    /// Steady.
    Completed,
    /// The circuit breaker gave up, with its reason.
    Failed(String),
}

/// The newest task of a service that stopped by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoppedTask {
    /// When it stopped, if ECS said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// AWS's `stopCode`, for example `EssentialContainerExited`.
    pub code: String,
    /// AWS's `stoppedReason`, with the container's own reason and exit code where there is one.
    pub reason: String,
}

/// The target group of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// Whether any load balancer uses it. AWS: an empty `LoadBalancerArns` means that no traffic flows.
    pub attached: bool,
    /// Its targets; unknown when this look did not ask for them.
    pub targets: Observed<Targets>,
}

/// The health of a target group's targets, as counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Targets that take traffic.
    pub healthy: u32,
    /// Targets that do not.
    pub unhealthy: u32,
    /// The first reason given by a target that is not healthy.
    pub reason: Option<String>,
}

/// What an HTTP GET of the health URL came to. Not reaching the app is a known answer too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It answered 2xx or 3xx.
    Answered,
    /// It answered otherwise, or not at all; the text says which.
    Failed(String),
}

/// The services of a cluster that carry an app's tag, from one complete listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagLook {
    /// When the listing began.
    pub at: Timestamp,
    /// Names of the services tagged with the app's id that are not INACTIVE.
    pub services: Vec<ResourceName>,
}

/// Another app that holds or wants the slot of the app looked at, as far as that matters to who gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rival {
    /// Its row.
    pub row: Observed<Row>,
    /// What is remembered of it.
    pub memory: Observed<Memory>,
    /// The pause that concerns it.
    pub paused: Observed<Paused>,
}

/// Who holds the claims an app wants, by claim key; a key that is missing is free.
pub type ClaimHolders = BTreeMap<super::claim::ClaimKey, super::claim::Claim>;
