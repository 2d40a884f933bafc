//! What Prometheus scrapes is what `docs/metrics.md` says, and no text from outside can add to it.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test fails by panicking, and counts are exact"
)]

#[path = "metrics/usage.rs"]
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lamplighter::metrics::{BuildOutcome, Metrics, ReconcileResult, SweepResult};
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::memory::Ending;
use lamplighter::model::name::AppId;
use lamplighter::model::observed::BuildFailure;
use lamplighter::model::orphan::OrphanState;
use lamplighter::model::pause::{Pause, Pauses};
use lamplighter::model::policy::Deletions;
use lamplighter::model::status::Phase;

/// Type and labels.
type Shape = (String, BTreeSet<String>);

fn documented() -> BTreeMap<String, Shape> {
    let text = include_str!("../docs/metrics.md");
    // Further tables follow.
    let (text, _) = text.split_once("\n## ").expect("there are more sections");
    let ticked =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 7, "{line}");
        assert!(cells[4].len() > 1 || cells[4] == "1", "a unit is missing: {line}");
        assert!(cells[5].ends_with('.'), "a meaning is missing: {line}");
        let name = cells[1].trim_matches('`').to_owned();
        let shape = (cells[2].to_owned(), ticked(cells[3]));
        assert!(found.insert(name, shape).is_none(), "twice: {line}");
    }
    found
}

fn registered(metrics: &Metrics) -> BTreeMap<String, Shape> {
    let families = metrics.gather();
    let shape = |family: &prometheus::proto::MetricFamily| {
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        let labels = family
            .get_metric()
            .iter()
            .flat_map(prometheus::proto::Metric::get_label)
            .map(|label| label.name().to_owned())
            .collect();
        (family.name().to_owned(), (kind, labels))
    };
    families.iter().map(shape).collect()
}

