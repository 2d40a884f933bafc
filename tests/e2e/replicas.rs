//! Several replicas that share the apps by leases: one works, the others stand by; what one that was killed or
//! stopped leaves is taken up, and nothing is done twice or forgotten on the way.

#![allow(clippy::print_stdout, reason = "figures")]

use std::time::Duration;

use hyper::Method;
use lamplighter::model::lease::Shard;
use lamplighter::model::status::Phase;
use serde_json::json;
use simcloud::{Fault, FaultPlan};
use tokio::time::Instant;

use crate::lab::process::Process;
use crate::lab::wire::{ask, get};
use crate::lab::{Lab, Setup, app, wants};

/// The one that works, then the one that stands by.
async fn two(lab: &Lab, lease: &str) -> (Process, Process) {
    let first = lab.spawn_with(1, lease);
    first.until_it_holds(1).await;
    let second = lab.spawn_with(1, lease);
    second.until_it_holds(0).await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_replica_held_is_taken_over_within_two_leases() {
    let lab = Lab::with(Setup {
        speed: 60.0,
        ..Setup::default()
    })
    .await;
    let (holder, standby) = two(&lab, "2s").await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Deploying).await;
    holder.kill();
    lab.put("two", &wants("ben", "shop", "Running")).await;
    let took = standby.until_it_holds(1).await;
    println!("taken over {took:?} after kill -9, with leases of 2 s");
    assert!(took < Duration::from_secs(4), "{took:?}");
    for id in ["one", "two"] {
        lab.until(id, Phase::Ready).await;
        assert_eq!(lab.builds(id).len(), 1, "{id}");
    }
    lab.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_replica_held_is_taken_over_within_a_second() {
    let lab = Lab::new().await;
    // With the lease of the default, a replica looks as often as with this one.
    let (mut holder, mut standby) = two(&lab, "10s").await;
    let mut took = Vec::new();
    for round in 0..3 {
        let (ended, over) = tokio::join!(holder.terminate(), standby.until_it_holds(1));
        assert_eq!(ended.0.code(), Some(0));
        took.push(over);
        lab.put(
            &format!("app-{round}"),
            &wants(&format!("user-{round}"), "shop", "Running"),
        )
        .await;
        holder = std::mem::replace(&mut standby, lab.spawn_with(1, "10s"));
        standby.until_it_holds(0).await;
        lab.until(&format!("app-{round}"), Phase::Ready).await;
    }
    took.sort_unstable();
    println!("taken over after SIGTERM: {took:?}");
    // The median, since this machine may be doing something else for a moment.
    assert!(took[1] < Duration::from_secs(1), "{took:?}");
    assert_eq!(lab.sim.world().builds().len(), 3);
    lab.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_stopped_finishes_what_is_in_hand_before_it_gives_back() {
    let lab = Lab::new().await;
    let (mut holder, standby) = two(&lab, "10s").await;
    let slow = FaultPlan::new().on("codebuild.StartBuild", 1, Fault::Latency(Duration::from_secs(2)));
    lab.sim.faults().set(slow);
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let asked = || lab.sim.world().calls().contains_key("codebuild.StartBuild");
    lab.eventually("StartBuild is under way", async || asked()).await;
    let (ended, ()) = tokio::join!(holder.terminate(), async {
        standby.until_it_holds(1).await;
        let operation = lab.memory("one").await.unwrap().operation.unwrap();
        assert!(operation.build.is_some(), "the answer is written down first");
    });
    assert_eq!(ended.0.code(), Some(0));
    lab.until("one", Phase::Ready).await;
    assert_eq!(lab.builds("one").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_amid_deploying_and_destroying_loses_no_work_and_doubles_none() {
    let lab = Lab::with(Setup {
        speed: 60.0,
        ..Setup::default()
    })
    .await;
    let ids: Vec<String> = (0..8).map(|n| format!("app-{n}")).collect();
    let (old, new) = ids.split_at(4);
    let mut replicas = vec![lab.spawn_with(2, "2s"), lab.spawn_with(2, "2s")];
    for replica in &replicas {
        replica.until_it_holds(1).await;
    }
    for id in old {
        lab.put(id, &wants(id, "shop", "Running")).await;
    }
    for id in old {
        lab.until(id, Phase::Ready).await;
    }
    // Half of them come, half of them go, and meanwhile each replica is replaced.
    for (going, coming) in old.iter().zip(new) {
        lab.delete(going).await;
        lab.put(coming, &wants(coming, "shop", "Running")).await;
    }
    for replica in &mut replicas {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let (status, _) = replica.terminate().await;
        assert_eq!(status.code(), Some(0));
        *replica = lab.spawn_with(2, "2s");
        replica.until_it_holds(1).await;
    }
    let held = async |n: usize| replicas[n].readiness().await.1;
    assert_ne!(held(0).await, held(1).await);
    for id in new {
        lab.until(id, Phase::Ready).await;
        let builds: Vec<_> = lab.builds(id).into_iter().map(|build| build.action).collect();
        assert_eq!(builds, [Some("apply".to_owned())], "{id}");
        assert_eq!(lab.passed(id, "apply").len(), 1, "{id}");
    }
    for id in old {
        lab.until(id, Phase::Destroyed).await;
        assert_eq!(lab.builds(id).len(), 2, "{id}: up once, down once");
        assert_eq!(lab.passed(id, "destroy").len(), 1, "{id}");
        assert_eq!(lab.services(id), []);
    }
    lab.eventually("no claim is leaked", async || {
        lab.snapshot().await.claims.len() == 12
    })
    .await;
    lab.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_replica_that_stands_by_is_done_by_the_holder() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.eventually("the first holds", async || {
        lab.metric("lamplighter_shards_held").await == 1
    })
    .await;
    lab.start().await;
    let ready = async || get(&format!("{}/readyz", lab.admin())).await;
    lab.eventually("the second is ready", async || ready().await.status == 200)
        .await;
    assert_eq!(ready().await.json()["shards"], json!({"of": 1, "held": []}));
    assert_eq!(lab.metric("lamplighter_shards_held").await, 0);

    let row = json!({"user": "ann", "app": "shop", "desired": "Running"});
    let url = format!("{}/api/v1/apps/one", lab.api());
    let begin = Instant::now();
    assert_eq!(ask(Method::PUT, &url, Some(&row)).await.status, 202);
    lab.until("one", Phase::Ready).await;
    println!("ready {:?} after it was asked of a standby", begin.elapsed());
    let list = async || get(&format!("{}/api/v1/apps", lab.api())).await.json();
    lab.eventually("the list of the standby has it", async || {
        list().await["apps"][0]["status"]["phase"] == "Ready"
    })
    .await;
    assert_eq!(
        lab.metric("lamplighter_reconcile_duration_seconds_count").await,
        0,
        "and it did nothing for it"
    );
    assert_eq!(lab.metric("lamplighter_apps{phase=\"Ready\"}").await, 0);
    let asked = async |service: &str| {
        let metrics = get(&format!("{}/metrics", lab.admin())).await.body;
        let of = format!(
            "lamplighter_aws_requests_total{{operation=\"DescribeServices\",outcome=\"ok\",service=\"{service}\"}}"
        );
        metrics
            .lines()
            .any(|line| line.starts_with(&of) && !line.ends_with(" 0"))
    };
    assert!(!asked("ecs").await, "nor did it ask ECS");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_even_out_and_all_replicas_together_keep_to_the_budget() {
    let lab = Lab::with(Setup {
        speed: 100.0,
        builds: 4,
        shards: 4,
        ..Setup::default()
    })
    .await;
    lab.start().await;
    lab.eventually("one holds all", async || {
        lab.metric("lamplighter_shards_held").await == 4
    })
    .await;
    lab.start().await;
    lab.eventually("the second gets half", async || {
        lab.metric("lamplighter_shards_held").await == 2
    })
    .await;
    let ids: Vec<String> = (0..12).map(|n| format!("app-{n}")).collect();
    let shards: std::collections::BTreeSet<Shard> = ids.iter().map(|id| Shard::of(&app(id), 4)).collect();
    assert_eq!(shards.len(), 4, "every shard has work");
    for id in &ids {
        lab.put(id, &wants(id, "wiki", "Running")).await;
    }
    for id in &ids {
        lab.until(id, Phase::Ready).await;
        assert_eq!(lab.builds(id).len(), 1, "{id}");
    }
    assert!(
        lab.metric("lamplighter_builds_started_total{kind=\"apply\"}")
            .await
            > 0,
        "the second has its part in it"
    );
    let builds = lab.sim.world().builds();
    for build in &builds {
        let at_once = builds.iter().filter(|other| {
            other.started <= build.started && other.ended.is_none_or(|ended| ended > build.started)
        });
        let at_once: Vec<_> = at_once.collect();
        assert!(at_once.len() <= 4, "{at_once:#?}");
    }
    lab.assert_sound();
    lab.stop().await;
}
