//! What a build of CodeBuild's own JSON comes to.

use lamplighter::model::name::BuildId;
use lamplighter::model::observed::{Build, BuildFailure, BuildState, Observed};
use serde_json::{Value, json};

use crate::builds::look;
use crate::canned::{Answer, Canned};

/// What one build of CodeBuild's own JSON comes to.
async fn mapped(mut build: Value) -> Build {
    build["id"] = json!("childapp:1");
    let body = json!({ "builds": [build] });
    let (cloud, _) = Canned::new([Answer::json(200, &body)]).cloud();
    match look(&cloud, &BuildId::new("childapp:1")).await {
        Observed::Present(build) => build,
        other => panic!("{other:?}"),
    }
}

fn phase(kind: &str, status: &str, contexts: &Value) -> Value {
    json!({ "phaseType": kind, "phaseStatus": status, "contexts": contexts })
}

#[tokio::test(start_paused = true)]
async fn every_way_to_end_is_told_apart() {
    let fine = json!([{ "statusCode": "", "message": "" }]);
    let ended = |status: &str, phases: Vec<Value>| json!({ "buildStatus": status, "buildComplete": true, "currentPhase": "COMPLETED", "phases": phases });
    let cases = [
        (ended("FAULT", vec![]), "FAULT", None, None),
        (
            ended("TIMED_OUT", vec![phase("BUILD", "TIMED_OUT", &json!([]))]),
            "TIMED_OUT",
            Some("BUILD"),
            None,
        ),
        (ended("NEW_WORD", vec![]), "NEW_WORD", None, None),
        // CLIENT_ERROR after the queue is the build's own fault.
        (
            ended(
                "FAILED",
                vec![
                    phase("QUEUED", "SUCCEEDED", &fine),
                    phase(
                        "DOWNLOAD_SOURCE",
                        "CLIENT_ERROR",
                        &json!([{ "statusCode": "YAML_FILE_ERROR", "message": "bad" }]),
                    ),
                ],
            ),
            "FAILED",
            Some("DOWNLOAD_SOURCE"),
            Some("YAML_FILE_ERROR: bad"),
        ),
        // The first phase that failed counts, and its first context that says anything.
        (
            ended(
                "FAILED",
                vec![
                    phase("PRE_BUILD", "SUCCEEDED", &fine),
                    phase(
                        "BUILD",
                        "FAILED",
                        &json!([{ "statusCode": "", "message": " " }, { "message": "exit status 1" }]),
                    ),
                    phase("POST_BUILD", "FAILED", &json!([{ "message": "later" }])),
                ],
            ),
            "FAILED",
            Some("BUILD"),
            Some("exit status 1"),
        ),
    ];
    for (build, status, phase, context) in cases {
        let expected = BuildFailure {
            status: status.to_owned(),
            phase: phase.map(str::to_owned),
            context: context.map(str::to_owned),
        };
        assert_eq!(mapped(build).await.state, BuildState::Failed(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_complete_build_has_ended() {
    for status in ["IN_PROGRESS", "SUCCEEDED", "FAILED"] {
        let build = mapped(json!({ "buildStatus": status, "buildComplete": false })).await;
        assert_eq!(
            (build.state, build.phase.as_str()),
            (BuildState::Running, "SUBMITTED"),
            "{status}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_context_is_cut_and_escaped() {
    let message = format!("first\nsecond\u{1b}[31m{}", "z".repeat(9000));
    let phases = [phase(
        "BUILD",
        "FAILED",
        &json!([{ "statusCode": "X", "message": message }]),
    )];
    let build = json!({ "buildStatus": "FAILED", "buildComplete": true, "phases": phases });
    let BuildState::Failed(failure) = mapped(build).await.state else {
        panic!("it failed");
    };
    let context = failure.context.unwrap();
    assert!(
        context.starts_with("X: first\\u{a}second\\u{1b}[31mzzz"),
        "{context}"
    );
    assert!(context.chars().count() < 330, "{}", context.len());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_does_not_exist_yet_has_no_link() {
    let link = "https://console.aws.amazon.com/cloudwatch/home#logEvent:group=null;stream=null";
    let logs = json!({ "deepLink": link });
    assert_eq!(mapped(json!({ "logs": logs })).await.logs_url, None);
    let logs = json!({ "deepLink": "https://x/", "groupName": "g", "streamName": "s" });
    assert_eq!(
        mapped(json!({ "logs": logs })).await.logs_url.as_deref(),
        Some("https://x/")
    );
}
