//! Faults that are about a whole answer or a whole account: answers that break off, builds that are forgotten or
//! retried, credentials that expire, buckets that others have emptied.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jiff::SignedDuration;
use simcloud::{Cancellation, Fault, FaultPlan, SimCloud, SimConfig};

use crate::common::{CLUSTER, Clients, NAME, PROJECT, Sim, TABLE, config, sim, start, wait};

async fn started(sim: &Sim) -> String {
    let start = sim.aws.codebuild.start_build().project_name(PROJECT);
    let build = start.send().await.unwrap().build_value.unwrap();
    build.id.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_reset_in_the_middle_of_an_answer_is_no_answer_and_has_taken_effect() {
    let sim = sim().await;
    let plan = FaultPlan::new().on("codebuild.StartBuild", 1, Fault::ResetMidBody);
    sim.cloud.faults().set(plan);
    let start = sim.aws.codebuild.start_build().project_name(PROJECT);
    let error = start.send().await.unwrap_err();
    assert!(error.as_service_error().is_none(), "{error:?}");
    assert_eq!(sim.cloud.world().builds().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_by_name_may_find_nothing_of_what_is_there() {
    let sim = sim().await;
    let id = started(&sim).await;
    let plan = FaultPlan::new().on("codebuild.BatchGetBuilds", 1, Fault::NothingFound);
    sim.cloud
        .faults()
        .set(plan.on("ecs.DescribeServices", 1, Fault::NothingFound));
    let look = || sim.aws.codebuild.batch_get_builds().ids(&id).send();
    let first = look().await.unwrap();
    assert_eq!(
        (first.builds().len(), first.builds_not_found()),
        (0, &[id.clone()][..])
    );
    assert_eq!(look().await.unwrap().builds().len(), 1);
    let services = sim.aws.ecs.describe_services().cluster(CLUSTER).services(NAME);
    let answer = services.send().await.unwrap();
    assert_eq!(answer.failures()[0].reason(), Some("MISSING"));
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_build_is_found_by_no_call_and_runs_on() {
    let sim = sim().await;
    let id = started(&sim).await;
    sim.cloud.world().forget_build(&id);
    let looked = sim
        .aws
        .codebuild
        .batch_get_builds()
        .ids(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(looked.builds_not_found(), std::slice::from_ref(&id));
    let listed = sim.aws.codebuild.list_builds_for_project().project_name(PROJECT);
    assert!(listed.send().await.unwrap().ids().is_empty());
    assert!(sim.aws.codebuild.stop_build().id(&id).send().await.is_err());
    wait(600).await;
    let build = sim.cloud.world().build(&id).unwrap();
    assert!(build.forgotten && build.ended.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_complete_build_can_be_retried_under_a_new_id() {
    let sim = sim().await;
    let id = started(&sim).await;
    assert!(!sim.cloud.world().retry_build(&id), "it still runs");
    wait(900).await;
    assert!(sim.cloud.world().retry_build(&id));
    let builds = sim.cloud.world().builds();
    assert_eq!(builds.len(), 2);
    assert_eq!(builds[0].environment, builds[1].environment);
    assert_ne!(builds[0].id, builds[1].id);
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_refuse_everything_until_they_are_new() {
    let sim = sim().await;
    let until = start() + SignedDuration::from_mins(5);
    sim.cloud.faults().expire_credentials_until(until);
    let list = || sim.aws.ecs.list_services().cluster(CLUSTER).send();
    assert_eq!(list().await.unwrap_err().code(), Some("ExpiredTokenException"));
    let groups = sim.aws.elb.describe_target_groups().send().await;
    let code = aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata::code(&groups.unwrap_err())
        .map(str::to_owned);
    assert_eq!(code.as_deref(), Some("ExpiredToken"));
    wait(300).await;
    list().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_cancelled_for_each_reason_and_changes_nothing() {
    let sim = sim().await;
    for reason in Cancellation::ALL {
        let plan = FaultPlan::new().on("dynamodb.TransactWriteItems", 1, Fault::Cancelled(reason));
        sim.cloud.faults().set(plan);
        let put = |key: &str| {
            let put = Put::builder()
                .table_name(TABLE)
                .item("pk", AttributeValue::S(key.to_owned()));
            TransactWriteItem::builder().put(put.build().unwrap()).build()
        };
        let write = sim.aws.dynamodb.transact_write_items();
        let error = write
            .transact_items(put("a"))
            .transact_items(put("b"))
            .send()
            .await;
        let error = error.unwrap_err();
        assert_eq!(error.code(), Some("TransactionCanceledException"));
        let cancelled = error.into_service_error();
        let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
            cancelled,
        ) = cancelled
        else {
            panic!("{cancelled:?}");
        };
        let codes: Vec<_> = cancelled
            .cancellation_reasons()
            .iter()
            .map(|r| r.code().unwrap().to_owned())
            .collect();
        assert_eq!(codes, [format!("{reason:?}"), "None".to_owned()]);
    }
    let scan = sim.aws.dynamodb.scan().table_name(TABLE).send().await.unwrap();
    assert_eq!(scan.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn buckets_that_others_have_emptied_throttle_until_they_are_full_again() {
    let cloud = SimCloud::new(SimConfig {
        rate_limits: true,
        ..config()
    });
    cloud.create_project(PROJECT, CLUSTER);
    let aws = Clients::in_memory(&cloud, 1);
    let list = || aws.ecs.list_services().cluster(CLUSTER).send();
    list().await.unwrap();
    cloud.world().exhaust_rates(200);
    assert!(list().await.is_err());
    // AWS: reads of services come back at 20 a second.
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(list().await.is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    list().await.unwrap();
}
