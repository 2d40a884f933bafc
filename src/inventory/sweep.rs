//! The sweep: everything, in full batches. Its views are for telling which apps need a proper look; nothing
//! is done on their strength alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::traces::by_app;
use super::{Inventory, claims_in, is_steady, tag_look, with_strays};
use crate::cloud::{self, Rows, StateSnapshot};
use crate::model::keep::{self, Ledger};
use crate::model::lease::Held;
use crate::model::memory::Memory;
use crate::model::name::{AppId, BuildId, ClusterName, ResourceName};
use crate::model::observed::{
    Build, Gate, Observed, Probe, Rival, Service, TagLook, TaggedService, TargetGroup,
};
use crate::model::row::Row;
use crate::planner::AppView;

/// What one sweep found.
#[derive(Debug)]
pub struct Sweep {
    /// When the rows began to be read: rows missing from it were gone by then.
    pub rows_read_at: Timestamp,
    /// The desired table.
    pub rows: Rows,
    /// The state table.
    pub state: StateSnapshot,
    /// Services by cluster and the tag of the app they belong to, where the listing was complete.
    pub tags: BTreeMap<ClusterName, TagIndex>,
    observed: Batches,
}

/// Which services of a cluster carry which app's tag.
#[derive(Clone, Debug)]
pub struct TagIndex {
    /// When the listing began.
    pub at: Timestamp,
    /// Names by tag.
    pub by_app: BTreeMap<AppId, Vec<TaggedService>>,
}

/// What the controller wants of a sweep beyond the batches.
#[derive(Clone, Debug)]
pub struct SweepPlan {
    /// Apps whose targets are looked at one by one in this sweep: a slice that rotates, since AWS has no
    /// batch for target health.
    pub targets_of: BTreeSet<AppId>,
    /// The apps that are looked at beyond the two tables.
    pub held: Held,
}

impl SweepPlan {
    /// The memories of the apps that are looked at.
    fn ours<'a>(&'a self, state: &'a StateSnapshot) -> impl Iterator<Item = &'a Memory> {
        let memories = state.memories.values();
        memories.filter(|memory| self.held.has(&memory.id))
    }
}

#[derive(Debug, Default)]
struct Batches {
    builds: BTreeMap<BuildId, Observed<Build>>,
    services: BTreeMap<(ClusterName, ResourceName), Observed<Service>>,
    groups: BTreeMap<String, Observed<TargetGroup>>,
    probes: BTreeMap<AppId, Observed<Probe>>,
}

/// How many health URLs are asked at once.
const PROBES_AT_ONCE: usize = 32;

impl Inventory {
    /// Reads everything. Fails when a table cannot be read in full; what AWS does not answer is unknown.
    pub async fn sweep(&self, plan: &SweepPlan) -> cloud::Result<Sweep> {
        // Memory is read before rows: an app that is remembered and has no row afterwards had one.
        let state = self.cloud.state.snapshot().await?;
        let rows_read_at = self.clock.now();
        let rows = self.cloud.desired.rows().await?;
        let mut observed = Batches {
            builds: self.batch_builds(&state, plan).await,
            ..Batches::default()
        };
        let tags = self.batch_services(&state, plan, &mut observed).await;
        observed.groups = self.batch_groups(&state, plan).await;
        observed.probes = self.batch_probes(&state, plan, &observed).await;
        Ok(Sweep {
            rows_read_at,
            rows,
            state,
            tags,
            observed,
        })
    }

    /// Builds of operations in flight; finished ones are never asked for again.
    async fn batch_builds(
        &self,
        state: &StateSnapshot,
        plan: &SweepPlan,
    ) -> BTreeMap<BuildId, Observed<Build>> {
        let ids: BTreeSet<BuildId> = plan.ours(state).filter_map(|m| build_of(m, state)).collect();
        let ids: Vec<BuildId> = ids.into_iter().collect();
        if ids.is_empty() {
            BTreeMap::new()
        } else {
            self.cloud.builds.look(&ids).await
        }
    }

