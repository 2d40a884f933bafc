//! The life of an app: lit, mended, suspended, resumed, put out.

use lamplighter::model::status::{ConditionKind, Phase, Truth};

use crate::lab::{CLUSTER, Lab, app, truth, wants};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_becomes_a_url_and_goes_out_with_its_row() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;

    let ready = lab.until("one", Phase::Ready).await;
    let url = ready.url.clone().unwrap();
    assert_eq!(
        lab.cloud.prober.probe(&url).await.present(),
        Some(&lamplighter::model::observed::Probe::Answered)
    );
    for kind in [
        ConditionKind::Accepted,
        ConditionKind::Deployed,
        ConditionKind::Ready,
        ConditionKind::RouteHealthy,
    ] {
        assert_eq!(truth(&ready, kind), Some(Truth::True), "{kind:?} in {ready:#?}");
    }
    assert_eq!(lab.passed("one", "apply").len(), 1);

    lab.delete("one").await;
    lab.until("one", Phase::Destroyed).await;
    lab.eventually("every claim is given back", async || {
        lab.snapshot().await.claims.is_empty()
    })
    .await;
    assert_eq!(
        lab.sim
            .world()
            .services()
            .iter()
            .filter(|s| s.status != simcloud::ServiceStatus::Inactive)
            .count(),
        0
    );
    assert!(lab.sim.world().target_groups().is_empty());
    assert_eq!(lab.passed("one", "destroy").len(), 1);
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_healed_and_suspending_and_resuming_take_no_build() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let ready = lab.until("one", Phase::Ready).await;
    let service = ready.resource_name.unwrap();

    lab.sim.world().set_desired_count(CLUSTER, &service, 3);
    lab.eventually("the desired count is one again", async || {
        lab.sim.world().service(CLUSTER, &service).unwrap().desired == 1
    })
    .await;
    lab.sim.world().set_desired_count(CLUSTER, &service, 0);
    lab.eventually("it is up again", async || {
        lab.sim.world().service(CLUSTER, &service).unwrap().running == 1
    })
    .await;

    lab.put("one", &wants("ann", "shop", "Suspended")).await;
    lab.until("one", Phase::Suspended).await;
    let seen = lab.sim.world().service(CLUSTER, &service).unwrap();
    assert_eq!((seen.desired, seen.running), (0, 0));
    assert!(lab.status("one").await.url.is_none());

    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    assert_eq!(lab.sim.world().builds().len(), 1, "one build in all");

    lab.put("one", &wants("ann", "shop", "Destroyed")).await;
    lab.until("one", Phase::Destroyed).await;
    let claims = lab.snapshot().await.claims;
    assert!(
        claims.keys().all(|key| !key.is_slot()),
        "the slot is free: {claims:?}"
    );
    assert_eq!(
        claims.len(),
        2,
        "its names stay while the row is there: {claims:?}"
    );
    assert!(claims.values().all(|claim| claim.app == app("one")));
    lab.assert_sound();
    lab.stop().await;
}
