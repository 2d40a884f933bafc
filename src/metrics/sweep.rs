//! Complete readings of both tables.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge};

use super::{Register, count};

/// From an empty table to one that takes minutes to read.
const SWEEP_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepResult {
    /// Everything was read.
    Complete,
    /// A page or a call was missing, so nothing follows from what was absent.
    Incomplete,
}

impl SweepResult {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Complete, Self::Incomplete];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Complete readings of both tables.
#[derive(Clone, Debug)]
pub struct SweepMetrics {
    duration: Histogram,
    last: Gauge,
    total: IntCounterVec,
    rows_unreadable: IntGauge,
    state_items_unreadable: IntGauge,
    state_lost: IntCounter,
}

impl SweepMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let total = register.counters("sweeps_total", "Sweeps, by how they ended.", &["result"]);
        for result in SweepResult::ALL {
            total.with_label_values(&[result.as_str()]);
        }
        Self {
            duration: register.histogram("sweep_duration_seconds", "How long a sweep took.", &SWEEP_SECONDS),
            last: register.fraction(
                "last_sweep_timestamp_seconds",
                "When the last complete sweep began; 0 before the first.",
            ),
            total,
            rows_unreadable: register.gauge(
                "rows_unreadable",
                "Rows of the desired table that the last sweep could not read.",
            ),
            state_items_unreadable: register.gauge(
                "state_items_unreadable",
                "Items of the state table that the last sweep could not read.",
            ),
            state_lost: register.counter(
                "state_lost_total",
                "Readings of the state table that knew less than one before.",
            ),
        }
    }

    /// A sweep that read everything began then and took this long.
    pub fn completed(&self, began: Timestamp, took: Duration) {
        self.note(SweepResult::Complete, took);
        self.last.set(began.as_duration().as_secs_f64());
    }

    /// A sweep missed something.
    pub fn missed(&self, took: Duration) {
        self.note(SweepResult::Incomplete, took);
    }

    /// How many rows and items of the state table could not be read.
    pub fn set_unreadable(&self, rows: usize, state_items: usize) {
        self.rows_unreadable.set(count(rows));
        self.state_items_unreadable.set(count(state_items));
    }

    /// The state table knew less than it did.
    pub fn state_lost(&self) {
        self.state_lost.inc();
    }

    fn note(&self, result: SweepResult, took: Duration) {
        self.total.with_label_values(&[result.as_str()]).inc();
        self.duration.observe(took.as_secs_f64());
    }
}
