//! The real binary, killed at any moment, stopped politely, or started twice: at most one build of an app
//! gets past its gate, nothing is lost and nothing is left.

use std::time::Duration;

use lamplighter::model::status::Phase;
use simcloud::{Fault, FaultPlan};

use crate::lab::wire::get;
use crate::lab::{Lab, Setup, wants};

const APPS: [&str; 4] = ["one", "two", "three", "four"];

/// A small generator, so that a seed is one run.
struct Moments(u64);

impl Moments {
    /// From a process that has hardly begun to one that is in the middle of its work.
    fn next(&mut self) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis(30 + (self.0 >> 33) % 1200)
    }
}

async fn assert_nothing_is_left(lab: &Lab, apps: &[&str]) {
    for id in apps {
        lab.until(id, Phase::Destroyed).await;
        assert_eq!(lab.passed(id, "destroy").len(), 1, "{id}");
        assert_eq!(lab.services(id), []);
    }
    lab.eventually("no claim is leaked", async || {
        lab.snapshot().await.claims.is_empty()
    })
    .await;
    assert!(lab.sim.world().target_groups().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_start_build_and_its_answer_a_restart_leads_to_one_build_and_a_ready_app() {
    let lab = Lab::new().await;
    let faults = FaultPlan::new()
        .on("codebuild.StartBuild", 1, Fault::HangAfterApplying)
        .on("codebuild.StartBuild", 2, Fault::Hang)
        .on(
            "codebuild.StartBuild",
            3,
            Fault::DeliverLate(Duration::from_secs(4)),
        )
        .on("codebuild.StartBuild", 4, Fault::LoseResponse);
    lab.sim.faults().set(faults);
    for id in APPS {
        lab.put(id, &wants(id, "shop", "Running")).await;
    }
    let daemon = lab.spawn();
    let asked = || {
        lab.sim
            .world()
            .calls()
            .get("codebuild.StartBuild")
            .copied()
            .unwrap_or(0)
    };
    lab.eventually("all four are asked for", async || asked() >= 4)
        .await;
    daemon.kill();
    let unanswered = async |id| {
        lab.memory(id)
            .await
            .unwrap()
            .in_flight()
            .is_some_and(|o| o.build.is_none())
    };
    let mut left = 0;
    for id in APPS {
        left += usize::from(unanswered(id).await);
    }
    assert!(left >= 2, "two hang at the least");

    let _daemon = lab.spawn();
    for id in APPS {
        lab.until(id, Phase::Ready).await;
        assert_eq!(lab.builds(id).len(), 1, "{id}");
        assert_eq!(lab.passed(id, "apply").len(), 1, "{id}");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        lab.sim.world().builds().len(),
        4,
        "what arrived late started nothing"
    );
    lab.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_of_deploying_and_destroying_it_ends_in_the_same_state() {
    for seed in [1, 2] {
        // Builds take some seconds, so that they are at work while the daemon comes and goes.
        let lab = Lab::with(Setup {
            speed: 60.0,
            ..Setup::default()
        })
        .await;
        let mut moments = Moments(seed);
        let mut come_and_go = async || {
            for _ in 0..5 {
                let daemon = lab.spawn();
                tokio::time::sleep(moments.next()).await;
                daemon.kill();
                lab.bury().await;
            }
        };
        for id in APPS {
            lab.put(id, &wants(id, "shop", "Running")).await;
        }
        come_and_go().await;
        let daemon = lab.spawn();
        for id in APPS {
            lab.until(id, Phase::Ready).await;
            assert_eq!(lab.passed(id, "apply").len(), 1, "{id}, seed {seed}");
        }
        daemon.kill();
        lab.bury().await;
        for id in APPS {
            lab.delete(id).await;
        }
        come_and_go().await;
        let _daemon = lab.spawn();
        assert_nothing_is_left(&lab, &APPS).await;
        lab.assert_sound();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_finishes_what_is_in_hand_and_ends_well_within_its_grace() {
    let lab = Lab::new().await;
    let slow = FaultPlan::new().on("codebuild.StartBuild", 1, Fault::Latency(Duration::from_secs(2)));
    lab.sim.faults().set(slow);
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let mut daemon = lab.spawn();
    let asked = || lab.sim.world().calls().contains_key("codebuild.StartBuild");
    lab.eventually("StartBuild is under way", async || asked()).await;
    let (status, took) = daemon.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(
        took < Duration::from_secs(6),
        "it took {took:?} of a grace of five seconds"
    );
    let operation = lab.memory("one").await.unwrap().operation.unwrap();
    assert!(
        operation.build.is_some(),
        "the answer was waited for and written down"
    );

    // With nothing in hand it ends at once.
    let mut daemon = lab.spawn();
    lab.until("one", Phase::Ready).await;
    assert_eq!(
        get(&format!("{}/api/v1/apps", daemon.api().await)).await.status,
        200
    );
    let (status, took) = daemon.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(3), "{took:?} with nothing to do");
    daemon.says("stopped").await;
    lab.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_at_once_make_no_second_build_and_no_second_instance() {
    let mut lab = Lab::new().await;
    // Both act on everything.
    lab.config.leases = None;
    for id in APPS {
        lab.put(id, &wants(id, "shop", "Running")).await;
        // A second row of the same user, which must wait for the first.
        lab.put(&format!("{id}-again"), &wants(id, "wiki", "Running"))
            .await;
    }
    lab.start().await;
    lab.start().await;
    for id in APPS {
        let again = format!("{id}-again");
        let phases = async || (lab.status(id).await.phase, lab.status(&again).await.phase);
        lab.eventually("one of two is ready, the other refused", async || {
            matches!(
                phases().await,
                (Phase::Ready, Phase::Refused) | (Phase::Refused, Phase::Ready)
            )
        })
        .await;
    }
    assert_eq!(lab.sim.world().builds().len(), 4);
    assert_eq!(lab.sim.world().services().len(), 4);
    let all: Vec<String> = APPS
        .iter()
        .flat_map(|id| [(*id).to_owned(), format!("{id}-again")])
        .collect();
    for id in &all {
        lab.put(
            id,
            &[
                ("user", id.split('-').next().unwrap()),
                ("app", "shop"),
                ("desired", "Destroyed"),
            ],
        )
        .await;
    }
    for id in &all {
        lab.until(id, Phase::Destroyed).await;
    }
    assert_eq!(
        lab.sim.world().builds().len(),
        8,
        "four times up and four times down"
    );
    assert!(lab.snapshot().await.claims.keys().all(|key| !key.is_slot()));
    lab.assert_sound();
    lab.stop().await;
}
