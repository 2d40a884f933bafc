//! ECS: looks at services and at tasks that stopped, sets how many tasks a service should have.
//!
//! A service is absent when ECS says MISSING or INACTIVE, and only then. Whether one such answer is proof is
//! not decided here: ECS is eventually consistent, and a service that was just made can be missing too.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_ecs::operation::list_tasks::ListTasksError;
use aws_sdk_ecs::types::{
    self as sdk, Container, DeploymentRolloutState, DesiredStatus, ServiceField, Task, TaskStopCode,
};

use super::aws::{self, Clients};
use super::pages;
use super::text::{self, SENTENCE_MAX};
use super::{Error, Result, Services};
use crate::model::blueprint::{HOST_TAG, INSTANCE_TAG};
use crate::model::name::{AppId, ClusterName, HostName, ResourceName};
use crate::model::observed::{Observed, Rollout, Service, StoppedTask};

/// AWS: the most services of one `DescribeServices`.
pub(super) const DESCRIBE_MAX: usize = 10;
pub(super) const DESCRIBE: &str = "ecs.DescribeServices";
/// AWS: the largest page of `ListServices` and `ListTasks`; the default is ten.
const PAGE_MAX: i32 = 100;

/// [`Services`] over ECS.
#[derive(Clone, Debug)]
pub struct Ecs {
    pub(super) client: aws_sdk_ecs::Client,
}

impl Ecs {
    /// The services that these clients reach.
    pub fn new(clients: &Clients) -> Self {
        Self {
            client: clients.ecs.clone(),
        }
    }
}

#[async_trait]
impl Services for Ecs {
    async fn look(
        &self,
        cluster: &ClusterName,
        names: &[ResourceName],
    ) -> BTreeMap<ResourceName, Observed<Service>> {
        let mut seen: BTreeMap<ResourceName, Observed<Service>> = names
            .iter()
            .map(|name| (name.clone(), Observed::Unknown))
            .collect();
        let names: Vec<ResourceName> = seen.keys().cloned().collect();
        for chunk in names.chunks(DESCRIBE_MAX) {
            // After an error every service of the chunk stays unknown. That holds for a cluster that is not
            // there too: a misspelt cluster must not look like a thousand services gone.
            if let Ok(found) = self.describe(cluster, chunk).await {
                seen.extend(found);
            }
        }
        seen
    }

    async fn list(&self, cluster: &ClusterName) -> Result<Vec<ResourceName>> {
        let call = "ecs.ListServices";
        let mut names = BTreeSet::new();
        let mut after = None;
        loop {
            let page = self
                .client
                .list_services()
                .cluster(cluster.as_str())
                .max_results(PAGE_MAX)
                .set_next_token(after.clone())
                .send()
                .await
                .map_err(|e| aws::map(call, e))?;
            for arn in pages::listed(call, page.service_arns)? {
                let name = text::name(text::last_segment(&arn));
                names.insert(name.map_err(|problem| Error::Unreadable { call, problem })?);
            }
            let token = page.next_token.filter(|token| !token.is_empty());
            after = pages::next(call, after.as_ref(), token)?;
            if after.is_none() {
                return Ok(names.into_iter().collect());
            }
        }
    }

    async fn scale(&self, cluster: &ClusterName, name: &ResourceName, tasks: u32) -> Result<()> {
        // AWS: a change of the desired count alone starts no deployment.
        self.client
            .update_service()
            .cluster(cluster.as_str())
            .service(name.as_str())
            .desired_count(i32::try_from(tasks).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|e| aws::map("ecs.UpdateService", e))?;
        Ok(())
    }

