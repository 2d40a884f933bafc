//! The shards that this process holds, and how their leases fare.

use std::time::Duration;

use prometheus::{Gauge, IntCounterVec, IntGauge};

use super::{Register, count};

/// How a shard came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It is held now.
    Gained,
    /// Its lease was not renewed in time, or another replica has it.
    Lost,
    /// It was given back.
    Released,
}

impl Transition {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gained, Self::Lost, Self::Released];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
            Self::Released => "released",
        }
    }
}

/// How a renewal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease lasts on.
    Renewed,
    /// Another replica holds it.
    Lost,
    /// No usable answer came; it is tried again.
    Failed,
}

impl Renewal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Renewed, Self::Lost, Self::Failed];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Lost => "lost",
            Self::Failed => "failed",
        }
    }
}

/// The shards that this process holds.
#[derive(Clone, Debug)]
pub struct LeaseMetrics {
    of: IntGauge,
    held: IntGauge,
    oldest: Gauge,
    transitions: IntCounterVec,
    renewals: IntCounterVec,
}

impl LeaseMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let transitions = register.counters(
            "lease_transitions_total",
            "Shards that came or went, by how.",
            &["transition"],
        );
        for transition in Transition::ALL {
            transitions.with_label_values(&[transition.as_str()]);
        }
        let renewals = register.counters(
            "lease_renewals_total",
            "Renewals of leases, by how they ended.",
            &["result"],
        );
        for result in Renewal::ALL {
            renewals.with_label_values(&[result.as_str()]);
        }
        Self {
            of: register.gauge("shards", "In how many shards replicas share the apps."),
            held: register.gauge("shards_held", "Shards on whose apps this process acts."),
            oldest: register.fraction(
                "lease_renewal_age_seconds",
                "How long ago the longest unrenewed lease was renewed, as of the last look.",
            ),
            transitions,
            renewals,
        }
    }

    /// How many shards there are, how many of them are held now, and how long ago the longest unrenewed of those was
    /// renewed.
    pub fn set_held(&self, of: u16, shards: usize, oldest: Option<Duration>) {
        self.of.set(i64::from(of));
        self.held.set(count(shards));
        self.oldest.set(oldest.unwrap_or_default().as_secs_f64());
    }

    /// A shard came or went.
    pub fn moved(&self, transition: Transition) {
        self.transitions.with_label_values(&[transition.as_str()]).inc();
    }

    /// A renewal ended.
    pub fn renewed(&self, result: Renewal) {
        self.renewals.with_label_values(&[result.as_str()]).inc();
    }
}
