//! What a task is, and how one comes up, crashes and goes. How many there should be is up to `scheduler`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::after;
use super::agenda::{Event, TaskStep};
use super::services::Rollout;
use super::targets::Health;
use crate::sim::Sim;

/// The part of AWS' task life cycle that an observer can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TaskStatus {
    Provisioning,
    Pending,
    Running,
    Deactivating,
    Stopped,
}

impl TaskStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// A task of a service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::struct_field_names)] // As AWS names it.
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) cluster: String,
    pub(crate) service: String,
    pub(crate) deployment: String,
    pub(crate) task_definition: String,
    pub(crate) container: String,
    pub(crate) launch_type: String,
    pub(crate) status: TaskStatus,
    /// Told to stop.
    pub(crate) stopping: Option<Timestamp>,
    pub(crate) created: Timestamp,
    pub(crate) started: Option<Timestamp>,
    pub(crate) stopped: Option<Timestamp>,
    pub(crate) stop_code: Option<String>,
    pub(crate) stopped_reason: Option<String>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) container_reason: Option<String>,
    /// AWS: rises with each change that makes an event.
    pub(crate) version: u32,
    pub(crate) epoch: u32,
    pub(crate) ip: String,
    pub(crate) health: Option<Health>,
}

impl Task {
    pub(crate) fn is_live(&self) -> bool {
        self.stopping.is_none() && self.status != TaskStatus::Stopped
    }
}

/// AWS: stopped tasks are visible for at least one hour.
const STOPPED_FOR: Duration = Duration::from_hours(1);
/// AWS: back-off between launches goes up to 15 minutes.
const LONGEST_BACKOFF_SECS: u64 = 900;
/// After so many failures in a row the circuit breaker ends a small deployment.
const BREAKER_THRESHOLD: u32 = 3;

impl Sim {
    pub(crate) fn task_event(&mut self, id: &str, epoch: u32, step: TaskStep, at: Timestamp) {
        let Some(task) = self.state.tasks.get_mut(id) else {
            return;
        };
        if task.epoch != epoch {
            return;
        }
        match step {
            TaskStep::Pending => {
                task.status = TaskStatus::Pending;
                task.version += 1;
            }
            TaskStep::Run => self.task_runs(id, at),
            TaskStep::Crash => self.task_crashes(id, at),
            TaskStep::CheckTarget => self.check_target(id, at),
            TaskStep::Replace => self.replace_unhealthy(id, at),
            TaskStep::Stopped => self.task_stopped(id, at),
            TaskStep::Forget => {
                let task = self.state.tasks.remove(id);
                let service = task.and_then(|task| self.state.services.get_mut(&task.service));
                if let Some(service) = service {
                    service.tasks.retain(|known| known != id);
                }
            }
        }
    }

    /// Plans a step that is void once something else has happened to the task.
    pub(crate) fn plan_task(&mut self, id: &str, at: Timestamp, step: TaskStep) {
        let Some(task) = self.state.tasks.get(id) else {
            return;
        };
        let (id, epoch) = (id.to_owned(), task.epoch);
        self.state.agenda.plan(at, Event::Task { id, epoch, step });
    }

    /// Launches one task of the PRIMARY deployment.
    pub(crate) fn launch_task(&mut self, key: &str, at: Timestamp) -> Option<String> {
        let id = self.state.ids.hex(32);
        let rng = self.state.ids.rng();
        let ip = format!("10.0.{}.{}", rng.u8(1..250), rng.u8(4..250));
        let span = self.span(self.config.timings.task_start);
        let service = self.state.services.get_mut(key)?;
        let deployment = service.deployments.first()?;
        let task = Task {
            arn: self.config.arn("ecs", &format!("task/{}/{id}", service.cluster)),
            id: id.clone(),
            cluster: service.cluster.clone(),
            service: key.to_owned(),
            deployment: deployment.id.clone(),
            task_definition: deployment.task_definition.clone(),
            container: service
                .load_balancers
                .first()
                .map_or("app", |balancer| &balancer.container_name)
                .to_owned(),
            launch_type: service.launch_type.clone(),
            status: TaskStatus::Provisioning,
            stopping: None,
            created: at,
            started: None,
            stopped: None,
            stop_code: None,
            stopped_reason: None,
            exit_code: None,
            container_reason: None,
            version: 1,
            epoch: 0,
            ip,
            health: None,
        };
        service.tasks.push(id.clone());
        self.state.tasks.insert(id.clone(), task);
        self.plan_task(&id, after(at, span.mul_f64(0.25)), TaskStep::Pending);
        self.plan_task(&id, after(at, span), TaskStep::Run);
        Some(id)
    }