    async fn delete(&self, cluster: &ClusterName, name: &ResourceName) -> Result<()> {
        // AWS: without force, a service that has tasks is refused.
        let deleted = self
            .client
            .delete_service()
            .cluster(cluster.as_str())
            .service(name.as_str())
            .force(true)
            .send()
            .await
            .map_err(|e| aws::map("ecs.DeleteService", e));
        match deleted {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn stopped_task(&self, cluster: &ClusterName, name: &ResourceName) -> Result<Option<StoppedTask>> {
        // One page: of a service that stops more than a hundred tasks within the hour in which ECS keeps
        // them, any of the hundred tells the same story.
        let listed = self
            .client
            .list_tasks()
            .cluster(cluster.as_str())
            .service_name(name.as_str())
            .desired_status(DesiredStatus::Stopped)
            .max_results(PAGE_MAX)
            .send()
            .await;
        let tasks = match listed {
            Ok(page) => page.task_arns.unwrap_or_default(),
            Err(error) => match error.as_service_error() {
                Some(ListTasksError::ServiceNotFoundException(_)) => return Ok(None),
                Some(_) | None => return Err(aws::map("ecs.ListTasks", error)),
            },
        };
        if tasks.is_empty() {
            return Ok(None);
        }
        let described = self
            .client
            .describe_tasks()
            .cluster(cluster.as_str())
            .set_tasks(Some(tasks))
            .send()
            .await
            .map_err(|e| aws::map("ecs.DescribeTasks", e))?;
        let tasks = described.tasks.unwrap_or_default();
        let stopped = tasks.iter().filter_map(stopped_by_itself);
        Ok(stopped.max_by_key(|task| task.stopped_at))
    }
}

impl Ecs {
    /// Up to ten services. A name that the answer does not mention is left out: it stays unknown.
    async fn describe(
        &self,
        cluster: &ClusterName,
        names: &[ResourceName],
    ) -> Result<BTreeMap<ResourceName, Observed<Service>>> {
        let described = self.described(cluster, names).await?.into_iter();
        let seen = described.map(|(name, found)| {
            let seen = found.map_or(Observed::Absent, |found| service(name.clone(), &found));
            (name, seen)
        });
        Ok(seen.collect())
    }

    /// Up to ten services with their tags, as ECS tells of them; `None`: it is missing. A name that the answer does not
    /// mention is left out.
    pub(super) async fn described(
        &self,
        cluster: &ClusterName,
        names: &[ResourceName],
    ) -> Result<BTreeMap<ResourceName, Option<sdk::Service>>> {
        let answer = self
            .client
            .describe_services()
            .cluster(cluster.as_str())
            .set_services(Some(names.iter().map(ToString::to_string).collect()))
            .include(ServiceField::Tags)
            .send()
            .await
            .map_err(|e| aws::map(DESCRIBE, e))?;
        let asked = |name: &str| names.iter().find(|asked| asked.as_str() == name).cloned();
        // AWS: names that are not there come back as failures of a call that succeeded; so does anything
        // else that went wrong with one of them.
        let failures = answer.failures.unwrap_or_default();
        let missing = failures
            .iter()
            .filter(|failure| failure.reason() == Some("MISSING"))
            .filter_map(|failure| asked(text::last_segment(failure.arn()?)))
            .map(|name| (name, None));
        let services = answer.services.unwrap_or_default().into_iter();
        let services = services.filter_map(|found| Some((asked(found.service_name()?)?, Some(found))));
        Ok(missing.chain(services).collect())
    }
}

/// A service as the planner knows it. One of an unknown status is unknown.
pub(super) fn service(name: ResourceName, found: &sdk::Service) -> Observed<Service> {
    let draining = match found.status() {
        Some("ACTIVE") => false,
        Some("DRAINING") => true,
        Some("INACTIVE") => return Observed::Absent,
        Some(_) | None => return Observed::Unknown,
    };
    let tag = |key: &str| {
        let tag = found.tags().iter().find(|tag| tag.key() == Some(key))?;
        tag.value()
    };
    Observed::Present(Service {
        name,
        draining,
        desired_count: text::count(found.desired_count()),
        running_count: text::count(found.running_count()),
        pending_count: text::count(found.pending_count()),
        rollout: rollout(found),
        deployments: u32::try_from(found.deployments().len()).unwrap_or(u32::MAX),
        instance_id: tag(INSTANCE_TAG).and_then(AppId::from_key),
        host_name: tag(HOST_TAG).and_then(|host| HostName::parse(host).ok()),
        target_groups: target_groups(found),
    })
}

/// AWS: `…:targetgroup/NAME/ID`. A Classic Load Balancer has a name instead, and no target group.
fn target_groups(found: &sdk::Service) -> Vec<String> {
    let arns = found
        .load_balancers()
        .iter()
        .filter_map(|balancer| balancer.target_group_arn());
    let names = arns.filter_map(|arn| arn.split_once(":targetgroup/")?.1.split('/').next());
    // A service may register several ports of its tasks with one group.
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    names.into_iter().collect()
}

/// The rollout of the newest deployment, which AWS calls PRIMARY.
fn rollout(found: &sdk::Service) -> Rollout {
    let primary = found
        .deployments()
        .iter()
        .find(|deployment| deployment.status() == Some("PRIMARY"));
    let Some(primary) = primary else {
        return Rollout::InProgress;
    };
    match primary.rollout_state() {
        Some(DeploymentRolloutState::Completed) => Rollout::Completed,
        Some(DeploymentRolloutState::Failed) => {
            let reason = primary.rollout_state_reason().unwrap_or("no reason given");
            Rollout::Failed(text::one_line(reason, SENTENCE_MAX))
        }
        // AWS: no rollout state is given behind a Classic Load Balancer. Steady is then what AWS's own
        // waiter takes for it: one deployment, and as many tasks as wanted.
        None if found.deployments().len() == 1
            && found.pending_count() == 0
            && found.running_count() == found.desired_count() =>
        {
            Rollout::Completed
        }
        Some(_) | None => Rollout::InProgress,
    }
}

/// A task that was not stopped by a person or by its service's scheduler.
fn stopped_by_itself(task: &Task) -> Option<StoppedTask> {
    let code = match task.stop_code()? {
        TaskStopCode::ServiceSchedulerInitiated | TaskStopCode::UserInitiated => return None,
        other => other.as_str(),
    };
    let mut reason = task.stopped_reason().unwrap_or("no reason given").to_owned();
    // AWS: a task that was never placed has no containers at all.
    if let Some(container) = task.containers().iter().find_map(last_words) {
        reason.push_str("; ");
        reason.push_str(&container);
    }
    Some(StoppedTask {
        stopped_at: task.stopped_at().and_then(text::time),
        code: text::one_line(code, 60),
        reason: text::one_line(&reason, SENTENCE_MAX),
    })
}

/// What a container had to say, if it did not simply end well.
fn last_words(container: &Container) -> Option<String> {
    let name = container.name().unwrap_or("container");
    match (container.reason(), container.exit_code()) {
        (Some(reason), Some(code)) => Some(format!("{name}: {reason} (exit code {code})")),
        (Some(reason), None) => Some(format!("{name}: {reason}")),
        (None, Some(code)) if code != 0 => Some(format!("{name}: exit code {code}")),
        (None, Some(_) | None) => None,
    }
}
