//! The operations of ECS on services.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ecs::{cluster_of, invalid, task_definition_arn};
use super::ecs_view::service_json;
use super::{input, last_part};
use crate::history::Past;
use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{ApiError, Good, Outcome};
use crate::world::services::{LoadBalancer, Service, ServiceStatus, service_key};
use crate::world::tasks::TaskStatus;

/// A service may want a few thousand tasks, never a negative number of them.
pub(crate) fn count(given: Option<i64>) -> Result<Option<u32>, ApiError> {
    given
        .map(|given| {
            u32::try_from(given)
                .ok()
                .filter(|count| *count <= 5000)
                .ok_or_else(|| invalid("Invalid desiredCount"))
        })
        .transpose()
}

pub(crate) fn shown(sim: &Sim, key: &str) -> Outcome {
    let service = sim.state.services.get(key).ok_or_else(not_found)?;
    Ok(Good::Json(json!({"service": service_json(sim, service, true)})))
}

fn not_found() -> ApiError {
    ApiError::client("ServiceNotFoundException", "Service not found.")
}

#[derive(Deserialize)]
struct Describe {
    cluster: Option<String>,
    services: Option<Vec<String>>,
    include: Option<Vec<String>>,
}

pub(crate) fn describe(sim: &mut Sim, call: &Call) -> Outcome {
    let Describe {
        cluster,
        services,
        include,
    } = input(call)?;
    let cluster = cluster_of(sim, cluster.as_deref())?;
    let asked = services.unwrap_or_default();
    // AWS: at most 10 services.
    if asked.is_empty() || asked.len() > 10 {
        return Err(invalid("Services must have between 1 and 10 elements"));
    }
    let tags = include.is_some_and(|include| include.iter().any(|what| what == "TAGS"));
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for given in &asked {
        let name = last_part(given);
        let key = service_key(&cluster, name);
        if let Some(mut service) = shown_to(sim, &key) {
            if !tags && let Some(fields) = service.as_object_mut() {
                fields.remove("tags");
            }
            found.push(service);
        } else {
            let arn = sim.config.arn("ecs", &format!("service/{key}"));
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
    }
    Ok(Good::Json(json!({"services": found, "failures": failures})))
}

/// The service as this call sees it: as it is, or as it was.
fn shown_to(sim: &Sim, key: &str) -> Option<Value> {
    let current = || {
        sim.state
            .services
            .get(key)
            .map(|service| service_json(sim, service, true))
    };
    let Some(then) = sim.faults.stale_before() else {
        return current();
    };
    match sim.history.service_at(key, then) {
        Past::Unknown => current(),
        Past::Absent => None,
        Past::Present { shown, .. } => Some(shown.clone()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    cluster: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
    launch_type: Option<String>,
    scheduling_strategy: Option<String>,
}

pub(crate) fn list(sim: &mut Sim, call: &Call) -> Outcome {
    let List {
        cluster,
        max_results,
        next_token,
        launch_type,
        scheduling_strategy,
    } = input(call)?;
    let cluster = cluster_of(sim, cluster.as_deref())?;
    // AWS: 1 to 100, 10 by default.
    let page = page_size(sim, max_results, 10)?;
    let stale = sim.faults.stale_before();
    // AWS: DRAINING services are not listed, and INACTIVE ones neither.
    let listed = |key: &str, service: &Service| match stale.map(|then| sim.history.service_at(key, then)) {
        None | Some(Past::Unknown) => service.status == ServiceStatus::Active,
        Some(Past::Absent) => false,
        Some(Past::Present { active, .. }) => active,
    };
    let mut arns: Vec<String> = sim
        .state
        .services
        .iter()
        .filter(|(_, service)| service.cluster == cluster)
        .filter(|(key, service)| listed(key, service))
        .filter(|(_, service)| {
            launch_type
                .as_ref()
                .is_none_or(|kind| *kind == service.launch_type)
        })
        .filter(|_| {
            scheduling_strategy
                .as_deref()
                .is_none_or(|strategy| strategy == "REPLICA")
        })
        .map(|(_, service)| service.arn.clone())
        .collect();
    arns.sort_unstable();
    let mut answer = json!({});
    let next = cut_page(&mut arns, next_token.as_deref(), page)?;
    answer["serviceArns"] = Value::from(arns);
    if let Some(next) = next {
        answer["nextToken"] = Value::from(next);
    }
    Ok(Good::Json(answer))
}

pub(crate) fn page_size(sim: &Sim, given: Option<i64>, usual: usize) -> Result<usize, ApiError> {
    let asked = match given {
        None => usual,
        Some(given) => usize::try_from(given)
            .ok()
            .filter(|given| (1..=100).contains(given))
            .ok_or_else(|| invalid("maxResults must be between 1 and 100"))?,
    };
    Ok(sim
        .faults
        .page_size()
        .map_or(asked, |short| short.min(asked))
        .max(1))
}

/// Cuts a sorted list to its page after `token`, and gives the token of the next. Tokens are the last ARN shown,
/// so things that come and go between two pages shift nothing.
pub(crate) fn cut_page(
    arns: &mut Vec<String>,
    token: Option<&str>,
    page: usize,
) -> Result<Option<String>, ApiError> {
    if let Some(token) = token {
        if !token.starts_with("arn:aws:") {
            return Err(invalid("Invalid token"));
        }
        arns.retain(|arn| arn.as_str() > token);
    }
    let more = arns.len() > page;
    arns.truncate(page);
    Ok(arns.last().filter(|_| more).cloned())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateService {
    cluster: Option<String>,
    service: Option<String>,
    desired_count: Option<i64>,
    task_definition: Option<String>,
    force_new_deployment: Option<bool>,
    load_balancers: Option<Vec<LoadBalancer>>,
}

pub(crate) fn update(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let wanted: UpdateService = input(call)?;
    let cluster = cluster_of(sim, wanted.cluster.as_deref())?;
    let key = service_key(&cluster, last_part(wanted.service.as_deref().unwrap_or_default()));
    let desired = count(wanted.desired_count)?;
    let service = sim.state.services.get(&key).ok_or_else(not_found)?;
    if service.status != ServiceStatus::Active {
        return Err(ApiError::client(
            "ServiceNotActiveException",
            "Service was not ACTIVE.",
        ));
    }
    let definition = match wanted.task_definition.as_deref() {
        None => None,
        Some(given) => Some(
            task_definition_arn(sim, given)
                .ok_or_else(|| ApiError::client("ClientException", "TaskDefinition not found."))?,
        ),
    };
    sim.set_desired(&key, desired, now);
    let Some(service) = sim.state.services.get_mut(&key) else {
        return Err(not_found());
    };
    // AWS: a new deployment is made for these changes and never for desiredCount.
    let changed = definition
        .as_ref()
        .is_some_and(|given| *given != service.task_definition);
    let rewired = wanted.load_balancers.is_some();
    if let Some(balancers) = wanted.load_balancers {
        service.load_balancers = balancers;
    }
    let definition = definition.unwrap_or_else(|| service.task_definition.clone());
    if changed || rewired || wanted.force_new_deployment == Some(true) {
        sim.start_deployment(&key, &definition, now);
    }
    sim.settle(&key, now);
    shown(sim, &key)
}

impl Sim {
    pub(crate) fn set_desired(&mut self, key: &str, desired: Option<u32>, now: Timestamp) {
        let (Some(desired), Some(service)) = (desired, self.state.services.get_mut(key)) else {
            return;
        };
        if service.desired == desired {
            return;
        }
        service.desired = desired;
        if let Some(primary) = service.deployments.first_mut() {
            primary.desired = desired;
            primary.updated = now;
        }
        self.ledger
            .note(now, &format!("service {key} wants {desired} tasks"));
    }
}

#[derive(Deserialize)]
struct Delete {
    cluster: Option<String>,
    service: Option<String>,
    force: Option<bool>,
}

pub(crate) fn delete(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let Delete {
        cluster,
        service,
        force,
    } = input(call)?;
    let cluster = cluster_of(sim, cluster.as_deref())?;
    let key = service_key(&cluster, last_part(service.as_deref().unwrap_or_default()));
    let service = sim.state.services.get(&key).ok_or_else(not_found)?;
    match service.status {
        ServiceStatus::Inactive => return Err(not_found()),
        ServiceStatus::Draining => {}
        ServiceStatus::Active => {
            // AWS: without force only if desired is 0 and no task runs.
            let idle = service.desired == 0
                && sim
                    .tasks_of(service)
                    .all(|task| task.status == TaskStatus::Stopped);
            if !idle && force != Some(true) {
                return Err(invalid(
                    "The service cannot be stopped while it is scaled above 0.",
                ));
            }
            sim.drain_service(&key, now);
        }
    }
    shown(sim, &key)
}