    /// Every service that a cluster lists and every one we know by name, each described once. While a build is at
    /// work, nothing is decided about its service.
    async fn batch_services(
        &self,
        state: &StateSnapshot,
        plan: &SweepPlan,
        observed: &mut Batches,
    ) -> BTreeMap<ClusterName, TagIndex> {
        let mut names: BTreeMap<ClusterName, BTreeSet<ResourceName>> = BTreeMap::new();
        if !plan.held.is_nothing() {
            // Also where nothing of ours is known to be: what is there may have been forgotten.
            names.extend(
                self.clusters()
                    .into_iter()
                    .map(|cluster| (cluster, BTreeSet::new())),
            );
        }
        for memory in plan.ours(state) {
            let Some(blueprint) = memory.blueprint() else {
                continue;
            };
            let names = names.entry(blueprint.cluster.clone()).or_default();
            if memory.in_flight().is_none() {
                names.insert(blueprint.service().clone());
            }
        }
        let mut tags = BTreeMap::new();
        for (cluster, mut wanted) in names {
            let at = self.clock.now();
            let listed = match self.cloud.services.list(&cluster).await {
                Ok(listed) => Some(listed),
                Err(error) => {
                    tracing::warn!(%cluster, error = error.chain(), "could not list the services");
                    None
                }
            };
            wanted.extend(listed.iter().flatten().cloned());
            let wanted: Vec<ResourceName> = wanted.into_iter().collect();
            let seen = self.cloud.services.look(&cluster, &wanted).await;
            let complete = listed.is_some() && seen.values().all(|service| !service.is_unknown());
            if complete {
                let by_app = by_app(&cluster, seen.values().filter_map(Observed::present));
                tags.insert(cluster.clone(), TagIndex { at, by_app });
            }
            for (name, service) in seen {
                observed.services.insert((cluster.clone(), name), service);
            }
        }
        tags
    }

    async fn batch_groups(
        &self,
        state: &StateSnapshot,
        plan: &SweepPlan,
    ) -> BTreeMap<String, Observed<TargetGroup>> {
        let idle = plan.ours(state).filter(|memory| memory.in_flight().is_none());
        let mut names = Vec::new();
        let mut with_targets = BTreeSet::new();
        for memory in idle {
            let Some(group) = memory.blueprint().and_then(|b| b.target_group.clone()) else {
                continue;
            };
            if plan.targets_of.contains(&memory.id) {
                with_targets.insert(group.clone());
            }
            names.push(group);
        }
        self.cloud.routes.groups_and_targets(&names, &with_targets).await
    }

    /// Asks every app that is ready whether it still answers.
    async fn batch_probes(
        &self,
        state: &StateSnapshot,
        plan: &SweepPlan,
        observed: &Batches,
    ) -> BTreeMap<AppId, Observed<Probe>> {
        let mut asked = JoinSet::new();
        let mut answers = BTreeMap::new();
        for memory in plan.ours(state).filter(|memory| memory.ready_since.is_some()) {
            let Some(blueprint) = memory.blueprint() else {
                continue;
            };
            let key = (blueprint.cluster.clone(), blueprint.service().clone());
            let steady = observed
                .services
                .get(&key)
                .and_then(Observed::present)
                .is_some_and(is_steady);
            if !steady {
                continue;
            }
            if asked.len() >= PROBES_AT_ONCE
                && let Some(Ok((id, answer))) = asked.join_next().await
            {
                answers.insert(id, answer);
            }
            let (prober, url, id) = (
                self.cloud.prober.clone(),
                blueprint.health_url.clone(),
                memory.id.clone(),
            );
            asked.spawn(async move {
                let answer = prober.probe(&url).await;
                (id, answer)
            });
        }
        while let Some(joined) = asked.join_next().await {
            if let Ok((id, answer)) = joined {
                answers.insert(id, answer);
            }
        }
        answers
    }
}

/// The build to look at for an operation in flight: the gate's holder, else the one that was started.
fn build_of(memory: &Memory, state: &StateSnapshot) -> Option<BuildId> {
    let operation = memory.in_flight()?;
    match state.gates.get(&operation.id) {
        Some(Gate::Held(build)) => Some(build.clone()),
        Some(Gate::Open | Gate::Closed) | None => operation.build.clone(),
    }
}

