//! What Prometheus may scrape: one struct per stage, one registry, no globals. Never labels by app, user or
//! any other text from outside. `docs/metrics.md` is the list for people; a test holds the two equal.

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

mod aws;
mod builds;
mod day;
mod fleet;
mod lease;
mod queue;
mod reconcile;
mod sweep;
mod warnings;

pub use aws::{AwsMetrics, KNOWN_CALLS, KNOWN_OUTCOMES};
pub use builds::{BuildMetrics, BuildOutcome};
pub use day::{DayMetrics, Standing};
pub use fleet::FleetMetrics;
pub use lease::{LeaseMetrics, Renewal, Transition};
pub use queue::{QueueMetrics, Working};
pub use reconcile::{ReconcileMetrics, ReconcileResult};
pub use sweep::{SweepMetrics, SweepResult};
pub use warnings::{DeliveryOutcome, WarningMetrics};

/// What every name of ours starts with.
pub const PREFIX: &str = "lamplighter";

/// Every metric of the process. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    ready: IntGauge,
    /// The queue of apps to look at.
    pub queue: QueueMetrics,
    /// Passes over single apps.
    pub reconcile: ReconcileMetrics,
    /// Builds and the admission in front of them.
    pub builds: BuildMetrics,
    /// Calls to AWS.
    pub aws: AwsMetrics,
    /// Complete readings of both tables.
    pub sweeps: SweepMetrics,
    /// How the fleet stands.
    pub fleet: FleetMetrics,
    /// The ends of days.
    pub day: DayMetrics,
    /// The shards that this process holds.
    pub leases: LeaseMetrics,
    /// Warnings of stops.
    pub warnings: WarningMetrics,
}

impl Metrics {
    /// Every metric, registered in a registry of its own and set to zero. `version` is the daemon's.
    pub fn new(version: &str) -> Self {
        let registry = Registry::new();
        let register = Register(&registry);
        let metrics = Self {
            queue: QueueMetrics::new(&register),
            reconcile: ReconcileMetrics::new(&register),
            builds: BuildMetrics::new(&register),
            aws: AwsMetrics::new(&register),
            sweeps: SweepMetrics::new(&register),
            fleet: FleetMetrics::new(&register),
            day: DayMetrics::new(&register),
            leases: LeaseMetrics::new(&register),
            warnings: WarningMetrics::new(&register),
            ready: register.gauge("ready", "1 while /readyz says that this process is ready."),
            registry: registry.clone(),
        };
        register
            .gauges(
                "build_info",
                "Always 1; the label is the daemon's version.",
                &["version"],
            )
            .with_label_values(&[version])
            .set(1);
        #[cfg(target_os = "linux")]
        register.add(prometheus::process_collector::ProcessCollector::for_self());
        metrics
    }

    /// Whether this process is ready; whoever scrapes asks first.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Notes one call to AWS; see [`AwsMetrics::observe_call`].
    pub fn observe_call(
        &self,
        service: &str,
        operation: &str,
        outcome: &str,
        attempts: u32,
        elapsed: std::time::Duration,
    ) {
        self.aws
            .observe_call(service, operation, outcome, attempts, elapsed);
    }

    /// Every sample as it stands now.
    pub fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.queue.refresh();
        self.registry.gather()
    }

    /// Every sample as Prometheus reads it, `text/plain; version=0.0.4`.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.gather())
    }
}

/// Makes metrics and adds them to the registry. Names and labels are literals of this module and its
/// children, so a failure to register is a mistake that the first test of [`Metrics::new`] meets.
struct Register<'a>(&'a Registry);

impl Register<'_> {
    fn add(&self, collector: impl Collector + 'static) {
        self.0
            .register(Box::new(collector))
            .expect("no two metrics share a name");
    }

    fn made<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let collector = made.expect("names and labels are valid literals");
        self.add(collector.clone());
        collector
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.made(IntCounter::with_opts(opts(name, help)))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.made(IntCounterVec::new(opts(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.made(IntGauge::with_opts(opts(name, help)))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.made(IntGaugeVec::new(opts(name, help), labels))
    }

    fn fractions(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.made(GaugeVec::new(opts(name, help), labels))
    }

    fn sum(&self, name: &str, help: &str) -> Counter {
        self.made(Counter::with_opts(opts(name, help)))
    }

    fn fraction(&self, name: &str, help: &str) -> Gauge {
        self.made(Gauge::with_opts(opts(name, help)))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.made(Histogram::with_opts(histogram_opts(name, help, buckets)))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.made(HistogramVec::new(histogram_opts(name, help, buckets), labels))
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(PREFIX)
}

fn histogram_opts(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(name, help)
        .namespace(PREFIX)
        .buckets(buckets.to_vec())
}

/// A count as a gauge takes it.
fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// From a call within the same zone to the SDK's longest patience.
const CALL_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// From a second to an hour: builds, and the way from a request to an app that answers.
const BUILD_SECONDS: [f64; 12] = [
    1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
];
