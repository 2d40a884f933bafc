//! The operations of ECS on clusters, task definitions and tags, and the way to the others.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ecs_view::{cluster_json, task_definition_json};
use super::{create_service, ecs_services, ecs_tasks, input, last_part, unknown};
use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{ApiError, Good, Outcome};
use crate::world::services::service_key;

pub(crate) fn perform(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    match call.operation.as_str() {
        "CreateCluster" => create_cluster(sim, call),
        "DescribeClusters" => describe_clusters(sim, call),
        "CreateService" => create_service::create(sim, call, now),
        "DescribeServices" => ecs_services::describe(sim, call),
        "ListServices" => ecs_services::list(sim, call),
        "UpdateService" => ecs_services::update(sim, call, now),
        "DeleteService" => ecs_services::delete(sim, call, now),
        "ListTasks" => ecs_tasks::list(sim, call),
        "DescribeTasks" => ecs_tasks::describe(sim, call),
        "StopTask" => ecs_tasks::stop(sim, call, now),
        "RegisterTaskDefinition" => register_task_definition(sim, call, now),
        "DescribeTaskDefinition" => describe_task_definition(sim, call),
        "TagResource" => tag_resource(sim, call, now),
        "ListTagsForResource" => list_tags(sim, call),
        _ => unknown(call),
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidParameterException", message)
}

/// AWS: letters, digits, underscore and hyphen, at most 255.
pub(crate) fn is_name(name: &str) -> bool {
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    letters && (1..=255).contains(&name.len())
}

/// The cluster meant by a name, an ARN, or nothing ("default"), if it exists.
pub(crate) fn cluster_of(sim: &Sim, given: Option<&str>) -> Result<String, ApiError> {
    let name = last_part(given.filter(|given| !given.is_empty()).unwrap_or("default"));
    if sim.state.clusters.contains_key(name) {
        return Ok(name.to_owned());
    }
    Err(ApiError::client("ClusterNotFoundException", "Cluster not found."))
}

/// A tag as ECS writes it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Tag {
    key: Option<String>,
    value: Option<String>,
}

/// AWS: at most 50 tags, keys up to 128 characters, values up to 256, no `aws:` prefix.
pub(crate) fn tags_of(given: Option<Vec<Tag>>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for tag in given.unwrap_or_default() {
        let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        let fits = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
        if !fits || key.starts_with("aws:") {
            return Err(invalid(format!("Invalid tag: {key}")));
        }
        tags.insert(key, value);
    }
    if tags.len() > 50 {
        return Err(invalid("Too many tags: at most 50 are allowed"));
    }
    Ok(tags)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateCluster {
    cluster_name: Option<String>,
}

fn create_cluster(sim: &mut Sim, call: &Call) -> Outcome {
    let CreateCluster { cluster_name } = input(call)?;
    let name = cluster_name.unwrap_or_else(|| "default".to_owned());
    if !is_name(&name) {
        return Err(invalid("Invalid cluster name"));
    }
    sim.ensure_cluster(&name);
    Ok(Good::Json(json!({"cluster": cluster_json(sim, &name)})))
}

#[derive(Deserialize)]
struct Clusters {
    clusters: Option<Vec<String>>,
}

fn describe_clusters(sim: &mut Sim, call: &Call) -> Outcome {
    let Clusters { clusters } = input(call)?;
    let asked = clusters.unwrap_or_else(|| vec!["default".to_owned()]);
    if asked.len() > 100 {
        return Err(invalid("Clusters cannot have more than 100 elements"));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in &asked {
        let name = last_part(name);
        if sim.state.clusters.contains_key(name) {
            found.push(cluster_json(sim, name));
        } else {
            let arn = sim.config.arn("ecs", &format!("cluster/{name}"));
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
    }
    Ok(Good::Json(json!({"clusters": found, "failures": failures})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisterTaskDefinition {
    family: Option<String>,
    container_definitions: Option<Value>,
}

fn register_task_definition(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let RegisterTaskDefinition {
        family,
        container_definitions,
    } = input(call)?;
    let family = family.filter(|family| is_name(family));
    let family = family.ok_or_else(|| ApiError::client("ClientException", "Invalid family"))?;
    let containers =
        container_definitions.filter(|given| given.as_array().is_some_and(|given| !given.is_empty()));
    let containers =
        containers.ok_or_else(|| ApiError::client("ClientException", "Container list cannot be empty."))?;
    let definition = sim.register_task_definition(&family, containers, now);
    Ok(Good::Json(
        json!({"taskDefinition": task_definition_json(&definition)}),
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeTaskDefinition {
    task_definition: Option<String>,
}

fn describe_task_definition(sim: &mut Sim, call: &Call) -> Outcome {
    let DescribeTaskDefinition { task_definition } = input(call)?;
    let asked = task_definition.unwrap_or_default();
    let found = task_definition_arn(sim, &asked)
        .and_then(|arn| sim.state.task_definitions.get(last_part(&arn)))
        .ok_or_else(|| ApiError::client("ClientException", "Unable to describe task definition."))?;
    Ok(Good::Json(
        json!({"taskDefinition": task_definition_json(found), "tags": []}),
    ))
}

/// The ARN of a task definition given as `family`, `family:revision` or ARN; a family means its newest revision.
pub(crate) fn task_definition_arn(sim: &Sim, given: &str) -> Option<String> {
    let name = last_part(given);
    if let Some(found) = sim.state.task_definitions.get(name) {
        return Some(found.arn.clone());
    }
    let of_family = sim
        .state
        .task_definitions
        .values()
        .filter(|known| known.family == name);
    of_family
        .max_by_key(|known| known.revision)
        .map(|known| known.arn.clone())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagResource {
    resource_arn: Option<String>,
    tags: Option<Vec<Tag>>,
}

/// `service/cluster/name` in the key of the services.
fn key_in(arn: &str) -> Option<String> {
    let (_, rest) = arn.split_once(":service/")?;
    let (cluster, name) = rest.split_once('/')?;
    Some(service_key(cluster, name))
}

fn tag_resource(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let TagResource { resource_arn, tags } = input(call)?;
    let tags = tags_of(tags)?;
    let key = key_in(&resource_arn.unwrap_or_default()).ok_or_else(|| invalid("Invalid resource ARN"))?;
    let not_found = || {
        ApiError::client(
            "ResourceNotFoundException",
            "The specified resource wasn't found.",
        )
    };
    let service = sim.state.services.get_mut(&key).ok_or_else(not_found)?;
    if service
        .tags
        .keys()
        .chain(tags.keys())
        .collect::<std::collections::BTreeSet<_>>()
        .len()
        > 50
    {
        return Err(invalid("Too many tags: at most 50 are allowed"));
    }
    service.tags.extend(tags);
    sim.history.touch(&key);
    sim.check_services(&key, now);
    Ok(Good::Json(json!({})))
}

fn list_tags(sim: &mut Sim, call: &Call) -> Outcome {
    let TagResource { resource_arn, .. } = input(call)?;
    let key = key_in(&resource_arn.unwrap_or_default()).ok_or_else(|| invalid("Invalid resource ARN"))?;
    let not_found = || {
        ApiError::client(
            "ResourceNotFoundException",
            "The specified resource wasn't found.",
        )
    };
    let service = sim.state.services.get(&key).ok_or_else(not_found)?;
    Ok(Good::Json(
        json!({"tags": super::ecs_view::tags_json(&service.tags)}),
    ))
}
