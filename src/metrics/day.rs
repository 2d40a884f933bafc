//! The ends of days, and what they save.

use std::collections::BTreeMap;

use prometheus::{Counter, Gauge, GaugeVec, Histogram, IntGauge};

use super::{Register, count};
use crate::model::cost::Cost;
use crate::report::{Builds, Running};

/// Upper bounds of the time from a stop that is due to an app that is gone.
const TEARDOWN_SECONDS: [f64; 9] = [60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0];

/// What the label of an orphan's cost is.
const ORPHAN: &str = "orphan";

/// The ends of days.
#[derive(Clone, Debug)]
pub struct DayMetrics {
    overdue: IntGauge,
    delay: Histogram,
    exemptions: IntGauge,
    cost_per_hour: GaugeVec,
    saved_time: Counter,
    saved_cost: Counter,
    orphan_time: Counter,
    build_time_used: IntGauge,
    build_time_allowance: IntGauge,
    report_due: Gauge,
    last_report: Gauge,
}

/// How things stand now.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Apps that are late: due for longer than they may be, and not gone.
    pub overdue: usize,
    /// Apps that are up because they are exempt.
    pub exempt: usize,
    /// What runs costs an hour, by why it runs.
    pub cost_per_hour: BTreeMap<Running, Cost>,
    /// What orphans cost an hour.
    pub orphans_per_hour: Cost,
    /// What stops have saved since this was last told.
    pub saved: std::time::Duration,
    /// What that would have cost.
    pub saved_cost: Cost,
    /// For how long orphans have been there since this was last told, added up.
    pub orphaned: std::time::Duration,
}

impl Running {
    /// The label's value.
    fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Exempt => "exempt",
            Self::Overdue => "overdue",
        }
    }
}

impl DayMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let cost_per_hour = register.fractions(
            "cost_per_hour",
            "What runs now costs an hour in the configured currency, by why it runs.",
            &["reason"],
        );
        for running in Running::ALL {
            cost_per_hour.with_label_values(&[running.as_str()]);
        }
        cost_per_hour.with_label_values(&[ORPHAN]);
        Self {
            overdue: register.gauge(
                "teardown_overdue",
                "Apps that have been due for longer than report.late_after and are not gone.",
            ),
            delay: register.histogram(
                "teardown_delay_seconds",
                "From a stop that is due to the app that is gone or suspended.",
                &TEARDOWN_SECONDS,
            ),
            exemptions: register.gauge("exemptions", "Apps that are up now because they are exempt."),
            cost_per_hour,
            saved_time: register.sum(
                "saved_time_seconds_total",
                "For how long apps did not run because a stop had come.",
            ),
            saved_cost: register.sum(
                "saved_cost_total",
                "What that time would have cost in the configured currency.",
            ),
            orphan_time: register.sum(
                "orphan_time_seconds_total",
                "For how long apps were in AWS that nothing asks for, added up.",
            ),
            build_time_used: register.gauge(
                "build_time_used_seconds",
                "How long builds have taken in this calendar month, each rounded up to a minute.",
            ),
            build_time_allowance: register.gauge(
                "build_time_allowance_seconds",
                "How long builds may take in a month for what is paid already; 0 when there is no such allowance.",
            ),
            report_due: register.fraction(
                "report_due_timestamp_seconds",
                "When report.at last came; 0 if it never did.",
            ),
            last_report: register.fraction(
                "last_report_timestamp_seconds",
                "When this process last reported a day; 0 before the first.",
            ),
        }
    }

    /// An app that was due is gone, or suspended.
    pub fn gone(&self, after: std::time::Duration) {
        self.delay.observe(after.as_secs_f64());
    }

    /// How things stand now.
    pub fn stand(&self, standing: &Standing) {
        self.overdue.set(count(standing.overdue));
        self.exemptions.set(count(standing.exempt));
        let cost =
            |reason: &str, cost: Cost| self.cost_per_hour.with_label_values(&[reason]).set(cost.as_f64());
        for running in Running::ALL {
            let now = standing.cost_per_hour.get(&running).copied();
            cost(running.as_str(), now.unwrap_or_default());
        }
        cost(ORPHAN, standing.orphans_per_hour);
        self.saved_time.inc_by(standing.saved.as_secs_f64());
        self.saved_cost.inc_by(standing.saved_cost.as_f64());
        self.orphan_time.inc_by(standing.orphaned.as_secs_f64());
    }

    /// How long builds have taken this month.
    pub fn set_builds(&self, builds: &Builds) {
        let seconds = |minutes: u64| i64::try_from(minutes.saturating_mul(60)).unwrap_or(i64::MAX);
        self.build_time_used.set(seconds(builds.minutes));
        let allowance = builds.allowance.unwrap_or(0);
        self.build_time_allowance.set(seconds(allowance.into()));
    }

    /// A day has been to be reported since then, by whichever replica.
    pub fn report_due(&self, since: jiff::Timestamp) {
        self.report_due.set(seconds(since));
    }

    /// A day was reported.
    pub fn reported(&self, at: jiff::Timestamp) {
        self.last_report.set(seconds(at));
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "seconds fit for as long as anybody looks"
)]
fn seconds(at: jiff::Timestamp) -> f64 {
    at.as_second() as f64
}
