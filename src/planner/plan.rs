//! What a decision looks like: data that leaves the executor nothing to choose.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::blueprint::{BuildKind, BuildRequest};
use crate::model::claim::{Bid, ClaimKey};
use crate::model::history::Event;
use crate::model::keep::Ledger;
use crate::model::memory::Memory;
use crate::model::name::{AppId, BuildId, ClusterName, Entropy, OperationId, ResourceName, User};
use crate::model::observed::{Build, ClaimHolders, Gate, Listing, Observed, Probe, Rival};
use crate::model::observed::{Service, StoppedTask, TagLook, TargetGroup, Traces};
use crate::model::pause::Paused;
use crate::model::policy::{Admission, Deletions};
use crate::model::row::Row;
use crate::model::warned::Notice;

/// Everything known of one app at one time.
#[derive(Clone, Debug)]
pub struct AppView {
    /// The app.
    pub id: AppId,
    /// Its desired row.
    pub row: Observed<Row>,
    /// What we remember of it.
    pub memory: Observed<Memory>,
    /// The gate of the operation in flight.
    pub gate: Observed<Gate>,
    /// The build that holds that gate, else the one that was started for it.
    pub build: Observed<Build>,
    /// For an operation without a gate and without a known build: what its project's builds say.
    pub listing: Observed<Listing>,
    /// Its service, by exact name.
    pub service: Observed<Service>,
    /// Services that carry its tag, from the last complete listing of its cluster.
    pub tagged: Observed<TagLook>,
    /// Its target group, if its blueprint has one.
    pub target_group: Observed<TargetGroup>,
    /// Whether it answers.
    pub probe: Observed<Probe>,
    /// The newest task that stopped by itself.
    pub stopped_task: Observed<StoppedTask>,
    /// Who holds the claims it would take, and where slots are contested, its own slot too: in the table, or, by what
    /// AWS shows, an app that is not remembered.
    pub claims: Observed<ClaimHolders>,
    /// Where slots are contested: the other holders and the highest bidders of those slots.
    pub rivals: BTreeMap<AppId, Rival>,
    /// What AWS shows of it, whatever is remembered; unknown until its builds and services have been listed once.
    pub traces: Observed<Traces>,
    /// Whether it may be begun with, should it be an orphan that is due.
    pub reap: bool,
    /// What became of telling of its next stop, if that is news.
    pub notice: Option<Notice>,
    /// The exemptions of its owner; absent: there are none.
    pub keeps: Observed<Ledger>,
    /// The pause that concerns it; absent: none does.
    pub paused: Observed<Paused>,
    /// Whether rows that are gone may be acted on.
    pub deletions: Deletions,
    /// How many mass deletions have been approved. Only looked at where memory does not yet say how many had been
    /// when the row was first missed.
    pub approvals: Observed<u64>,
    /// Whether a build may be started.
    pub admission: Admission,
    /// Randomness for this pass.
    pub entropy: Entropy,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a plan that is not carried out decides nothing"]
pub struct Plan {
    /// What to do: at most one thing, so that each call acts on a fresh look. What follows from it is
    /// decided by the next pass, which is also what a restart after a crash would do.
    pub action: Option<Action>,
    /// The memory as it should be now, `status` included. Unchanged: nothing is written.
    pub memory: Memory,
    /// Claims to give back together with that memory.
    pub release: Vec<ClaimKey>,
    /// Whether the memory is to be forgotten.
    pub forget: bool,
    /// The rule that decided and what it came to.
    pub decision: Decision,
    /// A stop that is to be told beforehand, if there is one that was not told yet.
    pub warning: Option<Decision>,
    /// When to look again.
    pub requeue: Requeue,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Record an intent: the new operation is in the plan's memory. One transaction takes the claims,
    /// creates the gate and stores the memory.
    Intend {
        /// The operation, whose gate is created.
        operation: OperationId,
        /// What kind of build it is.
        kind: BuildKind,
        /// How urgent.
        class: Class,
        /// Claims to take with it.
        take: Vec<ClaimKey>,
    },
    /// Take claims for what is deployed already: the plan's memory has it, and is stored with them.
    Adopt {
        /// Claims to take with it.
        take: Vec<ClaimKey>,
    },
    /// Send the frozen request.
    StartBuild {
        /// The request.
        request: Arc<BuildRequest>,
    },
    /// Close the gate of an operation, unless a build holds it.
    CloseGate {
        /// The operation.
        operation: OperationId,
    },
    /// Stop a build that cannot do anything useful any more.
    StopBuild {
        /// The build.
        build: BuildId,
    },
    /// Ask for a slot that another app holds, by writing the request onto the claim. Nothing happens if that is
    /// not as it was read any more.
    Bid {
        /// The slot.
        slot: ClaimKey,
        /// Who holds it.
        holder: AppId,
        /// The bid that it carries now.
        over: Option<Bid>,
        /// Ours.
        bid: Bid,
    },
    /// Set how many tasks a service should have.
    Scale {
        /// The cluster.
        cluster: ClusterName,
        /// The service.
        service: ResourceName,
        /// How many.
        tasks: u32,
    },
    /// Note an exemption in its owner's ledger. Nothing happens if that is not as it was read any more.
    Keep {
        /// The owner.
        owner: User,
        /// The version that it has now; zero: there is none.
        over: u64,
        /// What it is to say.
        ledger: Ledger,
        /// The line of history that goes with it.
        line: Box<Event>,
    },
    /// Delete a service that destroy builds have left.
    DeleteService {
        /// The cluster.
        cluster: ClusterName,
        /// The service.
        service: ResourceName,
    },
}

/// How urgent a build is; admission serves them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A destroy that is due.
    Teardown,
    /// A person asked.
    Human,
    /// Something is to be mended.
    Repair,
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// At once: this pass did something that the next one follows up.
    Now,
    /// With the next batched look at apps under way.
    Progress,
    /// At that time, unless a sweep comes first.
    At(Timestamp),
    /// When something changes or the next sweep comes.
    Sweep,
}

/// Why the plan is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule, for example `Curfew`.
    pub rule: &'static str,
    /// What it came to, for example `WaitingForBuild`.
    pub reason: &'static str,
    /// The same for people.
    pub message: String,
}
