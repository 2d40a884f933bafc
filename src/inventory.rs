//! OBSERVE: builds the planner's view of apps from the tables and from AWS. Reads only; a failed or partial
//! read becomes `Unknown`, never absence.
//!
//! Two shapes: [`Inventory::sweep`] reads everything in full batches, and its views only tell which apps
//! need attention; [`Inventory::look`] reads one app consistently, right before anything is done about it.

mod batch;
mod sweep;
mod traces;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::clock::Clock;
use crate::cloud::{self, Cloud};
use crate::model::blueprint::Blueprint;
use crate::model::claim::{ClaimKey, Identity, OnConflict};
use crate::model::keep;
use crate::model::memory::{Holding, Memory, Operation};
use crate::model::name::{AppId, BuildId, Entropy, OperationId, ResourceName};
use crate::model::observed::{
    BuildState, ClaimHolders, Gate, ListedBuild, Listing, Observed, Rival, Service, TagLook, Traces,
};
use crate::model::pause::Pauses;
use crate::model::policy::{Admission, Deletions, OPERATION_ID_VARIABLE, Policy};
use crate::model::row::Row;
use crate::model::schedule::later;
use crate::model::warned::Notice;
use crate::planner::AppView;

pub use batch::Glance;
pub use sweep::{Sweep, SweepPlan, TagIndex};
pub use traces::{ALL_BUILDS_BACK, BUILDS_BACK, BuildIndex, Stray, Strays};

/// Reads the tables and AWS.
#[derive(Clone)]
pub struct Inventory {
    cloud: Cloud,
    clock: Arc<dyn Clock>,
    policy: Arc<Policy>,
}

/// What the controller adds to a look: judgements and randomness that are not observed.
#[derive(Clone, Debug)]
pub struct Context {
    /// Services with the app's tag, from the last complete listing.
    pub tagged: Observed<TagLook>,
    /// Whether rows that are gone may be acted on.
    pub deletions: Deletions,
    /// What listings show of the app, whatever is remembered of it.
    pub traces: Observed<Traces>,
    /// What apps hold that are not remembered, by what AWS shows.
    pub strays: Arc<ClaimHolders>,
    /// Whether it may be begun with, should it be an orphan that is due.
    pub reap: bool,
    /// What became of telling of its next stop, if that is news.
    pub notice: Option<Notice>,
    /// Whether a build may be started.
    pub admission: Admission,
    /// Randomness for the pass.
    pub entropy: Entropy,
}

impl Inventory {
    /// An inventory of this cloud.
    pub fn new(cloud: Cloud, clock: Arc<dyn Clock>, policy: Arc<Policy>) -> Self {
        Self { cloud, clock, policy }
    }

