//! What a pass costs: calls counted by the cloud itself. Batches are full, what is settled is never asked for
//! again, and a fleet at rest causes no write at all.

use std::collections::BTreeMap;
use std::time::Duration;

use lamplighter::config::Intervals;
use lamplighter::model::status::Phase;
use simcloud::{Behaviour, Match, Phase as BuildPhase, World};

use crate::lab::{Lab, QUICK, Setup, wants};

/// Nothing but sweeps, one a second.
const SWEEPS_ONLY: Intervals = Intervals {
    row_poll: Duration::from_hours(1),
    progress: Duration::from_hours(1),
    ..QUICK
};

/// Passes in which nothing was to be done but to wait.
const LOOKS: &str = "lamplighter_reconcile_total{result=\"waiting\"}";

/// Calls and the things asked for in them, over some sweeps.
struct Bill {
    sweeps: u64,
    calls: BTreeMap<String, u64>,
    items: BTreeMap<String, u64>,
}

impl Bill {
    async fn of(lab: &Lab, world: &World) -> Self {
        let swept = async || lab.sweeps().await;
        let at = swept().await;
        lab.eventually("a sweep ends", async || swept().await > at).await;
        // Sweeps take a fraction of the second between two of them, so the count begins and ends in between.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = swept().await;
        world.reset_calls();
        lab.eventually("three more", async || swept().await >= before + 3)
            .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        Self {
            sweeps: swept().await - before,
            calls: world.calls(),
            items: world.items(),
        }
    }

    /// Exactly these calls in every sweep, and none besides.
    #[track_caller]
    fn assert_per_sweep(&self, expected: &[(&str, u64)]) {
        let expected: BTreeMap<String, u64> = expected
            .iter()
            .map(|(call, count)| ((*call).to_owned(), count * self.sweeps))
            .collect();
        assert_eq!(self.calls, expected, "in {} sweeps", self.sweeps);
    }
}

/// Deploys apps quickly, then goes on with sweeps alone.
async fn settled(apps: usize, app: &str) -> Lab {
    let mut lab = Lab::with(Setup {
        builds: 40,
        ..Setup::default()
    })
    .await;
    lab.start().await;
    for n in 0..apps {
        let id = format!("app-{n}");
        lab.put(&id, &wants(&id, app, "Running")).await;
    }
    for n in 0..apps {
        lab.until(&format!("app-{n}"), Phase::Ready).await;
    }
    lab.stop().await;
    lab.config.intervals = SWEEPS_ONLY;
    lab.start().await;
    lab.eventually("the first sweeps are over", async || lab.sweeps().await >= 2)
        .await;
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_over_a_settled_fleet_makes_full_batches_and_no_write() {
    let lab = settled(30, "wiki").await;
    let versions = lab.snapshot().await.memories;
    let bill = Bill::of(&lab, &lab.sim.world()).await;
    // Two tables well below 1 MB; 30 services in pages of 100 and batches of 10.
    bill.assert_per_sweep(&[
        ("dynamodb.Scan", 2),
        ("ecs.ListServices", 1),
        ("ecs.DescribeServices", 3),
    ]);
    assert_eq!(lab.snapshot().await.memories, versions, "nothing was written");
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_groups_are_listed_together_and_only_their_health_is_asked_one_by_one() {
    let lab = settled(12, "shop").await;
    let bill = Bill::of(&lab, &lab.sim.world()).await;
    bill.assert_per_sweep(&[
        ("dynamodb.Scan", 2),
        ("ecs.ListServices", 1),
        ("ecs.DescribeServices", 2),
        ("elbv2.DescribeTargetGroups", 1),
        ("elbv2.DescribeTargetHealth", 12),
    ]);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_in_flight_are_looked_at_by_the_hundred_and_ended_ones_never() {
    // Looking less often than usual leaves the time to get that many builds going.
    let second = Duration::from_secs(1);
    let intervals = Intervals {
        row_poll: second,
        progress: second,
        ..QUICK
    };
    let mut lab = Lab::with(Setup {
        builds: 110,
        intervals,
        ..Setup::default()
    })
    .await;
    for entry in lab.config.policy.catalogue.values_mut() {
        entry.build_timeout_minutes = 2160;
    }
    lab.sim
        .world()
        .behave_always(Match::any(), Behaviour::hang_in(BuildPhase::Install));
    for n in 0..101 {
        let id = format!("app-{n}");
        lab.put(&id, &wants(&id, "wiki", "Running")).await;
    }
    lab.start().await;
    let hang = || {
        lab.sim
            .world()
            .builds()
            .iter()
            .filter(|build| build.phase == BuildPhase::Install)
            .count()
    };
    lab.eventually("all builds hang", async || hang() == 101).await;
    lab.eventually("the sweeps have seen it", async || {
        let memories = lab.snapshot().await.memories;
        memories
            .values()
            .all(|memory| memory.status.message.contains("INSTALL"))
    })
    .await;
    lab.stop().await;
    lab.config.intervals = SWEEPS_ONLY;
    lab.start().await;
    // Every app under way gets one look after a start.
    lab.eventually("the first looks are over", async || {
        lab.metric(LOOKS).await >= 101
    })
    .await;
    let bill = Bill::of(&lab, &lab.sim.world()).await;
    assert_eq!(bill.calls["codebuild.BatchGetBuilds"], 2 * bill.sweeps);
    assert_eq!(bill.items["codebuild.BatchGetBuilds"], 101 * bill.sweeps);
    assert_eq!(bill.calls.get("codebuild.StartBuild"), None);
    assert!(
        !bill
            .calls
            .keys()
            .any(|call| call.contains("Write") || call.contains("Item")),
        "{:?}",
        bill.calls
    );
    lab.stop().await;
}