impl Sweep {
    /// Every app that has a row or a memory, save those whose memory could not be read.
    pub fn ids(&self) -> BTreeSet<AppId> {
        let unreadable = |id: &&AppId| !self.state.unreadable.contains_key(&format!("app#{id}"));
        self.rows
            .rows
            .keys()
            .chain(self.state.memories.keys())
            .filter(unreadable)
            .cloned()
            .collect()
    }

    /// The view of one app, as far as batches tell.
    pub fn view(&self, inventory: &Inventory, id: &AppId, context: super::Context) -> AppView {
        let row = self.rows.rows.get(id).cloned();
        let memory = self.state.memories.get(id);
        let keys =
            inventory.claims_that_matter(row.as_ref(), memory, context.traces.present(), &context.strays);
        let claims = with_strays(
            id,
            Observed::Present(claims_in(&self.state.claims, &keys)),
            &keys,
            &context.strays,
        );
        let rivals = inventory.rivals(id, &claims).into_iter();
        let tagged_service = context
            .traces
            .present()
            .and_then(|traces| traces.services.first());
        let operation = memory.and_then(Memory::in_flight);
        let blueprint = memory.and_then(Memory::blueprint);
        let place = blueprint
            .map(|blueprint| (blueprint.cluster.clone(), blueprint.service().clone()))
            .or_else(|| tagged_service.map(|tagged| (tagged.cluster.clone(), tagged.name.clone())));
        let service = place
            .and_then(|place| self.observed.services.get(&place))
            .cloned()
            .unwrap_or_default();
        AppView {
            id: id.clone(),
            rivals: rivals.map(|id| (id.clone(), self.rival(&id))).collect(),
            claims,
            gate: operation.map_or(Observed::Unknown, |o| self.state.gates.get(&o.id).cloned().into()),
            build: memory
                .and_then(|memory| build_of(memory, &self.state))
                .and_then(|build| self.observed.builds.get(&build).cloned())
                .unwrap_or_default(),
            listing: Observed::Unknown,
            service,
            target_group: blueprint
                .and_then(|b| b.target_group.as_ref())
                .and_then(|group| self.observed.groups.get(group).cloned())
                .unwrap_or_default(),
            probe: self.observed.probes.get(id).cloned().unwrap_or_default(),
            stopped_task: Observed::Unknown,
            tagged: context.tagged,
            notice: context.notice,
            keeps: self.keeps(row.as_ref(), memory),
            paused: self.state.pauses.of(id),
            deletions: context.deletions,
            approvals: Observed::Present(self.state.approvals.count),
            traces: context.traces,
            reap: context.reap,
            admission: context.admission,
            entropy: context.entropy,
            row: row.into(),
            memory: memory.cloned().into(),
        }
    }

    /// The exemptions of an app's owner.
    fn keeps(&self, row: Option<&Row>, memory: Option<&Memory>) -> Observed<Ledger> {
        let Some(owner) = keep::owner(row, memory) else {
            return Observed::Absent;
        };
        if self.state.unreadable.contains_key(&format!("keeps#{owner}")) {
            return Observed::Unknown;
        }
        self.state.keeps.get(owner).cloned().into()
    }

    fn rival(&self, id: &AppId) -> Rival {
        let unreadable = self.state.unreadable.contains_key(&format!("app#{id}"));
        Rival {
            row: self.rows.rows.get(id).cloned().into(),
            memory: if unreadable {
                Observed::Unknown
            } else {
                self.state.memories.get(id).cloned().into()
            },
            paused: self.state.pauses.of(id),
        }
    }

    /// Services with an app's tag, as this sweep listed them.
    pub fn tagged(&self, memory: &Memory) -> Observed<TagLook> {
        let Some(blueprint) = memory.blueprint() else {
            return Observed::Unknown;
        };
        match self.tags.get(&blueprint.cluster) {
            Some(index) => Observed::Present(tag_look(index, &memory.id)),
            None => Observed::Unknown,
        }
    }
}
