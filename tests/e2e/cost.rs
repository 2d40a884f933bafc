//! What a pass costs: calls counted by the cloud itself. Batches are full, what is settled is never asked for
//! again, and a fleet at rest causes no write at all.

use std::time::Duration;

use lamplighter::config::Intervals;
use lamplighter::model::status::Phase;
use simcloud::{Behaviour, Match, Phase as BuildPhase};

use crate::lab::{Lab, QUICK, Setup, wants};

/// Nothing but sweeps, one a second.
const SWEEPS_ONLY: Intervals = Intervals {
    row_poll: Duration::from_hours(1),
    progress: Duration::from_hours(1),
    ..QUICK
};

/// How many calls of each operation were made from the beginning of one sweep to that of a later one.
struct Bill {
    sweeps: usize,
    calls: Vec<String>,
}

impl Bill {
    /// The bill of three sweeps from now on. A sweep begins with reading the state table.
    async fn of(lab: &Lab) -> Self {
        let before = lab.sweeps().await;
        lab.eventually("six sweeps", async || lab.sweeps().await >= before + 6)
            .await;
        let mut calls = lab.sim.world().log();
        calls.retain(|line| !line.contains(" world ") && !line.contains("Z app "));
        // A lease is kept however many sweeps there are.
        calls.retain(|line| !line.contains("lease#"));
        let begins = |call: &String| call.contains("dynamodb.Scan") && call.contains("lamplighter-state");
        let marks: Vec<usize> = (0..calls.len()).filter(|at| begins(&calls[*at])).collect();
        let [first, _, _, end] = marks[marks.len() - 4..] else {
            panic!("four sweeps have begun")
        };
        Self {
            sweeps: 3,
            calls: calls[first..end].to_vec(),
        }
    }

    /// All calls of one operation.
    fn of_operation<'a>(&'a self, operation: &'a str) -> impl Iterator<Item = &'a String> {
        self.calls
            .iter()
            .filter(move |call| call.split(' ').nth(1) == Some(operation))
    }

    /// Exactly these calls in every sweep, and none besides.
    #[track_caller]
    fn assert_per_sweep(&self, expected: &[(&str, usize)]) {
        for (operation, count) in expected {
            assert_eq!(
                self.of_operation(operation).count(),
                count * self.sweeps,
                "{operation}"
            );
        }
        let known = |call: &&String| {
            expected
                .iter()
                .all(|(name, _)| call.split(' ').nth(1) != Some(name))
        };
        assert_eq!(self.calls.iter().find(known), None, "a call that no sweep needs");
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
    until_quiet(&lab).await;
    // Once a day, and after a start, history is read for a report.
    let reported = async || lab.metric("lamplighter_last_report_timestamp_seconds").await > 0;
    lab.eventually("the day before is reported", reported).await;
    lab
}

/// Every app gets a look after a start; afterwards, sweeps go by without any.
async fn until_quiet(lab: &Lab) {
    for _ in 0..10 {
        let looks = async || lab.metric("lamplighter_reconcile_duration_seconds_count").await;
        let (before, sweeps) = (looks().await, lab.sweeps().await);
        lab.eventually("two more sweeps", async || lab.sweeps().await >= sweeps + 2)
            .await;
        if looks().await == before {
            return;
        }
    }
    panic!("every sweep leads to looks: {:#?}", lab.sim.world().calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_over_a_settled_fleet_makes_full_batches_and_no_write() {
    let lab = settled(21, "wiki").await;
    let versions = lab.snapshot().await.memories;
    let bill = Bill::of(&lab).await;
    // Two tables well below 1 MB; 21 services in pages of 100 and batches of 10.
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
    let bill = Bill::of(&lab).await;
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
async fn builds_in_flight_are_looked_at_in_one_call_and_ended_ones_never() {
    let mut lab = Lab::with(Setup {
        builds: 40,
        ..Setup::default()
    })
    .await;
    for entry in lab.config.policy.catalogue.values_mut() {
        entry.build_timeout_minutes = 2160;
        entry.queue_timeout_minutes = 480;
    }
    lab.start().await;
    lab.put("done", &wants("done", "wiki", "Running")).await;
    lab.until("done", Phase::Ready).await;
    lab.stop().await;

    lab.sim
        .world()
        .behave_always(Match::any(), Behaviour::hang_in(BuildPhase::Submitted));
    for n in 0..30 {
        let id = format!("app-{n}");
        lab.put(&id, &wants(&id, "wiki", "Running")).await;
    }
    lab.config.intervals = SWEEPS_ONLY;
    lab.config.intervals.sweep = Duration::from_secs(10);
    lab.start().await;
    lab.eventually("all builds hang", async || lab.sim.world().builds().len() == 31)
        .await;
    lab.stop().await;

    lab.config.intervals = SWEEPS_ONLY;
    lab.start().await;
    until_quiet(&lab).await;
    let bill = Bill::of(&lab).await;
    bill.assert_per_sweep(&[
        ("dynamodb.Scan", 2),
        ("codebuild.BatchGetBuilds", 1),
        ("ecs.ListServices", 1),
        ("ecs.DescribeServices", 1),
    ]);
    let asked: usize = bill
        .of_operation("codebuild.BatchGetBuilds")
        .map(|call| call.matches("child-app:").count())
        .sum();
    assert_eq!(
        asked,
        30 * bill.sweeps,
        "each build in flight once, and not the one that is done"
    );
    lab.stop().await;
}
