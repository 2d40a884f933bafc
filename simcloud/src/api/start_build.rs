//! StartBuild: its token, its limits, and the making of a build.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::codebuild::invalid;
use super::codebuild_view::build_json;
use super::{input, projects};
use crate::ledger::canonical;
use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{ApiError, Good, Outcome};
use crate::world::agenda::{BuildStep, Event};
use crate::world::behaviour;
use crate::world::builds::{Build, BuildStatus, Phase, Token, Variable};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartBuild {
    project_name: Option<String>,
    idempotency_token: Option<String>,
    environment_variables_override: Option<Vec<Variable>>,
    timeout_in_minutes_override: Option<i64>,
    queued_timeout_in_minutes_override: Option<i64>,
    auto_retry_limit_override: Option<i64>,
    buildspec_override: Option<String>,
    source_version: Option<String>,
}

/// AWS: valid for five minutes.
const TOKEN_LIFE_SECS: i64 = 300;
/// AWS: names that start so are reserved.
const RESERVED: &str = "CODEBUILD_";

pub(crate) fn start_build(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let wanted: StartBuild = input(call)?;
    let name = wanted.project_name.as_deref().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid("projectName is required"))?.to_owned();
    if !sim.state.projects.contains_key(&name) {
        return Err(projects::no_such(sim, &name));
    }
    check(&wanted)?;
    let request = canonical(&call.input);
    sim.state
        .tokens
        .retain(|_, token| now.duration_since(token.at).as_secs() < TOKEN_LIFE_SECS);
    if let Some(used) = wanted
        .idempotency_token
        .as_ref()
        .and_then(|token| sim.state.tokens.get(token))
    {
        if used.request != request {
            return Err(invalid(
                "Idempotency token was used before with other parameters: parameter mismatch",
            ));
        }
        if let Some(build) = sim.state.builds.get(&used.build) {
            return Ok(Good::Json(json!({"build": build_json(&sim.config, build)})));
        }
    }
    check_room(sim, &name)?;
    let id = make(sim, &name, &wanted, now);
    if let Some(token) = wanted.idempotency_token {
        let build = id.clone();
        sim.state.tokens.insert(
            token,
            Token {
                build,
                request,
                at: now,
            },
        );
    }
    sim.enter_phase(&id, Phase::Submitted, now);
    let build = sim
        .state
        .builds
        .get(&id)
        .ok_or_else(|| invalid("the build is gone"))?;
    Ok(Good::Json(json!({"build": build_json(&sim.config, build)})))
}

fn check(wanted: &StartBuild) -> Result<(), ApiError> {
    let within = |value: Option<i64>, least: i64, most: i64, what: &str| match value {
        Some(value) if !(least..=most).contains(&value) => Err(invalid(format!(
            "Invalid {what}: must be between {least} and {most}"
        ))),
        _ => Ok(()),
    };
    within(wanted.timeout_in_minutes_override, 5, 2160, "timeoutInMinutes")?;
    within(
        wanted.queued_timeout_in_minutes_override,
        5,
        480,
        "queuedTimeoutInMinutes",
    )?;
    within(wanted.auto_retry_limit_override, 0, 10, "autoRetryLimit")?;
    // AWS: a token has at most 64 characters.
    if wanted
        .idempotency_token
        .as_ref()
        .is_some_and(|token| token.is_empty() || token.len() > 64)
    {
        return Err(invalid(
            "Invalid idempotencyToken: it must have 1 to 64 characters",
        ));
    }
    for variable in wanted.environment_variables_override.iter().flatten() {
        if variable.name.is_empty() {
            return Err(invalid("Environment variable names must not be empty"));
        }
        if variable.name.starts_with(RESERVED) {
            return Err(invalid(format!(
                "Environment variable name {} is reserved",
                variable.name
            )));
        }
        if !["PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER"].contains(&variable.kind.as_str()) {
            return Err(invalid(format!(
                "Invalid environment variable type: {}",
                variable.kind
            )));
        }
    }
    Ok(())
}

/// AWS: at most five times the concurrency limit may wait; a project's own limit refuses instead of queueing.
fn check_room(sim: &Sim, project: &str) -> Result<(), ApiError> {
    let unfinished: Vec<&Build> = sim
        .state
        .unfinished
        .iter()
        .filter_map(|id| sim.state.builds.get(id))
        .collect();
    let limit = sim
        .state
        .projects
        .get(project)
        .and_then(|project| project.concurrent_build_limit);
    let active = unfinished.iter().filter(|build| build.project == project).count();
    if let Some(limit) = limit.filter(|limit| active >= *limit as usize) {
        return Err(invalid(format!(
            "Cannot have more than {limit} builds running for the project"
        )));
    }
    let running = unfinished
        .iter()
        .filter(|build| build.phase() > Phase::Queued)
        .count();
    let free = sim.config.concurrent_builds.saturating_sub(running);
    let queue = sim.config.concurrent_builds.saturating_mul(5);
    // Builds on their way through SUBMITTED and QUEUED into free places are not waiting.
    let waiting = (unfinished.len() - running).saturating_sub(free);
    if waiting >= queue {
        return Err(account_limit(queue));
    }
    Ok(())
}

