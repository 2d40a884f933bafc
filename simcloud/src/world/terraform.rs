//! What Terraform does in `BUILD`: apply makes the app's service and target group what they should be, destroy
//! removes them. Both may be run again at any point, and both wait while a service drains.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::behaviour::{Behaviour, Crash, Quirks, wish};
use super::builds::{Build, Context};
use super::phases::slowness;
use super::services::{LoadBalancer, NewService, ServiceStatus, service_key};
use crate::sim::Sim;

/// How far one look at the world got.
#[derive(Debug)]
pub(crate) enum Progress {
    Done,
    /// Something drains; look again soon.
    Wait,
    Failed(Context),
}

impl Sim {
    /// How long this build's Terraform takes. The same draw each time it is asked within one build would need
    /// remembering; two draws are as good.
    pub(crate) fn terraform_span(&mut self, id: &str) -> Duration {
        let Some(build) = self.state.builds.get(id) else {
            return Duration::ZERO;
        };
        let destroys = build.variable(&self.config.contract.action) == Some("destroy");
        let slow = slowness(&build.behaviours);
        let timings = &self.config.timings;
        let span = if destroys { timings.destroy } else { timings.apply };
        self.span(span).mul_f64(slow)
    }

    /// The part of `BUILD` that passes before the world changes: a plan and slow resources come before the service
    /// of an apply, while a destroy begins with it.
    pub(crate) fn before_acting(&self, id: &str) -> f64 {
        let build = self.state.builds.get(id);
        let action = build.and_then(|build| build.variable(&self.config.contract.action));
        if action == Some("destroy") { 0.3 } else { 0.8 }
    }

    pub(crate) fn run_terraform(&mut self, id: &str, at: Timestamp) -> Progress {
        let Some(build) = self.state.builds.get(id).cloned() else {
            return Progress::Done;
        };
        let contract = &self.config.contract;
        // A project that has nothing to do with the contract just builds.
        let Some(action) = build.variable(&contract.action) else {
            return Progress::Done;
        };
        let Some(name) = build.variable(&contract.resource_name).map(str::to_owned) else {
            let missing = &contract.resource_name;
            let text = format!("Error: No value for required variable {missing}");
            return Progress::Failed(Context {
                code: "COMMAND_EXECUTION_ERROR".to_owned(),
                message: text,
            });
        };
        let cluster = self
            .state
            .projects
            .get(&build.project)
            .map_or("apps", |project| &project.cluster)
            .to_owned();
        let key = service_key(&cluster, &name);
        match action {
            "apply" if build.behaviours.contains(&Behaviour::LeavesNothing) => Progress::Done,
            "apply" => self.apply(&build, &cluster, &name, &key, at),
            "destroy" if build.behaviours.contains(&Behaviour::LeavesService) => Progress::Done,
            "destroy" => self.destroy(&name, &key, at),
            _ => Progress::Failed(Context::command("terraform", 2)),
        }
    }

    fn apply(&mut self, build: &Build, cluster: &str, name: &str, key: &str, at: Timestamp) -> Progress {
        let status = self.state.services.get(key).map(|service| service.status);
        if status == Some(ServiceStatus::Draining) {
            return Progress::Wait;
        }
        if !super::targets::is_name(name) {
            let text = format!("Error: creating target group ({name}): ValidationError: invalid name");
            return Progress::Failed(Context {
                code: "COMMAND_EXECUTION_ERROR".to_owned(),
                message: text,
            });
        }
        let group = self.ensure_target_group(name, cluster, at);
        let contract = self.config.contract.clone();
        let app = build.variable(&contract.app).unwrap_or("app");
        let differs = [
            contract.action.as_str(),
            contract.operation_id.as_str(),
            contract.state_table.as_str(),
        ];
        let fingerprint: BTreeMap<String, String> = build.fingerprint(&differs);
        let quirks = match wish(build, &contract) {
            Some("crash") => {
                let reason = "the app was asked to crash".to_owned();
                Quirks {
                    crash: Some(Crash {
                        exit_code: Some(1),
                        reason,
                    }),
                    ..Quirks::default()
                }
            }
            Some("unhealthy") => Quirks {
                unhealthy: true,
                ..Quirks::default()
            },
            _ => Quirks::default(),
        };
        let mut tags = BTreeMap::new();
        for (tag, variable) in [
            (&contract.instance_tag, &contract.instance_id),
            (&contract.host_tag, &contract.host_name),
        ] {
            if let Some(value) = build.variable(variable) {
                tags.insert(tag.clone(), value.to_owned());
            }
        }
        if status == Some(ServiceStatus::Active) {
            self.update_applied(key, &fingerprint, quirks, tags, &group, app, at);
            return Progress::Done;
        }
        let task_definition = self.register_revision(name, app, at);
        let load_balancers = vec![LoadBalancer {
            target_group_arn: group,
            container_name: app.to_owned(),
            container_port: 8080,
        }];
        let wanted = NewService {
            cluster: cluster.to_owned(),
            name: name.to_owned(),
            task_definition,
            desired: 1,
            tags,
            load_balancers,
            breaker: contract.circuit_breaker,
            launch_type: "FARGATE".to_owned(),
            client_token: None,
        };
        self.create_service(wanted, at);
        if let Some(service) = self.state.services.get_mut(key) {
            service.fingerprint = fingerprint;
            service.quirks = quirks;
        }
        Progress::Done
    }

    /// Brings a live service up to date. Its desired count is left alone, as with
    /// `ignore_changes = [desired_count]`: otherwise each apply would resume a suspended app.
    #[allow(clippy::too_many_arguments)]
    fn update_applied(
        &mut self,
        key: &str,
        fingerprint: &BTreeMap<String, String>,
        quirks: Quirks,
        tags: BTreeMap<String, String>,
        group: &str,
        app: &str,
        at: Timestamp,
    ) {
        let Some(service) = self.state.services.get_mut(key) else {
            return;
        };
        let new_group = service
            .load_balancers
            .first()
            .is_none_or(|balancer| balancer.target_group_arn != group);
        let changed = service.fingerprint != *fingerprint || service.quirks != quirks || new_group;
        service.fingerprint.clone_from(fingerprint);
        service.quirks = quirks;
        service.tags.extend(tags);
        if new_group {
            let balancer = LoadBalancer {
                target_group_arn: group.to_owned(),
                container_name: app.to_owned(),
                container_port: 8080,
            };
            service.load_balancers = vec![balancer];
        }
        let name = service.name.clone();
        self.check_services(key, at);
        if changed {
            let task_definition = self.register_revision(&name, app, at);
            self.start_deployment(key, &task_definition, at);
        }
        self.settle(key, at);
    }

    fn destroy(&mut self, name: &str, key: &str, at: Timestamp) -> Progress {
        match self.state.services.get(key).map(|service| service.status) {
            Some(ServiceStatus::Active) => {
                self.drain_service(key, at);
                return Progress::Wait;
            }
            Some(ServiceStatus::Draining) => return Progress::Wait,
            Some(ServiceStatus::Inactive) | None => {}
        }
        // Its state knows what belongs to the service, by whatever name.
        let used: Vec<String> = self
            .state
            .services
            .get(key)
            .into_iter()
            .flat_map(|service| &service.load_balancers)
            .filter_map(|balancer| self.group_by_arn(&balancer.target_group_arn))
            .map(|group| group.name.clone())
            .collect();
        for name in used.iter().map(String::as_str).chain([name]) {
            if self.state.target_groups.remove(name).is_some() {
                self.ledger.note(at, &format!("target group {name} is gone"));
            }
        }
        Progress::Done
    }
}
