//! What a project and a build are. How a build moves is in `phases`; how the wire shows it is in `api`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::behaviour::Behaviour;

/// A `CodeBuild` project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) arn: String,
    /// The cluster this project's Terraform puts its services in.
    pub(crate) cluster: String,
    pub(crate) created: Timestamp,
    pub(crate) environment: Vec<Variable>,
    pub(crate) timeout_minutes: u32,
    pub(crate) queued_timeout_minutes: u32,
    pub(crate) concurrent_build_limit: Option<u32>,
    /// Oldest first; a build's number is its place here plus one.
    pub(crate) builds: Vec<String>,
}

/// An environment variable of a build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
    #[serde(rename = "type", default = "plaintext")]
    pub(crate) kind: String,
}

pub(crate) fn plaintext() -> String {
    "PLAINTEXT".to_owned()
}

/// An idempotency token that was used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) build: String,
    /// The whole request, canonically, to tell a repetition from a misuse.
    pub(crate) request: String,
    pub(crate) at: Timestamp,
}

/// The phases of a build, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// The call was accepted.
    Submitted,
    /// Waiting for room among the account's concurrent builds.
    Queued,
    /// The container is made; the log stream exists from here on.
    Provisioning,
    /// The source is fetched.
    DownloadSource,
    /// The buildspec's `install` commands.
    Install,
    /// The buildspec's `pre_build` commands; the gate is asked at its end.
    PreBuild,
    /// The buildspec's `build` commands: Terraform.
    Build,
    /// The buildspec's `post_build` commands, also after a failed `BUILD`.
    PostBuild,
    /// Artifacts are stored.
    UploadArtifacts,
    /// The container is taken down.
    Finalizing,
    /// Nothing follows.
    Completed,
}

impl Phase {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Queued => "QUEUED",
            Self::Provisioning => "PROVISIONING",
            Self::DownloadSource => "DOWNLOAD_SOURCE",
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
            Self::UploadArtifacts => "UPLOAD_ARTIFACTS",
            Self::Finalizing => "FINALIZING",
            Self::Completed => "COMPLETED",
        }
    }

    pub(crate) fn next(self) -> Self {
        match self {
            Self::Submitted => Self::Queued,
            Self::Queued => Self::Provisioning,
            Self::Provisioning => Self::DownloadSource,
            Self::DownloadSource => Self::Install,
            Self::Install => Self::PreBuild,
            Self::PreBuild => Self::Build,
            Self::Build => Self::PostBuild,
            Self::PostBuild => Self::UploadArtifacts,
            Self::UploadArtifacts => Self::Finalizing,
            Self::Finalizing | Self::Completed => Self::Completed,
        }
    }
}

/// The status of a build. AWS: there is no QUEUED; a queued build is `IN_PROGRESS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BuildStatus {
    /// Queued or running.
    InProgress,
    /// Every phase succeeded.
    Succeeded,
    /// A phase failed.
    Failed,
    /// `CodeBuild` itself failed.
    Fault,
    /// The queue or build timeout passed.
    TimedOut,
    /// `StopBuild`.
    Stopped,
}

impl BuildStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Fault => "FAULT",
            Self::TimedOut => "TIMED_OUT",
            Self::Stopped => "STOPPED",
        }
    }
}

/// A phase a build has entered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PhaseRecord {
    pub(crate) phase: Phase,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    /// On the wire this is a build status or `CLIENT_ERROR`, which the SDK's enum lacks.
    pub(crate) status: Option<String>,
    pub(crate) context: Option<Context>,
}

/// Why a phase ended badly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Context {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Context {
    /// AWS: "Error while executing command: terraform apply. Reason: exit status 1".
    pub(crate) fn command(command: &str, exit_status: u8) -> Self {
        Self {
            code: "COMMAND_EXECUTION_ERROR".to_owned(),
            message: format!("Error while executing command: {command}. Reason: exit status {exit_status}"),
        }
    }
}

/// A build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Build {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) number: u64,
    pub(crate) project: String,
    pub(crate) environment: Vec<Variable>,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) status: BuildStatus,
    pub(crate) phases: Vec<PhaseRecord>,
    pub(crate) timeout_minutes: u32,
    pub(crate) queued_timeout_minutes: u32,
    pub(crate) auto_retries_left: u32,
    pub(crate) buildspec: Option<String>,
    pub(crate) source_version: Option<String>,
    pub(crate) initiator: String,
    /// Moves with every phase, so that what was planned for an earlier one is void.
    pub(crate) epoch: u32,
    /// In `QUEUED`, and only room is missing.
    pub(crate) waits_for_room: bool,
    pub(crate) behaviours: Vec<Behaviour>,
    /// What the build will come to, if not success.
    pub(crate) verdict: Option<BuildStatus>,
    pub(crate) gate_passed: Option<Timestamp>,
    /// When Terraform held its lock.
    pub(crate) applied_from: Option<Timestamp>,
    /// When Terraform changed the world.
    pub(crate) applied: Option<Timestamp>,
    pub(crate) applied_to: Option<Timestamp>,
    /// No call finds it any more.
    #[serde(default)]
    pub(crate) forgotten: bool,
}

impl Build {
    pub(crate) fn phase(&self) -> Phase {
        self.phases.last().map_or(Phase::Submitted, |record| record.phase)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.status != BuildStatus::InProgress
    }

    /// The value of an environment variable, if it is set to something.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|variable| variable.name == name)?;
        Some(found.value.as_str()).filter(|value| !value.is_empty())
    }

    /// The environment by name, without what differs from call to call.
    pub(crate) fn fingerprint(&self, except: &[&str]) -> BTreeMap<String, String> {
        let kept = self
            .environment
            .iter()
            .filter(|variable| !except.contains(&variable.name.as_str()));
        kept.map(|variable| (variable.name.clone(), variable.value.clone()))
            .collect()
    }
}
