//! Every wake-up is lost: no poll of the table, no glance at builds, no hint. Sweeps alone bring the world to
//! what the rows say, only later.

use std::time::Duration;

use lamplighter::config::Intervals;
use lamplighter::model::status::Phase;

use crate::lab::wire::{m, s};
use crate::lab::{CLUSTER, Lab, QUICK, Setup, wants};

async fn deaf() -> Lab {
    let hour = Duration::from_hours(1);
    let intervals = Intervals {
        row_poll: hour,
        progress: hour,
        ..QUICK
    };
    let lab = Lab::with(Setup {
        intervals,
        ..Setup::default()
    })
    .await;
    lab.start().await;
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_wake_up_an_app_still_lives_its_whole_life() {
    let lab = deaf().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let service = lab.until("one", Phase::Ready).await.resource_name.unwrap();
    lab.put("one", &wants("ann", "shop", "Suspended")).await;
    lab.until("one", Phase::Suspended).await;
    let row = [
        ("user", s("ann")),
        ("app", s("shop")),
        ("desired", s("Running")),
        ("parameters", m([("SIZE", "large")])),
    ];
    lab.put_raw("one", row).await;
    lab.until("one", Phase::Ready).await;
    assert_eq!(lab.passed("one", "apply").len(), 2);
    lab.sim.world().set_desired_count(CLUSTER, &service, 4);
    lab.eventually("the drift is healed", async || {
        lab.sim.world().service(CLUSTER, &service).unwrap().desired == 1
    })
    .await;
    lab.delete("one").await;
    lab.until("one", Phase::Destroyed).await;
    lab.eventually("every claim is given back", async || {
        lab.snapshot().await.claims.is_empty()
    })
    .await;
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_wake_up_the_day_still_ends_and_a_refused_row_still_gets_its_turn() {
    let lab = deaf().await;
    lab.put("first", &wants("ann", "shop", "Running")).await;
    lab.put("asleep", &wants("ben", "wiki", "Running")).await;
    lab.until("first", Phase::Ready).await;
    lab.until("asleep", Phase::Ready).await;
    lab.clock.set("2027-02-10T17:55:00Z".parse().unwrap());
    lab.put("second", &wants("ann", "wiki", "Running")).await;
    lab.until("second", Phase::Refused).await;

    lab.clock.set("2027-02-10T18:00:01Z".parse().unwrap());
    lab.until("first", Phase::Destroyed).await;
    lab.until("asleep", Phase::Suspended).await;
    // Asked for before the end of the day, it has to wait for the next request as well.
    assert_eq!(lab.builds("second"), []);
    lab.put(
        "second",
        &[&wants("ann", "wiki", "Running")[..], &[("generation", "2")]].concat(),
    )
    .await;
    lab.until("second", Phase::Ready).await;
    lab.assert_sound();
    lab.stop().await;
}
