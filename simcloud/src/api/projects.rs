//! The operations of `CodeBuild` on projects.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::codebuild::{at_most_hundred, invalid, not_found};
use super::codebuild_view::project_json;
use super::input;
use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{ApiError, Good, Outcome};
use crate::world::builds::{Project, Variable};

pub(crate) fn no_such(sim: &Sim, name: &str) -> ApiError {
    not_found(format!(
        "Project cannot be found: {}",
        sim.config.arn("codebuild", &format!("project/{name}"))
    ))
}

/// AWS: `[A-Za-z0-9][A-Za-z0-9\-_]{1,149}`.
fn is_name(name: &str) -> bool {
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    letters && (2..=150).contains(&name.len()) && name.as_bytes()[0].is_ascii_alphanumeric()
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    environment_variables: Option<Vec<Variable>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateProject {
    name: Option<String>,
    environment: Option<Environment>,
    timeout_in_minutes: Option<u32>,
    queued_timeout_in_minutes: Option<u32>,
    concurrent_build_limit: Option<i64>,
}

pub(crate) fn create(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let wanted: CreateProject = input(call)?;
    let name = wanted
        .name
        .filter(|name| is_name(name))
        .ok_or_else(|| invalid("Invalid project name"))?;
    if sim.state.projects.contains_key(&name) {
        let text = format!(
            "Project already exists: {}",
            sim.config.arn("codebuild", &format!("project/{name}"))
        );
        return Err(ApiError::client("ResourceAlreadyExistsException", text));
    }
    let project = sim.project(&name, "apps", now);
    project.environment = wanted
        .environment
        .unwrap_or_default()
        .environment_variables
        .unwrap_or_default();
    project.timeout_minutes = wanted.timeout_in_minutes.unwrap_or(60).clamp(5, 2160);
    project.queued_timeout_minutes = wanted.queued_timeout_in_minutes.unwrap_or(480).clamp(5, 480);
    // AWS: -1 removes the limit.
    project.concurrent_build_limit = wanted
        .concurrent_build_limit
        .and_then(|limit| u32::try_from(limit).ok());
    let shown = project.clone();
    Ok(Good::Json(json!({"project": project_json(&sim.config, &shown)})))
}

impl Sim {
    /// A project of that name, made if need be.
    pub(crate) fn project(&mut self, name: &str, cluster: &str, now: Timestamp) -> &mut Project {
        self.ensure_cluster(cluster);
        let arn = self.config.arn("codebuild", &format!("project/{name}"));
        self.state
            .projects
            .entry(name.to_owned())
            .or_insert_with(|| Project {
                name: name.to_owned(),
                arn,
                cluster: cluster.to_owned(),
                created: now,
                environment: Vec::new(),
                // AWS: 60 minutes by default; the queue's 480 by the user guide (the CLI page says 60).
                timeout_minutes: 60,
                queued_timeout_minutes: 480,
                concurrent_build_limit: None,
                builds: Vec::new(),
            })
    }
}

#[derive(Deserialize)]
struct Names {
    names: Option<Vec<String>>,
}

pub(crate) fn batch_get(sim: &mut Sim, call: &Call) -> Outcome {
    let Names { names } = input(call)?;
    let names = at_most_hundred(names.unwrap_or_default(), "names")?;
    let mut projects: Vec<Value> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    for name in names {
        match sim.state.projects.get(
            name.rsplit_once(":project/")
                .map_or(name.as_str(), |(_, name)| name),
        ) {
            Some(project) => projects.push(project_json(&sim.config, project)),
            None => missing.push(name),
        }
    }
    Ok(Good::Json(
        json!({"projects": projects, "projectsNotFound": missing}),
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    next_token: Option<String>,
}

pub(crate) fn list(sim: &mut Sim, call: &Call) -> Outcome {
    let List { next_token } = input(call)?;
    let page = sim.faults.page_size().unwrap_or(100).clamp(1, 100);
    let from = next_token.unwrap_or_default();
    let rest = sim.state.projects.range::<str, _>((
        std::ops::Bound::Excluded(from.as_str()),
        std::ops::Bound::Unbounded,
    ));
    let mut names: Vec<&String> = rest.map(|(name, _)| name).take(page + 1).collect();
    let more = names.len() > page;
    names.truncate(page);
    let mut answer = json!({"projects": names});
    if let Some(last) = names.last().filter(|_| more) {
        answer["nextToken"] = Value::from(last.as_str());
    }
    Ok(Good::Json(answer))
}
