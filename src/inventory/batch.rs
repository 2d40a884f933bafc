//! A glance at apps under way, between sweeps: builds by the hundred and services by the ten, to notice which
//! apps moved on. Nothing is decided from a glance; an app that moved gets a look.

use std::collections::BTreeMap;

use super::Inventory;
use crate::model::memory::Memory;
use crate::model::name::{AppId, BuildId, ClusterName, ResourceName};
use crate::model::observed::{BuildState, Observed, Service};

/// What a glance saw of one app. Two glances that are equal saw no movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Glance {
    /// Nothing that can be glanced at, or the glance failed: look.
    Nothing,
    /// Its build, by phase and end.
    Build {
        /// CodeBuild's phase.
        phase: String,
        /// Whether it goes on.
        running: bool,
    },
    /// Its service.
    Service(Observed<Service>),
}

impl Glance {
    /// Whether the app should be looked at although nothing moved: a steady service says nothing of targets
    /// and answers, and a build that ended waits for us.
    pub fn wants_a_look(&self) -> bool {
        match self {
            Glance::Nothing => true,
            Glance::Build { running, .. } => !running,
            Glance::Service(Observed::Present(service)) => super::is_steady(service),
            Glance::Service(Observed::Absent | Observed::Unknown) => false,
        }
    }
}

impl Inventory {
    /// Glances at these apps, given what was last remembered of them.
    pub async fn glance(&self, memories: &[Memory]) -> BTreeMap<AppId, Glance> {
        let mut builds: BTreeMap<BuildId, AppId> = BTreeMap::new();
        let mut services: BTreeMap<ClusterName, BTreeMap<ResourceName, AppId>> = BTreeMap::new();
        let mut seen: BTreeMap<AppId, Glance> = memories
            .iter()
            .map(|memory| (memory.id.clone(), Glance::Nothing))
            .collect();
        for memory in memories {
            if let Some(operation) = memory.in_flight() {
                if let Some(build) = &operation.build {
                    builds.insert(build.clone(), memory.id.clone());
                }
            } else if let Some(blueprint) = memory.blueprint() {
                let names = services.entry(blueprint.cluster.clone()).or_default();
                names.insert(blueprint.service().clone(), memory.id.clone());
            }
        }
        let ids: Vec<BuildId> = builds.keys().cloned().collect();
        let found = if ids.is_empty() {
            BTreeMap::new()
        } else {
            self.cloud.builds.look(&ids).await
        };
        for (build, observed) in found {
            if let (Some(app), Observed::Present(build)) = (builds.get(&build), observed) {
                let running = build.state == BuildState::Running;
                seen.insert(
                    app.clone(),
                    Glance::Build {
                        phase: build.phase,
                        running,
                    },
                );
            }
        }
        for (cluster, names) in services {
            let wanted: Vec<ResourceName> = names.keys().cloned().collect();
            for (name, observed) in self.cloud.services.look(&cluster, &wanted).await {
                if let Some(app) = names.get(&name) {
                    seen.insert(app.clone(), Glance::Service(observed));
                }
            }
        }
        seen
    }
}
