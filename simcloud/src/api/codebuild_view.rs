//! How `CodeBuild` shows builds and projects. Reads only.

use serde_json::{Value, json};

use crate::config::SimConfig;
use crate::world::builds::{Build, Context, Phase, PhaseRecord, Project, Variable};
use crate::world::epoch;

pub(crate) fn build_json(config: &SimConfig, build: &Build) -> Value {
    let mut shown = json!({
        "id": build.id,
        "arn": build.arn,
        "buildNumber": build.number,
        "startTime": epoch(build.started),
        "currentPhase": build.phase().as_str(),
        "buildStatus": build.status.as_str(),
        "buildComplete": build.is_complete(),
        "projectName": build.project,
        "phases": build.phases.iter().map(phase_json).collect::<Vec<_>>(),
        "source": {"type": "NO_SOURCE", "buildspec": build.buildspec.as_deref().unwrap_or("version: 0.2")},
        "artifacts": {"location": ""},
        "cache": {"type": "NO_CACHE"},
        "environment": environment_json(&build.environment),
        "serviceRole": role(config),
        "logs": logs_json(config, build),
        "timeoutInMinutes": build.timeout_minutes,
        "queuedTimeoutInMinutes": build.queued_timeout_minutes,
        "initiator": build.initiator,
        "encryptionKey": config.arn("kms", "alias/aws/s3"),
    });
    if let Some(ended) = build.ended {
        shown["endTime"] = epoch(ended);
    }
    if let Some(version) = &build.source_version {
        shown["sourceVersion"] = Value::from(version.as_str());
    }
    shown
}

fn role(config: &SimConfig) -> String {
    format!("arn:aws:iam::{}:role/codebuild", config.account)
}

fn environment_json(variables: &[Variable]) -> Value {
    json!({
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": variables,
        "privilegedMode": false,
        "imagePullCredentialsType": "CODEBUILD",
    })
}

fn phase_json(record: &PhaseRecord) -> Value {
    let mut shown = json!({
        "phaseType": record.phase.as_str(),
        "startTime": epoch(record.started),
    });
    if let Some(status) = &record.status {
        shown["phaseStatus"] = Value::from(status.as_str());
    }
    if let Some(ended) = record.ended {
        shown["endTime"] = epoch(ended);
        shown["durationInSeconds"] = Value::from(ended.duration_since(record.started).as_secs());
    }
    if record.status.is_some() && record.phase > Phase::Queued {
        // AWS: phases that went well carry one empty context.
        let empty = Context {
            code: String::new(),
            message: String::new(),
        };
        let context = record.context.as_ref().unwrap_or(&empty);
        shown["contexts"] = json!([{"statusCode": context.code, "message": context.message}]);
    } else if let Some(context) = &record.context {
        shown["contexts"] = json!([{"statusCode": context.code, "message": context.message}]);
    }
    shown
}

/// AWS: the stream is made in PROVISIONING; before that, group and stream are null in links.
fn logs_json(config: &SimConfig, build: &Build) -> Value {
    let console = format!(
        "https://console.aws.amazon.com/cloudwatch/home?region={}#logEvent:",
        config.region
    );
    let link = |group: &str, stream: &str| format!("{console}group={group};stream={stream}");
    if build
        .phases
        .iter()
        .all(|record| record.phase != Phase::Provisioning)
    {
        return json!({"deepLink": link("null", "null")});
    }
    let group = format!("/aws/codebuild/{}", build.project);
    let stream = build.id.rsplit(':').next().unwrap_or_default();
    json!({
        "groupName": group,
        "streamName": stream,
        "deepLink": link(&group, stream),
        "cloudWatchLogsArn": config.arn("logs", &format!("log-group:{group}:log-stream:{stream}")),
        "cloudWatchLogs": {"status": "ENABLED"},
    })
}

pub(crate) fn project_json(config: &SimConfig, project: &Project) -> Value {
    let mut shown = json!({
        "name": project.name,
        "arn": project.arn,
        "created": epoch(project.created),
        "lastModified": epoch(project.created),
        "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "cache": {"type": "NO_CACHE"},
        "environment": environment_json(&project.environment),
        "serviceRole": role(config),
        "timeoutInMinutes": project.timeout_minutes,
        "queuedTimeoutInMinutes": project.queued_timeout_minutes,
        "encryptionKey": config.arn("kms", "alias/aws/s3"),
        "tags": [],
        "badge": {"badgeEnabled": false},
    });
    if let Some(limit) = project.concurrent_build_limit {
        shown["concurrentBuildLimit"] = Value::from(limit);
    }
    shown
}
