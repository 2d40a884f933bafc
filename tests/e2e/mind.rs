//! A change of mind while a build is held in each of its phases: before the gate nothing is ever applied;
//! past it the build is left to end, and only then comes the next step.

use std::time::Duration;

use lamplighter::model::status::{Phase as AppPhase, Status};
use simcloud::{Behaviour, BuildView, Match, Phase};

use crate::lab::wire::{m, s};
use crate::lab::{CLUSTER, Lab, Setup, wants};

/// Where a build hangs, and whether the phase has had its effect by then.
type Place = (Phase, bool);

const BEFORE_THE_GATE: [Place; 6] = [
    (Phase::Submitted, false),
    (Phase::Queued, false),
    (Phase::Provisioning, false),
    (Phase::DownloadSource, false),
    (Phase::Install, false),
    (Phase::PreBuild, false),
];

const PAST_THE_GATE: [Place; 6] = [
    (Phase::PreBuild, true),
    (Phase::Build, false),
    (Phase::Build, true),
    (Phase::PostBuild, false),
    (Phase::UploadArtifacts, false),
    (Phase::Finalizing, false),
];

/// More rows than this do not go at once: it would look like a lost table.
const DELETED_AT_ONCE: usize = 5;

async fn lab() -> Lab {
    let lab = Lab::with(Setup {
        builds: 40,
        ..Setup::default()
    })
    .await;
    lab.start().await;
    lab
}

/// An app for each place, of a user of its own.
fn names(places: &[Place], why: &str) -> Vec<(String, Place)> {
    let name = |(phase, after): &Place| {
        let phase = phase.as_str().to_lowercase().replace('_', "-");
        format!("{phase}-{}-{why}", if *after { "done" } else { "begun" })
    };
    places.iter().map(|place| (name(place), *place)).collect()
}

/// Asks for apps whose builds hang, and waits until all of them do.
async fn deploy_until_held(lab: &Lab, apps: &[(String, Place)]) {
    for (id, place) in apps {
        hang(lab, id, "apply", *place);
        lab.put(id, &wants(id, "shop", "Running")).await;
    }
    for (id, place) in apps {
        until_held(lab, id, "apply", *place).await;
    }
}

fn hang(lab: &Lab, id: &str, action: &str, (phase, after_applying): Place) {
    lab.sim.world().behave(
        Match::instance(id).action(action),
        Behaviour::Hang {
            phase,
            after_applying,
        },
    );
}

async fn until_held(lab: &Lab, id: &str, action: &str, (phase, after): Place) {
    let there = |build: &BuildView| {
        let acted = if phase == Phase::Build {
            build.applied.is_some()
        } else {
            build.gate_passed.is_some()
        };
        build.action.as_deref() == Some(action) && build.phase == phase && (!after || acted)
    };
    lab.eventually(&format!("{id} hangs"), async || lab.builds(id).iter().any(there))
        .await;
}

async fn delete_in_turns(lab: &Lab, apps: &[(String, Place)], what: &str, seen: impl Fn(&Status) -> bool) {
    for some in apps.chunks(DELETED_AT_ONCE) {
        for (id, _) in some {
            lab.delete(id).await;
        }
        for (id, _) in some {
            lab.until_status(id, what, &seen).await;
        }
    }
}

async fn ask_for_large(lab: &Lab, id: &str) {
    let row = [
        ("user", s(id)),
        ("app", s("shop")),
        ("desired", s("Running")),
        ("parameters", m([("SIZE", "large")])),
    ];
    lab.put_raw(id, row).await;
}

fn is_left_to_end(status: &Status) -> bool {
    status.message.contains("left to end")
}

