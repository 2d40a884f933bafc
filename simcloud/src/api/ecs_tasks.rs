//! The operations of ECS on tasks.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ecs::{cluster_of, invalid};
use super::ecs_services::{cut_page, page_size};
use super::ecs_view::task_json;
use super::{input, last_part};
use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{ApiError, Good, Outcome};
use crate::world::services::service_key;
use crate::world::tasks::TaskStatus;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    cluster: Option<String>,
    service_name: Option<String>,
    family: Option<String>,
    started_by: Option<String>,
    desired_status: Option<String>,
    launch_type: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

pub(crate) fn list(sim: &mut Sim, call: &Call) -> Outcome {
    let wanted: List = input(call)?;
    let cluster = cluster_of(sim, wanted.cluster.as_deref())?;
    let page = page_size(sim, wanted.max_results, 100)?;
    let key = wanted
        .service_name
        .as_deref()
        .map(|name| service_key(&cluster, last_part(name)));
    if key
        .as_ref()
        .is_some_and(|key| !sim.state.services.contains_key(key))
    {
        return Err(ApiError::client("ServiceNotFoundException", "Service not found."));
    }
    // AWS: RUNNING by default; PENDING returns nothing.
    let stopped = match wanted.desired_status.as_deref() {
        None | Some("RUNNING") => Some(false),
        Some("STOPPED") => Some(true),
        Some("PENDING") => None,
        Some(_) => return Err(invalid("Invalid desiredStatus")),
    };
    let of_family = |definition: &str| {
        let name = last_part(definition);
        wanted
            .family
            .as_deref()
            .is_none_or(|family| name.rsplit_once(':').is_some_and(|(known, _)| known == family))
    };
    let mut arns: Vec<String> = sim
        .state
        .tasks
        .values()
        .filter(|task| task.cluster == cluster && stopped == Some(task.stopping.is_some()))
        .filter(|task| key.as_ref().is_none_or(|key| *key == task.service))
        .filter(|task| wanted.started_by.as_ref().is_none_or(|by| *by == task.deployment))
        .filter(|task| {
            wanted
                .launch_type
                .as_ref()
                .is_none_or(|kind| *kind == task.launch_type)
        })
        .filter(|task| of_family(&task.task_definition))
        .map(|task| task.arn.clone())
        .collect();
    arns.sort_unstable();
    let next = cut_page(&mut arns, wanted.next_token.as_deref(), page)?;
    let mut answer = json!({"taskArns": arns});
    if let Some(next) = next {
        answer["nextToken"] = Value::from(next);
    }
    Ok(Good::Json(answer))
}

#[derive(Deserialize)]
struct Describe {
    cluster: Option<String>,
    tasks: Option<Vec<String>>,
}

pub(crate) fn describe(sim: &mut Sim, call: &Call) -> Outcome {
    let Describe { cluster, tasks } = input(call)?;
    let cluster = cluster_of(sim, cluster.as_deref())?;
    let asked = tasks.unwrap_or_default();
    // AWS: at most 100 tasks.
    if asked.is_empty() || asked.len() > 100 {
        return Err(invalid("Tasks must have between 1 and 100 elements"));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for given in &asked {
        let id = last_part(given);
        if let Some(task) = sim.state.tasks.get(id).filter(|task| task.cluster == cluster) {
            found.push(task_json(sim, task));
        } else {
            let arn = sim.config.arn("ecs", &format!("task/{cluster}/{id}"));
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
    }
    Ok(Good::Json(json!({"tasks": found, "failures": failures})))
}

#[derive(Deserialize)]
struct Stop {
    cluster: Option<String>,
    task: Option<String>,
    reason: Option<String>,
}

pub(crate) fn stop(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let Stop {
        cluster,
        task,
        reason,
    } = input(call)?;
    let cluster = cluster_of(sim, cluster.as_deref())?;
    let id = last_part(task.as_deref().unwrap_or_default()).to_owned();
    let known = sim.state.tasks.get(&id).filter(|task| task.cluster == cluster);
    let known = known.ok_or_else(|| invalid("The referenced task was not found."))?;
    let key = known.service.clone();
    if known.status != TaskStatus::Stopped {
        sim.stop_task(
            &id,
            now,
            "UserInitiated",
            reason.as_deref().unwrap_or("Task stopped by user"),
        );
        sim.settle(&key, now);
    }
    let task = sim
        .state
        .tasks
        .get(&id)
        .ok_or_else(|| invalid("The referenced task was not found."))?;
    Ok(Good::Json(json!({"task": task_json(sim, task)})))
}