pub(crate) fn account_limit(queue: usize) -> ApiError {
    let text = format!("Cannot have more than {queue} builds in queue for the account");
    ApiError::client("AccountLimitExceededException", text)
}

/// AWS: of one name, the call's value wins over the project's.
fn merge(project: &[Variable], given: &[Variable]) -> Vec<Variable> {
    let mut merged = project.to_vec();
    for variable in given {
        match merged.iter_mut().find(|known| known.name == variable.name) {
            Some(known) => known.clone_from(variable),
            None => merged.push(variable.clone()),
        }
    }
    merged
}

fn make(sim: &mut Sim, project: &str, wanted: &StartBuild, now: Timestamp) -> String {
    let given = wanted
        .environment_variables_override
        .as_deref()
        .unwrap_or_default();
    let minutes = |given: Option<i64>| given.and_then(|given| u32::try_from(given).ok());
    let (environment, timeout, queued) = match sim.state.projects.get(project) {
        Some(known) => (
            merge(&known.environment, given),
            known.timeout_minutes,
            known.queued_timeout_minutes,
        ),
        None => (given.to_vec(), 60, 480),
    };
    let blueprint = Blueprint {
        project: project.to_owned(),
        environment,
        timeout_minutes: minutes(wanted.timeout_in_minutes_override).unwrap_or(timeout),
        queued_timeout_minutes: minutes(wanted.queued_timeout_in_minutes_override).unwrap_or(queued),
        auto_retries_left: minutes(wanted.auto_retry_limit_override).unwrap_or(0),
        buildspec: wanted.buildspec_override.clone(),
        source_version: wanted.source_version.clone(),
        initiator: "simcloud".to_owned(),
    };
    sim.create_build(blueprint, now)
}

/// A build that is about to be.
struct Blueprint {
    project: String,
    environment: Vec<Variable>,
    timeout_minutes: u32,
    queued_timeout_minutes: u32,
    auto_retries_left: u32,
    buildspec: Option<String>,
    source_version: Option<String>,
    initiator: String,
}

impl Sim {
    fn create_build(&mut self, blueprint: Blueprint, now: Timestamp) -> String {
        let id = format!("{}:{}", blueprint.project, self.state.ids.uuid());
        let number = self
            .state
            .projects
            .get_mut(&blueprint.project)
            .map_or(1, |project| {
                project.builds.push(id.clone());
                project.builds.len() as u64
            });
        let mut build = Build {
            arn: self.config.arn("codebuild", &format!("build/{id}")),
            id: id.clone(),
            number,
            project: blueprint.project,
            environment: blueprint.environment,
            started: now,
            ended: None,
            status: BuildStatus::InProgress,
            phases: Vec::new(),
            timeout_minutes: blueprint.timeout_minutes,
            queued_timeout_minutes: blueprint.queued_timeout_minutes,
            auto_retries_left: blueprint.auto_retries_left,
            buildspec: blueprint.buildspec,
            source_version: blueprint.source_version,
            initiator: blueprint.initiator,
            epoch: 0,
            waits_for_room: false,
            behaviours: Vec::new(),
            verdict: None,
            gate_passed: None,
            applied_from: None,
            applied: None,
            applied_to: None,
            forgotten: false,
        };
        build.behaviours = behaviour::take(&mut self.state.rules, &build, &self.config.contract);
        let patience = self.scaled(u64::from(build.queued_timeout_minutes) * 60);
        let event = Event::Build {
            id: id.clone(),
            epoch: None,
            step: BuildStep::QueueTimeout,
        };
        self.state.agenda.plan(crate::world::after(now, patience), event);
        self.state.builds.insert(id.clone(), build);
        self.state.unfinished.insert(id.clone());
        self.ledger.note(now, &format!("{id} is submitted"));
        id
    }

    /// AWS: with an auto-retry limit, `CodeBuild` itself starts a failed build again, under a new id.
    pub(crate) fn retry_build(&mut self, id: &str, at: Timestamp) {
        let Some(failed) = self.state.builds.get(id).cloned() else {
            return;
        };
        let id = self.create_build(
            Blueprint {
                project: failed.project,
                environment: failed.environment,
                timeout_minutes: failed.timeout_minutes,
                queued_timeout_minutes: failed.queued_timeout_minutes,
                auto_retries_left: failed.auto_retries_left.saturating_sub(1),
                buildspec: failed.buildspec,
                source_version: failed.source_version,
                initiator: "codebuild-auto-retry".to_owned(),
            },
            at,
        );
        self.enter_phase(&id, Phase::Submitted, at);
    }
}
