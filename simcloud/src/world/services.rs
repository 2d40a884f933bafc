//! What a cluster and a service are, and the ways a service begins, changes and ends. Which tasks it then has is
//! up to `scheduler`.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::after;
use super::agenda::{Event, ServiceStep};
use super::behaviour::Quirks;
use crate::sim::Sim;

/// A cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) arn: String,
}

/// AWS: ACTIVE → DRAINING (tasks still stopping) → INACTIVE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceStatus {
    /// Wanted.
    Active,
    /// Deleted, with tasks still stopping.
    Draining,
    /// Gone, and still described for a while.
    Inactive,
}

impl ServiceStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

/// How far a deployment got. AWS: FAILED only with the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Rollout {
    InProgress,
    Completed,
    Failed,
}

impl Rollout {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

/// A deployment of a service; the newest comes first and is PRIMARY.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) rollout: Rollout,
    pub(crate) reason: String,
    pub(crate) desired: u32,
    pub(crate) failed_tasks: u32,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) task_definition: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoadBalancer {
    #[serde(default)]
    pub(crate) target_group_arn: String,
    #[serde(default)]
    pub(crate) container_name: String,
    #[serde(default)]
    pub(crate) container_port: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServiceEvent {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) message: String,
}

/// An ECS service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) cluster: String,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) status: ServiceStatus,
    pub(crate) desired: u32,
    pub(crate) task_definition: String,
    pub(crate) created: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) load_balancers: Vec<LoadBalancer>,
    pub(crate) deployments: Vec<Deployment>,
    /// Newest first. AWS: the last 100 messages.
    pub(crate) events: VecDeque<ServiceEvent>,
    /// Every task not yet forgotten, oldest first.
    pub(crate) tasks: Vec<String>,
    pub(crate) breaker: bool,
    pub(crate) launch_type: String,
    pub(crate) client_token: Option<String>,
    /// Before this, no task is launched.
    pub(crate) launch_after: Option<Timestamp>,
    /// How many tasks in a row never reached RUNNING.
    pub(crate) start_failures: u32,
    pub(crate) drained_at: Option<Timestamp>,
    pub(crate) serial: u64,
    /// What Terraform last applied.
    pub(crate) fingerprint: BTreeMap<String, String>,
    pub(crate) quirks: Quirks,
}

/// A service to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewService {
    pub(crate) cluster: String,
    pub(crate) name: String,
    pub(crate) task_definition: String,
    pub(crate) desired: u32,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) load_balancers: Vec<LoadBalancer>,
    pub(crate) breaker: bool,
    pub(crate) launch_type: String,
    pub(crate) client_token: Option<String>,
}

pub(crate) fn service_key(cluster: &str, name: &str) -> String {
    format!("{cluster}/{name}")
}

/// How long an INACTIVE service is still described. AWS: "may be purged later", without a number.
const INACTIVE_FOR_SECS: u64 = 3600;

impl Sim {
    pub(crate) fn ensure_cluster(&mut self, name: &str) -> String {
        let arn = self.config.arn("ecs", &format!("cluster/{name}"));
        let cluster = Cluster {
            name: name.to_owned(),
            arn: arn.clone(),
        };
        self.state.clusters.entry(name.to_owned()).or_insert(cluster);
        arn
    }

    /// Makes a service; the caller has made sure that no live one has its name.
    pub(crate) fn create_service(&mut self, wanted: NewService, at: Timestamp) {
        let key = service_key(&wanted.cluster, &wanted.name);
        self.ensure_cluster(&wanted.cluster);
        let arn = self.config.arn("ecs", &format!("service/{key}"));
        let serial = self.state.ids.rng().u64(..);
        let service = Service {
            cluster: wanted.cluster,
            name: wanted.name,
            arn,
            status: ServiceStatus::Active,
            desired: wanted.desired,
            task_definition: wanted.task_definition.clone(),
            created: at,
            tags: wanted.tags,
            load_balancers: wanted.load_balancers,
            deployments: Vec::new(),
            events: VecDeque::new(),
            tasks: Vec::new(),
            breaker: wanted.breaker,
            launch_type: wanted.launch_type,
            client_token: wanted.client_token,
            launch_after: None,
            start_failures: 0,
            drained_at: None,
            serial,
            fingerprint: BTreeMap::new(),
            quirks: Quirks::default(),
        };
        self.ledger.note(at, &format!("service {key} is ACTIVE"));
        self.state.services.insert(key.clone(), service);
        self.check_services(&key, at);
        self.start_deployment(&key, &wanted.task_definition, at);
        self.settle(&key, at);
    }

    /// Puts a new PRIMARY deployment in front of the others.
    pub(crate) fn start_deployment(&mut self, key: &str, task_definition: &str, at: Timestamp) {
        let id = format!("ecs-svc/{}", self.state.ids.decimal(19));
        let Some(service) = self.state.services.get_mut(key) else {
            return;
        };
        task_definition.clone_into(&mut service.task_definition);
        service.launch_after = None;
        service.start_failures = 0;
        let deployment = Deployment {
            reason: format!("ECS deployment {id} in progress."),
            id,
            rollout: Rollout::InProgress,
            desired: service.desired,
            failed_tasks: 0,
            created: at,
            updated: at,
            task_definition: task_definition.to_owned(),
        };
        service.deployments.insert(0, deployment);
    }

    /// Deletes a service as `force` does.
    pub(crate) fn drain_service(&mut self, key: &str, at: Timestamp) {
        let span = self.span(self.config.timings.drain);
        let Some(service) = self.state.services.get_mut(key) else {
            return;
        };
        service.status = ServiceStatus::Draining;
        service.desired = 0;
        let until = after(at, span);
        service.drained_at = Some(until);
        for deployment in &mut service.deployments {
            deployment.desired = 0;
            deployment.updated = at;
        }
        let (key, serial, step) = (key.to_owned(), service.serial, ServiceStep::Settle);
        self.ledger.note(at, &format!("service {key} is DRAINING"));
        self.state.agenda.plan(
            until,
            Event::Service {
                key: key.clone(),
                serial,
                step,
            },
        );
        self.settle(&key, at);
    }

    pub(crate) fn become_inactive(&mut self, key: &str, at: Timestamp) {
        let Some(service) = self.state.services.get_mut(key) else {
            return;
        };
        service.status = ServiceStatus::Inactive;
        service.deployments.clear();
        let (serial, step) = (service.serial, ServiceStep::Forget);
        let until = after(at, std::time::Duration::from_secs(INACTIVE_FOR_SECS));
        self.ledger.note(at, &format!("service {key} is INACTIVE"));
        self.state.agenda.plan(
            until,
            Event::Service {
                key: key.to_owned(),
                serial,
                step,
            },
        );
    }

    pub(crate) fn service_event(&mut self, key: &str, serial: u64, step: ServiceStep, at: Timestamp) {
        if self
            .state
            .services
            .get(key)
            .is_none_or(|service| service.serial != serial)
        {
            return;
        }
        self.history.touch(key);
        match step {
            ServiceStep::Settle => self.settle(key, at),
            ServiceStep::Forget => {
                self.state.services.remove(key);
            }
        }
    }

    /// Adds to the messages that DescribeServices shows.
    pub(crate) fn tell(&mut self, key: &str, at: Timestamp, message: &str) {
        let id = self.state.ids.uuid();
        let Some(service) = self.state.services.get_mut(key) else {
            return;
        };
        let message = format!("(service {}) {message}", service.name);
        service.events.push_front(ServiceEvent { id, at, message });
        service.events.truncate(100);
    }
}
