//! CodeBuild: started once however often the answer gets lost, looked at in batches, and never called failed
//! or gone without CodeBuild saying so.

use std::time::Duration;

use lamplighter::cloud::{Cloud, Error};
use lamplighter::model::Timestamp;
use lamplighter::model::blueprint::{BuildKind, BuildRequest};
use lamplighter::model::name::{BuildId, ProjectName};
use lamplighter::model::observed::{Build, BuildFailure, BuildState, Observed};
use serde_json::{Value, json};
use simcloud::{Behaviour, Fault, FaultPlan, Match};

use crate::canned::{Answer, Canned};
use crate::support::{PROJECT, World, blueprint, id, intent, memory, operation, world, world_with};

fn request(n: u8) -> BuildRequest {
    let app = format!("a{n}");
    blueprint(&id(&app), &format!("{app}.example.com")).request(BuildKind::Apply, &operation(n))
}

/// Intends and starts the build of an app; the intent opens its gate.
async fn started(world: &World, n: u8) -> BuildId {
    let mut intent = intent(memory(&format!("a{n}"), 1, n), n);
    intent.take.clear();
    world.cloud.state.write(&intent).await.unwrap();
    world.cloud.builds.start(&request(n)).await.unwrap()
}

pub(crate) async fn look(cloud: &Cloud, build: &BuildId) -> Observed<Build> {
    cloud
        .builds
        .look(std::slice::from_ref(build))
        .await
        .remove(build)
        .unwrap()
}

/// The build once it is over.
async fn over(world: &World, build: &BuildId) -> Build {
    for _ in 0..100 {
        match look(&world.cloud, build).await {
            Observed::Present(seen) if seen.state != BuildState::Running => return seen,
            Observed::Present(_) => tokio::time::sleep(Duration::from_secs(30)).await,
            other => panic!("{other:?}"),
        }
    }
    panic!("the build never ended");
}

