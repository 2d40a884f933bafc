//! Draws the faults of each call from a seeded stream of its own, so that faults change neither ids nor durations,
//! and remembers what one call in hand is to see.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Fault, FaultPlan, meant};
use crate::world::dice::Dice;

#[derive(Debug)]
pub(crate) struct Injector {
    plan: FaultPlan,
    dice: Dice,
    seen: BTreeMap<String, u64>,
    in_scope: u64,
    injected: BTreeMap<&'static str, u64>,
    stale_before: Option<Timestamp>,
    page: Option<usize>,
    expired_until: Option<Timestamp>,
}

/// How one call goes wrong.
#[derive(Debug, Default, Clone)]
pub(crate) struct Drawn {
    pub(crate) latency: Duration,
    pub(crate) stale: Option<Duration>,
    pub(crate) short_page: Option<usize>,
    /// At most one fault decides what becomes of the call.
    pub(crate) decisive: Option<Fault>,
    /// All of them, for the ledger.
    pub(crate) names: Vec<&'static str>,
}

impl Injector {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            plan: FaultPlan::default(),
            dice: Dice::new(seed, 4),
            seen: BTreeMap::new(),
            in_scope: 0,
            injected: BTreeMap::new(),
            stale_before: None,
            page: None,
            expired_until: None,
        }
    }

    pub(crate) fn expire_until(&mut self, until: Timestamp) {
        self.expired_until = Some(until);
    }

    /// Whether the callers' credentials are expired.
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        self.expired_until.is_some_and(|until| now < until)
    }

    pub(crate) fn set(&mut self, plan: FaultPlan) {
        self.plan = plan;
        self.seen.clear();
        self.in_scope = 0;
    }

    pub(crate) fn injected(&self) -> BTreeMap<String, u64> {
        self.injected
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    pub(crate) fn draw(&mut self, operation: &str) -> Drawn {
        let mut drawn = Drawn::default();
        if !self.plan.covers(operation) {
            return drawn;
        }
        self.in_scope += 1;
        let seen = self.seen.entry(operation.to_owned()).or_default();
        *seen += 1;
        let (seen, in_scope) = (*seen, self.in_scope);
        let placed = self.plan.placed.iter().filter(|placed| match &placed.operation {
            Some(name) => meant(name, operation) && placed.nth == seen,
            None => placed.nth == in_scope,
        });
        let mut faults: Vec<Fault> = placed.map(|placed| placed.fault.clone()).collect();
        for rate in &self.plan.rates {
            let meant = rate.operation.as_ref().is_none_or(|name| meant(name, operation));
            // Drawn even where it has no effect, so that the stream does not depend on the kind of call.
            if meant && self.dice.rng().f64() < rate.probability {
                faults.push(rate.fault.clone());
            }
        }
        for fault in faults.into_iter().filter(|fault| fault.fits(operation)) {
            self.take(fault, &mut drawn);
        }
        drawn
    }

    fn take(&mut self, fault: Fault, drawn: &mut Drawn) {
        let name = fault.name();
        match fault {
            Fault::Latency(latency) => drawn.latency += latency,
            Fault::StaleList(age) => drawn.stale = Some(age),
            Fault::ShortPage => drawn.short_page = Some(self.dice.rng().usize(1..4)),
            _ if drawn.decisive.is_some() => return,
            decisive => drawn.decisive = Some(decisive),
        }
        drawn.names.push(name);
        *self.injected.entry(name).or_default() += 1;
    }

    /// Says what the call in hand is to see.
    pub(crate) fn dress(&mut self, drawn: &Drawn, now: Timestamp) {
        self.stale_before = drawn.stale.map(|age| {
            let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
            now.saturating_sub(age).unwrap_or(Timestamp::MIN)
        });
        self.page = drawn.short_page;
    }

    pub(crate) fn undress(&mut self) {
        self.stale_before = None;
        self.page = None;
    }

    /// The answer in hand shows the world as it was then.
    pub(crate) fn stale_before(&self) -> Option<Timestamp> {
        self.stale_before
    }

    /// The answer in hand has at most that many items.
    pub(crate) fn page_size(&self) -> Option<usize> {
        self.page
    }
}
