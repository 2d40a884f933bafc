//! Each kind of fault as the SDK meets it, and what it does to the world.

use std::time::Duration;

use aws_sdk_codebuild::config::http::HttpResponse;
use aws_sdk_codebuild::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_codebuild::operation::start_build::{StartBuildError, StartBuildOutput};
use simcloud::{Fault, FaultPlan, ServerError};

use crate::common::{CLUSTER, Clients, NAME, PROJECT, Sim, TABLE, apply, sim, wait};

const START: &str = "codebuild.StartBuild";

type Started = Result<StartBuildOutput, SdkError<StartBuildError, HttpResponse>>;

async fn start_as(clients: &Clients, token: Option<&str>) -> Started {
    let start = clients.codebuild.start_build().project_name(PROJECT);
    start.set_idempotency_token(token.map(str::to_owned)).send().await
}

/// One call that the fault befalls: the error's code if it has one, and how many builds there are then.
async fn befall(fault: Fault) -> (Sim, Started) {
    let sim = sim().await;
    sim.cloud.faults().set(FaultPlan::new().on(START, 1, fault));
    let started = start_as(&sim.aws, None).await;
    (sim, started)
}

fn builds(sim: &Sim) -> usize {
    sim.cloud.world().builds().len()
}

#[tokio::test(start_paused = true)]
async fn a_throttle_is_retried_by_the_sdk() {
    let (sim, started) = befall(Fault::Throttle).await;
    let error = started.unwrap_err();
    assert_eq!(error.code(), Some("ThrottlingException"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    assert_eq!(builds(&sim), 0);
    sim.cloud.faults().set(
        FaultPlan::new()
            .on(START, 1, Fault::Throttle)
            .on(START, 2, Fault::Throttle),
    );
    let patient = Clients::in_memory(&sim.cloud, 3);
    start_as(&patient, None).await.unwrap();
    assert_eq!((builds(&sim), sim.cloud.world().calls()[START]), (1, 4));
    assert_eq!(sim.cloud.faults().injected()["Throttle"], 3);
}

#[tokio::test(start_paused = true)]
async fn an_internal_error_has_a_code_unless_it_is_a_page() {
    for (kind, status, code) in [
        (ServerError::Internal500, 500, Some("InternalFailure")),
        (ServerError::Unavailable503, 503, Some("ServiceUnavailable")),
        (ServerError::Html503, 503, None),
    ] {
        let (sim, started) = befall(Fault::InternalError(kind)).await;
        let error = started.unwrap_err();
        assert_eq!(error.code(), code, "{kind:?}");
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
        assert_eq!(builds(&sim), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_never_happened_and_a_lost_response_did() {
    for (fault, count) in [(Fault::LoseRequest, 0), (Fault::LoseResponse, 1)] {
        let (sim, started) = befall(fault.clone()).await;
        assert!(matches!(started, Err(SdkError::DispatchFailure(_))), "{fault:?}");
        assert_eq!(builds(&sim), count, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_response_the_token_finds_the_same_build_and_without_one_there_are_two() {
    for (token, count) in [(Some("operation-1"), 1), (None, 2)] {
        let sim = sim().await;
        sim.cloud
            .faults()
            .set(FaultPlan::new().on(START, 1, Fault::LoseResponse));
        let patient = Clients::in_memory(&sim.cloud, 3);
        start_as(&patient, token).await.unwrap();
        assert_eq!(builds(&sim), count, "{token:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_delivery_arrives_long_after_its_caller_gave_up() {
    let (sim, started) = befall(Fault::DeliverLate(Duration::from_mins(10))).await;
    assert!(matches!(started, Err(SdkError::DispatchFailure(_))));
    wait(599).await;
    assert_eq!(builds(&sim), 0);
    sim.cloud.faults().clear();
    wait(2).await;
    assert_eq!(
        builds(&sim),
        1,
        "clearing faults does not call back what is on its way"
    );
    let sent: jiff::Timestamp = crate::common::start();
    assert_eq!(
        sim.cloud.world().builds()[0]
            .started
            .duration_since(sent)
            .as_secs(),
        600
    );
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_happens_twice() {
    let (sim, started) = befall(Fault::Duplicate).await;
    let seen = started.unwrap().build_value.unwrap().id.unwrap();
    let builds = sim.cloud.world().builds();
    assert_eq!((builds.len(), &builds[0].id), (2, &seen));
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_in_the_callers_timeout() {
    for (fault, count) in [(Fault::Hang, 0), (Fault::HangAfterApplying, 1)] {
        let before = tokio::time::Instant::now();
        let (sim, started) = befall(fault).await;
        assert!(matches!(started, Err(SdkError::TimeoutError(_))));
        assert_eq!(before.elapsed().as_secs(), 10);
        assert_eq!(builds(&sim), count);
    }
}

#[tokio::test(start_paused = true)]
async fn latency_passes_half_before_and_half_after() {
    let before = tokio::time::Instant::now();
    let (sim, started) = befall(Fault::Latency(Duration::from_secs(4))).await;
    started.unwrap();
    assert_eq!(before.elapsed().as_secs(), 4);
    let applied = sim.cloud.world().builds()[0]
        .started
        .duration_since(crate::common::start());
    assert_eq!(applied.as_secs(), 2);
    // A caller that gives up in the second half has been obeyed.
    let (sim, started) = befall(Fault::Latency(Duration::from_secs(15))).await;
    assert!(matches!(started, Err(SdkError::TimeoutError(_))));
    assert_eq!(builds(&sim), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_their_codes_and_the_quota_is_not_retried() {
    let (_, started) = befall(Fault::AccessDenied).await;
    let error = started.unwrap_err();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert!(
        error
            .message()
            .unwrap()
            .contains("not authorized to perform: codebuild:StartBuild")
    );

    let sim = sim().await;
    sim.cloud
        .faults()
        .set(FaultPlan::new().rate_of(START, 1.0, Fault::AccountLimitExceeded));
    let error = start_as(&Clients::in_memory(&sim.cloud, 3), None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("AccountLimitExceededException"));
    assert_eq!(
        sim.cloud.world().calls()[START],
        1,
        "the SDK must not see a throttle in it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_cannot_be_read_and_was_applied() {
    let (sim, started) = befall(Fault::TruncatedBody).await;
    assert!(matches!(started, Err(SdkError::ResponseError(_))), "{started:?}");
    assert_eq!(builds(&sim), 1);
}

#[tokio::test(start_paused = true)]
async fn query_services_refuse_in_xml() {
    let sim = sim().await;
    let describe = || sim.aws.elb.describe_target_groups().send();
    for (fault, code) in [
        (Fault::Throttle, "Throttling"),
        (Fault::AccessDenied, "AccessDenied"),
        (Fault::InternalError(ServerError::Internal500), "InternalFailure"),
    ] {
        sim.cloud
            .faults()
            .set(FaultPlan::new().on("elbv2.DescribeTargetGroups", 1, fault));
        let error = describe().await.unwrap_err();
        let code_seen = aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata::code(&error);
        assert_eq!(code_seen, Some(code));
    }
}

#[tokio::test(start_paused = true)]
async fn stale_lists_show_the_world_as_it_was() {
    let sim = sim().await;
    let stale = |age: u64| FaultPlan::new().rate(1.0, Fault::StaleList(Duration::from_secs(age)));
    sim.cloud.faults().set(stale(30));
    let first = sim.build(apply()).await.id.unwrap();
    let list = || {
        sim.aws
            .codebuild
            .list_builds_for_project()
            .project_name(PROJECT)
            .send()
    };
    assert!(list().await.unwrap().ids().is_empty());
    wait(31).await;
    assert_eq!(list().await.unwrap().ids(), [first]);

    // A service that is there is MISSING for a while, and not listed.
    let describe = || async {
        let describe = sim
            .aws
            .ecs
            .describe_services()
            .cluster(CLUSTER)
            .services(NAME)
            .send()
            .await
            .unwrap();
        describe
            .services()
            .first()
            .and_then(|service| service.status().map(str::to_owned))
    };
    let listed = || async {
        let listed = sim.aws.ecs.list_services().cluster(CLUSTER).send().await.unwrap();
        listed.service_arns().len()
    };
    while sim.cloud.world().service(CLUSTER, NAME).is_none() {
        wait(1).await;
    }
    assert_eq!((describe().await, listed().await), (None, 0));
    wait(32).await;
    assert_eq!((describe().await.as_deref(), listed().await), (Some("ACTIVE"), 1));
    // And one that is going shows as if it were not.
    sim.cloud.world().delete_service(CLUSTER, NAME);
    assert_eq!((describe().await.as_deref(), listed().await), (Some("ACTIVE"), 1));
    sim.cloud.faults().clear();
    assert_eq!(
        (describe().await.as_deref(), listed().await),
        (Some("DRAINING"), 0)
    );
}

#[tokio::test(start_paused = true)]
async fn eventually_consistent_reads_may_be_stale_and_consistent_ones_never() {
    let sim = sim().await;
    sim.cloud
        .faults()
        .set(FaultPlan::new().rate(1.0, Fault::StaleList(Duration::from_secs(30))));
    let count = |consistent: bool| {
        let scan = sim
            .aws
            .dynamodb
            .scan()
            .table_name(TABLE)
            .consistent_read(consistent);
        async move { scan.send().await.unwrap().count() }
    };
    assert_eq!(count(false).await, 0);
    sim.open_gate("op-1").await;
    assert_eq!((count(false).await, count(true).await), (0, 1));
    wait(31).await;
    assert_eq!(count(false).await, 1);
}

#[tokio::test(start_paused = true)]
async fn short_pages_hold_few_items_and_lose_none() {
    let sim = sim().await;
    for place in 0..20 {
        sim.build(apply()).await;
        sim.open_gate(&format!("op-{place}")).await;
    }
    sim.cloud
        .faults()
        .set(FaultPlan::new().rate(1.0, Fault::ShortPage));
    let first = sim
        .aws
        .codebuild
        .list_builds_for_project()
        .project_name(PROJECT)
        .send()
        .await
        .unwrap();
    assert!(first.ids().len() < 4 && first.next_token().is_some());
    let all = sim
        .aws
        .codebuild
        .list_builds_for_project()
        .project_name(PROJECT)
        .into_paginator()
        .items()
        .send();
    assert_eq!(all.collect::<Result<Vec<_>, _>>().await.unwrap().len(), 20);
    let items = sim
        .aws
        .dynamodb
        .scan()
        .table_name(TABLE)
        .into_paginator()
        .items()
        .send();
    assert_eq!(items.collect::<Result<Vec<_>, _>>().await.unwrap().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn transactions_may_be_met_by_a_conflict() {
    let sim = sim().await;
    sim.cloud
        .faults()
        .set(FaultPlan::new().rate(1.0, Fault::TransactionConflict));
    let put = sim.aws.dynamodb.put_item().table_name(TABLE);
    let key = aws_sdk_dynamodb::types::AttributeValue::S("x".to_owned());
    let error = put.item("pk", key).send().await.unwrap_err();
    let code = aws_sdk_dynamodb::error::ProvideErrorMetadata::code(&error);
    assert_eq!(code, Some("TransactionConflictException"));
    let scan = sim.aws.dynamodb.scan().table_name(TABLE).send().await.unwrap();
    assert_eq!(scan.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn faults_keep_to_their_scope_and_their_place() {
    let sim = sim().await;
    let plan = FaultPlan::new().on_call(2, Fault::Throttle).except(["dynamodb"]);
    sim.cloud.faults().set(plan);
    start_as(&sim.aws, None).await.unwrap();
    sim.open_gate("op-1").await;
    assert!(
        start_as(&sim.aws, None).await.is_err(),
        "the second call in scope"
    );
    start_as(&sim.aws, None).await.unwrap();

    sim.cloud
        .faults()
        .set(FaultPlan::new().rate(1.0, Fault::Throttle).only(["ecs", START]));
    assert!(start_as(&sim.aws, None).await.is_err());
    assert!(sim.aws.ecs.list_services().cluster(CLUSTER).send().await.is_err());
    sim.aws.codebuild.list_projects().send().await.unwrap();
    sim.cloud.faults().clear();
    start_as(&sim.aws, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_batch_hands_the_other_keys_back() {
    let sim = sim().await;
    let key = |place: usize| {
        let pk = aws_sdk_dynamodb::types::AttributeValue::S(format!("gate#op-{place}"));
        [("pk".to_owned(), pk)].into()
    };
    for place in 0..10 {
        sim.open_gate(&format!("op-{place}")).await;
    }
    sim.cloud
        .faults()
        .set(FaultPlan::new().rate(1.0, Fault::ShortPage));
    let keys = (0..10).map(key).collect();
    let asked = aws_sdk_dynamodb::types::KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true);
    let mut left = Some([(TABLE.to_owned(), asked.build().unwrap())].into());
    let (mut got, mut rounds) = (0, 0);
    while let Some(asked) = left.take() {
        let answer = sim
            .aws
            .dynamodb
            .batch_get_item()
            .set_request_items(Some(asked))
            .send()
            .await
            .unwrap();
        got += answer.responses().unwrap()[TABLE].len();
        left = answer.unprocessed_keys.filter(|left| !left.is_empty());
        rounds += 1;
    }
    assert_eq!(got, 10);
    assert!(rounds > 3, "{rounds} rounds");
}
