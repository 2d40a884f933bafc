//! The world as a test or a person at the console sees it, and what such a person may do to it. Every look brings
//! the world up to the present first.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::cloud::Shared;
use crate::sim::Sim;
use crate::world::behaviour::{Behaviour, Match, Rule, Times};
use crate::world::builds::{Build, BuildStatus, Phase};
use crate::world::services::{Service, ServiceStatus, service_key};
use crate::world::targets::Health;
use crate::world::tasks::TaskStatus;

/// A look at the world.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) shared: Arc<Shared>,
}

/// What the world knows of a build.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildView {
    /// `project:uuid`.
    pub id: String,
    /// The project.
    pub project: String,
    /// 1, 2, 3… per project.
    pub number: u64,
    /// `ACTION`.
    pub action: Option<String>,
    /// `HOST_NAME`.
    pub host: Option<String>,
    /// `INSTANCE_ID`.
    pub instance: Option<String>,
    /// The operation id.
    pub operation: Option<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// When it was started.
    pub started: Timestamp,
    /// When it was complete.
    pub ended: Option<Timestamp>,
    /// When it passed the gate.
    pub gate_passed: Option<Timestamp>,
    /// When Terraform got its lock.
    pub applied_from: Option<Timestamp>,
    /// When Terraform changed the world.
    pub applied: Option<Timestamp>,
    /// When Terraform gave its lock back.
    pub applied_to: Option<Timestamp>,
    /// The phase it is in, or ended in: `COMPLETED`.
    pub phase: Phase,
    /// Its status.
    pub status: BuildStatus,
    /// The phase that ended badly and its context's message.
    pub failure: Option<(Phase, String)>,
    /// `CodeBuild` does not know it any more.
    pub forgotten: bool,
}

/// What the world knows of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceView {
    /// The cluster.
    pub cluster: String,
    /// The name.
    pub name: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: ServiceStatus,
    /// How many tasks it wants.
    pub desired: u32,
    /// How many run.
    pub running: u32,
    /// How many are coming up.
    pub pending: u32,
    /// How many are healthy targets.
    pub healthy: u32,
    /// The PRIMARY deployment's `rolloutState`.
    pub rollout: Option<&'static str>,
    /// How many deployments it lists: one, unless a rollout is under way.
    pub deployments: usize,
    /// The PRIMARY deployment's `failedTasks`.
    pub failed_tasks: u32,
    /// Whether its target group exists and a load balancer forwards to it.
    pub attached: bool,
    /// Whether a request to its host would reach it.
    pub up: bool,
    /// The instance tag.
    pub instance: Option<String>,
    /// The host name tag.
    pub host: Option<String>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