#[tokio::test(start_paused = true)]
async fn a_request_is_sent_as_it_was_frozen() {
    let canned = Canned::new([Answer::json(200, &json!({ "build": { "id": "childapp:1" } }))]);
    let build = canned.cloud().0.builds.start(&request(1)).await.unwrap();
    assert_eq!(build, BuildId::new("childapp:1"));
    let variable = |name: &str, value: &str| json!({ "name": name, "value": value, "type": "PLAINTEXT" });
    let resource = request(1).environment["RESOURCE_NAME"].clone();
    let expected = json!({
        "projectName": PROJECT,
        "idempotencyToken": operation(1).as_str(),
        "environmentVariablesOverride": [
            variable("ACTION", "apply"),
            variable("APP", "shop"),
            variable("EMPTY", ""),
            variable("HOST_NAME", "a1.example.com"),
            variable("INSTANCE_ID", "a1"),
            variable("LAMPLIGHTER_OPERATION_ID", operation(1).as_str()),
            variable("LAMPLIGHTER_STATE_TABLE", "lamplighter-state"),
            variable("RESOURCE_NAME", &resource),
            variable("USER_ID", "ann"),
        ],
        "timeoutInMinutesOverride": 60,
        "queuedTimeoutInMinutesOverride": 30,
        "autoRetryLimitOverride": 0,
    });
    assert_eq!(canned.requests(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn a_build_whose_start_got_no_answer_is_started_once() {
    for fault in [
        Fault::LoseResponse,
        Fault::HangAfterApplying,
        Fault::Duplicate,
        Fault::LoseRequest,
        Fault::Hang,
    ] {
        let world = world().await;
        world
            .sim
            .faults()
            .set(FaultPlan::new().on("codebuild.StartBuild", 1, fault.clone()));
        let build = world.cloud.builds.start(&request(1)).await.unwrap();
        let again = world.cloud.builds.start(&request(1)).await.unwrap();
        assert_eq!(build, again, "{}", fault.name());
        assert_eq!(world.sim.world().builds().len(), 1, "{}", fault.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_a_limit_and_a_missing_project_is_not_found() {
    let world = world_with(|config| config.concurrent_builds = 0).await;
    let error = world.cloud.builds.start(&request(1)).await.unwrap_err();
    assert!(matches!(error, Error::LimitReached { .. }), "{error}");
    let mut other = request(2);
    other.project = ProjectName::new("nowhere");
    let error = world.cloud.builds.start(&other).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_an_id_is_unreadable() {
    let canned = Canned::new([Answer::json(200, &json!({ "build": {} }))]);
    let error = canned.cloud().0.builds.start(&request(1)).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_build_runs_from_its_start_and_succeeds() {
    let world = world().await;
    let build = started(&world, 1).await;
    let Observed::Present(fresh) = look(&world.cloud, &build).await else {
        panic!("the build is there at once");
    };
    assert_eq!((fresh.state, fresh.logs_url), (BuildState::Running, None));
    let ended = over(&world, &build).await;
    assert_eq!(ended.state, BuildState::Succeeded);
    assert_eq!((ended.id, ended.phase.as_str()), (build, "COMPLETED"));
    assert_eq!(ended.started_at, Some(crate::support::start()));
    assert!(ended.logs_url.is_some_and(|url| url.starts_with("https://")));
}

#[tokio::test(start_paused = true)]
async fn a_failed_build_tells_the_first_phase_that_failed_and_why() {
    let failure = |status: &str, phase: &str, context: &str| {
        BuildState::Failed(BuildFailure {
            status: status.to_owned(),
            phase: Some(phase.to_owned()),
            context: Some(context.to_owned()),
        })
    };
    let cases = [
        (
            Behaviour::fail_before_applying(),
            failure(
                "FAILED",
                "BUILD",
                "COMMAND_EXECUTION_ERROR: Error while executing command: terraform apply. Reason: exit status 1",
            ),
            false,
        ),
        (
            Behaviour::ClientError,
            failure("CLIENT_ERROR", "QUEUED", "VPC_CLIENT_ERROR: "),
            true,
        ),
    ];
    for (behaviour, expected, capacity) in cases {
        let world = world().await;
        world.sim.world().behave(Match::any(), behaviour);
        let build = started(&world, 1).await;
        let BuildState::Failed(found) = over(&world, &build).await.state else {
            panic!("the build failed");
        };
        let BuildState::Failed(expected) = expected else {
            unreachable!()
        };
        assert_eq!((&found.status, &found.phase), (&expected.status, &expected.phase));
        let (context, start) = (found.context.clone().unwrap(), expected.context.unwrap());
        assert!(context.starts_with(start.trim_end()), "{context}");
        assert_eq!(found.is_capacity(), capacity);
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_is_safe_to_repeat_and_a_stopped_build_has_failed() {
    let world = world().await;
    let build = started(&world, 1).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    world.cloud.builds.stop(&build).await.unwrap();
    world.cloud.builds.stop(&build).await.unwrap();
    let BuildState::Failed(failure) = over(&world, &build).await.state else {
        panic!("the build was stopped");
    };
    assert_eq!(failure.status, "STOPPED");
    let unknown = BuildId::new("childapp:00000000-0000-0000-0000-000000000000");
    world.cloud.builds.stop(&unknown).await.unwrap();
    world
        .sim
        .faults()
        .set(FaultPlan::new().rate_of("codebuild", 1.0, Fault::AccessDenied));
    assert!(matches!(
        world.cloud.builds.stop(&build).await,
        Err(Error::Denied { .. })
    ));
}

/// 230 builds, which takes three calls to look at.
async fn many() -> (World, Vec<BuildId>) {
    let world = world_with(|config| config.concurrent_builds = 300).await;
    let mut ids = Vec::new();
    for n in 0..230 {
        ids.push(world.cloud.builds.start(&request(n)).await.unwrap());
    }
    (world, ids)
}

#[tokio::test(start_paused = true)]
async fn builds_are_looked_at_by_the_hundred_and_missing_ones_are_absent() {
    let (world, mut ids) = many().await;
    let gone = BuildId::new("childapp:00000000-0000-0000-0000-000000000000");
    ids.push(gone.clone());
    ids.push(ids[0].clone());
    let seen = world.cloud.builds.look(&ids).await;
    assert_eq!(seen.len(), 231);
    assert_eq!(
        seen.values().filter(|build| build.present().is_some()).count(),
        230
    );
    assert!(
        seen.iter()
            .all(|(id, build)| build.present().is_none_or(|build| build.id == *id))
    );
    assert_eq!(seen[&gone], Observed::Absent);
    assert_eq!(world.count("codebuild.BatchGetBuilds"), 3);
    assert_eq!(world.cloud.builds.look(&[]).await.len(), 0);
    assert_eq!(world.count("codebuild.BatchGetBuilds"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_fails_is_unknown_and_the_others_are_seen() {
    for fault in [Fault::AccessDenied, Fault::TruncatedBody] {
        let (world, ids) = many().await;
        world
            .sim
            .faults()
            .set(FaultPlan::new().on("codebuild.BatchGetBuilds", 2, fault.clone()));
        let seen = world.cloud.builds.look(&ids).await;
        let unknown = seen.values().filter(|build| build.is_unknown()).count();
        assert_eq!((seen.len(), unknown), (230, 100), "{}", fault.name());
        assert!(!seen.values().any(Observed::is_absent));
    }
}

#[tokio::test(start_paused = true)]
async fn a_build_that_the_answer_leaves_out_is_unknown() {
    let (present, left_out) = (BuildId::new("childapp:1"), BuildId::new("childapp:2"));
    let body = json!({ "builds": [{ "id": "childapp:1" }, { "id": "childapp:9" }], "buildsNotFound": ["childapp:8"] });
    let (cloud, _) = Canned::new([Answer::json(200, &body)]).cloud();
    let seen = cloud.builds.look(&[present.clone(), left_out.clone()]).await;
    assert_eq!(seen.len(), 2);
    assert!(seen[&present].present().is_some());
    assert!(seen[&left_out].is_unknown());
}

#[tokio::test(start_paused = true)]
async fn an_id_that_codebuild_cannot_read_hides_no_other() {
    let refused = json!({ "__type": "InvalidInputException", "message": "Invalid build ID" });
    let build = |id: &str| json!({ "builds": [{ "id": id, "buildComplete": false }] });
    let ids: Vec<BuildId> = ["p:1", "p:2", "p:3", "rm -rf /"].map(BuildId::new).into();
    // In order of asking: all four; the second half, p:3 and the bad one (sorted last); each of these; the
    // first half.
    let canned = Canned::new([
        Answer::json(400, &refused),
        Answer::json(400, &refused),
        Answer::json(400, &refused),
        Answer::json(200, &build("p:3")),
        Answer::json(200, &json!({ "builds": [{ "id": "p:1" }, { "id": "p:2" }] })),
    ]);
    let (cloud, _) = canned.cloud();
    let seen = cloud.builds.look(&ids).await;
    let asked: Vec<Value> = canned.requests().iter().map(|r| r["ids"].clone()).collect();
    assert_eq!(
        asked,
        [
            json!(["p:1", "p:2", "p:3", "rm -rf /"]),
            json!(["p:3", "rm -rf /"]),
            json!(["rm -rf /"]),
            json!(["p:3"]),
            json!(["p:1", "p:2"]),
        ]
    );
    assert!(seen[&BuildId::new("rm -rf /")].is_unknown());
    assert_eq!(seen.values().filter(|build| build.present().is_some()).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn builds_are_listed_back_to_a_time_newest_first_with_what_they_were_given() {
    let (world, ids) = many().await;
    tokio::time::sleep(Duration::from_hours(2)).await;
    let newest = world.cloud.builds.start(&request(231)).await.unwrap();
    let since = look(&world.cloud, &newest)
        .await
        .present()
        .unwrap()
        .started_at
        .unwrap();
    let project = ProjectName::new(PROJECT);
    let listed = world.cloud.builds.recent(&project, since).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].build.id, newest);
    assert_eq!(listed[0].build.state, BuildState::Running);
    assert_eq!(listed[0].environment["INSTANCE_ID"], "a231");
    assert_eq!(
        world.count("codebuild.ListBuildsForProject"),
        1,
        "older pages are not asked for"
    );
    let long_ago = since - jiff::SignedDuration::from_hours(3);
    let all = world.cloud.builds.recent(&project, long_ago).await.unwrap();
    let seen: Vec<&BuildId> = all.iter().map(|listed| &listed.build.id).collect();
    let expected: Vec<&BuildId> = std::iter::once(&newest).chain(ids.iter().rev()).collect();
    assert_eq!(seen, expected);
    assert_eq!(world.count("codebuild.ListBuildsForProject"), 1 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_or_says_too_little_makes_no_listing() {
    let project = ProjectName::new(PROJECT);
    for (call, nth) in [
        ("codebuild.ListBuildsForProject", 2),
        ("codebuild.BatchGetBuilds", 3),
    ] {
        let (world, _) = many().await;
        world
            .sim
            .faults()
            .set(FaultPlan::new().on(call, nth, Fault::AccessDenied));
        let listed = world.cloud.builds.recent(&project, Timestamp::MIN).await;
        assert!(matches!(listed, Err(Error::Denied { .. })), "{call}: {listed:?}");
    }
    let ids = json!({ "ids": ["childapp:1", "childapp:2", "childapp:3"] });
    let described = |missing: &[&str]| {
        let build = json!({ "id": "childapp:1", "environment": { "type": "x", "image": "x", "computeType": "x",
            "environmentVariables": [{ "name": "A", "value": "b" },
                { "name": "SECRET", "value": "path", "type": "SECRETS_MANAGER" }] } });
        json!({ "builds": [build], "buildsNotFound": missing })
    };
    let gone = Canned::new([
        Answer::json(200, &ids),
        Answer::json(200, &described(&["childapp:2", "childapp:3"])),
    ]);
    let listed = gone
        .cloud()
        .0
        .builds
        .recent(&project, Timestamp::MIN)
        .await
        .unwrap();
    assert_eq!(listed.len(), 1, "what was deleted meanwhile is not there");
    assert_eq!(listed[0].environment.len(), 1, "{:?}", listed[0].environment);
    let silent = Canned::new([
        Answer::json(200, &ids),
        Answer::json(200, &described(&["childapp:2"])),
    ]);
    let listed = silent.cloud().0.builds.recent(&project, Timestamp::MIN).await;
    assert!(matches!(listed, Err(Error::Unreadable { .. })), "{listed:?}");
}