    /// Looks at one app. `context` is asked once row and memory are known, which its judgements depend on.
    pub async fn look(
        &self,
        id: &AppId,
        context: impl FnOnce(Option<&Row>, Option<&Memory>) -> Context,
    ) -> AppView {
        let (row, memory, pauses) = tokio::join!(
            self.cloud.desired.row(id),
            self.cloud.state.memory(id),
            self.cloud.state.pauses()
        );
        let row = known(row, "desired row", id);
        let memory = known(memory, "memory", id);
        let pauses = known(pauses.map(Some), "pauses", id).present().cloned();
        let Context {
            tagged,
            deletions,
            mut traces,
            strays,
            reap,
            notice,
            admission,
            entropy,
        } = context(row.present(), memory.present());
        if let Observed::Present(traces) = &mut traces {
            self.refresh(traces, memory.present()).await;
        }
        let mut view = AppView {
            id: id.clone(),
            row,
            memory,
            gate: Observed::Unknown,
            build: Observed::Unknown,
            listing: Observed::Unknown,
            service: Observed::Unknown,
            tagged,
            target_group: Observed::Unknown,
            probe: Observed::Unknown,
            stopped_task: Observed::Unknown,
            claims: Observed::Unknown,
            traces,
            reap,
            rivals: BTreeMap::new(),
            notice,
            keeps: Observed::Unknown,
            paused: pauses.as_ref().map_or(Observed::Unknown, |pauses| pauses.of(id)),
            deletions,
            approvals: Observed::Unknown,
            admission,
            entropy,
        };
        if view.row.is_unknown() || view.memory.is_unknown() {
            return view;
        }
        view.keeps = match keep::owner(view.row.present(), view.memory.present()) {
            Some(owner) => known(self.cloud.state.keeps(owner).await, "exemptions", id),
            None => Observed::Absent,
        };
        if view.row.is_absent() && misses_approvals(view.memory.present()) {
            let approvals = self.cloud.state.approvals().await;
            view.approvals = known(approvals.map(|approvals| Some(approvals.count)), "approvals", id);
        }
        let keys = self.claims_that_matter(
            view.row.present(),
            view.memory.present(),
            view.traces.present(),
            &strays,
        );
        view.claims = if keys.is_empty() {
            Observed::Present(ClaimHolders::new())
        } else {
            let claims = known(self.cloud.state.claims(&keys).await.map(Some), "claims", id);
            with_strays(id, claims, &keys, &strays)
        };
        for rival in self.rivals(id, &view.claims) {
            let seen = self.look_at_rival(&rival, pauses.as_ref()).await;
            view.rivals.insert(rival, seen);
        }
        let memory = view.memory.present().cloned();
        let blueprint = memory.as_ref().and_then(Memory::blueprint);
        if let Some(memory) = memory.as_ref().filter(|memory| memory.in_flight().is_some()) {
            self.look_at_operation(memory, &mut view).await;
        } else if let Some(blueprint) = blueprint {
            self.look_at_deployment(blueprint, &mut view).await;
        } else if let Some(tagged) = view
            .traces
            .present()
            .and_then(|traces| traces.services.first())
            .cloned()
        {
            let name = tagged.name;
            let mut seen = self
                .cloud
                .services
                .look(&tagged.cluster, std::slice::from_ref(&name))
                .await;
            view.service = seen.remove(&name).unwrap_or_default();
        }
        view
    }

    async fn look_at_rival(&self, id: &AppId, pauses: Option<&Pauses>) -> Rival {
        let (row, memory) = tokio::join!(self.cloud.desired.row(id), self.cloud.state.memory(id));
        Rival {
            row: known(row, "desired row", id),
            memory: known(memory, "memory", id),
            paused: pauses.map_or(Observed::Unknown, |pauses| pauses.of(id)),
        }
    }

    async fn look_at_operation(&self, memory: &Memory, view: &mut AppView) {
        let Some(operation) = memory.in_flight() else {
            return;
        };
        view.gate = known(self.cloud.state.gate(&operation.id).await, "gate", &view.id);
        let holder = match view.gate.present() {
            Some(Gate::Held(build)) => Some(build.clone()),
            Some(Gate::Open | Gate::Closed) | None => operation.build.clone(),
        };
        let holder = holder.or_else(|| {
            let listed = operation.gate.then(|| listed_build(&view.traces, operation));
            listed.flatten()
        });
        if holder.is_none() && !operation.gate {
            view.listing = self.look_for_builds(&view.id, operation).await;
        }
        if let Some(build) = holder {
            let mut seen = self.cloud.builds.look(std::slice::from_ref(&build)).await;
            view.build = seen.remove(&build).unwrap_or_default();
        }
    }

    /// Looks for builds of an operation whose build is not known, and for others of its app that still run.
    async fn look_for_builds(&self, id: &AppId, operation: &Operation) -> Observed<Listing> {
        let request = &operation.request;
        // As far back as a build that still runs can have been started, whatever CodeBuild's clock shows.
        let minutes = i64::from(request.build_timeout_minutes) + i64::from(request.queue_timeout_minutes);
        let back = later(operation.intended_at, -SignedDuration::from_mins(minutes + 60));
        let blueprint = &operation.blueprint;
        let projects = BTreeSet::from([
            &blueprint.deploy_project,
            &blueprint.destroy_project,
            &request.project,
        ]);
        let began = self.clock.now();
        let mut listed = Vec::new();
        for project in projects {
            match self.cloud.builds.recent(project, back).await {
                // A project that is not there starts no build.
                Err(cloud::Error::NotFound { .. }) => {}
                answer => match known(answer.map(Some), "project's builds", id) {
                    Observed::Present(builds) => listed.extend(builds),
                    Observed::Absent | Observed::Unknown => return Observed::Unknown,
                },
            }
        }
        let says = |build: &ListedBuild, name: &str, value: &str| {
            build.environment.get(name).is_some_and(|said| said == value)
        };
        let runs = |build: &&ListedBuild| build.build.state == BuildState::Running;
        let (mine, others): (Vec<ListedBuild>, Vec<ListedBuild>) = listed
            .into_iter()
            .filter(|build| says(build, &self.policy.build_env.instance_id, id.as_str()))
            .partition(|build| says(build, OPERATION_ID_VARIABLE, operation.id.as_str()));
        Observed::Present(Listing {
            began,
            mine: mine
                .iter()
                .find(runs)
                .or_else(|| mine.first())
                .map(|build| build.build.id.clone()),
            other: others.iter().find(runs).map(|build| build.build.id.clone()),
        })
    }

