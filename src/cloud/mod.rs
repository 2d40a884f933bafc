//! The edge: small traits in our own words, and the adapters that carry them out on AWS. No SDK type leaves
//! this module, and nothing in it decides.
//!
//! A method that changes something may have taken effect although it returned an error; only
//! [`Error::Rejected`] and its kin say that it did not.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::adopt::ForeignService;
use crate::model::blueprint::BuildRequest;
use crate::model::claim::{Bid, Claim, ClaimKey};
use crate::model::history::Event;
use crate::model::keep::Ledger;
use crate::model::lease::{Lease, Shard};
use crate::model::memory::Memory;
use crate::model::name::{AppId, BuildId, ClusterName, OperationId, ProjectName, ResourceName, User};
use crate::model::observed::{
    Build, ClaimHolders, Gate, ListedBuild, Observed, Probe, Service, StoppedTask, TargetGroup,
};
use crate::model::pause::{Pause, PauseScope, Pauses};
use crate::model::policy::Approvals;
use crate::model::row::Row;

mod error;
pub use error::{Error, Result};

pub mod aws;
pub mod codebuild;
pub mod dynamodb;
pub mod ecs;
pub mod elb;
mod http;
mod pages;
pub mod probe;
mod takeover;
mod text;
pub mod webhook;

/// The desired table: what the portal wants.
#[async_trait]
pub trait DesiredStore: Send + Sync {
    /// One row, read consistently.
    async fn row(&self, id: &AppId) -> Result<Option<Row>>;
    /// Every row, read consistently, in pages of 1 MB. All pages or an error, never a part.
    async fn rows(&self) -> Result<Rows>;
    /// Writes every attribute of a row, and takes away those it has not; attributes of the portal's own stay.
    /// Used by our own API, through the same table as the portal.
    async fn put_row(&self, row: &Row) -> Result<()>;
    /// Deletes a row; it is no error when it was gone.
    async fn delete_row(&self, id: &AppId) -> Result<()>;
}

/// A complete reading of the desired table.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Rows by id.
    pub rows: BTreeMap<AppId, Row>,
    /// How many keys were too long to remember an app by.
    pub unreadable: usize,
}

/// The state table: what we remember, the gates and the claims.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// The memory of one app, read consistently.
    async fn memory(&self, id: &AppId) -> Result<Option<Memory>>;
    /// Everything in the table, read consistently. All pages or an error, never a part.
    async fn snapshot(&self) -> Result<StateSnapshot>;
    /// Who holds these claims, read consistently.
    async fn claims(&self, keys: &[ClaimKey]) -> Result<ClaimHolders>;
    /// The gate of an operation, read consistently; `None` when there is no such item.
    async fn gate(&self, operation: &OperationId) -> Result<Option<Gate>>;
    /// Closes a gate unless a build holds it, and says how it then stands. `None`: there is no such item.
    async fn close_gate(&self, operation: &OperationId) -> Result<Option<Gate>>;
    /// Writes `bid` onto a claim if `holder` has it and `over` is the bid that it carries, and says how it then
    /// stands. `None`: nobody has it. Safe to repeat; the claim goes with whatever it carries when it is given back.
    async fn bid(
        &self,
        slot: &ClaimKey,
        holder: &AppId,
        over: Option<&Bid>,
        bid: &Bid,
    ) -> Result<Option<Claim>>;
    /// Carries out all of `write`, or nothing of it.
    async fn write(&self, write: &Write) -> std::result::Result<(), WriteError>;
    /// The newest events of an app, newest first.
    async fn events(&self, id: &AppId, limit: u32) -> Result<Vec<Event>>;
    /// What happened to an app from `from` on and before `to`, oldest first, all of it, and before that the newest
    /// event that is older, if there is one: how it was when that time began.
    async fn history(&self, id: &AppId, from: Timestamp, to: Timestamp) -> Result<Vec<Event>>;
    /// How operators have let mass deletions go on, read consistently.
    async fn approvals(&self) -> Result<Approvals>;
    /// Counts an approval after those that were `seen`, unless somebody has counted one since. Safe to repeat.
    async fn approve_deletions(&self, seen: Approvals, at: Timestamp) -> Result<()>;
    /// Notes up to which time days are reported. Safe to repeat; a complete reading of the table has it.
    async fn set_reported(&self, until: Timestamp) -> Result<()>;
    /// What operators have paused, read consistently.
    async fn pauses(&self) -> Result<Pauses>;
    /// Begins a pause, or with `None` ends it, and says what is paused then. Safe to repeat.
    async fn set_pause(&self, scope: &PauseScope, pause: Option<&Pause>) -> Result<Pauses>;
    /// The exemptions of a user's apps, read consistently; `None` when none was ever noted, or they are forgotten.
    async fn keeps(&self, user: &User) -> Result<Option<Ledger>>;
    /// Stores `new` and its line of history if the ledger has the version `over`, or with zero if there is none, and
    /// says whether it is stored. An attempt of this call whose answer got lost counts.
    async fn swap_keeps(&self, user: &User, over: u64, new: &Ledger, line: &Event) -> Result<bool>;
    /// These leases, read consistently; those that nobody ever held are left out.
    async fn leases(&self, shards: &[Shard]) -> Result<BTreeMap<Shard, Lease>>;
    /// Stores `new` if the lease is [unmoved](Lease::unmoved_since) since `expected`, or with `None` if there
    /// never was one. An attempt of this call whose answer got lost counts; for one of an earlier call, give each
    /// its own content.
    async fn swap_lease(&self, shard: Shard, expected: Option<&Lease>, new: &Lease) -> Result<Swapped>;
}