fn lines(metrics: &Metrics) -> Vec<String> {
    let text = metrics.render().unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The value of the sample that is written exactly so, with its labels in the order of the alphabet.
fn value(metrics: &Metrics, sample: &str) -> f64 {
    let all = lines(metrics);
    let found = all
        .iter()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found
        .unwrap_or_else(|| panic!("no {sample} in {all:#?}"))
        .parse()
        .unwrap()
}

#[test]
fn the_documentation_and_the_registry_are_equal() {
    let (documented, registered) = (documented(), registered(&Metrics::new("1.2.3")));
    assert!(documented.len() > 30, "the table was not found");
    for (name, shape) in &registered {
        assert_eq!(documented.get(name), Some(shape), "{name} is not documented so");
    }
    // The process collector reads /proc.
    let here = |name: &&String| cfg!(target_os = "linux") || !name.starts_with("process_");
    for name in documented.keys().filter(here) {
        assert!(registered.contains_key(name), "{name} is documented only");
    }
}

#[test]
fn every_known_label_value_is_there_before_the_first_event() {
    let metrics = Metrics::new("1.2.3");
    for phase in Phase::ALL {
        assert_eq!(
            value(&metrics, &format!("lamplighter_apps{{phase=\"{phase}\"}}")),
            0.0
        );
    }
    for result in ReconcileResult::ALL {
        let sample = format!("lamplighter_reconcile_total{{result=\"{}\"}}", result.as_str());
        assert_eq!(value(&metrics, &sample), 0.0);
    }
    for result in SweepResult::ALL {
        let sample = format!("lamplighter_sweeps_total{{result=\"{}\"}}", result.as_str());
        assert_eq!(value(&metrics, &sample), 0.0);
    }
    for kind in ["apply", "destroy"] {
        let sample = format!("lamplighter_builds_started_total{{kind=\"{kind}\"}}");
        assert_eq!(value(&metrics, &sample), 0.0);
        for outcome in BuildOutcome::ALL {
            let labels = format!("kind=\"{kind}\",outcome=\"{}\"", outcome.as_str());
            let sample = format!("lamplighter_build_duration_seconds_count{{{labels}}}");
            assert_eq!(value(&metrics, &sample), 0.0);
        }
    }
    assert_eq!(value(&metrics, "lamplighter_build_info{version=\"1.2.3\"}"), 1.0);
}

#[test]
fn no_text_from_outside_becomes_a_label() {
    let metrics = Metrics::new("1.2.3");
    let call = |service: &str, operation: &str, outcome: &str| {
        metrics.observe_call(service, operation, outcome, 3, Duration::from_millis(20));
    };
    call("CodeBuild", "StartBuild", "throttled");
    call("Elastic Load Balancing v2", "DescribeTargetHealth", "ok");
    call("ecs", "StartBuild", "ok");
    let before = lines(&metrics).len();
    for n in 0..100 {
        call(&format!("evil-{n}"), &format!("Do{n}"), &format!("maybe{n}"));
        call("dynamodb", &format!("Do{n}"), "ok");
    }
    let after = lines(&metrics);
    assert!(
        after.len() < before + 60,
        "{} series became {}",
        before,
        after.len()
    );
    assert!(!after.iter().any(|line| line.contains("evil")));

    let requests = |labels: &str| value(&metrics, &format!("lamplighter_aws_requests_total{{{labels}}}"));
    assert_eq!(
        requests("operation=\"StartBuild\",outcome=\"throttled\",service=\"codebuild\""),
        1.0
    );
    assert_eq!(
        requests("operation=\"DescribeTargetHealth\",outcome=\"ok\",service=\"elasticloadbalancingv2\""),
        1.0
    );
    assert_eq!(
        requests("operation=\"other\",outcome=\"ok\",service=\"ecs\""),
        1.0
    );
    assert_eq!(
        requests("operation=\"other\",outcome=\"other\",service=\"other\""),
        100.0
    );
    let retries = "lamplighter_aws_retries_total{operation=\"StartBuild\",service=\"codebuild\"}";
    assert_eq!(value(&metrics, retries), 2.0);
}

#[tokio::test(start_paused = true)]
async fn work_under_way_shows_its_age_until_it_ends() {
    let metrics = Metrics::new("1.2.3");
    let unfinished = || value(&metrics, "lamplighter_workqueue_unfinished_work_seconds");
    let longest = || {
        value(
            &metrics,
            "lamplighter_workqueue_longest_running_processor_seconds",
        )
    };
    let first = metrics.queue.start(Duration::from_secs(2));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let second = metrics.queue.start(Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((unfinished(), longest()), (20.0, 15.0));
    drop(first);
    assert_eq!((unfinished(), longest()), (5.0, 5.0));
    drop(second);
    assert_eq!((unfinished(), longest()), (0.0, 0.0));
    assert_eq!(
        value(&metrics, "lamplighter_workqueue_work_duration_seconds_sum"),
        20.0
    );
    assert_eq!(
        value(&metrics, "lamplighter_workqueue_queue_duration_seconds_sum"),
        2.0
    );
}

#[tokio::test]
async fn work_that_panics_ends_too() {
    let metrics = Metrics::new("1.2.3");
    let clone = metrics.clone();
    let task = tokio::spawn(async move {
        let _working = clone.queue.start(Duration::ZERO);
        panic!("on purpose");
    });
    assert!(task.await.is_err());
    assert_eq!(
        value(&metrics, "lamplighter_workqueue_unfinished_work_seconds"),
        0.0
    );
    assert_eq!(
        value(&metrics, "lamplighter_workqueue_work_duration_seconds_count"),
        1.0
    );
}

#[test]
fn each_event_counts_where_it_belongs() {
    let metrics = Metrics::new("1.2.3");
    let second = Duration::from_secs(1);
    metrics.reconcile.passed(ReconcileResult::Conflict, second);
    metrics.reconcile.passed(ReconcileResult::Panicked, second);
    metrics.reconcile.passed(ReconcileResult::Idle, second);
    metrics.reconcile.became_ready(Duration::from_mins(4));
    metrics.builds.started(BuildKind::Apply);
    let failure = BuildFailure {
        status: "FAILED".to_owned(),
        phase: None,
        context: None,
    };
    let outcome = BuildOutcome::from(&Ending::NeverRan(failure));
    metrics
        .builds
        .ended(BuildKind::Destroy, outcome, Duration::from_secs(90));
    metrics.builds.set_paused(true);
    metrics.builds.set_limit(5);
    metrics.builds.set_oldest(Some(second * 90));
    metrics.leases.set_held(4, 3, Some(second));
    metrics.set_ready(true);
    metrics
        .sweeps
        .completed("2026-11-20T10:00:00Z".parse().unwrap(), second);
    metrics.sweeps.missed(second);
    metrics.sweeps.set_unreadable(3, 4);
    metrics
        .fleet
        .set_apps(&BTreeMap::from([(Phase::Ready, 7), (Phase::Failed, 1)]));
    metrics.fleet.set_apps(&BTreeMap::from([(Phase::Ready, 6)]));
    metrics.fleet.set_deletions(&Deletions::Held {
        vanished: 9,
        known: 20,
        since: "2026-11-20T10:00:00Z".parse().unwrap(),
    });
    let apps = ["a1", "a2"].map(|id| (AppId::from_key(id).unwrap(), Pause::default()));
    metrics.fleet.set_pauses(&Pauses {
        fleet: Some(Pause::default()),
        apps: apps.into(),
    });
    metrics.fleet.set_orphans(&BTreeMap::from([
        (OrphanState::Due, 2),
        (OrphanState::Unidentified, 5),
    ]));
    metrics
        .fleet
        .set_orphans(&BTreeMap::from([(OrphanState::Due, 3)]));
    metrics.fleet.set_leftovers(4);
    metrics.sweeps.state_lost();
    for (sample, expected) in [
        ("lamplighter_orphans{state=\"Due\"}", 3.0),
        ("lamplighter_orphans{state=\"Unidentified\"}", 0.0),
        ("lamplighter_leftovers", 4.0),
        ("lamplighter_state_lost_total", 1.0),
        ("lamplighter_write_conflicts_total", 1.0),
        ("lamplighter_panics_total", 1.0),
        ("lamplighter_reconcile_total{result=\"idle\"}", 1.0),
        ("lamplighter_reconcile_duration_seconds_count", 3.0),
        ("lamplighter_time_to_ready_seconds_bucket{le=\"180\"}", 0.0),
        ("lamplighter_time_to_ready_seconds_bucket{le=\"300\"}", 1.0),
        ("lamplighter_builds_started_total{kind=\"apply\"}", 1.0),
        (
            "lamplighter_build_duration_seconds_count{kind=\"destroy\",outcome=\"never_ran\"}",
            1.0,
        ),
        ("lamplighter_admission_paused", 1.0),
        ("lamplighter_builds_limit", 5.0),
        ("lamplighter_oldest_build_seconds", 90.0),
        ("lamplighter_shards", 4.0),
        ("lamplighter_shards_held", 3.0),
        ("lamplighter_lease_renewal_age_seconds", 1.0),
        ("lamplighter_ready", 1.0),
        ("lamplighter_sweeps_total{result=\"incomplete\"}", 1.0),
        ("lamplighter_sweep_duration_seconds_count", 2.0),
        ("lamplighter_last_sweep_timestamp_seconds", 1_795_168_800.0),
        ("lamplighter_rows_unreadable", 3.0),
        ("lamplighter_state_items_unreadable", 4.0),
        ("lamplighter_apps{phase=\"Ready\"}", 6.0),
        ("lamplighter_apps{phase=\"Failed\"}", 0.0),
        ("lamplighter_deletions_held", 9.0),
        ("lamplighter_fleet_paused", 1.0),
        ("lamplighter_apps_paused", 2.0),
    ] {
        assert_eq!(value(&metrics, sample), expected, "{sample}");
    }
}
