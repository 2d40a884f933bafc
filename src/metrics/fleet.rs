//! How the fleet stands, as of the last sweep.

use std::collections::BTreeMap;

use prometheus::{IntGauge, IntGaugeVec};

use super::{Register, count};
use crate::model::orphan::OrphanState;
use crate::model::pause::Pauses;
use crate::model::policy::Deletions;
use crate::model::status::Phase;

/// How the fleet stands.
#[derive(Clone, Debug)]
pub struct FleetMetrics {
    apps: IntGaugeVec,
    teardown_due: IntGauge,
    deletions_held: IntGauge,
    fleet_paused: IntGauge,
    apps_paused: IntGauge,
    orphans: IntGaugeVec,
    leftovers: IntGauge,
}

impl FleetMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let apps = register.gauges("apps", "Apps, by phase.", &["phase"]);
        for phase in Phase::ALL {
            apps.with_label_values(&[phase.as_str()]);
        }
        let orphans = register.gauges(
            "orphans",
            "Apps that AWS shows and that nothing asks for, by state.",
            &["state"],
        );
        for state in OrphanState::ALL {
            orphans.with_label_values(&[state.as_str()]);
        }
        Self {
            apps,
            teardown_due: register.gauge("teardown_due", "Apps that should be gone and are not yet."),
            deletions_held: register.gauge(
                "deletions_held",
                "Rows that vanished at once and wait for an operator's approval.",
            ),
            fleet_paused: register.gauge(
                "fleet_paused",
                "1 while an operator holds every action for every app.",
            ),
            apps_paused: register.gauge("apps_paused", "Apps that operators have paused one by one."),
            orphans,
            leftovers: register.gauge("leftovers", "Apps of which something survived its destroy."),
        }
    }

    /// How many apps are in each phase now; a phase that is missing has none.
    pub fn set_apps(&self, by_phase: &BTreeMap<Phase, usize>) {
        for phase in Phase::ALL {
            let apps = by_phase.get(&phase).copied().unwrap_or(0);
            self.apps.with_label_values(&[phase.as_str()]).set(count(apps));
        }
    }

    /// How many apps should be gone and are not yet.
    pub fn set_teardown_due(&self, apps: usize) {
        self.teardown_due.set(count(apps));
    }

    /// What the last sweep judged of rows that are gone.
    pub fn set_deletions(&self, deletions: &Deletions) {
        let held = match deletions {
            Deletions::Unjudged | Deletions::Clear { .. } => 0,
            Deletions::Held { vanished, .. } => *vanished,
        };
        self.deletions_held.set(count(held));
    }

    /// How many orphans are in each state; a state that is missing has none.
    pub fn set_orphans(&self, by_state: &BTreeMap<OrphanState, usize>) {
        for state in OrphanState::ALL {
            let orphans = by_state.get(&state).copied().unwrap_or(0);
            self.orphans
                .with_label_values(&[state.as_str()])
                .set(count(orphans));
        }
    }

    /// Of how many apps something survived its destroy.
    pub fn set_leftovers(&self, apps: usize) {
        self.leftovers.set(count(apps));
    }

    /// What operators have paused, as of the last sweep.
    pub fn set_pauses(&self, pauses: &Pauses) {
        self.fleet_paused.set(i64::from(pauses.fleet.is_some()));
        self.apps_paused.set(count(pauses.apps.len()));
    }
}
