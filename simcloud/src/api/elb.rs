//! The operations of `ELBv2` on target groups.

use jiff::Timestamp;
use serde::Deserialize;

use super::{input, unknown};
use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{ApiError, Good, Outcome};
use crate::wire::xml::Xml;
use crate::world::targets::{Health, TargetGroup, is_name};

pub(crate) fn perform(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    match call.operation.as_str() {
        "CreateTargetGroup" => create(sim, call, now),
        "DeleteTargetGroup" => delete(sim, call, now),
        "DescribeTargetGroups" => describe(sim, call),
        "DescribeTargetHealth" => describe_health(sim, call),
        _ => unknown(call),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("ValidationError", message)
}

fn not_found() -> ApiError {
    ApiError::client("TargetGroupNotFound", "One or more target groups not found")
}

fn group_xml(group: &TargetGroup) -> Xml {
    Xml::Fields(vec![
        ("TargetGroupArn", Xml::text(&group.arn)),
        ("TargetGroupName", Xml::text(&group.name)),
        ("Protocol", Xml::text(&group.protocol)),
        ("Port", Xml::text(group.port.to_string())),
        ("VpcId", Xml::text(&group.vpc)),
        ("HealthCheckProtocol", Xml::text("HTTP")),
        ("HealthCheckPort", Xml::text("traffic-port")),
        ("HealthCheckEnabled", Xml::text("true")),
        ("HealthCheckIntervalSeconds", Xml::text("30")),
        ("HealthCheckTimeoutSeconds", Xml::text("5")),
        ("HealthyThresholdCount", Xml::text("5")),
        ("UnhealthyThresholdCount", Xml::text("2")),
        ("HealthCheckPath", Xml::text(&group.health_path)),
        ("Matcher", Xml::Fields(vec![("HttpCode", Xml::text("200"))])),
        ("LoadBalancerArns", Xml::texts(&group.load_balancers)),
        ("TargetType", Xml::text(&group.target_type)),
        ("ProtocolVersion", Xml::text("HTTP1")),
        ("IpAddressType", Xml::text("ipv4")),
    ])
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    name: Option<String>,
    protocol: Option<String>,
    port: Option<String>,
    vpc_id: Option<String>,
    target_type: Option<String>,
    health_check_path: Option<String>,
}

fn create(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let wanted: Create = input(call)?;
    let name = wanted.name.unwrap_or_default();
    if !is_name(&name) {
        let text =
            "Target group name must have 1 to 32 alphanumeric characters or hyphens, and no hyphen at an end";
        return Err(invalid(text));
    }
    let protocol = wanted.protocol.unwrap_or_else(|| "HTTP".to_owned());
    let port = match wanted.port.as_deref().map(str::parse::<u16>) {
        None => 80,
        Some(Ok(port)) if port > 0 => u32::from(port),
        Some(_) => return Err(invalid("Invalid port")),
    };
    if let Some(known) = sim.state.target_groups.get(&name) {
        if known.protocol != protocol || known.port != port {
            let text =
                format!("A target group with the same name '{name}' exists, but with different settings");
            return Err(ApiError::client("DuplicateTargetGroupName", text));
        }
    } else {
        sim.ledger.note(now, &format!("target group {name} is made"));
    }
    let group = sim.new_target_group(&name);
    group.protocol = protocol;
    group.port = port;
    group.vpc = wanted.vpc_id.unwrap_or_else(|| group.vpc.clone());
    group.target_type = wanted.target_type.unwrap_or_else(|| group.target_type.clone());
    group.health_path = wanted
        .health_check_path
        .unwrap_or_else(|| group.health_path.clone());
    let shown = group_xml(group);
    Ok(Good::Xml(Xml::Fields(vec![(
        "TargetGroups",
        Xml::List(vec![shown]),
    )])))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Arn {
    target_group_arn: Option<String>,
}

fn delete(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let Arn { target_group_arn } = input(call)?;
    let arn = target_group_arn
        .filter(|arn| !arn.is_empty())
        .ok_or_else(|| invalid("TargetGroupArn is required"))?;
    // Deleting what is not there succeeds: the operation has no error for it.
    if let Some(group) = sim.group_by_arn(&arn).cloned() {
        if !group.load_balancers.is_empty() {
            let text = format!("Target group '{arn}' is currently in use by a listener or a rule");
            return Err(ApiError::client("ResourceInUse", text));
        }
        sim.state.target_groups.remove(&group.name);
        sim.ledger
            .note(now, &format!("target group {} is gone", group.name));
    }
    Ok(Good::Xml(Xml::Fields(Vec::new())))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    names: Option<Vec<String>>,
    target_group_arns: Option<Vec<String>>,
    load_balancer_arn: Option<String>,
    page_size: Option<String>,
    marker: Option<String>,
}

/// AWS: pages of at most 400.
const PAGE: usize = 400;

fn describe(sim: &mut Sim, call: &Call) -> Outcome {
    let wanted: Describe = input(call)?;
    let asked = match wanted.page_size.as_deref().map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(size)) if (1..=PAGE).contains(&size) => size,
        Some(_) => return Err(invalid("PageSize must be between 1 and 400")),
    };
    let page = sim
        .faults
        .page_size()
        .map_or(asked, |short| short.min(asked))
        .max(1);
    let names = wanted.names.unwrap_or_default();
    let arns = wanted.target_group_arns.unwrap_or_default();
    if !names.is_empty() && !arns.is_empty() {
        return Err(invalid("Names and TargetGroupArns cannot both be given"));
    }
    let known = |name: &String| sim.state.target_groups.contains_key(name);
    if !names.iter().all(known) || !arns.iter().all(|arn| sim.group_by_arn(arn).is_some()) {
        return Err(not_found());
    }
    let after = wanted.marker.unwrap_or_default();
    let mut groups: Vec<&TargetGroup> = sim
        .state
        .target_groups
        .values()
        .filter(|group| names.is_empty() || names.contains(&group.name))
        .filter(|group| arns.is_empty() || arns.contains(&group.arn))
        .filter(|group| {
            wanted
                .load_balancer_arn
                .as_ref()
                .is_none_or(|arn| group.load_balancers.contains(arn))
        })
        // The map is sorted by name, so the last name shown tells where the next page begins.
        .filter(|group| group.name > after)
        .take(page + 1)
        .collect();
    let more = groups.len() > page;
    groups.truncate(page);
    let mut answer = vec![(
        "TargetGroups",
        Xml::List(groups.iter().map(|group| group_xml(group)).collect()),
    )];
    if let Some(last) = groups.last().filter(|_| more) {
        answer.push(("NextMarker", Xml::text(&last.name)));
    }
    Ok(Good::Xml(Xml::Fields(answer)))
}