    async fn look_at_deployment(&self, blueprint: &Blueprint, view: &mut AppView) {
        let name = blueprint.service().clone();
        let mut seen = self
            .cloud
            .services
            .look(&blueprint.cluster, std::slice::from_ref(&name))
            .await;
        view.service = seen.remove(&name).unwrap_or_default();
        if let Some(group) = &blueprint.target_group {
            view.target_group = self.cloud.routes.group_with_targets(group).await;
        }
        let Observed::Present(service) = &view.service else {
            return;
        };
        if is_steady(service) {
            view.probe = self.cloud.prober.probe(&blueprint.health_url).await;
        } else if !service.draining && service.desired_count > 0 {
            let stopped = self.cloud.services.stopped_task(&blueprint.cluster, &name).await;
            view.stopped_task = known(stopped, "stopped tasks", &view.id);
        }
    }
}

/// Whether a row that is missed from now on, or was before that could be read, is to be told apart from those that
/// an approval is about.
fn misses_approvals(memory: Option<&Memory>) -> bool {
    let gone = memory.map(|memory| memory.row_gone.as_ref());
    gone.is_some_and(|gone| gone.is_none_or(|gone| gone.approvals.is_none()))
}

/// Whether a service has all the tasks it should have, so that asking the app makes sense.
fn is_steady(service: &Service) -> bool {
    !service.draining && service.desired_count > 0 && service.running_count >= service.desired_count
}

/// The build of an operation as listings show it. In ordinary times it is known before it is listed; after the state
/// table was restored from a backup, it may be the other way round. Of several, one that is beyond its gate.
fn listed_build(traces: &Observed<Traces>, operation: &Operation) -> Option<BuildId> {
    let builds = || {
        let all = traces.present().into_iter().flat_map(|traces| &traces.builds);
        all.filter(|listed| {
            let id = listed.environment.get(OPERATION_ID_VARIABLE);
            id.is_some_and(|id| *id == operation.id.as_str())
        })
    };
    let beyond = builds().find(|listed| listed.build.is_beyond_its_gate());
    beyond
        .or_else(|| builds().next())
        .map(|listed| listed.build.id.clone())
}

/// Claims as the table has them, and where it has none, or has it for the app itself, as they would be were all apps
/// remembered.
fn with_strays(
    id: &AppId,
    claims: Observed<ClaimHolders>,
    keys: &[ClaimKey],
    strays: &ClaimHolders,
) -> Observed<ClaimHolders> {
    let Observed::Present(mut holders) = claims else {
        return claims;
    };
    for (key, claim) in claims_in(strays, keys) {
        if holders.get(&key).is_none_or(|holder| holder.app == *id) {
            holders.insert(key, claim);
        }
    }
    Observed::Present(holders)
}

impl Inventory {
    /// The claims it wants and has not, and where slots are contested the slot that it has, which somebody may bid
    /// for. A row that is gone wants nothing and is not contested.
    fn claims_that_matter(
        &self,
        row: Option<&Row>,
        memory: Option<&Memory>,
        traces: Option<&Traces>,
        strays: &ClaimHolders,
    ) -> Vec<ClaimKey> {
        let mut keys = self.wanted_claims(row, memory, traces);
        let held = memory.and_then(|memory| memory.holding.as_ref());
        // What it holds by a table that was restored, another may have by what is there.
        let doubtful = held.into_iter().flat_map(Holding::keys);
        keys.extend(doubtful.filter(|key| strays.contains_key(key)));
        let contested = self.policy.on_conflict == OnConflict::Replace && row.is_some();
        keys.extend(
            held.filter(|held| held.slot && contested)
                .map(|held| held.identity.slot.clone()),
        );
        keys.sort();
        keys.dedup();
        keys
    }

