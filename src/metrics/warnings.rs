//! Warnings of stops, and their deliveries.

use prometheus::{IntCounter, IntCounterVec};

use super::Register;

/// How an attempt to deliver a warning ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The receiver has it.
    Delivered,
    /// It is tried again.
    Failed,
    /// It is not tried any more.
    GivenUp,
}

impl DeliveryOutcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// Warnings of stops.
#[derive(Clone, Debug)]
pub struct WarningMetrics {
    warnings: IntCounter,
    deliveries: IntCounterVec,
}

impl WarningMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let deliveries = register.counters(
            "webhook_deliveries_total",
            "Attempts to deliver a warning to the webhook, by how they ended.",
            &["outcome"],
        );
        for outcome in DeliveryOutcome::ALL {
            deliveries.with_label_values(&[outcome.as_str()]);
        }
        Self {
            warnings: register.counter("warnings_total", "Stops that were told beforehand."),
            deliveries,
        }
    }

    /// A stop was told beforehand.
    pub fn warned(&self) {
        self.warnings.inc();
    }

    /// An attempt to deliver ended.
    pub fn delivery(&self, outcome: DeliveryOutcome) {
        self.deliveries.with_label_values(&[outcome.as_str()]).inc();
    }
}
