//! CreateService: its checks, and the making of a service.

use jiff::Timestamp;
use serde::Deserialize;

use super::ecs::{Tag, cluster_of, invalid, is_name, tags_of, task_definition_arn};
use super::ecs_services::{count, shown};
use super::input;
use crate::ledger::canonical;
use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{ApiError, Outcome};
use crate::world::services::{LoadBalancer, NewService, ServiceStatus, service_key};

#[derive(Debug, Default, Deserialize)]
struct Breaker {
    enable: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeploymentConfiguration {
    deployment_circuit_breaker: Option<Breaker>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateService {
    cluster: Option<String>,
    service_name: Option<String>,
    task_definition: Option<String>,
    desired_count: Option<i64>,
    tags: Option<Vec<Tag>>,
    load_balancers: Option<Vec<LoadBalancer>>,
    launch_type: Option<String>,
    client_token: Option<String>,
    deployment_configuration: Option<DeploymentConfiguration>,
}

pub(crate) fn create(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let wanted: CreateService = input(call)?;
    let cluster = cluster_of(sim, wanted.cluster.as_deref())?;
    let name = wanted
        .service_name
        .filter(|name| is_name(name))
        .ok_or_else(|| invalid("Invalid service name"))?;
    let key = service_key(&cluster, &name);
    // With a token, a repetition of the same call is the same service.
    let client_token = wanted.client_token.as_ref().map(|_| canonical(&call.input));
    match sim.state.services.get(&key) {
        Some(known) if known.status == ServiceStatus::Active => {
            if client_token.is_some() && known.client_token == client_token {
                return shown(sim, &key);
            }
            return Err(invalid("Creation of service was not idempotent."));
        }
        Some(known) if known.status == ServiceStatus::Draining => {
            return Err(invalid("Unable to Start a service that is still Draining."));
        }
        _ => {}
    }
    let load_balancers = wanted.load_balancers.unwrap_or_default();
    for balancer in &load_balancers {
        let arn = &balancer.target_group_arn;
        if sim
            .group_by_arn(arn)
            .is_none_or(|group| group.load_balancers.is_empty())
        {
            let text = format!(
                "The target group with targetGroupArn {arn} does not have an associated load balancer."
            );
            return Err(invalid(text));
        }
    }
    let definition = wanted.task_definition.unwrap_or_default();
    let task_definition = task_definition_arn(sim, &definition)
        .ok_or_else(|| ApiError::client("ClientException", "TaskDefinition not found."))?;
    let new = NewService {
        cluster,
        name,
        task_definition,
        desired: count(wanted.desired_count)?.unwrap_or(1),
        tags: tags_of(wanted.tags)?,
        load_balancers,
        breaker: wanted
            .deployment_configuration
            .and_then(|configuration| configuration.deployment_circuit_breaker)
            .and_then(|breaker| breaker.enable)
            .unwrap_or(false),
        launch_type: wanted.launch_type.unwrap_or_else(|| "FARGATE".to_owned()),
        client_token,
    };
    sim.create_service(new, now);
    shown(sim, &key)
}