/// Held past its gate and no longer wanted: for a while nothing may happen to the build, and no other may start.
async fn left_alone_then_released(lab: &Lab, apps: &[(String, Place)]) {
    for (id, _) in apps {
        lab.until_status(id, "left to end", is_left_to_end).await;
    }
    let alone = |id: &str| matches!(&lab.builds(id)[..], [build] if build.ended.is_none());
    let all_alone = async || apps.iter().all(|(id, _)| alone(id));
    lab.throughout(
        Duration::from_millis(500),
        "one build each, not stopped",
        all_alone,
    )
    .await;
    for (id, _) in apps {
        lab.sim.world().release_build(&lab.builds(id)[0].id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_gate_a_change_of_mind_means_that_nothing_is_ever_applied() {
    let lab = lab().await;
    let destroyed = names(&BEFORE_THE_GATE, "destroyed");
    let suspended = names(&BEFORE_THE_GATE, "suspended");
    let deleted = names(&BEFORE_THE_GATE, "deleted");
    let all = [&destroyed[..], &suspended, &deleted].concat();
    deploy_until_held(&lab, &all).await;

    for (id, _) in &destroyed {
        lab.put(id, &wants(id, "shop", "Destroyed")).await;
    }
    for (id, _) in &suspended {
        lab.put(id, &wants(id, "shop", "Suspended")).await;
    }
    delete_in_turns(&lab, &deleted, "gone", |status| {
        status.phase == AppPhase::Destroyed
    })
    .await;
    for (id, _) in &destroyed {
        lab.until(id, AppPhase::Destroyed).await;
    }
    for (id, _) in &suspended {
        lab.until(id, AppPhase::Suspended).await;
    }
    for (id, _) in &all {
        lab.eventually(&format!("{id} is stopped"), async || {
            lab.builds(id)[0].ended.is_some()
        })
        .await;
        let [build] = &lab.builds(id)[..] else {
            panic!("one build of {id}, for there was nothing to destroy")
        };
        assert_eq!((build.gate_passed, build.applied), (None, None), "{id}");
        assert_eq!(lab.services(id), []);
        assert!(!lab.holds_a_slot(id).await, "the slot of {id} is free");
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_gate_a_changed_spec_is_the_only_one_that_is_ever_applied() {
    let lab = lab().await;
    let apps = names(&BEFORE_THE_GATE, "changed");
    deploy_until_held(&lab, &apps).await;
    for (id, _) in &apps {
        ask_for_large(&lab, id).await;
    }
    for (id, _) in &apps {
        lab.until(id, AppPhase::Ready).await;
        let passed = lab.passed(id, "apply");
        assert_eq!((passed.len(), lab.builds(id).len()), (1, 2), "{id}");
        assert_eq!(passed[0].environment["SIZE"], "large");
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_gate_an_unwanted_build_is_left_to_end_and_then_destroyed() {
    let lab = lab().await;
    let destroyed = names(&PAST_THE_GATE, "destroyed");
    let deleted = names(&PAST_THE_GATE, "deleted");
    let all = [&destroyed[..], &deleted].concat();
    deploy_until_held(&lab, &all).await;
    for (id, _) in &destroyed {
        lab.put(id, &wants(id, "shop", "Destroyed")).await;
    }
    delete_in_turns(&lab, &deleted, "left to end", is_left_to_end).await;
    left_alone_then_released(&lab, &all).await;
    for (id, _) in &all {
        lab.until(id, AppPhase::Destroyed).await;
        let (applied, destroyed) = (lab.passed(id, "apply"), lab.passed(id, "destroy"));
        assert_eq!((applied.len(), destroyed.len()), (1, 1), "{id}");
        assert!(
            destroyed[0].started >= applied[0].ended.unwrap(),
            "{id}: one after the other"
        );
        assert_eq!(lab.services(id), []);
        assert!(!lab.holds_a_slot(id).await, "the slot of {id} is free");
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_gate_a_changed_spec_is_applied_after_the_build_at_work_never_beside_it() {
    let lab = lab().await;
    let apps = names(&PAST_THE_GATE, "changed");
    deploy_until_held(&lab, &apps).await;
    for (id, _) in &apps {
        ask_for_large(&lab, id).await;
    }
    left_alone_then_released(&lab, &apps).await;
    for (id, _) in &apps {
        let deployed = |status: &Status| status.phase == AppPhase::Ready && lab.builds(id).len() == 2;
        lab.until_status(id, "ready after a second build", deployed).await;
        let [first, second] = &lab.passed(id, "apply")[..] else {
            panic!("two builds of {id}")
        };
        assert!(second.gate_passed.unwrap() >= first.ended.unwrap(), "{id}");
        assert_eq!(second.environment["SIZE"], "large");
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_in_the_middle_of_a_deployment_it_sleeps_as_soon_as_it_is_there() {
    let lab = lab().await;
    let apps = names(&[(Phase::Build, false), (Phase::PostBuild, false)], "suspended");
    deploy_until_held(&lab, &apps).await;
    for (id, _) in &apps {
        lab.put(id, &wants(id, "shop", "Suspended")).await;
    }
    left_alone_then_released(&lab, &apps).await;
    for (id, _) in &apps {
        let asleep = lab.until(id, AppPhase::Suspended).await;
        let service = lab
            .sim
            .world()
            .service(CLUSTER, &asleep.resource_name.unwrap())
            .unwrap();
        assert_eq!((service.desired, service.running), (0, 0));
        lab.put(id, &wants(id, "shop", "Running")).await;
        lab.until(id, AppPhase::Ready).await;
        assert_eq!(lab.builds(id).len(), 1, "waking up takes no build");
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wanted_again_before_a_destroy_passed_its_gate_an_app_lives_on_and_after_it_is_made_anew() {
    let lab = lab().await;
    let apps = names(&[(Phase::Install, false), (Phase::Build, false)], "again");
    for (id, place) in &apps {
        hang(&lab, id, "destroy", *place);
        lab.put(id, &wants(id, "shop", "Running")).await;
        lab.until(id, AppPhase::Ready).await;
        lab.put(id, &wants(id, "shop", "Destroyed")).await;
        until_held(&lab, id, "destroy", *place).await;
        lab.put(id, &wants(id, "shop", "Running")).await;
    }
    let (saved, late) = (&apps[0].0, &apps[1].0);
    lab.until(saved, AppPhase::Ready).await;
    assert_eq!(
        (
            lab.passed(saved, "apply").len(),
            lab.passed(saved, "destroy").len()
        ),
        (1, 0)
    );

    lab.until_status(late, "left to end", is_left_to_end).await;
    lab.sim.world().release_build(&lab.passed(late, "destroy")[0].id);
    lab.until(late, AppPhase::Ready).await;
    let (applied, destroyed) = (lab.passed(late, "apply"), lab.passed(late, "destroy"));
    assert_eq!((applied.len(), destroyed.len()), (2, 1));
    assert!(applied[1].started >= destroyed[0].ended.unwrap());
    lab.assert_sound();
    lab.stop().await;
}
