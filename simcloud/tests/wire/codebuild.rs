//! What the API of `CodeBuild` promises: tokens, limits, pages, quotas.

use std::collections::BTreeSet;

use aws_sdk_codebuild::error::ProvideErrorMetadata;
use aws_sdk_codebuild::types::{SortOrderType, StatusType};
use simcloud::{Behaviour, Match, Phase, SimConfig};

use crate::common::{PROJECT, Sim, apply, config, phase, sim, sim_with, status, variable, wait};

async fn start_with_token(sim: &Sim, token: &str, timeout: i32) -> Result<String, Option<String>> {
    let started = sim
        .aws
        .codebuild
        .start_build()
        .project_name(PROJECT)
        .idempotency_token(token)
        .timeout_in_minutes_override(timeout)
        .send()
        .await;
    match started {
        Ok(started) => Ok(started.build_value.unwrap().id.unwrap()),
        Err(error) => Err(error.code().map(str::to_owned)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_means_one_build_for_five_minutes() {
    let sim = sim().await;
    let first = start_with_token(&sim, "operation-1", 60).await.unwrap();
    wait(4 * 60 + 59).await;
    assert_eq!(start_with_token(&sim, "operation-1", 60).await, Ok(first.clone()));
    wait(2).await;
    let second = start_with_token(&sim, "operation-1", 60).await.unwrap();
    assert_ne!(first, second);
    assert_ne!(start_with_token(&sim, "operation-2", 60).await.unwrap(), second);
}

#[tokio::test(start_paused = true)]
async fn a_token_with_other_parameters_is_refused() {
    let sim = sim().await;
    start_with_token(&sim, "operation-1", 60).await.unwrap();
    let refused = start_with_token(&sim, "operation-1", 61).await;
    assert_eq!(refused, Err(Some("InvalidInputException".to_owned())));
    let long = "x".repeat(65);
    assert_eq!(
        start_with_token(&sim, &long, 60).await,
        Err(Some("InvalidInputException".to_owned()))
    );
    assert_eq!(sim.cloud.world().builds().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_each_call_is_a_build() {
    let sim = sim().await;
    let first = sim.build(apply()).await;
    let second = sim.build(apply()).await;
    assert_ne!(first.id(), second.id());
    assert_eq!((first.build_number(), second.build_number()), (Some(1), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn inputs_outside_their_limits_are_refused() {
    let sim = sim().await;
    let start = || sim.aws.codebuild.start_build().project_name(PROJECT);
    let reserved = variable("CODEBUILD_BUILD_ID", "x");
    for (refused, why) in [
        (start().timeout_in_minutes_override(4), "timeout too short"),
        (start().timeout_in_minutes_override(2161), "timeout too long"),
        (
            start().queued_timeout_in_minutes_override(4),
            "queue timeout too short",
        ),
        (
            start().queued_timeout_in_minutes_override(481),
            "queue timeout too long",
        ),
        (start().environment_variables_override(reserved), "reserved name"),
    ] {
        let error = refused.send().await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidInputException"), "{why}");
    }
    let error = sim
        .aws
        .codebuild
        .start_build()
        .project_name("nowhere")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("ResourceNotFoundException"));
    assert!(sim.cloud.world().builds().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_young_build_shows_few_phases_and_no_log_stream() {
    let sim = sim().await;
    let started = sim.build(apply()).await;
    assert_eq!(started.build_status(), Some(&StatusType::InProgress));
    assert_eq!(started.phases().len(), 1);
    assert!(started.logs().unwrap().stream_name().is_none());
    assert!(
        started
            .logs()
            .unwrap()
            .deep_link()
            .unwrap()
            .contains("stream=null")
    );
    assert!(started.arn().unwrap().ends_with(started.id().unwrap()));

    let done = sim.finish(started.id().unwrap()).await;
    assert_eq!(
        (status(&done), done.current_phase()),
        ("SUCCEEDED", Some("COMPLETED"))
    );
    assert_eq!(done.phases().len(), 11);
    assert_eq!(done.logs().unwrap().group_name(), Some("/aws/codebuild/childapp"));
    let uuid = done.id().unwrap().split(':').next_back();
    assert_eq!(done.logs().unwrap().stream_name(), uuid);
    let took = done.end_time().unwrap().secs() - done.start_time().unwrap().secs();
    assert!((150..300).contains(&took), "{took} s");
    let environment = done.environment().unwrap();
    let host = environment
        .environment_variables()
        .iter()
        .find(|known| known.name() == "HOST_NAME");
    assert_eq!(host.unwrap().value(), crate::common::HOST);
}

#[tokio::test(start_paused = true)]
async fn at_most_a_hundred_builds_are_described_and_unknown_ones_are_named() {
    let sim = sim().await;
    let known = sim.build(apply()).await.id.unwrap();
    let answer = sim
        .aws
        .codebuild
        .batch_get_builds()
        .ids(&known)
        .ids("childapp:none")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.builds()[0].id(), Some(known.as_str()));
    assert_eq!(answer.builds_not_found(), ["childapp:none"]);

    let many = |count: usize| {
        Some(
            (0..count)
                .map(|place| format!("childapp:{place}"))
                .collect::<Vec<_>>(),
        )
    };
    let get = || sim.aws.codebuild.batch_get_builds();
    assert_eq!(
        get()
            .set_ids(many(100))
            .send()
            .await
            .unwrap()
            .builds_not_found()
            .len(),
        100
    );
    for count in [0, 101] {
        let error = get().set_ids(many(count)).send().await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidInputException"), "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn builds_are_listed_newest_first_in_pages_of_a_hundred() {
    let sim = sim_with(SimConfig {
        concurrent_builds: 100,
        ..config()
    })
    .await;
    let mut started = Vec::new();
    for _ in 0..230 {
        started.push(sim.build(apply()).await.id.unwrap());
    }
    let list = || sim.aws.codebuild.list_builds_for_project().project_name(PROJECT);
    let first = list().send().await.unwrap();
    assert_eq!(first.ids().len(), 100);
    assert_eq!(first.ids()[0], started[229]);
    // A build that starts between two pages shifts nothing.
    sim.build(apply()).await;
    let mut seen: BTreeSet<String> = first.ids().iter().cloned().collect();
    let mut token = first.next_token().map(str::to_owned);
    while let Some(next) = token {
        let page = list().next_token(next).send().await.unwrap();
        assert!(
            page.ids().iter().all(|id| seen.insert(id.clone())),
            "an id was listed twice"
        );
        token = page.next_token().map(str::to_owned);
    }
    assert_eq!(seen, started.into_iter().collect());

    let error = list()
        .sort_order(SortOrderType::Descending)
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        error.code(),
        Some("InvalidInputException"),
        "AWS: no sort order above 100 builds"
    );
    let error = list().next_token("rubbish").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidInputException"));
}

#[tokio::test(start_paused = true)]
async fn builds_beyond_the_quota_wait_and_beyond_the_queue_are_refused() {
    let sim = sim_with(SimConfig {
        concurrent_builds: 2,
        ..config()
    })
    .await;
    let start = || sim.aws.codebuild.start_build().project_name(PROJECT).send();
    for _ in 0..12 {
        start().await.unwrap();
        wait(1).await;
    }
    let error = start().await.unwrap_err();
    assert_eq!(error.code(), Some("AccountLimitExceededException"));
    assert_eq!(
        error.message(),
        Some("Cannot have more than 10 builds in queue for the account")
    );

    wait(60).await;
    let builds = sim.cloud.world().builds();
    let running = builds.iter().filter(|build| build.phase > Phase::Queued).count();
    assert_eq!(running, 2);
    // A waiting build is IN_PROGRESS: AWS has no status QUEUED.
    let queued = builds.iter().find(|build| build.phase == Phase::Queued).unwrap();
    let queued = sim.get(&queued.id).await;
    assert_eq!(
        (status(&queued), queued.current_phase()),
        ("IN_PROGRESS", Some("QUEUED"))
    );

    wait(600).await;
    start().await.unwrap();
    wait(3600).await;
    let builds = sim.cloud.world().builds();
    assert!(builds.iter().all(|build| build.phase == Phase::Completed));
}

#[tokio::test(start_paused = true)]
async fn no_quota_means_no_build() {
    let sim = sim_with(SimConfig {
        concurrent_builds: 0,
        ..config()
    })
    .await;
    let error = sim
        .aws
        .codebuild
        .start_build()
        .project_name(PROJECT)
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        Some("Cannot have more than 0 builds in queue for the account")
    );
}

#[tokio::test(start_paused = true)]
async fn a_build_waits_in_the_queue_no_longer_than_its_queue_timeout() {
    let sim = sim_with(SimConfig {
        concurrent_builds: 1,
        ..config()
    })
    .await;
    sim.cloud
        .world()
        .behave(Match::any(), Behaviour::hang_in(Phase::Install));
    sim.build(apply()).await;
    wait(30).await;
    let queued = sim
        .aws
        .codebuild
        .start_build()
        .project_name(PROJECT)
        .queued_timeout_in_minutes_override(5);
    let queued = queued.send().await.unwrap().build_value.unwrap().id.unwrap();
    wait(299).await;
    assert_eq!(status(&sim.get(&queued).await), "IN_PROGRESS");
    wait(2).await;
    let build = sim.get(&queued).await;
    assert_eq!(status(&build), "TIMED_OUT");
    assert_eq!(phase(&build, "QUEUED").unwrap().0, "TIMED_OUT");
    assert!(phase(&build, "PROVISIONING").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_projects_own_limit_refuses_instead_of_queueing() {
    let sim = sim().await;
    let raw = r#"{"name":"narrow","concurrentBuildLimit":1}"#;
    let created = crate::common::json(&sim.cloud, "CodeBuild_20161006.CreateProject", raw).await;
    assert_eq!(created.0, 200);
    let start = || sim.aws.codebuild.start_build().project_name("narrow").send();
    start().await.unwrap();
    assert_eq!(start().await.unwrap_err().code(), Some("InvalidInputException"));
    let error = crate::common::json(&sim.cloud, "CodeBuild_20161006.CreateProject", raw).await;
    assert!(error.1.contains("ResourceAlreadyExistsException"));
}

#[tokio::test(start_paused = true)]
async fn projects_are_listed_and_described() {
    let sim = sim().await;
    sim.cloud.create_project("other", "apps");
    let listed = sim.aws.codebuild.list_projects().send().await.unwrap();
    assert_eq!(listed.projects(), [PROJECT, "other"]);
    let got = sim
        .aws
        .codebuild
        .batch_get_projects()
        .names("other")
        .names("none")
        .send()
        .await
        .unwrap();
    assert_eq!(got.projects()[0].name(), Some("other"));
    assert_eq!(got.projects_not_found(), ["none"]);
}

#[tokio::test(start_paused = true)]
async fn an_auto_retry_limit_makes_codebuild_start_builds_of_its_own() {
    let sim = sim().await;
    sim.cloud
        .world()
        .behave_always(Match::any(), Behaviour::fail_before_applying());
    let start = sim
        .aws
        .codebuild
        .start_build()
        .project_name(PROJECT)
        .auto_retry_limit_override(2);
    start.send().await.unwrap();
    wait(3600).await;
    assert_eq!(sim.cloud.world().builds().len(), 3);
}
