//! A world that is put away and taken up again goes on as if nothing had been.

use std::sync::Arc;

use simcloud::{ServiceStatus, SimCloud, SimConfig, TokioClock};

use crate::common::{CLUSTER, Clients, NAME, Sim, apply, config, sim_with, status, wait};

#[tokio::test(start_paused = true)]
async fn a_restored_world_goes_on_where_it_was() {
    let clock = Arc::new(TokioClock::starting_at(crate::common::start()));
    let config = SimConfig::with_clock(clock);
    let sim = sim_with(config.clone()).await;
    sim.run(apply()).await;
    wait(120).await;
    let running = sim.build(apply().with("COLOUR", "blue")).await.id.unwrap();
    wait(40).await;
    let text = sim.cloud.snapshot().to_string();
    let before = (sim.cloud.world().builds(), sim.cloud.world().services());

    let cloud = SimCloud::restore(config, serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!((cloud.world().builds(), cloud.world().services()), before);
    let restored = Sim {
        aws: Clients::in_memory(&cloud, 1),
        cloud,
    };
    assert_eq!(status(&restored.finish(&running).await), "SUCCEEDED");
    assert_eq!(status(&sim.finish(&running).await), "SUCCEEDED");
    assert_eq!(restored.cloud.world().builds(), sim.cloud.world().builds());
    let service = restored.cloud.world().service(CLUSTER, NAME).unwrap();
    assert_eq!(service.status, ServiceStatus::Active);
    // The next build is not the first one over again.
    let next = restored.build(apply()).await;
    assert_eq!(next.build_number(), Some(3));
    assert_eq!(
        next.id(),
        sim.build(apply()).await.id(),
        "ids go on where they were"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_snapshot_is_refused() {
    for text in [
        "null",
        "{}",
        r#"{"version":2,"world":{}}"#,
        r#"{"version":1,"world":{"builds":7}}"#,
    ] {
        let value = serde_json::from_str(text).unwrap();
        assert!(SimCloud::restore(config(), value).is_err(), "{text}");
    }
}