/// What became of [`StateStore::swap_lease`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// It is stored.
    Done {
        /// What it replaced, if the answer said so.
        before: Option<Lease>,
    },
    /// Somebody else was first.
    Lost {
        /// What is stored instead.
        stored: Option<Lease>,
    },
}

/// A complete reading of the state table.
#[derive(Clone, Debug, Default)]
pub struct StateSnapshot {
    /// Memories by app.
    pub memories: BTreeMap<AppId, Memory>,
    /// Gates by operation.
    pub gates: BTreeMap<OperationId, Gate>,
    /// Claims by key.
    pub claims: BTreeMap<ClaimKey, Claim>,
    /// How operators have let mass deletions go on.
    pub approvals: Approvals,
    /// Up to which time days are reported, if any was.
    pub reported: Option<Timestamp>,
    /// What operators have paused.
    pub pauses: Pauses,
    /// Exemptions by user.
    pub keeps: BTreeMap<User, Ledger>,
    /// Items that could not be read as what their key says, with the reason. Their apps stay unknown.
    pub unreadable: BTreeMap<String, String>,
}

/// One change of the state table: all of it happens, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The memory to store; its `version` is already the new one.
    pub memory: Memory,
    /// The version that must be there now; zero: there must be none.
    pub expected_version: u64,
    /// Whether the memory is deleted instead of stored.
    pub forget: bool,
    /// History to append.
    pub events: Vec<Event>,
    /// The gate to create, which must not exist.
    pub open_gate: Option<OperationId>,
    /// Claims to take; each must be free or already this app's.
    pub take: Vec<ClaimKey>,
    /// Claims to give back; each must be this app's or gone.
    pub release: Vec<ClaimKey>,
    /// When settled gates may be forgotten: set as expiry on this operation's gate.
    pub expire_gate: Option<(OperationId, Timestamp)>,
    /// When this is written, for the claims' `since`.
    pub at: Timestamp,
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else wrote the memory since it was read: look again.
    #[error("the memory of this app was changed by somebody else")]
    VersionConflict,
    /// A claim belongs to another app: look again and refuse.
    #[error("{key} is held by another app")]
    ClaimTaken {
        /// Which claim.
        key: ClaimKey,
        /// Who holds it, if the answer said so.
        holder: Option<Claim>,
    },
    /// Anything else. It may have happened all the same.
    #[error(transparent)]
    Other(#[from] Error),
}

/// CodeBuild.
#[async_trait]
pub trait Builds: Send + Sync {
    /// Starts the build of a frozen request, or finds it started.
    async fn start(&self, request: &BuildRequest) -> Result<BuildId>;
    /// Looks at builds, 100 in a call. Every id asked for is in the answer; where a call failed, as unknown.
    async fn look(&self, ids: &[BuildId]) -> BTreeMap<BuildId, Observed<Build>>;
    /// Asks a build to stop; it is no error when it has ended.
    async fn stop(&self, id: &BuildId) -> Result<()>;
    /// Every build of a project that was started at `since` or later, by CodeBuild's clock, newest first; two
    /// calls for each hundred. All of them or an error, never a part. AWS: what was started in the last minutes
    /// may not be listed yet, and builds are forgotten after a year.
    async fn recent(&self, project: &ProjectName, since: Timestamp) -> Result<Vec<ListedBuild>>;
}

