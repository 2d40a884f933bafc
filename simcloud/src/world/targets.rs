//! Target groups and the health of the tasks registered in them. Which load balancer forwards to a group is one
//! list of ARNs: an empty one is a lost target group.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::after;
use super::agenda::TaskStep;
use super::services::Service;
use crate::sim::Sim;

/// A target group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TargetGroup {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) load_balancers: Vec<String>,
    pub(crate) protocol: String,
    pub(crate) port: u32,
    pub(crate) vpc: String,
    pub(crate) target_type: String,
    pub(crate) health_path: String,
}

/// The health of a task as a target. AWS has more; these are what a task behind an ALB goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Health {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

/// AWS: target group names have at most 32 characters, alphanumeric and hyphen, no hyphen at either end.
pub(crate) fn is_name(name: &str) -> bool {
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    letters && (1..=32).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}

impl Sim {
    /// A target group of that name, made if need be.
    pub(crate) fn new_target_group(&mut self, name: &str) -> &mut TargetGroup {
        let id = self.state.ids.hex(16);
        let arn = self
            .config
            .arn("elasticloadbalancing", &format!("targetgroup/{name}/{id}"));
        self.state
            .target_groups
            .entry(name.to_owned())
            .or_insert_with(|| TargetGroup {
                name: name.to_owned(),
                arn,
                load_balancers: Vec::new(),
                protocol: "HTTP".to_owned(),
                port: 80,
                vpc: "vpc-0a1b2c3d".to_owned(),
                target_type: "ip".to_owned(),
                health_path: "/".to_owned(),
            })
    }

    /// What Terraform makes sure of: the group exists and the cluster's load balancer forwards to it.
    pub(crate) fn ensure_target_group(&mut self, name: &str, cluster: &str, at: Timestamp) -> String {
        self.attach(name, cluster, at);
        self.new_target_group(name).arn.clone()
    }

    /// Puts a group behind the cluster's load balancer; its targets then have to become healthy again.
    pub(crate) fn attach(&mut self, name: &str, balancer: &str, at: Timestamp) {
        let balancer = self.config.arn(
            "elasticloadbalancing",
            &format!("loadbalancer/app/{balancer}/50dc6c495c0c9188"),
        );
        let group = self.new_target_group(name);
        if !group.load_balancers.is_empty() {
            return;
        }
        group.load_balancers = vec![balancer];
        let arn = group.arn.clone();
        self.ledger.note(at, &format!("target group {name} is attached"));
        for id in self.targets_in(&arn) {
            if let Some(task) = self.state.tasks.get_mut(&id).filter(|task| task.is_live()) {
                task.epoch += 1;
                task.health = Some(Health::Initial);
                let span = self.span(self.config.timings.target_health);
                self.plan_task(&id, after(at, span), TaskStep::CheckTarget);
            }
        }
    }

    pub(crate) fn group_by_arn(&self, arn: &str) -> Option<&TargetGroup> {
        self.state.target_groups.values().find(|group| group.arn == arn)
    }

    /// The group a service registers its tasks in, if it still exists.
    pub(crate) fn group_of(&self, service: &Service) -> Option<&TargetGroup> {
        let arns = service
            .load_balancers
            .iter()
            .map(|balancer| balancer.target_group_arn.as_str());
        arns.into_iter().find_map(|arn| self.group_by_arn(arn))
    }

    /// The tasks registered in a group.
    pub(crate) fn targets_in(&self, arn: &str) -> Vec<String> {
        let forwards = |service: &&Service| {
            service
                .load_balancers
                .iter()
                .any(|known| known.target_group_arn == arn)
        };
        let services = self.state.services.values().filter(forwards);
        let tasks = services.flat_map(|service| self.tasks_of(service));
        tasks
            .filter(|task| task.health.is_some())
            .map(|task| task.id.clone())
            .collect()
    }

    /// A task has come up: it joins its service's target group, if there is one.
    pub(crate) fn register_target(&mut self, id: &str, at: Timestamp, survives: bool) {
        let service = self
            .state
            .tasks
            .get(id)
            .and_then(|task| self.state.services.get(&task.service));
        let Some(arn) = service
            .and_then(|service| self.group_of(service))
            .map(|group| group.arn.clone())
        else {
            return;
        };
        let span = self.span(self.config.timings.target_health);
        let Some(task) = self.state.tasks.get_mut(id) else {
            return;
        };
        task.health = Some(Health::Initial);
        let key = task.service.clone();
        if survives {
            self.plan_task(id, after(at, span), TaskStep::CheckTarget);
        }
        self.tell(&key, at, &format!("registered 1 targets in (target-group {arn})"));
    }

    pub(crate) fn check_target(&mut self, id: &str, at: Timestamp) {
        let Some(task) = self.state.tasks.get(id).filter(|task| task.is_live()) else {
            return;
        };
        let key = task.service.clone();
        let Some(service) = self.state.services.get(&key) else {
            return;
        };
        let health = if self.quirks_of(service).unhealthy {
            Health::Unhealthy
        } else {
            Health::Healthy
        };
        let Some(task) = self.state.tasks.get_mut(id) else {
            return;
        };
        task.health = task.health.map(|_| health);
        if task.health == Some(Health::Unhealthy) {
            let span = self.span(self.config.timings.unhealthy_kill);
            self.plan_task(id, after(at, span), TaskStep::Replace);
        }
        self.settle(&key, at);
    }

    /// ECS replaces a task whose target stays unhealthy.
    pub(crate) fn replace_unhealthy(&mut self, id: &str, at: Timestamp) {
        let Some(task) = self
            .state
            .tasks
            .get(id)
            .filter(|task| task.health == Some(Health::Unhealthy))
        else {
            return;
        };
        let (key, deployment) = (task.service.clone(), task.deployment.clone());
        let group = self
            .state
            .services
            .get(&key)
            .and_then(|service| self.group_of(service));
        let arn = group.map(|group| group.arn.clone()).unwrap_or_default();
        self.tell(
            &key,
            at,
            &format!("(task {id}) failed ELB health checks in (target-group {arn})"),
        );
        self.count_failure(&key, &deployment, false, at);
        let reason = format!("Task failed ELB health checks in (target-group {arn})");
        self.stop_task(id, at, "ServiceSchedulerInitiated", &reason);
        self.settle(&key, at);
    }
}