    /// The other apps that have to do with these slots, where they are contested: holders and bidders.
    fn rivals(&self, id: &AppId, claims: &Observed<ClaimHolders>) -> BTreeSet<AppId> {
        let contested = self.policy.on_conflict == OnConflict::Replace;
        let slots = claims
            .present()
            .into_iter()
            .flatten()
            .filter(|(key, _)| contested && key.is_slot());
        slots
            .flat_map(|(_, claim)| [Some(&claim.app), claim.bid.as_ref().map(|bid| &bid.app)])
            .flatten()
            .filter(|app| *app != id)
            .cloned()
            .collect()
    }

    /// The claims a deployment of this row would take and does not hold yet, as far as they are known before
    /// the planner made up a host name, and those of what AWS shows and memory does not know. The transaction that
    /// takes them has the last word.
    fn wanted_claims(
        &self,
        row: Option<&Row>,
        memory: Option<&Memory>,
        traces: Option<&Traces>,
    ) -> Vec<ClaimKey> {
        let accepted = memory
            .and_then(|memory| memory.accepted.as_ref())
            .map(|a| &a.blueprint.identity);
        let held: Vec<ClaimKey> = memory
            .and_then(|memory| memory.holding.as_ref())
            .map_or_else(Vec::new, Holding::keys);
        let mut keys = Vec::new();
        for listed in traces.into_iter().flat_map(|traces| &traces.builds) {
            let operation = listed.environment.get(OPERATION_ID_VARIABLE);
            let operation = operation.and_then(|text| OperationId::parse(text));
            if operation.is_some_and(|operation| memory.is_none_or(|memory| !memory.knows(&operation))) {
                let identity =
                    Identity::of_build(self.policy.scope, &self.policy.build_env, &listed.environment);
                keys.extend(identity.iter().flat_map(Identity::keys));
            }
        }
        let unclaimed = memory
            .filter(|memory| !memory.holds_slot())
            .and_then(Memory::blueprint);
        keys.extend(unclaimed.iter().flat_map(|blueprint| blueprint.identity.keys()));
        if memory.is_none_or(|memory| memory.deployment.is_none()) {
            for service in traces.into_iter().flat_map(|traces| &traces.services) {
                keys.push(ClaimKey::resource(&service.name));
                keys.extend(service.host_name.iter().map(ClaimKey::host));
            }
        }
        if let Some(row) = row {
            if let (Some(user), Some(app)) = (&row.user, &row.app) {
                keys.push(ClaimKey::slot(self.policy.scope, user, app));
            }
            if let Some(host) = &row.host_name {
                keys.push(ClaimKey::host(host));
                keys.push(ClaimKey::resource(&ResourceName::for_host(host)));
            } else if let Some(identity) = accepted {
                keys.extend(identity.name_keys());
            }
        }
        keys.sort();
        keys.dedup();
        keys.retain(|key| !held.contains(key));
        keys
    }
}

/// A read as an observation. A failure is logged here, once, because here it turns into `Unknown`.
fn known<T>(read: cloud::Result<Option<T>>, what: &str, id: &AppId) -> Observed<T> {
    match read {
        Ok(found) => found.into(),
        Err(error) => {
            tracing::warn!(app = %id.as_str().escape_debug(), error = error.chain(), "could not read the {what}");
            planted!(UnreadIsAbsent => Observed::Absent, else Observed::Unknown)
        }
    }
}

/// Claims from a complete snapshot.
fn claims_in(snapshot: &ClaimHolders, keys: &[ClaimKey]) -> ClaimHolders {
    keys.iter()
        .filter_map(|key| Some((key.clone(), snapshot.get(key)?.clone())))
        .collect()
}

/// The services with one app's tag, as an index has them.
pub fn tag_look(index: &TagIndex, id: &AppId) -> TagLook {
    let services = index.by_app.get(id).into_iter().flatten();
    TagLook {
        at: index.at,
        services: services.map(|service| service.name.clone()).collect(),
    }
}
