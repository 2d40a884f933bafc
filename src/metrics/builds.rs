//! Builds, and the admission in front of them.

use std::time::Duration;

use prometheus::{Gauge, HistogramVec, IntCounterVec, IntGauge};

use super::{BUILD_SECONDS, Register, count};
use crate::model::blueprint::BuildKind;
use crate::model::memory::Ending;

const KINDS: [BuildKind; 2] = [BuildKind::Apply, BuildKind::Destroy];

/// What a build came to, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildOutcome {
    /// It succeeded.
    Succeeded,
    /// It passed its gate and ended otherwise.
    Failed,
    /// It ended before its gate.
    NeverRan,
    /// Its gate was closed first.
    Abandoned,
    /// CodeBuild does not know it any more.
    Lost,
}

impl BuildOutcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Succeeded,
        Self::Failed,
        Self::NeverRan,
        Self::Abandoned,
        Self::Lost,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::NeverRan => "never_ran",
            Self::Abandoned => "abandoned",
            Self::Lost => "lost",
        }
    }
}

impl From<&Ending> for BuildOutcome {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Abandoned => Self::Abandoned,
            Ending::Succeeded | Ending::Leftover => Self::Succeeded,
            Ending::Failed(_) => Self::Failed,
            Ending::NeverRan(_) => Self::NeverRan,
            Ending::Lost | Ending::Unseen => Self::Lost,
        }
    }
}

/// Builds, and the admission in front of them.
#[derive(Clone, Debug)]
pub struct BuildMetrics {
    started: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGauge,
    limit: IntGauge,
    oldest: Gauge,
    waiting: IntGauge,
    paused: IntGauge,
}

impl BuildMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let started = register.counters(
            "builds_started_total",
            "Builds that were written down to be started.",
            &["kind"],
        );
        let duration = register.histograms(
            "build_duration_seconds",
            "From the intent of a build to its end.",
            &["kind", "outcome"],
            &BUILD_SECONDS,
        );
        for kind in KINDS {
            started.with_label_values(&[kind.as_str()]);
            for outcome in BuildOutcome::ALL {
                duration.with_label_values(&[kind.as_str(), outcome.as_str()]);
            }
        }
        Self {
            started,
            duration,
            in_flight: register.gauge("builds_in_flight", "Operations that are not settled."),
            limit: register.gauge("builds_limit", "How many builds may run at once."),
            oldest: register.fraction(
                "oldest_build_seconds",
                "How long ago the oldest operation that is not settled was intended.",
            ),
            waiting: register.gauge("admission_waiting", "Builds that wait for their turn."),
            paused: register.gauge(
                "admission_paused",
                "1 while no build is let through because the account is short of something.",
            ),
        }
    }

    /// A build was written down, and is asked for next.
    pub fn started(&self, kind: BuildKind) {
        self.started.with_label_values(&[kind.as_str()]).inc();
    }

    /// A build ended this long after it was intended.
    pub fn ended(&self, kind: BuildKind, outcome: BuildOutcome, took: Duration) {
        self.duration
            .with_label_values(&[kind.as_str(), outcome.as_str()])
            .observe(took.as_secs_f64());
    }

    /// How many operations are not settled now.
    pub fn set_in_flight(&self, operations: usize) {
        self.in_flight.set(count(operations));
    }

    /// How many builds may run at once, as far as this process may have them.
    pub fn set_limit(&self, builds: usize) {
        self.limit.set(count(builds));
    }

    /// How long ago the oldest operation that is not settled was intended; `None`: there is none.
    pub fn set_oldest(&self, age: Option<Duration>) {
        self.oldest.set(age.unwrap_or_default().as_secs_f64());
    }

    /// How many builds wait for their turn now.
    pub fn set_waiting(&self, builds: usize) {
        self.waiting.set(count(builds));
    }

    /// Whether admission is paused now.
    pub fn set_paused(&self, paused: bool) {
        self.paused.set(i64::from(paused));
    }
}
