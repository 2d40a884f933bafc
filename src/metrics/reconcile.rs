//! Passes over single apps: how they ended and how long they took.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::{BUILD_SECONDS, CALL_SECONDS, Register};

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileResult {
    /// There was nothing to do.
    Idle,
    /// It did something.
    Acted,
    /// It waits for something and knows when to look again.
    Waiting,
    /// Somebody else wrote the app's memory first.
    Conflict,
    /// A call failed; the app is looked at again.
    Failed,
    /// It panicked.
    Panicked,
}

impl ReconcileResult {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Idle,
        Self::Acted,
        Self::Waiting,
        Self::Conflict,
        Self::Failed,
        Self::Panicked,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Acted => "acted",
            Self::Waiting => "waiting",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
        }
    }
}

/// Passes over single apps.
#[derive(Clone, Debug)]
pub struct ReconcileMetrics {
    total: IntCounterVec,
    duration: Histogram,
    time_to_ready: Histogram,
    write_conflicts: IntCounter,
    panics: IntCounter,
}

impl ReconcileMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let total = register.counters("reconcile_total", "Passes, by how they ended.", &["result"]);
        for result in ReconcileResult::ALL {
            total.with_label_values(&[result.as_str()]);
        }
        Self {
            total,
            duration: register.histogram(
                "reconcile_duration_seconds",
                "How long a pass took.",
                &CALL_SECONDS,
            ),
            time_to_ready: register.histogram(
                "time_to_ready_seconds",
                "From a request to the first time that its app is ready.",
                &BUILD_SECONDS,
            ),
            write_conflicts: register
                .counter("write_conflicts_total", "Writes that lost to somebody else's."),
            panics: register.counter("panics_total", "Panics that were caught."),
        }
    }

    /// A pass ended. Counts a conflict and a panic in their own counters too.
    pub fn passed(&self, result: ReconcileResult, took: Duration) {
        self.total.with_label_values(&[result.as_str()]).inc();
        self.duration.observe(took.as_secs_f64());
        match result {
            ReconcileResult::Conflict => self.write_conflicts.inc(),
            ReconcileResult::Panicked => self.panics.inc(),
            ReconcileResult::Idle
            | ReconcileResult::Acted
            | ReconcileResult::Waiting
            | ReconcileResult::Failed => {}
        }
    }

    /// A panic was caught outside of any pass.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// An app became ready this long after it was asked for.
    pub fn became_ready(&self, after: Duration) {
        self.time_to_ready.observe(after.as_secs_f64());
    }
}