    fn task_runs(&mut self, id: &str, at: Timestamp) {
        let Some(task) = self.state.tasks.get(id) else {
            return;
        };
        let key = task.service.clone();
        let Some(service) = self.state.services.get(&key) else {
            return;
        };
        let quirks = self.quirks_of(service);
        if let Some(crash) = quirks.crash.as_ref().filter(|crash| crash.exit_code.is_none()) {
            return self.end_task(id, at, "TaskFailedToStart", &crash.reason.clone(), None);
        }
        let crash_span = self.span(self.config.timings.task_crash);
        let Some(task) = self.state.tasks.get_mut(id) else {
            return;
        };
        task.status = TaskStatus::Running;
        task.started = Some(at);
        task.version += 1;
        if let Some(service) = self.state.services.get_mut(&key) {
            service.start_failures = 0;
            service.launch_after = None;
        }
        // A crashing task dies before its first health check, so behind a load balancer it never counts as steady.
        self.register_target(id, at, quirks.crash.is_none());
        if quirks.crash.is_some() {
            self.plan_task(id, after(at, crash_span), TaskStep::Crash);
        }
        self.settle(&key, at);
    }

    fn task_crashes(&mut self, id: &str, at: Timestamp) {
        let service = self
            .state
            .tasks
            .get(id)
            .and_then(|task| self.state.services.get(&task.service));
        let Some(crash) = service.and_then(|service| self.quirks_of(service).crash) else {
            return;
        };
        let reason = "Essential container in task exited";
        if let Some(task) = self.state.tasks.get_mut(id) {
            task.container_reason = Some(crash.reason);
        }
        self.end_task(id, at, "EssentialContainerExited", reason, crash.exit_code);
    }

    /// A task ends by its own fault, at once.
    fn end_task(&mut self, id: &str, at: Timestamp, code: &str, reason: &str, exit_code: Option<i32>) {
        let Some(task) = self.state.tasks.get_mut(id) else {
            return;
        };
        task.stop_code = Some(code.to_owned());
        task.stopped_reason = Some(reason.to_owned());
        task.exit_code = exit_code;
        task.stopping = Some(at);
        task.epoch += 1;
        let never_ran = task.started.is_none();
        let (key, deployment) = (task.service.clone(), task.deployment.clone());
        self.count_failure(&key, &deployment, never_ran, at);
        self.task_stopped(id, at);
    }

    /// Counts a failed task, slows launches down if tasks don't even start, and lets the breaker trip.
    pub(crate) fn count_failure(&mut self, key: &str, deployment: &str, never_ran: bool, at: Timestamp) {
        let scale = self.scaled(1).as_secs_f64();
        let Some(service) = self.state.services.get_mut(key) else {
            return;
        };
        let breaker = service.breaker;
        if never_ran {
            // AWS: tasks that reach RUNNING and then exit are not slowed.
            service.start_failures += 1;
            let secs = LONGEST_BACKOFF_SECS.min(5 << service.start_failures.min(10));
            #[allow(clippy::cast_precision_loss)]
            let wait = Duration::from_secs_f64(secs as f64 * scale);
            service.launch_after = Some(after(at, wait));
        }
        let Some(current) = service
            .deployments
            .iter_mut()
            .find(|known| known.id == deployment)
        else {
            return;
        };
        current.failed_tasks += 1;
        current.updated = at;
        if breaker && current.rollout == Rollout::InProgress && current.failed_tasks >= BREAKER_THRESHOLD {
            current.rollout = Rollout::Failed;
            "ECS deployment circuit breaker: tasks failed to start.".clone_into(&mut current.reason);
            let id = current.id.clone();
            self.tell(
                key,
                at,
                &format!("(deployment {id}) deployment failed: tasks failed to start."),
            );
        }
    }

    /// Tells a task to stop; its target drains meanwhile.
    pub(crate) fn stop_task(&mut self, id: &str, at: Timestamp, code: &str, reason: &str) {
        let span = self.span(self.config.timings.task_stop);
        let Some(task) = self.state.tasks.get_mut(id) else {
            return;
        };
        if !task.is_live() {
            return;
        }
        task.stopping = Some(at);
        task.stop_code = Some(code.to_owned());
        task.stopped_reason = Some(reason.to_owned());
        task.epoch += 1;
        task.version += 1;
        if task.status == TaskStatus::Running {
            task.exit_code = Some(0);
            task.health = task.health.map(|_| Health::Draining);
        }
        task.status = TaskStatus::Deactivating;
        self.plan_task(id, after(at, span), TaskStep::Stopped);
    }

    fn task_stopped(&mut self, id: &str, at: Timestamp) {
        let Some(task) = self.state.tasks.get_mut(id) else {
            return;
        };
        task.status = TaskStatus::Stopped;
        task.stopped = Some(at);
        task.health = None;
        task.version += 1;
        let key = task.service.clone();
        let code = task.stop_code.clone().unwrap_or_default();
        self.ledger
            .note(at, &format!("task {id} of {key} stopped: {code}"));
        self.plan_task(id, after(at, STOPPED_FOR), TaskStep::Forget);
        self.settle(&key, at);
    }
}