/// ECS.
#[async_trait]
pub trait Services: Send + Sync {
    /// Looks at services by exact name, 10 in a call. Every name asked for is in the answer; where a call
    /// failed, as unknown. INACTIVE counts as absent, DRAINING as present.
    async fn look(
        &self,
        cluster: &ClusterName,
        names: &[ResourceName],
    ) -> BTreeMap<ResourceName, Observed<Service>>;
    /// The names of every service of a cluster that is not DRAINING, 100 in a page. All pages or an error.
    async fn list(&self, cluster: &ClusterName) -> Result<Vec<ResourceName>>;
    /// Sets how many tasks a service should have.
    async fn scale(&self, cluster: &ClusterName, name: &ResourceName, tasks: u32) -> Result<()>;
    /// Deletes a service with all its tasks; it is no error when it is being deleted or gone.
    async fn delete(&self, cluster: &ClusterName, name: &ResourceName) -> Result<()>;
    /// The newest task of a service that stopped by itself, if ECS still knows one.
    async fn stopped_task(&self, cluster: &ClusterName, name: &ResourceName) -> Result<Option<StoppedTask>>;
}

/// What taking over an app of another tool needs of ECS beyond [`Services`]. The daemon has it not, and so need not
/// be allowed to tag.
#[async_trait]
pub trait Takeover: Send + Sync {
    /// Looks at services with all their tags, 10 in a call. Those that are gone are left out; all others are there,
    /// or it is an error.
    async fn look_whole(&self, cluster: &ClusterName, names: &[ResourceName]) -> Result<Vec<ForeignService>>;
    /// Sets tags of a service; what other tags it has stays. Safe to repeat.
    async fn tag(
        &self,
        cluster: &ClusterName,
        name: &ResourceName,
        tags: &[(&'static str, String)],
    ) -> Result<()>;
}

/// What taking over an app needs of the desired table beyond [`DesiredStore`].
#[async_trait]
pub trait NewRows: Send + Sync {
    /// Writes a row unless there is one, and says whether it did. `false` can be its own earlier attempt, whose
    /// answer was lost.
    async fn create_row(&self, row: &Row) -> Result<bool>;
}

/// Load balancing.
#[async_trait]
pub trait Routes: Send + Sync {
    /// Looks at target groups by exact name, all together, and at the targets of some of them: one call each,
    /// so not of a whole fleet at once. Every name asked for is in the answer.
    async fn groups_and_targets(
        &self,
        names: &[String],
        with_targets: &BTreeSet<String>,
    ) -> BTreeMap<String, Observed<TargetGroup>>;
    /// Looks at target groups without their targets.
    async fn groups(&self, names: &[String]) -> BTreeMap<String, Observed<TargetGroup>> {
        self.groups_and_targets(names, &BTreeSet::new()).await
    }
    /// Looks at one target group with its targets.
    async fn group_with_targets(&self, name: &str) -> Observed<TargetGroup> {
        let only = BTreeSet::from([name.to_owned()]);
        let mut seen = self.groups_and_targets(&[name.to_owned()], &only).await;
        seen.remove(name).unwrap_or_default()
    }
}

/// The app itself, over HTTP.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Asks the health URL, with a limit on time and size.
    async fn probe(&self, url: &str) -> Observed<Probe>;
}

/// Somebody who is told of stops beforehand.
#[async_trait]
pub trait Webhook: Send + Sync {
    /// Sends a message once, signed as of `at`. Bounded in time. The receiver may have it although it failed.
    async fn send(&self, message: &Message, at: Timestamp) -> Sent;
}

/// A message to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same for the same message, however often it is sent.
    pub id: String,
    /// JSON.
    pub body: String,
}

/// What came of sending a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The receiver has it.
    Accepted,
    /// The receiver wants no such messages.
    Refused,
    /// Neither; with the reason.
    Failed(String),
}

/// Every edge the controller uses, together.
#[derive(Clone)]
pub struct Cloud {
    /// The desired table.
    pub desired: std::sync::Arc<dyn DesiredStore>,
    /// The state and events tables.
    pub state: std::sync::Arc<dyn StateStore>,
    /// CodeBuild.
    pub builds: std::sync::Arc<dyn Builds>,
    /// ECS.
    pub services: std::sync::Arc<dyn Services>,
    /// Load balancing.
    pub routes: std::sync::Arc<dyn Routes>,
    /// The apps themselves.
    pub prober: std::sync::Arc<dyn Prober>,
}

impl Cloud {
    /// Every edge on AWS.
    pub fn on_aws(
        clients: &aws::Clients,
        tables: dynamodb::Tables,
        prober: std::sync::Arc<dyn Prober>,
    ) -> Self {
        use std::sync::Arc;
        let stores = Arc::new(dynamodb::DynamoDb::new(clients, tables));
        Self {
            desired: Arc::clone(&stores) as Arc<dyn DesiredStore>,
            state: stores,
            builds: Arc::new(codebuild::CodeBuild::new(clients)),
            services: Arc::new(ecs::Ecs::new(clients)),
            routes: Arc::new(elb::Elb::new(clients)),
            prober,
        }
    }
}