impl World {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// How often each operation was called, `codebuild.StartBuild`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.now().0.ledger.calls.clone()
    }

    /// How many things were asked for in all calls of each operation: ids, names, keys.
    pub fn items(&self) -> BTreeMap<String, u64> {
        self.shared.now().0.ledger.items.clone()
    }

    /// Starts counting calls and items anew.
    pub fn reset_calls(&self) {
        let (mut sim, _) = self.shared.now();
        sim.ledger.calls.clear();
        sim.ledger.items.clear();
    }

    /// Everything that happened, one line each, the same for the same seed and calls.
    pub fn log(&self) -> Vec<String> {
        self.shared.now().0.ledger.lines()
    }

    /// What must never be seen and was.
    pub fn violations(&self) -> Vec<String> {
        self.shared.now().0.state.violations.clone()
    }

    /// All builds, in the order of their projects and numbers.
    pub fn builds(&self) -> Vec<BuildView> {
        let (sim, _) = self.shared.now();
        let ids = sim.state.projects.values().flat_map(|project| &project.builds);
        ids.filter_map(|id| sim.state.builds.get(id))
            .map(|build| build_view(&sim, build))
            .collect()
    }

    /// The builds of a project that were started at that time or later, newest first.
    pub fn builds_since(&self, project: &str, since: Timestamp) -> Vec<BuildView> {
        let (sim, _) = self.shared.now();
        let ids = sim.state.projects.get(project).map(|project| &project.builds);
        let newest_first = ids.into_iter().flatten().rev();
        newest_first
            .filter_map(|id| sim.state.builds.get(id))
            .filter(|build| build.started >= since)
            .map(|build| build_view(&sim, build))
            .collect()
    }

    /// One build.
    pub fn build(&self, id: &str) -> Option<BuildView> {
        let (sim, _) = self.shared.now();
        sim.state.builds.get(id).map(|build| build_view(&sim, build))
    }

    /// All services that are still described.
    pub fn services(&self) -> Vec<ServiceView> {
        let (sim, _) = self.shared.now();
        sim.state
            .services
            .values()
            .map(|service| service_view(&sim, service))
            .collect()
    }

    /// One service, if it is still described.
    pub fn service(&self, cluster: &str, name: &str) -> Option<ServiceView> {
        let (sim, _) = self.shared.now();
        sim.state
            .services
            .get(&service_key(cluster, name))
            .map(|service| service_view(&sim, service))
    }

    /// The names of all target groups.
    pub fn target_groups(&self) -> Vec<String> {
        self.shared.now().0.state.target_groups.keys().cloned().collect()
    }

    /// The next matching build behaves so, or all of them do.
    pub fn behave_times(&self, matching: Match, behaviour: Behaviour, times: Times) {
        self.shared.now().0.state.rules.push(Rule {
            matching,
            behaviour,
            times,
        });
    }

    /// The next matching build behaves so.
    pub fn behave(&self, matching: Match, behaviour: Behaviour) {
        self.behave_times(matching, behaviour, Times::Once);
    }

    /// All matching builds behave so, until [`World::forget_behaviours`].
    pub fn behave_always(&self, matching: Match, behaviour: Behaviour) {
        self.behave_times(matching, behaviour, Times::Always);
    }

    /// New builds behave well again. Those already started keep their ways.
    pub fn forget_behaviours(&self) {
        self.shared.now().0.state.rules.clear();
    }
}

pub(crate) fn build_view(sim: &Sim, build: &Build) -> BuildView {
    let contract = &sim.config.contract;
    let variable = |name: &str| build.variable(name).map(str::to_owned);
    let failure = build.phases.iter().find_map(|record| {
        let context = record.context.as_ref()?;
        Some((record.phase, context.message.clone()))
    });
    let environment = build
        .environment
        .iter()
        .map(|known| (known.name.clone(), known.value.clone()));
    BuildView {
        id: build.id.clone(),
        project: build.project.clone(),
        number: build.number,
        action: variable(&contract.action),
        host: variable(&contract.host_name),
        instance: variable(&contract.instance_id),
        operation: variable(&contract.operation_id),
        environment: environment.collect(),
        started: build.started,
        ended: build.ended,
        gate_passed: build.gate_passed,
        applied_from: build.applied_from,
        applied: build.applied,
        applied_to: build.applied_to,
        phase: build.phase(),
        status: build.status,
        failure,
        forgotten: build.forgotten,
    }
}

fn service_view(sim: &Sim, service: &Service) -> ServiceView {
    let contract = &sim.config.contract;
    let tag = |name: &String| service.tags.get(name).cloned();
    let count = |wanted: &dyn Fn(&crate::world::tasks::Task) -> bool| {
        u32::try_from(sim.tasks_of(service).filter(|task| wanted(task)).count()).unwrap_or(u32::MAX)
    };
    let primary = service.deployments.first();
    ServiceView {
        cluster: service.cluster.clone(),
        name: service.name.clone(),
        status: service.status,
        desired: service.desired,
        running: count(&|task| task.status == TaskStatus::Running),
        pending: count(&|task| task.status <= TaskStatus::Pending),
        healthy: count(&|task| task.health == Some(Health::Healthy)),
        rollout: primary.map(|deployment| deployment.rollout.as_str()),
        deployments: service.deployments.len(),
        failed_tasks: primary.map_or(0, |deployment| deployment.failed_tasks),
        attached: sim
            .group_of(service)
            .is_some_and(|group| !group.load_balancers.is_empty()),
        up: sim.is_up(service),
        instance: tag(&contract.instance_tag),
        host: tag(&contract.host_tag),
        tags: service.tags.clone(),
        created: service.created,
    }
}
