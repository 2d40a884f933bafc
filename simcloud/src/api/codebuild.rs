//! The operations of `CodeBuild` on builds, but for StartBuild.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::codebuild_view::build_json;
use super::{input, projects, start_build, unknown};
use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{ApiError, Good, Outcome};
use crate::world::builds::{Build, BuildStatus};

pub(crate) fn perform(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    match call.operation.as_str() {
        "StartBuild" => start_build::start_build(sim, call, now),
        "BatchGetBuilds" => batch_get_builds(sim, call),
        "ListBuildsForProject" => list_builds(sim, call),
        "StopBuild" => stop_build(sim, call, now),
        "CreateProject" => projects::create(sim, call, now),
        "BatchGetProjects" => projects::batch_get(sim, call),
        "ListProjects" => projects::list(sim, call),
        _ => unknown(call),
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidInputException", message)
}

pub(crate) fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::client("ResourceNotFoundException", message)
}

/// AWS: 1 to 100 ids or names.
pub(crate) fn at_most_hundred(given: Vec<String>, what: &str) -> Result<Vec<String>, ApiError> {
    match given.len() {
        0 => Err(invalid(format!("{what}: at least one is required"))),
        1..=100 => Ok(given),
        _ => Err(invalid(format!("Invalid {what}: at most 100 are allowed"))),
    }
}

/// `project:uuid`, also from an ARN.
fn build_id(id: &str) -> &str {
    id.rsplit_once(":build/").map_or(id, |(_, id)| id)
}

/// A build that `CodeBuild` has not forgotten.
fn known<'a>(sim: &'a Sim, id: &str) -> Option<&'a Build> {
    sim.state.builds.get(id).filter(|build| !build.forgotten)
}

#[derive(Deserialize)]
struct Ids {
    ids: Option<Vec<String>>,
}

fn batch_get_builds(sim: &mut Sim, call: &Call) -> Outcome {
    let Ids { ids } = input(call)?;
    let ids = at_most_hundred(ids.unwrap_or_default(), "ids")?;
    let mut builds: Vec<Value> = Vec::new();
    let mut not_found: Vec<String> = Vec::new();
    for id in ids {
        match known(sim, build_id(&id)) {
            Some(build) => builds.push(build_json(&sim.config, build)),
            None => not_found.push(id),
        }
    }
    Ok(Good::Json(json!({"builds": builds, "buildsNotFound": not_found})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListBuilds {
    project_name: Option<String>,
    sort_order: Option<String>,
    next_token: Option<String>,
}

/// AWS: pages of 100, newest first.
const PAGE: usize = 100;

fn list_builds(sim: &mut Sim, call: &Call) -> Outcome {
    let ListBuilds {
        project_name,
        sort_order,
        next_token,
    } = input(call)?;
    let name = project_name.ok_or_else(|| invalid("projectName is required"))?;
    let project = sim
        .state
        .projects
        .get(&name)
        .ok_or_else(|| projects::no_such(sim, &name))?;
    let page = sim.faults.page_size().unwrap_or(PAGE).clamp(1, PAGE);
    // A stale answer knows nothing of what was started lately.
    let visible = match sim.faults.stale_before() {
        Some(then) => {
            let fresh = |id: &&String| {
                sim.state
                    .builds
                    .get(*id)
                    .is_some_and(|build| build.started <= then)
            };
            project.builds.iter().filter(fresh).count()
        }
        None => project.builds.len(),
    };
    let visible: Vec<&String> = project.builds[..visible]
        .iter()
        .filter(|id| known(sim, id).is_some())
        .collect();
    if sort_order.is_some() && visible.len() > PAGE {
        // AWS: "If the project has more than 100 builds, setting the sort order will result in an error."
        return Err(invalid(
            "sortOrder cannot be set: the project has more than 100 builds",
        ));
    }
    let ascending = match sort_order.as_deref() {
        None | Some("DESCENDING") => false,
        Some("ASCENDING") => true,
        Some(_) => return Err(invalid("Invalid sortOrder")),
    };
    // A token names the place it goes on at, so builds started meanwhile shift nothing.
    let skipped = match next_token.as_deref().map(str::parse::<usize>) {
        None => None,
        Some(Ok(place)) if (1..=visible.len()).contains(&place) => Some(place),
        Some(_) => return Err(invalid("Invalid nextToken")),
    };
    let (ids, next): (Vec<&&String>, Option<usize>) = if ascending {
        let from = skipped.unwrap_or(0);
        let to = (from + page).min(visible.len());
        (
            visible[from..to].iter().collect(),
            Some(to).filter(|to| *to < visible.len()),
        )
    } else {
        let to = skipped.unwrap_or(visible.len());
        let from = to.saturating_sub(page);
        (
            visible[from..to].iter().rev().collect(),
            Some(from).filter(|from| *from > 0),
        )
    };
    let mut answer = json!({"ids": ids});
    if let Some(next) = next {
        answer["nextToken"] = Value::from(next.to_string());
    }
    Ok(Good::Json(answer))
}

#[derive(Deserialize)]
struct Id {
    id: Option<String>,
}

fn stop_build(sim: &mut Sim, call: &Call, now: Timestamp) -> Outcome {
    let Id { id } = input(call)?;
    let id = id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| invalid("id is required"))?;
    let id = build_id(&id).to_owned();
    let build = known(sim, &id).ok_or_else(|| not_found(format!("Build {id} does not exist")))?;
    // AWS: a build that has ended already keeps its status, so stopping twice is harmless.
    if !build.is_complete() {
        sim.kill_build(&id, now, BuildStatus::Stopped, None);
    }
    let build = sim.state.builds.get(&id).ok_or_else(|| not_found(id.clone()))?;
    Ok(Good::Json(json!({"build": build_json(&sim.config, build)})))
}
