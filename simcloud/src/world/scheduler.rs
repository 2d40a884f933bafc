//! The service scheduler: compares a service's tasks with what it wants and launches or stops some, one look at a
//! time, whenever something about the service changed. Rolling updates start the new before stopping the old.

use jiff::Timestamp;

use super::agenda::{Event, ServiceStep};
use super::services::{Rollout, Service, ServiceStatus};
use super::targets::Health;
use super::tasks::{Task, TaskStatus};
use crate::sim::Sim;

impl Sim {
    /// The tasks of a service that are not yet forgotten.
    pub(crate) fn tasks_of<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Task> {
        service.tasks.iter().filter_map(|id| self.state.tasks.get(id))
    }

    /// Brings a service one step nearer to what it wants.
    pub(crate) fn settle(&mut self, key: &str, at: Timestamp) {
        self.history.touch(key);
        let Some(service) = self.state.services.get(key) else {
            return;
        };
        match service.status {
            ServiceStatus::Inactive => {}
            ServiceStatus::Draining => self.settle_draining(key, at),
            ServiceStatus::Active => {
                self.launch_or_stop(key, at);
                self.retire_old_deployments(key, at);
                self.complete_rollout(key, at);
            }
        }
    }

    fn settle_draining(&mut self, key: &str, at: Timestamp) {
        let Some(service) = self.state.services.get(key) else {
            return;
        };
        let live: Vec<String> = self
            .tasks_of(service)
            .filter(|task| task.is_live())
            .map(|task| task.id.clone())
            .collect();
        if !live.is_empty() {
            self.stop_all(key, &live, at);
        }
        let Some(service) = self.state.services.get(key) else {
            return;
        };
        let over = service.drained_at.is_none_or(|until| until <= at);
        if over
            && self
                .tasks_of(service)
                .all(|task| task.status == TaskStatus::Stopped)
        {
            self.become_inactive(key, at);
        }
    }

    fn stop_all(&mut self, key: &str, tasks: &[String], at: Timestamp) {
        for id in tasks {
            self.stop_task(
                id,
                at,
                "ServiceSchedulerInitiated",
                "Scaling activity initiated by (deployment)",
            );
        }
        let count = tasks.len();
        self.tell(
            key,
            at,
            &format!("has stopped {count} running tasks: {}.", named(tasks)),
        );
    }

    fn launch_or_stop(&mut self, key: &str, at: Timestamp) {
        let Some(service) = self.state.services.get(key) else {
            return;
        };
        let Some(primary) = service.deployments.first() else {
            return;
        };
        let of_primary = |task: &&Task| task.is_live() && task.deployment == primary.id;
        let live: Vec<String> = self
            .tasks_of(service)
            .filter(of_primary)
            .map(|task| task.id.clone())
            .collect();
        let wanted = service.desired as usize;
        if live.len() > wanted {
            self.stop_all(key, &live[wanted..], at);
        } else if live.len() < wanted && primary.rollout != Rollout::Failed {
            if let Some(later) = service.launch_after.filter(|later| *later > at) {
                let (key, serial, step) = (key.to_owned(), service.serial, ServiceStep::Settle);
                return self
                    .state
                    .agenda
                    .plan(later, Event::Service { key, serial, step });
            }
            let missing = wanted - live.len();
            let started: Vec<String> = (0..missing).filter_map(|_| self.launch_task(key, at)).collect();
            self.tell(
                key,
                at,
                &format!("has started {} tasks: {}.", started.len(), named(&started)),
            );
        }
    }

    /// Whether the PRIMARY deployment has all its tasks running and, behind a load balancer, healthy.
    fn primary_is_steady(&self, service: &Service) -> bool {
        let Some(primary) = service.deployments.first() else {
            return false;
        };
        let ready = self
            .tasks_of(service)
            .filter(|task| task.deployment == primary.id && task.is_live());
        let ready = ready.filter(|task| task.status == TaskStatus::Running);
        let ready = ready.filter(|task| !matches!(task.health, Some(Health::Initial | Health::Unhealthy)));
        ready.count() == service.desired as usize
    }

    fn retire_old_deployments(&mut self, key: &str, at: Timestamp) {
        let Some(service) = self.state.services.get(key) else {
            return;
        };
        if service.deployments.len() < 2 {
            return;
        }
        if self.primary_is_steady(service) {
            let primary = service.deployments[0].id.clone();
            let of_others = |task: &&Task| task.is_live() && task.deployment != primary;
            let old: Vec<String> = self
                .tasks_of(service)
                .filter(of_others)
                .map(|task| task.id.clone())
                .collect();
            if !old.is_empty() {
                self.stop_all(key, &old, at);
            }
        }
        let Some(service) = self.state.services.get(key) else {
            return;
        };
        let busy = |id: &String| {
            self.tasks_of(service)
                .any(|task| task.deployment == *id && task.status != TaskStatus::Stopped)
        };
        let ids = service.deployments.iter().map(|deployment| deployment.id.clone());
        let kept: Vec<String> = ids
            .enumerate()
            .filter(|(place, id)| *place == 0 || busy(id))
            .map(|(_, id)| id)
            .collect();
        if let Some(service) = self.state.services.get_mut(key) {
            service
                .deployments
                .retain(|deployment| kept.contains(&deployment.id));
        }
    }

    fn complete_rollout(&mut self, key: &str, at: Timestamp) {
        let Some(service) = self.state.services.get(key) else {
            return;
        };
        let [primary] = service.deployments.as_slice() else {
            return;
        };
        if !self.primary_is_steady(service) {
            return;
        }
        if primary.rollout != Rollout::InProgress {
            return self.forgive_failures(key);
        }
        let id = primary.id.clone();
        if let Some(primary) = self
            .state
            .services
            .get_mut(key)
            .and_then(|service| service.deployments.first_mut())
        {
            primary.rollout = Rollout::Completed;
            primary.reason = format!("ECS deployment {id} completed.");
            primary.failed_tasks = 0;
            primary.updated = at;
        }
        self.tell(key, at, &format!("(deployment {id}) deployment completed."));
        self.tell(key, at, "has reached a steady state.");
        self.ledger
            .note(at, &format!("service {key} completed its rollout"));
    }
}

impl Sim {
    /// AWS: `failedTasks` counts consecutive failures; a success resets it. The breaker's verdict stays.
    fn forgive_failures(&mut self, key: &str) {
        let service = self.state.services.get_mut(key);
        let primary = service.and_then(|service| service.deployments.first_mut());
        if let Some(primary) = primary.filter(|primary| primary.rollout == Rollout::Completed) {
            primary.failed_tasks = 0;
        }
    }
}

fn named(tasks: &[String]) -> String {
    tasks
        .iter()
        .map(|id| format!("(task {id})"))
        .collect::<Vec<_>>()
        .join(" ")
}
