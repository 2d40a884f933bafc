//! What people and bad luck do to the world behind its users' backs: services deleted in the console, target groups
//! lost, apps that crash.

use jiff::Timestamp;

use crate::sim::Sim;
use crate::view::World;
use crate::world::after;
use crate::world::agenda::TaskStep;
use crate::world::behaviour::{Crash, Quirks};
use crate::world::builds::{Build, BuildStatus};
use crate::world::services::{ServiceStatus, service_key};
use crate::world::targets::Health;
use crate::world::tasks::TaskStatus;

impl World {
    /// Someone deletes a service in the console.
    pub fn delete_service(&self, cluster: &str, name: &str) {
        let (mut sim, now) = self.shared.now();
        let key = service_key(cluster, name);
        if sim
            .state
            .services
            .get(&key)
            .is_some_and(|service| service.status == ServiceStatus::Active)
        {
            sim.drain_service(&key, now);
        }
    }

    /// A service is gone from one moment to the next, as after a purge: MISSING at once.
    pub fn purge_service(&self, cluster: &str, name: &str) {
        let (mut sim, _) = self.shared.now();
        let key = service_key(cluster, name);
        sim.history.touch(&key);
        if let Some(service) = sim.state.services.remove(&key) {
            for id in service.tasks {
                sim.state.tasks.remove(&id);
            }
        }
    }

    /// Someone changes a service's desired count.
    pub fn set_desired_count(&self, cluster: &str, name: &str, desired: u32) {
        let (mut sim, now) = self.shared.now();
        let key = service_key(cluster, name);
        sim.set_desired(&key, Some(desired), now);
        sim.settle(&key, now);
    }

    /// Someone takes a target group off its load balancer.
    pub fn detach_target_group(&self, name: &str) {
        let (mut sim, now) = self.shared.now();
        if let Some(group) = sim.state.target_groups.get_mut(name) {
            group.load_balancers.clear();
            sim.ledger.note(now, &format!("target group {name} is detached"));
        }
    }

    /// Someone puts a target group behind a load balancer.
    pub fn attach_target_group(&self, name: &str, balancer: &str) {
        let (mut sim, now) = self.shared.now();
        if sim.state.target_groups.contains_key(name) {
            sim.attach(name, balancer, now);
        }
    }

    /// Someone deletes a target group, listener rule and all.
    pub fn delete_target_group(&self, name: &str) {
        let (mut sim, now) = self.shared.now();
        if sim.state.target_groups.remove(name).is_some() {
            sim.ledger.note(now, &format!("target group {name} is gone"));
        }
    }

    /// Someone stops all tasks of a service; the scheduler starts others.
    pub fn kill_tasks(&self, cluster: &str, name: &str) {
        let (mut sim, now) = self.shared.now();
        let key = service_key(cluster, name);
        let Some(service) = sim.state.services.get(&key) else {
            return;
        };
        let live: Vec<String> = sim
            .tasks_of(service)
            .filter(|task| task.is_live())
            .map(|task| task.id.clone())
            .collect();
        for id in live {
            sim.stop_task(&id, now, "UserInitiated", "Task stopped by user");
        }
        sim.settle(&key, now);
    }

    /// Someone stops a build.
    pub fn stop_build(&self, id: &str) {
        let (mut sim, now) = self.shared.now();
        if sim.state.builds.get(id).is_some_and(|build| !build.is_complete()) {
            sim.kill_build(id, now, BuildStatus::Stopped, None);
        }
    }

    /// Someone retries a complete build in the console, or `CodeBuild` does: the same request, a new build. Whether it
    /// was there to be retried.
    pub fn retry_build(&self, id: &str) -> bool {
        let (mut sim, now) = self.shared.now();
        let complete = sim.state.builds.get(id).is_some_and(Build::is_complete);
        if complete {
            sim.retry_build(id, now);
        }
        complete
    }

    /// `CodeBuild` does not know a build any more, as after `BatchDeleteBuilds`; what it does, it goes on doing.
    pub fn forget_build(&self, id: &str) {
        let (mut sim, now) = self.shared.now();
        if let Some(build) = sim.state.builds.get_mut(id) {
            build.forgotten = true;
            sim.ledger.note(now, &format!("{id} is forgotten"));
        }
    }

    /// What a build hangs on comes free; without a hang, nothing happens.
    pub fn release_build(&self, id: &str) {
        let (mut sim, now) = self.shared.now();
        sim.release_build(id, now);
        sim.advance(now);
    }

    /// Someone runs `terraform force-unlock` for a host.
    pub fn force_unlock(&self, host: &str) {
        self.shared.now().0.state.locks.remove(host);
    }

    /// The app of a host (or instance, or service name) exits soon after each start, or, without an exit code,
    /// never starts.
    pub fn crash_loop(&self, who: &str, exit_code: Option<i32>, reason: &str) {
        let crash = Crash {
            exit_code,
            reason: reason.to_owned(),
        };
        self.change_quirks(who, |quirks| quirks.crash = Some(crash));
    }

    /// The app of a host (or instance, or service name) fails its load balancer's health checks.
    pub fn unhealthy_target(&self, who: &str) {
        self.change_quirks(who, |quirks| quirks.unhealthy = true);
    }

    /// The app of a host (or instance, or service name) answers every request with this status.
    pub fn http_status(&self, who: &str, status: u16) {
        self.change_quirks(who, |quirks| quirks.http_status = Some(status));
    }

    /// The app of a host (or instance, or service name) behaves again, by whatever name it was spoilt.
    pub fn heal(&self, who: &str) {
        self.change_quirks(who, |quirks| *quirks = Quirks::default());
    }

    fn change_quirks(&self, who: &str, change: impl FnOnce(&mut Quirks)) {
        let (mut sim, now) = self.shared.now();
        change(sim.state.quirks.entry(who.to_owned()).or_default());
        sim.disturb(who, now);
    }
}

impl Sim {
    /// Lets running tasks feel at once that their app behaves otherwise.
    fn disturb(&mut self, who: &str, now: Timestamp) {
        let contract = &self.config.contract;
        let tags = [contract.host_tag.clone(), contract.instance_tag.clone()];
        let meant = self.state.services.iter().filter(|(_, service)| {
            service.name == who
                || tags
                    .iter()
                    .any(|tag| service.tags.get(tag).is_some_and(|value| value == who))
        });
        let keys: Vec<String> = meant.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(service) = self.state.services.get(&key) else {
                continue;
            };
            let quirks = self.quirks_of(service);
            let running = self
                .tasks_of(service)
                .filter(|task| task.is_live() && task.status == TaskStatus::Running);
            let running: Vec<(String, Option<Health>)> =
                running.map(|task| (task.id.clone(), task.health)).collect();
            for (id, health) in running {
                let (span, step) = match (&quirks.crash, health) {
                    (Some(_), _) => (self.config.timings.task_crash, TaskStep::Crash),
                    (None, Some(_)) => (self.config.timings.target_health, TaskStep::CheckTarget),
                    (None, None) => continue,
                };
                let at = after(now, self.span(span));
                // What was planned for the task before is void: a healed one must not be replaced.
                if let Some(task) = self.state.tasks.get_mut(&id) {
                    task.epoch += 1;
                }
                self.plan_task(&id, at, step);
            }
            if let Some(service) = self
                .state
                .services
                .get_mut(&key)
                .filter(|_| quirks.crash.is_none())
            {
                service.launch_after = None;
            }
            self.settle(&key, now);
        }
    }
}
