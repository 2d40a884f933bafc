//! AWS as one look of the model's daemon sees it: the builds and the service of one app, as they stand. Only reads:
//! what a call changes is a step of the model (`steps.rs`), since it may be lost, late or doubled there.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use jiff::Timestamp;
use lamplighter::clock::Clock;
use lamplighter::cloud::{Builds, Cloud, Prober, Result, Routes, Services};
use lamplighter::model::blueprint::BuildRequest;
use lamplighter::model::name::{AppId, BuildId, ClusterName, ProjectName, ResourceName};
use lamplighter::model::observed::{
    Build as Seen, BuildFailure, BuildState, ListedBuild, Observed, Probe, Rollout, Service, StoppedTask,
    TargetGroup,
};

use crate::memory_tables::MemoryTables;
use crate::shape::{self, Who};
use crate::state::{Build, Stage};

/// What there is of one app.
pub(crate) struct Aws {
    pub(crate) owner: AppId,
    pub(crate) name: ResourceName,
    pub(crate) builds: Vec<Build>,
    pub(crate) service: Option<u8>,
}

impl Aws {
    pub(crate) fn of(who: &Who, builds: Vec<Build>, service: Option<u8>) -> Self {
        Self {
            owner: who.id.clone(),
            name: who.identity.resource_name.clone(),
            builds,
            service,
        }
    }

    /// Every edge of a look at it.
    pub(crate) fn behind(self, tables: MemoryTables) -> Cloud {
        let (tables, aws) = (Arc::new(tables), Arc::new(self));
        Cloud {
            desired: tables.clone(),
            state: tables,
            builds: aws.clone(),
            services: aws.clone(),
            routes: aws.clone(),
            prober: aws,
        }
    }
}

/// Everything here answers at once, so no runtime is needed.
pub(crate) fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(work).poll(&mut context) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("plain memory never waits"),
    }
}

/// A clock that stands: see the head of `main.rs`.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        shape::now()
    }
}

#[async_trait]
impl Builds for Aws {
    async fn start(&self, _: &BuildRequest) -> Result<BuildId> {
        unreachable!("a look changes nothing")
    }

    async fn look(&self, ids: &[BuildId]) -> BTreeMap<BuildId, Observed<Seen>> {
        let look = |id: &BuildId| {
            let found = self.builds.iter().find(|b| shape::build_id(b.op, b.n) == *id);
            Observed::from(found.map(|build| seen(id, build.stage)))
        };
        ids.iter().map(|id| (id.clone(), look(id))).collect()
    }

    async fn stop(&self, _: &BuildId) -> Result<()> {
        unreachable!("a look changes nothing")
    }

    async fn recent(&self, _: &ProjectName, _: Timestamp) -> Result<Vec<ListedBuild>> {
        unreachable!("with a gate no build is searched for")
    }
}

fn seen(id: &BuildId, stage: Stage) -> Seen {
    let (how, phase) = match stage {
        Stage::Waiting => (BuildState::Running, "PROVISIONING"),
        Stage::Past => (BuildState::Running, "BUILD"),
        Stage::Succeeded => (BuildState::Succeeded, "COMPLETED"),
        Stage::Failed => {
            let failure = BuildFailure {
                status: "FAILED".to_owned(),
                phase: None,
                context: None,
            };
            (BuildState::Failed(failure), "COMPLETED")
        }
    };
    Seen {
        id: id.clone(),
        state: how,
        phase: phase.to_owned(),
        started_at: Some(shape::now()),
        ended_at: None,
        logs_url: None,
    }
}

#[async_trait]
impl Services for Aws {
    async fn look(
        &self,
        _: &ClusterName,
        names: &[ResourceName],
    ) -> BTreeMap<ResourceName, Observed<Service>> {
        let look = |name: &ResourceName| {
            let mine = self.service.filter(|_| *name == self.name);
            Observed::from(mine.map(|tasks| Service {
                name: name.clone(),
                draining: false,
                desired_count: tasks.into(),
                running_count: tasks.into(),
                pending_count: 0,
                rollout: Rollout::Completed,
                deployments: 1,
                instance_id: Some(self.owner.clone()),
                host_name: None,
                target_groups: Vec::new(),
            }))
        };
        names.iter().map(|name| (name.clone(), look(name))).collect()
    }

    async fn list(&self, _: &ClusterName) -> Result<Vec<ResourceName>> {
        Ok(self.service.iter().map(|_| self.name.clone()).collect())
    }

    async fn scale(&self, _: &ClusterName, _: &ResourceName, _: u32) -> Result<()> {
        unreachable!("a look changes nothing")
    }

    async fn delete(&self, _: &ClusterName, _: &ResourceName) -> Result<()> {
        unreachable!("a look changes nothing")
    }

    async fn stopped_task(&self, _: &ClusterName, _: &ResourceName) -> Result<Option<StoppedTask>> {
        Ok(None)
    }
}

#[async_trait]
impl Routes for Aws {
    async fn groups_and_targets(
        &self,
        _: &[String],
        _: &BTreeSet<String>,
    ) -> BTreeMap<String, Observed<TargetGroup>> {
        unreachable!("the model's app has no target group")
    }
}

#[async_trait]
impl Prober for Aws {
    async fn probe(&self, _: &str) -> Observed<Probe> {
        Observed::Present(Probe::Answered)
    }
}
