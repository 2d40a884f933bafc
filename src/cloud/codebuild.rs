//! CodeBuild: starts frozen requests, looks at builds in batches, stops them.
//!
//! A status of CodeBuild becomes one of ours here and nowhere else. What CodeBuild does not say is unknown,
//! never a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_codebuild::types::{self as sdk, BuildPhase, EnvironmentVariableType, StatusType};

use super::aws::{self, Clients};
use super::pages;
use super::text::{self, SENTENCE_MAX};
use super::{Builds, Error, Result};
use crate::model::Timestamp;
use crate::model::blueprint::BuildRequest;
use crate::model::name::{BuildId, ProjectName};
use crate::model::observed::{Build, BuildFailure, BuildState, ListedBuild, Observed};

/// AWS: the most ids of one `BatchGetBuilds`.
const BATCH_MAX: usize = 100;

/// [`Builds`] over CodeBuild.
#[derive(Clone, Debug)]
pub struct CodeBuild {
    client: aws_sdk_codebuild::Client,
}

impl CodeBuild {
    /// The builds that these clients reach.
    pub fn new(clients: &Clients) -> Self {
        Self {
            client: clients.codebuild.clone(),
        }
    }
}

#[async_trait]
impl Builds for CodeBuild {
    async fn start(&self, request: &BuildRequest) -> Result<BuildId> {
        let call = "codebuild.StartBuild";
        // The map is ordered by name, so that every sending of a request has the same parameters in the
        // same order: AWS answers a token that comes back with other parameters with an error.
        let variable = |(name, value): (&String, &String)| {
            sdk::EnvironmentVariable::builder()
                .name(name)
                .value(value)
                .r#type(EnvironmentVariableType::Plaintext)
                .build()
                .expect("name and value are set")
        };
        let answer = self
            .client
            .start_build()
            .project_name(request.project.as_str())
            // AWS: the SDK never fills it in; without it, a lost answer starts two builds.
            .idempotency_token(request.token.as_str())
            .set_environment_variables_override(Some(request.environment.iter().map(variable).collect()))
            .timeout_in_minutes_override(i32::from(request.build_timeout_minutes))
            .queued_timeout_in_minutes_override(i32::from(request.queue_timeout_minutes))
            // AWS: with a limit of its own, a project restarts a failed build by itself, under an id and a
            // token that we do not know.
            .auto_retry_limit_override(0)
            .send()
            .await
            .map_err(|e| aws::map(call, e))?;
        match answer.build_value.and_then(|build| build.id) {
            Some(id) if !id.is_empty() => Ok(BuildId::new(id)),
            Some(_) | None => Err(Error::Unreadable {
                call,
                problem: "the answer has no build id".to_owned(),
            }),
        }
    }

    async fn look(&self, ids: &[BuildId]) -> BTreeMap<BuildId, Observed<Build>> {
        let mut seen: BTreeMap<BuildId, Observed<Build>> =
            ids.iter().map(|id| (id.clone(), Observed::Unknown)).collect();
        let ids: Vec<String> = seen.keys().map(ToString::to_string).collect();
        let mut chunks: Vec<&[String]> = ids.chunks(BATCH_MAX).collect();
        while let Some(chunk) = chunks.pop() {
            match self.batch(chunk).await {
                Ok(found) => seen.extend(found),
                // One id that CodeBuild cannot even read, say from a gate that something else has written,
                // refuses the whole batch. Halving finds it, and the others are seen.
                Err(Error::Rejected { .. }) if chunk.len() > 1 => {
                    let (left, right) = chunk.split_at(chunk.len() / 2);
                    chunks.extend([left, right]);
                }
                // Every id of the chunk stays unknown.
                Err(_) => {}
            }
        }
        seen
    }

