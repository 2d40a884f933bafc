//! Deployments and destroys that succeed and leave the wrong thing, and apps that are deployed and do not
//! work: what is told, what is tried again, and that no URL is ever given out for them.

use std::time::Duration;

use jiff::SignedDuration;
use lamplighter::model::status::{ConditionKind, Phase, Truth};
use simcloud::{Behaviour, Fault, FaultPlan, Match};

use crate::lab::wire::get;
use crate::lab::{Lab, truth, wants};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_leaves_nothing_is_repeated_and_then_stalls() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.sim
        .world()
        .behave_always(Match::instance("one"), Behaviour::LeavesNothing);
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let stalled = lab.until("one", Phase::Failed).await;
    assert_eq!((stalled.reason.as_str(), stalled.url), ("Stalled", None));
    assert!(
        stalled.message.contains("service is missing"),
        "{}",
        stalled.message
    );
    let attempts = lab.passed("one", "apply").len();
    assert!((3..=4).contains(&attempts), "{attempts} attempts");
    lab.sim.world().forget_behaviours();
    lab.put(
        "one",
        &[&wants("ann", "shop", "Running")[..], &[("generation", "2")]].concat(),
    )
    .await;
    lab.until("one", Phase::Ready).await;
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroy_that_leaves_the_service_is_repeated_and_claims_are_kept_until_it_is_gone() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    lab.sim
        .world()
        .behave_always(Match::instance("one").action("destroy"), Behaviour::LeavesService);
    lab.delete("one").await;
    lab.eventually("destroyed more than once", async || {
        lab.passed("one", "destroy").len() >= 2
    })
    .await;
    let told = lab.until_reason("one", "Leftover").await;
    assert!(told.message.contains("survived"), "{}", told.message);
    assert_eq!(told.phase, Phase::Destroying);
    assert_eq!(truth(&told, ConditionKind::Leftover), Some(Truth::True));
    let listed = get(&format!("{}/api/v1/orphans", lab.api())).await.json();
    assert_eq!(listed["leftovers"][0]["id"], "one", "{listed}");
    lab.eventually("counted", async || lab.metric("lamplighter_leftovers").await == 1)
        .await;
    assert_eq!(
        lab.snapshot().await.claims.len(),
        3,
        "what is there keeps its slot and its names"
    );
    lab.sim.world().forget_behaviours();
    let gone = lab.until("one", Phase::Destroyed).await;
    assert_eq!(truth(&gone, ConditionKind::Leftover), Some(Truth::False));
    assert!(lab.snapshot().await.claims.is_empty());
    assert_eq!(lab.services("one"), []);
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_survives_destroys_is_deleted_where_policy_says_so() {
    let mut lab = Lab::new().await;
    lab.config.policy.force_delete_after = 2;
    lab.start().await;
    // Of these the catalogue names no target group, which would be left to people.
    for id in ["one", "two"] {
        lab.put(id, &wants(id, "wiki", "Running")).await;
    }
    let service = lab.until("one", Phase::Ready).await.resource_name.unwrap();
    lab.until("two", Phase::Ready).await;
    lab.sim
        .world()
        .behave_always(Match::instance("one").action("destroy"), Behaviour::LeavesService);
    lab.sim
        .faults()
        .set(FaultPlan::new().rate_of("ecs.DeleteService", 1.0, Fault::AccessDenied));
    lab.delete("one").await;
    lab.eventually("destroys go on though the deletion is denied", async || {
        lab.passed("one", "destroy").len() >= 5
    })
    .await;
    lab.sim.faults().clear();
    lab.until("one", Phase::Destroyed).await;
    let deleted: Vec<String> = lab
        .sim
        .world()
        .log()
        .into_iter()
        .filter(|line| line.contains("DeleteService"))
        .collect();
    assert!(!deleted.is_empty(), "by a call of our own");
    assert!(deleted.iter().all(|line| line.contains(&service)), "{deleted:?}");
    assert_eq!(lab.services("one"), []);
    assert_eq!(lab.status("two").await.phase, Phase::Ready);
    lab.assert_sound();
    lab.stop().await;
}

/// For a while an app is seen at work, and is never called ready nor given a URL.
async fn assert_never_ready(lab: &Lab, id: &str) {
    let not_ready = async || {
        let status = lab.status(id).await;
        status.phase != Phase::Ready
            && status.url.is_none()
            && truth(&status, ConditionKind::Ready) != Some(Truth::True)
    };
    lab.throughout(Duration::from_millis(1500), "not ready, and no URL", not_ready)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_tells_why_its_tasks_stop_and_is_never_ready() {
    let mut lab = Lab::new().await;
    lab.config.policy.timing.ready_deadline = SignedDuration::from_secs(1);
    lab.start().await;
    lab.sim
        .world()
        .crash_loop("exits", Some(137), "OutOfMemoryError: container killed");
    lab.sim
        .world()
        .crash_loop("starts-never", None, "CannotPullContainerError: no such image");
    let apps = [
        ("exits", "OutOfMemoryError: container killed"),
        ("starts-never", "CannotPullContainerError"),
    ];
    for (id, _) in apps {
        lab.put(id, &wants(id, "shop", "Running")).await;
    }
    for (id, reason) in apps {
        let told = lab
            .until_status(id, reason, |status| status.message.contains(reason))
            .await;
        assert!(
            told.reason == "TasksFailing" || told.phase == Phase::Failed,
            "{told:#?}"
        );
        assert_never_ready(&lab, id).await;
        let late = lab.until(id, Phase::Failed).await;
        assert_eq!(truth(&late, ConditionKind::Stalled), Some(Truth::True));
        assert!(late.message.contains("should have been Ready by") && late.message.contains(reason));
        assert_eq!(lab.builds(id).len(), 1, "another build would not mend the app");
        lab.sim.world().heal(id);
        lab.until(id, Phase::Ready).await;
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_answer_well_is_never_ready_and_has_no_url() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.sim.world().unhealthy_target("target");
    lab.sim.world().http_status("probe", 500);
    for id in ["target", "probe"] {
        lab.put(id, &wants(id, "shop", "Running")).await;
    }
    let told = lab.until_reason("probe", "NotAnswering").await;
    assert!(told.message.contains("500"), "{}", told.message);
    lab.until("target", Phase::Starting).await;
    assert_never_ready(&lab, "target").await;
    assert_never_ready(&lab, "probe").await;
    for id in ["target", "probe"] {
        lab.sim.world().heal(id);
        lab.until(id, Phase::Ready).await;
    }

    // And a URL that was given out is withdrawn when the app stops answering.
    lab.sim.world().http_status("probe", 503);
    let ill = lab.until_reason("probe", "NotAnswering").await;
    assert_eq!(ill.url, None);
    lab.assert_sound();
    lab.stop().await;
}