fn describe_health(sim: &mut Sim, call: &Call) -> Outcome {
    let Arn { target_group_arn } = input(call)?;
    let arn = target_group_arn
        .filter(|arn| !arn.is_empty())
        .ok_or_else(|| invalid("TargetGroupArn is required"))?;
    let group = sim.group_by_arn(&arn).ok_or_else(not_found)?;
    let in_use = !group.load_balancers.is_empty();
    let tasks = sim.targets_in(&arn);
    let described = tasks.iter().filter_map(|id| sim.state.tasks.get(id)).map(|task| {
        let target = Xml::Fields(vec![
            ("Id", Xml::text(&task.ip)),
            ("Port", Xml::text("8080")),
            ("AvailabilityZone", Xml::text(format!("{}a", sim.config.region))),
        ]);
        Xml::Fields(vec![
            ("Target", target),
            ("HealthCheckPort", Xml::text("8080")),
            ("TargetHealth", health_xml(task.health, in_use)),
        ])
    });
    Ok(Good::Xml(Xml::Fields(vec![(
        "TargetHealthDescriptions",
        Xml::List(described.collect()),
    )])))
}

fn health_xml(health: Option<Health>, in_use: bool) -> Xml {
    let state = |state: &str| ("State", Xml::text(state));
    let why =
        |reason: &str, text: &str| vec![("Reason", Xml::text(reason)), ("Description", Xml::text(text))];
    let (state, why) = match health {
        // AWS: Target.NotInUse means the group is attached to no listener.
        _ if !in_use => {
            let text = "Target group is not configured to receive traffic from the load balancer";
            (state("unused"), why("Target.NotInUse", text))
        }
        Some(Health::Initial) => (
            state("initial"),
            why("Elb.RegistrationInProgress", "Target registration is in progress"),
        ),
        Some(Health::Healthy) => (state("healthy"), Vec::new()),
        Some(Health::Unhealthy) => (
            state("unhealthy"),
            why("Target.FailedHealthChecks", "Health checks failed"),
        ),
        Some(Health::Draining) => (
            state("draining"),
            why(
                "Target.DeregistrationInProgress",
                "Target deregistration is in progress",
            ),
        ),
        None => (
            state("unused"),
            why(
                "Target.NotRegistered",
                "Target is not registered to the target group",
            ),
        ),
    };
    Xml::Fields([state].into_iter().chain(why).collect())
}