    async fn stop(&self, id: &BuildId) -> Result<()> {
        let stopped = self.client.stop_build().id(id.as_str()).send().await;
        match stopped.map_err(|e| aws::map("codebuild.StopBuild", e)) {
            // AWS: stopping a build that has ended answers with how it ended.
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn recent(&self, project: &ProjectName, since: Timestamp) -> Result<Vec<ListedBuild>> {
        let call = "codebuild.ListBuildsForProject";
        let mut listed: Vec<ListedBuild> = Vec::new();
        let mut after = None;
        loop {
            // AWS: newest first by default, in pages of 100. "If the project has more than 100 builds, setting the
            // sort order will result in an error", so it is never set.
            let page = self
                .client
                .list_builds_for_project()
                .project_name(project.as_str())
                .set_next_token(after.clone())
                .send()
                .await
                .map_err(|e| aws::map(call, e))?;
            let ids = pages::listed(call, page.ids)?;
            let mut builds = self.describe(&ids).await?;
            let reached = builds
                .iter()
                .any(|listed| listed.build.started_at.is_some_and(|started| started < since));
            builds.retain(|listed| listed.build.started_at.is_none_or(|started| started >= since));
            listed.append(&mut builds);
            let token = page.next_token.filter(|token| !token.is_empty());
            after = pages::next(call, after.as_ref(), token)?;
            if after.is_none() || reached {
                return Ok(listed);
            }
        }
    }
}

impl CodeBuild {
    /// Up to 100 builds. An id that the answer does not mention at all is left out: it stays unknown.
    async fn batch(&self, ids: &[String]) -> Result<BTreeMap<BuildId, Observed<Build>>> {
        let answer = self
            .client
            .batch_get_builds()
            .set_ids(Some(ids.to_vec()))
            .send()
            .await
            .map_err(|e| aws::map("codebuild.BatchGetBuilds", e))?;
        let asked: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let missing = answer.builds_not_found.unwrap_or_default();
        let absent = missing
            .into_iter()
            .filter(|id| asked.contains(id.as_str()))
            .map(|id| (BuildId::new(id), Observed::Absent));
        let present = answer.builds.unwrap_or_default();
        let present = present
            .iter()
            .filter_map(build)
            .filter(|build| asked.contains(build.id.as_str()))
            .map(|build| (build.id.clone(), Observed::Present(build)));
        Ok(absent.chain(present).collect())
    }
}

impl CodeBuild {
    /// A page of builds with their environments, in the order of `ids`. One that CodeBuild lists and does not
    /// describe was deleted in between; one that the answer does not mention makes the page incomplete.
    async fn describe(&self, ids: &[String]) -> Result<Vec<ListedBuild>> {
        let call = "codebuild.BatchGetBuilds";
        let mut found = BTreeMap::new();
        for chunk in ids.chunks(BATCH_MAX) {
            let answer = self
                .client
                .batch_get_builds()
                .set_ids(Some(chunk.to_vec()))
                .send()
                .await
                .map_err(|e| aws::map(call, e))?;
            for id in answer.builds_not_found.unwrap_or_default() {
                found.insert(id, None);
            }
            for listed in answer.builds.unwrap_or_default().iter().filter_map(listed_build) {
                found.insert(listed.build.id.to_string(), Some(listed));
            }
        }
        let mut builds = Vec::new();
        for id in ids {
            let Some(listed) = found.remove(id) else {
                let problem = format!("the answer says nothing of build {}", text::one_line(id, 200));
                return Err(Error::Unreadable { call, problem });
            };
            builds.extend(listed);
        }
        Ok(builds)
    }
}

/// A build with what its environment says in plain text. AWS: of the other types the value is the name of a
/// parameter or secret.
fn listed_build(found: &sdk::Build) -> Option<ListedBuild> {
    let variables = found
        .environment()
        .map(sdk::ProjectEnvironment::environment_variables);
    let plain = variables
        .unwrap_or_default()
        .iter()
        .filter(|variable| matches!(variable.r#type(), None | Some(EnvironmentVariableType::Plaintext)));
    Some(ListedBuild {
        build: build(found)?,
        environment: Arc::new(
            plain
                .map(|variable| (variable.name().to_owned(), variable.value().to_owned()))
                .collect(),
        ),
    })
}

/// A build of CodeBuild as one of ours; `None` without an id.
fn build(found: &sdk::Build) -> Option<Build> {
    let state = match found.build_status() {
        // AWS: a queued build is IN_PROGRESS, in phase QUEUED.
        _ if !found.build_complete() => BuildState::Running,
        Some(StatusType::Succeeded) => BuildState::Succeeded,
        other => BuildState::Failed(failure(other, found.phases())),
    };
    Some(Build {
        id: BuildId::new(found.id()?),
        state,
        // AWS: the first look after a start may show no phase yet.
        phase: text::one_line(found.current_phase().unwrap_or("SUBMITTED"), 60),
        started_at: found.start_time().and_then(text::time),
        ended_at: found.end_time().and_then(text::time),
        logs_url: logs_url(found),
    })
}

/// AWS: the log stream is made in PROVISIONING; before that the link leads to `group=null;stream=null`.
fn logs_url(found: &sdk::Build) -> Option<String> {
    let logs = found.logs()?;
    logs.stream_name()?;
    logs.deep_link().map(str::to_owned)
}

fn failure(status: Option<&StatusType>, phases: &[BuildPhase]) -> BuildFailure {
    let culprit = phases.iter().find(|phase| {
        phase
            .phase_status()
            .is_some_and(|status| !matches!(status, StatusType::Succeeded | StatusType::InProgress))
    });
    // AWS: a lack of network interfaces shows as phase QUEUED with status CLIENT_ERROR, a word that the
    // SDK's enum does not have. In later phases the same word means an error of the build's own.
    let starved = phases.iter().any(|phase| {
        phase.phase_type().is_some_and(|kind| kind.as_str() == "QUEUED")
            && phase
                .phase_status()
                .is_some_and(|status| status.as_str() == "CLIENT_ERROR")
    });
    let status = match status {
        _ if starved => "CLIENT_ERROR",
        Some(status) => status.as_str(),
        None => "FAULT",
    };
    BuildFailure {
        status: text::one_line(status, 60),
        phase: culprit
            .and_then(BuildPhase::phase_type)
            .map(|kind| text::one_line(kind.as_str(), 60)),
        context: culprit.and_then(context),
    }
}

/// The first context of a phase that says anything. AWS: an empty one can look like `": "`.
fn context(phase: &BuildPhase) -> Option<String> {
    phase.contexts().iter().find_map(|context| {
        let code = context.status_code().unwrap_or_default().trim();
        let message = context.message().unwrap_or_default().trim();
        let said = match (code, message) {
            ("", "") => return None,
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        Some(text::one_line(&said, SENTENCE_MAX))
    })
}
