//! Builds that fail, hang, lie or find no room: who it counts against, what people are told, and what is
//! tried again.

use jiff::SignedDuration;
use lamplighter::model::backoff::Backoff;
use lamplighter::model::status::{ConditionKind, Phase, Status, Truth};
use simcloud::{Behaviour, BuildStatus, Fault, FaultPlan, Match, Phase as BuildPhase};

use crate::lab::{Lab, Setup, truth, wants};

fn with_generation<'a>(row: &[(&'a str, &'a str)], generation: &'a str) -> Vec<(&'a str, &'a str)> {
    [row, &[("generation", generation)]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_says_where_and_why_and_is_tried_again_later() {
    let mut lab = Lab::new().await;
    let second = SignedDuration::from_secs(1);
    lab.config.policy.timing.deploy_retry = Backoff {
        initial: second,
        max: second,
        multiplier: 1.0,
    };
    lab.start().await;
    let world = lab.sim.world();
    world.behave(Match::instance("one"), Behaviour::fail_before_applying());
    world.behave(Match::instance("two"), Behaviour::fail_after_applying());
    for (id, cause) in [("one", "terraform apply"), ("two", "terraform output")] {
        lab.put(id, &wants(id, "shop", "Running")).await;
        let waiting = lab.until_reason(id, "WaitingToRetry").await;
        for part in ["FAILED in BUILD", cause, "exit status 1", "the next try is at"] {
            assert!(waiting.message.contains(part), "{part} in {:?}", waiting.message);
        }
        let next = waiting.next_change.unwrap();
        assert_eq!((next.action.as_str(), next.rule.as_str()), ("Retry", "Backoff"));
        assert_eq!(
            truth(&lab.status(id).await, ConditionKind::Stalled),
            Some(Truth::False)
        );
        lab.until(id, Phase::Ready).await;
        let [failed, good] = &lab.passed(id, "apply")[..] else {
            panic!("two builds of {id}")
        };
        let pause = good.started.duration_since(failed.ended.unwrap());
        assert!(
            pause >= SignedDuration::from_millis(450),
            "{id} was tried again after {pause:#}"
        );
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_last_attempt_an_app_stalls_until_a_new_request_and_can_be_destroyed_meanwhile() {
    let lab = Lab::new().await;
    lab.start().await;
    let world = lab.sim.world();
    world.behave_always(Match::any().action("apply"), Behaviour::fail_after_applying());
    for id in ["revived", "dropped"] {
        lab.put(id, &wants(id, "shop", "Running")).await;
    }
    for id in ["revived", "dropped"] {
        let stalled = lab.until(id, Phase::Failed).await;
        assert_eq!(stalled.reason, "Stalled");
        assert_eq!(truth(&stalled, ConditionKind::Stalled), Some(Truth::True));
        for part in [
            "3 failed deployments",
            "FAILED in BUILD",
            "Request it again",
            "Destroyed",
        ] {
            assert!(stalled.message.contains(part), "{part} in {:?}", stalled.message);
        }
    }
    let still = async || lab.sim.world().builds().len() == 6;
    lab.throughout(
        std::time::Duration::from_millis(1500),
        "three builds each and no more",
        still,
    )
    .await;

    lab.put("dropped", &wants("dropped", "shop", "Destroyed")).await;
    lab.until("dropped", Phase::Destroyed).await;
    assert_eq!(lab.passed("dropped", "destroy").len(), 1);
    world.forget_behaviours();
    lab.put(
        "revived",
        &with_generation(&wants("revived", "shop", "Running"), "2"),
    )
    .await;
    let ready = lab.until("revived", Phase::Ready).await;
    assert_eq!(truth(&ready, ConditionKind::Stalled), Some(Truth::False));
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_build_is_stopped_past_its_deadline_and_the_app_tried_again() {
    let mut lab = Lab::new().await;
    for entry in lab.config.policy.catalogue.values_mut() {
        (entry.build_timeout_minutes, entry.queue_timeout_minutes) = (30, 30);
    }
    lab.start().await;
    let places = [("before", BuildPhase::Install), ("past", BuildPhase::Build)];
    for (id, phase) in places {
        lab.sim
            .world()
            .behave(Match::instance(id), Behaviour::hang_in(phase));
        lab.put(id, &wants(id, "shop", "Running")).await;
    }
    for (id, phase) in places {
        let hangs = async || matches!(&lab.builds(id)[..], [build] if build.phase == phase);
        lab.eventually("it hangs", hangs).await;
    }
    // Both timeouts of CodeBuild and the five minutes on top of them.
    lab.clock.shift(SignedDuration::from_mins(66));
    for (id, _) in places {
        lab.until(id, Phase::Ready).await;
        let builds = lab.builds(id);
        assert_eq!(builds.len(), 2, "{id}");
        assert_eq!(
            builds[0].status,
            BuildStatus::Stopped,
            "{id}: by us, not by its own timeout"
        );
        let history = lab.history(id).await.join("\n");
        assert!(history.contains("overran its deadline"), "{history}");
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_always_hangs_stalls_the_app_like_any_failure() {
    let mut lab = Lab::new().await;
    lab.config.policy.max_attempts = 2;
    for entry in lab.config.policy.catalogue.values_mut() {
        (entry.build_timeout_minutes, entry.queue_timeout_minutes) = (60, 60);
    }
    lab.start().await;
    let places = [("before", BuildPhase::Install), ("past", BuildPhase::Build)];
    for (id, phase) in places {
        lab.sim
            .world()
            .behave_always(Match::instance(id), Behaviour::hang_in(phase));
        lab.put(id, &wants(id, "shop", "Running")).await;
    }
    for attempt in 1..=2 {
        for (id, phase) in places {
            let hangs = async || matches!(&lab.builds(id)[..], [.., last] if last.phase == phase);
            lab.eventually("it hangs", async || {
                lab.builds(id).len() == attempt && hangs().await
            })
            .await;
        }
        lab.clock.shift(SignedDuration::from_mins(126));
    }
    for (id, _) in places {
        assert_eq!(lab.until(id, Phase::Failed).await.reason, "Stalled", "{id}");
        let stopped = lab
            .builds(id)
            .iter()
            .filter(|build| build.status == BuildStatus::Stopped)
            .count();
        assert_eq!((stopped, lab.builds(id).len()), (2, 2), "{id}");
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_found_no_room_counts_against_nobody() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.sim
        .world()
        .behave_always(Match::any(), Behaviour::ClientError);
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.eventually("more builds than attempts", async || lab.builds("one").len() > 4)
        .await;
    assert_ne!(lab.status("one").await.phase, Phase::Failed);
    assert_eq!(
        truth(&lab.status("one").await, ConditionKind::Stalled),
        Some(Truth::False)
    );
    lab.sim.world().forget_behaviours();
    lab.until("one", Phase::Ready).await;
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_codebuild_takes_no_more_builds_everybody_waits_in_line_and_it_counts_against_nobody() {
    for (fault, pause_secs, says) in [
        (Fault::AccountLimitExceeded, 61, "limit"),
        (Fault::Throttle, 11, "throttled"),
    ] {
        let lab = Lab::new().await;
        lab.sim
            .faults()
            .set(FaultPlan::new().rate_of("codebuild.StartBuild", 1.0, fault));
        lab.start().await;
        let apps = ["one", "two", "three"];
        for id in apps {
            lab.put(id, &wants(id, "shop", "Running")).await;
        }
        let waits = |status: &Status| status.reason == "WaitingForBuildSlot";
        for id in apps {
            let waiting = lab.until_status(id, "in line", waits).await;
            assert!(waiting.message.starts_with("Number "), "{:?}", waiting.message);
            assert!(
                waiting.message.contains("in line for a build") && waiting.message.contains(says),
                "{waiting:?}"
            );
            assert_eq!(lab.memory(id).await.unwrap().failures, None);
        }
        assert_eq!(lab.sim.world().builds(), []);
        lab.sim.faults().clear();
        lab.clock.shift(SignedDuration::from_secs(pause_secs));
        for id in apps {
            lab.until(id, Phase::Ready).await;
            assert_eq!(lab.builds(id).len(), 1, "{id}");
        }
        lab.assert_sound();
        lab.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_apps_than_build_places_are_told_their_place_and_a_destroy_goes_first() {
    let lab = Lab::with(Setup {
        builds: 1,
        ..Setup::default()
    })
    .await;
    lab.start().await;
    lab.put("old", &wants("old", "shop", "Running")).await;
    lab.until("old", Phase::Ready).await;
    lab.sim
        .world()
        .behave(Match::instance("busy"), Behaviour::hang_in(BuildPhase::Install));
    lab.put("busy", &wants("busy", "shop", "Running")).await;
    lab.eventually("it is at work", async || lab.builds("busy").len() == 1)
        .await;
    for (id, place) in [("first", "Number 1 in line"), ("second", "Number 2 in line")] {
        lab.put(id, &wants(id, "shop", "Running")).await;
        lab.until_status(id, place, |status| status.message.starts_with(place))
            .await;
    }
    lab.put("old", &wants("old", "shop", "Destroyed")).await;
    let ahead =
        |status: &Status| status.phase == Phase::Destroying && status.message.contains("Number 1 in line");
    lab.until_status("old", "ahead of all", ahead).await;

    lab.sim.world().release_build(&lab.builds("busy")[0].id);
    lab.until("old", Phase::Destroyed).await;
    for id in ["busy", "first", "second"] {
        lab.until(id, Phase::Ready).await;
    }
    let started = |id: &str, action: &str| lab.passed(id, action)[0].started;
    assert!(started("old", "destroy") < started("first", "apply"));
    assert!(started("first", "apply") < started("second", "apply"));
    lab.assert_sound();
    lab.stop().await;
}
