//! What people and bad reads do behind our back: what is really gone is made again, and what merely looks
//! gone is left alone.

use std::time::Duration;

use jiff::SignedDuration;
use lamplighter::clock::Clock as _;
use lamplighter::model::status::{ConditionKind, Phase, Truth};
use simcloud::{Fault, FaultPlan, ServerError, ServiceStatus, Span, Timings};

use crate::lab::{CLUSTER, Lab, Setup, truth, wants};

async fn lab_with_one_ready() -> (Lab, String) {
    // Draining takes two seconds, so that it can be seen.
    let timings = Timings {
        drain: Span(800.0, 800.0),
        ..Timings::default()
    };
    let mut lab = Lab::with(Setup {
        timings,
        ..Setup::default()
    })
    .await;
    lab.config.policy.timing.confirm_absence = SignedDuration::from_secs(1);
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let service = lab.until("one", Phase::Ready).await.resource_name.unwrap();
    (lab, service)
}

async fn until_rebuilt(lab: &Lab) {
    let rebuilt =
        async || lab.passed("one", "apply").len() == 2 && lab.status("one").await.phase == Phase::Ready;
    lab.eventually("it is built again and ready", rebuilt).await;
    assert_eq!(lab.builds("one").len(), 2, "once is enough");
    assert_eq!(lab.services("one").len(), 1);
    lab.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone_is_made_again_after_a_second_look() {
    let (lab, service) = lab_with_one_ready().await;
    let before = lab.clock.now();
    lab.sim.world().purge_service(CLUSTER, &service);
    let missing = lab.until_reason("one", "ServiceNotSeen").await;
    assert_eq!((missing.phase, missing.url), (Phase::Starting, None));
    until_rebuilt(&lab).await;
    let waited = lab.passed("one", "apply")[1].started.duration_since(before);
    assert!(
        waited >= SignedDuration::from_millis(950),
        "rebuilt after {waited:#}"
    );
    // It was mended; its request had been answered long before.
    assert_eq!(lab.metric("lamplighter_time_to_ready_seconds_count").await, 1);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_a_person_deleted_drains_first_and_is_then_made_again() {
    let (lab, service) = lab_with_one_ready().await;
    lab.sim.world().delete_service(CLUSTER, &service);
    let draining = lab.until_reason("one", "ServiceDraining").await;
    assert_eq!(draining.url, None);
    let left = async || {
        let drains = lab.sim.world().service(CLUSTER, &service).map(|seen| seen.status);
        drains != Some(ServiceStatus::Draining) || lab.builds("one").len() == 1
    };
    lab.throughout(Duration::from_millis(500), "no build while it drains", left)
        .await;
    until_rebuilt(&lab).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_look_that_misses_the_service_changes_nothing() {
    let mut lab = Lab::new().await;
    lab.config.policy.timing.confirm_absence = SignedDuration::from_secs(1);
    // From here on the cloud remembers what services looked like, so that it can show the past.
    let stale = || Fault::StaleList(Duration::from_hours(1));
    lab.sim
        .faults()
        .set(FaultPlan::new().rate_of("ecs.DescribeServices", 0.0, stale()));
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    let looks = [2, 4, 7];
    let plan = looks.iter().fold(FaultPlan::new(), |plan, n| {
        plan.on("ecs.DescribeServices", *n, stale())
    });
    lab.sim.faults().set(plan);
    let injected = || lab.sim.faults().injected().get("StaleList").copied().unwrap_or(0);
    lab.eventually("three looks into the past", async || injected() == 3)
        .await;
    lab.until("one", Phase::Ready).await;
    assert_eq!(lab.builds("one").len(), 1, "{:#?}", lab.history("one").await);
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_route_is_repaired_and_the_url_is_withdrawn_meanwhile() {
    let (lab, service) = lab_with_one_ready().await;
    lab.sim.world().detach_target_group(&service);
    let lost = lab.until_reason("one", "RouteLost").await;
    assert_eq!(
        (truth(&lost, ConditionKind::RouteHealthy), &lost.url),
        (Some(Truth::False), &None)
    );
    until_rebuilt(&lab).await;
    assert!(lab.services("one")[0].attached);
    let ready = lab.status("one").await;
    assert_eq!(truth(&ready, ConditionKind::RouteHealthy), Some(Truth::True));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_services_cannot_be_described_nothing_is_done_and_nothing_is_unsaid() {
    let (lab, service) = lab_with_one_ready().await;
    let before = lab.memory("one").await.unwrap();
    for fault in [
        Fault::InternalError(ServerError::Internal500),
        Fault::AccessDenied,
        Fault::TruncatedBody,
        Fault::LoseResponse,
    ] {
        lab.sim
            .faults()
            .set(FaultPlan::new().rate_of("ecs.DescribeServices", 1.0, fault.clone()));
        let unchanged = async || lab.memory("one").await.unwrap() == before;
        lab.throughout(
            Duration::from_millis(1300),
            &format!("unchanged under {fault:?}"),
            unchanged,
        )
        .await;
    }
    // Nor does a service that vanishes meanwhile bring anything about before it can be looked for.
    lab.sim.world().purge_service(CLUSTER, &service);
    let unchanged = async || lab.memory("one").await.unwrap() == before;
    lab.throughout(Duration::from_millis(2500), "not seen, so not missed", unchanged)
        .await;
    assert_eq!(lab.builds("one").len(), 1);
    lab.sim.faults().clear();
    until_rebuilt(&lab).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_somebody_stops_are_no_reason_for_a_build() {
    let (lab, service) = lab_with_one_ready().await;
    lab.sim.world().kill_tasks(CLUSTER, &service);
    lab.eventually("all of them are replaced", async || {
        lab.sim
            .world()
            .service(CLUSTER, &service)
            .is_some_and(|seen| seen.up)
    })
    .await;
    lab.until("one", Phase::Ready).await;
    assert_eq!(lab.builds("one").len(), 1);
    lab.assert_sound();
    lab.stop().await;
}
