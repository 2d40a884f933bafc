//! Suspend first: what was put to sleep comes back without a build, and hardly later than ECS alone would bring it.

#![allow(clippy::print_stdout, reason = "figures")]

use std::time::Duration;

use lamplighter::model::status::Phase;
use simcloud::{Span, Timings};
use tokio::time::Instant;

use crate::lab::{CLUSTER, Lab, PATIENCE, Setup, wants};

/// How much longer an app may take to be Ready again than its rollout in ECS.
const RATIO_MAX: f64 = 1.1;

/// Builds that are over at once, and a rollout that always takes thirty seconds.
fn timings() -> Timings {
    let at_once = Span(0.1, 0.1);
    Timings {
        submitted: at_once,
        queued: at_once,
        provisioning: at_once,
        download_source: at_once,
        install: at_once,
        pre_build: at_once,
        apply: at_once,
        destroy: at_once,
        post_build: at_once,
        upload_artifacts: at_once,
        finalizing: at_once,
        task_start: Span(20.0, 20.0),
        task_stop: at_once,
        target_health: Span(10.0, 10.0),
        ..Timings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_suspended_is_ready_again_without_a_build_and_hardly_later_than_its_rollout() {
    let lab = Lab::with(Setup {
        speed: 4.0,
        timings: timings(),
        ..Setup::default()
    })
    .await;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let name = lab.until("one", Phase::Ready).await.resource_name.unwrap();
    lab.put("one", &wants("ann", "shop", "Suspended")).await;
    lab.until("one", Phase::Suspended).await;
    let builds = lab.builds("one").len();

    let asked = Instant::now();
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    let resumed = asked.elapsed();
    assert_eq!(lab.builds("one").len(), builds, "no build");
    let counted = async || lab.metric("lamplighter_build_time_used_seconds").await == 60;
    lab.eventually("the one build is counted as the minute that it began", counted)
        .await;

    // The same once more, with nobody there but ECS.
    lab.put("one", &wants("ann", "shop", "Suspended")).await;
    lab.until("one", Phase::Suspended).await;
    lab.stop().await;
    let asked = Instant::now();
    lab.sim.world().set_desired_count(CLUSTER, &name, 1);
    loop {
        lab.sim.advance();
        let service = lab.sim.world().service(CLUSTER, &name).unwrap();
        if service.rollout == Some("COMPLETED") && service.healthy == 1 {
            break;
        }
        assert!(asked.elapsed() < PATIENCE, "{service:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let alone = asked.elapsed();
    let ratio = resumed.as_secs_f64() / alone.as_secs_f64();
    assert!(
        ratio <= RATIO_MAX,
        "Ready after {resumed:?}, {ratio:.2} times the {alone:?} of the rollout alone"
    );
    println!("Ready after {resumed:?}, {ratio:.3} times the {alone:?} of the rollout alone");
    lab.assert_sound();
}
