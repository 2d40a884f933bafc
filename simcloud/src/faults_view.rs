//! The handle by which a test sets and ends faults.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cloud::Shared;
use crate::faults::FaultPlan;

/// The faults of a cloud.
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Puts a plan in place of the present one; calls are counted from here on.
    pub fn set(&self, plan: FaultPlan) {
        let (mut sim, _) = self.shared.now();
        sim.keep_history(plan.shows_the_past());
        sim.faults.set(plan);
    }

    /// Ends all faults. What is on its way late still arrives.
    pub fn clear(&self) {
        self.set(FaultPlan::default());
    }

    /// Until then the credentials of all callers are expired: every call of AWS is refused, whatever the plan says.
    pub fn expire_credentials_until(&self, until: jiff::Timestamp) {
        self.shared.now().0.faults.expire_until(until);
    }

    /// How many faults of each kind there have been.
    pub fn injected(&self) -> BTreeMap<String, u64> {
        self.shared.now().0.faults.injected()
    }
}
