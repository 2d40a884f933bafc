//! The same seed and the same calls give the same world, down to each line of the log.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use simcloud::{Fault, FaultPlan, SimConfig};

use crate::common::{CLUSTER, Clients, HOST, NAME, apply, config, destroy, sim_with, wait};

/// A busy hour: faults, retries, crashes, two programs at once.
async fn story(seed: u64) -> Vec<String> {
    fastrand::seed(seed);
    let sim = sim_with(SimConfig { seed, ..config() }).await;
    sim.cloud
        .faults()
        .set(FaultPlan::storm(seed).rate_of("codebuild", 0.1, Fault::Throttle));
    let other = Clients::in_memory(&sim.cloud, 2);
    let watcher = tokio::spawn(async move {
        for _ in 0..200 {
            let _ = other
                .ecs
                .describe_services()
                .cluster(CLUSTER)
                .services(NAME)
                .send()
                .await;
            let _ = other
                .dynamodb
                .scan()
                .table_name(crate::common::TABLE)
                .send()
                .await;
            wait(7).await;
        }
    });
    for round in 0..4 {
        let order = if round % 2 == 0 { apply() } else { destroy() };
        let start = sim
            .aws
            .codebuild
            .start_build()
            .project_name(crate::common::PROJECT);
        let start = start.set_environment_variables_override(Some(order.operation("op").environment()));
        let _ = start.send().await;
        // The SDK makes up a token for each transaction, another in each run.
        let gate = AttributeValue::S(format!("gate#{round}"));
        let put = Put::builder()
            .table_name(crate::common::TABLE)
            .item("pk", gate)
            .build()
            .unwrap();
        let put = TransactWriteItem::builder().put(put).build();
        let _ = sim
            .aws
            .dynamodb
            .transact_write_items()
            .transact_items(put)
            .send()
            .await;
        wait(300).await;
        sim.cloud.world().crash_loop(HOST, Some(1), "bad luck");
        let update = sim
            .aws
            .ecs
            .update_service()
            .cluster(CLUSTER)
            .service(NAME)
            .desired_count(round);
        let _ = update.send().await;
        wait(60).await;
        sim.cloud.world().heal(HOST);
    }
    watcher.await.unwrap();
    sim.cloud.world().log()
}

fn run(seed: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(story(seed))
}

#[test]
fn equal_seeds_give_equal_logs_without_any_io() {
    let first = run(11);
    assert!(first.len() > 400, "{} lines", first.len());
    assert!(first.iter().any(|line| line.contains("(fault ")));
    assert_eq!(first, run(11));
    assert_ne!(first, run(12));
}

#[test]
fn log_lines_are_canonical_and_hold_no_secrets() {
    let log = run(13);
    assert!(
        log.iter()
            .all(|line| !line.contains('\n') && !line.contains("AKID") && !line.contains("Signature"))
    );
    assert!(
        log.iter()
            .any(|line| line.contains(r#""ClientRequestToken":"token#2""#))
    );
    let start = log
        .iter()
        .find(|line| line.contains("codebuild.StartBuild"))
        .unwrap();
    assert!(start.starts_with("2026-11-20T09:"), "{start}");
    assert!(
        start.contains(r#"{"environmentVariablesOverride":[{"name":"ACTION","#),
        "{start}"
    );
}
