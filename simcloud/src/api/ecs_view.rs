//! How ECS shows clusters, services, deployments and tasks. Reads only.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sim::Sim;
use crate::world::definitions::TaskDefinition;
use crate::world::epoch;
use crate::world::services::{Deployment, Service, ServiceStatus};
use crate::world::tasks::{Task, TaskStatus};

pub(crate) fn tags_json(tags: &BTreeMap<String, String>) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect()
}

pub(crate) fn cluster_json(sim: &Sim, name: &str) -> Value {
    let arn = sim.state.clusters.get(name).map(|cluster| cluster.arn.as_str());
    let services = sim
        .state
        .services
        .values()
        .filter(|service| service.cluster == name);
    let tasks = sim.state.tasks.values().filter(|task| task.cluster == name);
    json!({
        "clusterName": name,
        "clusterArn": arn,
        "status": "ACTIVE",
        "registeredContainerInstancesCount": 0,
        "activeServicesCount": services.filter(|service| service.status == ServiceStatus::Active).count(),
        "runningTasksCount": tasks.clone().filter(|task| task.status == TaskStatus::Running).count(),
        "pendingTasksCount": tasks.filter(|task| task.status <= TaskStatus::Pending).count(),
    })
}

/// RUNNING and PENDING tasks, of all deployments or of one.
fn counts(sim: &Sim, service: &Service, deployment: Option<&str>) -> (usize, usize) {
    let mut counts = (0, 0);
    for task in sim.tasks_of(service) {
        if deployment.is_some_and(|id| id != task.deployment) {
            continue;
        }
        match task.status {
            TaskStatus::Running => counts.0 += 1,
            TaskStatus::Provisioning | TaskStatus::Pending => counts.1 += 1,
            TaskStatus::Deactivating | TaskStatus::Stopped => {}
        }
    }
    counts
}

pub(crate) fn service_json(sim: &Sim, service: &Service, tags: bool) -> Value {
    let (running, pending) = counts(sim, service, None);
    let deployments = service.deployments.iter().enumerate();
    let deployments: Vec<Value> = deployments
        .map(|(place, deployment)| deployment_json(sim, service, deployment, place == 0))
        .collect();
    let events = service
        .events
        .iter()
        .map(|event| json!({"id": event.id, "createdAt": epoch(event.at), "message": event.message}));
    let mut shown = json!({
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": sim.config.arn("ecs", &format!("cluster/{}", service.cluster)),
        "status": service.status.as_str(),
        "desiredCount": service.desired,
        "runningCount": running,
        "pendingCount": pending,
        "launchType": service.launch_type,
        "taskDefinition": service.task_definition,
        "deployments": deployments,
        "events": events.collect::<Vec<_>>(),
        "loadBalancers": service.load_balancers,
        "serviceRegistries": [],
        "createdAt": epoch(service.created),
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {"enable": service.breaker, "rollback": false},
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
        },
        "enableECSManagedTags": false,
        "propagateTags": "NONE",
    });
    if tags {
        shown["tags"] = tags_json(&service.tags);
    }
    shown
}

fn deployment_json(sim: &Sim, service: &Service, deployment: &Deployment, primary: bool) -> Value {
    let (running, pending) = counts(sim, service, Some(&deployment.id));
    json!({
        "id": deployment.id,
        // AWS: PRIMARY is the most recent; ACTIVE still has tasks and is being replaced.
        "status": if primary { "PRIMARY" } else { "ACTIVE" },
        "taskDefinition": deployment.task_definition,
        "desiredCount": if primary { deployment.desired } else { 0 },
        "runningCount": running,
        "pendingCount": pending,
        "failedTasks": deployment.failed_tasks,
        "createdAt": epoch(deployment.created),
        "updatedAt": epoch(deployment.updated),
        "launchType": service.launch_type,
        "rolloutState": deployment.rollout.as_str(),
        "rolloutStateReason": deployment.reason,
    })
}

pub(crate) fn task_json(sim: &Sim, task: &Task) -> Value {
    let service = task.service.rsplit('/').next().unwrap_or_default();
    let mut shown = json!({
        "taskArn": task.arn,
        "clusterArn": sim.config.arn("ecs", &format!("cluster/{}", task.cluster)),
        "taskDefinitionArn": task.task_definition,
        "lastStatus": task.status.as_str(),
        "desiredStatus": if task.stopping.is_some() { "STOPPED" } else { "RUNNING" },
        "group": format!("service:{service}"),
        "startedBy": task.deployment,
        "launchType": task.launch_type,
        "cpu": "256",
        "memory": "512",
        "connectivity": "CONNECTED",
        "createdAt": epoch(task.created),
        "version": task.version,
        "containers": containers_json(sim, task),
        "tags": [],
    });
    let times = [
        ("startedAt", task.started),
        ("stoppingAt", task.stopping),
        ("stoppedAt", task.stopped),
    ];
    for (field, at) in times {
        if let Some(at) = at {
            shown[field] = epoch(at);
        }
    }
    for (field, text) in [
        ("stopCode", &task.stop_code),
        ("stoppedReason", &task.stopped_reason),
    ] {
        if let Some(text) = text {
            shown[field] = Value::from(text.as_str());
        }
    }
    shown
}

/// AWS: a task that never got placed stops with `TaskFailedToStart` and no containers at all.
fn containers_json(sim: &Sim, task: &Task) -> Value {
    let placed = task.stop_code.as_deref() != Some("TaskFailedToStart");
    if !placed {
        return json!([]);
    }
    let mut container = json!({
        "containerArn": sim.config.arn("ecs", &format!("container/{}/{}", task.cluster, task.id)),
        "taskArn": task.arn,
        "name": task.container,
        "lastStatus": task.status.as_str(),
        "healthStatus": "UNKNOWN",
        "networkInterfaces": [{"privateIpv4Address": task.ip}],
    });
    if task.status == TaskStatus::Stopped {
        if let Some(code) = task.exit_code {
            container["exitCode"] = Value::from(code);
        }
        if let Some(reason) = &task.container_reason {
            container["reason"] = Value::from(reason.as_str());
        }
    }
    json!([container])
}

pub(crate) fn task_definition_json(definition: &TaskDefinition) -> Value {
    json!({
        "taskDefinitionArn": definition.arn,
        "family": definition.family,
        "revision": definition.revision,
        "status": "ACTIVE",
        "containerDefinitions": definition.containers,
        "registeredAt": epoch(definition.registered),
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
    })
}
