//! The rates at which ECS takes calls from an account, if a configuration asks for them: a bucket of tokens per family
//! of operations, refilled steadily.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::sim::Sim;
use crate::view::World;
use crate::wire::{Call, Service};

/// A family of operations and its bucket. AWS: "Request throttling" of ECS, per account and Region.
struct Family {
    operations: &'static [&'static str],
    burst: f64,
    per_second: f64,
}

const FAMILIES: &[Family] = &[
    Family {
        operations: &["DescribeServices", "ListServices"],
        burst: 100.0,
        per_second: 20.0,
    },
    Family {
        operations: &["CreateService", "UpdateService", "DeleteService"],
        burst: 50.0,
        per_second: 5.0,
    },
    Family {
        operations: &["DescribeTasks", "ListTasks"],
        burst: 100.0,
        per_second: 20.0,
    },
    Family {
        operations: &["StopTask"],
        burst: 100.0,
        per_second: 40.0,
    },
    Family {
        operations: &["DescribeTaskDefinition"],
        burst: 50.0,
        per_second: 20.0,
    },
    Family {
        operations: &["RegisterTaskDefinition"],
        burst: 20.0,
        per_second: 1.0,
    },
    Family {
        operations: &["DescribeClusters"],
        burst: 50.0,
        per_second: 20.0,
    },
    Family {
        operations: &["CreateCluster"],
        burst: 20.0,
        per_second: 1.0,
    },
    Family {
        operations: &["ListTagsForResource"],
        burst: 50.0,
        per_second: 20.0,
    },
    Family {
        operations: &["TagResource"],
        burst: 20.0,
        per_second: 10.0,
    },
];

/// What is left in each family's bucket, and when that was reckoned.
#[derive(Debug, Default)]
pub(crate) struct Buckets(BTreeMap<usize, (f64, Timestamp)>);

impl World {
    /// Somebody else in the account has called so much that each bucket of ECS fills again only after that many calls
    /// more than it holds. Nothing without rate limits.
    pub fn exhaust_rates(&self, calls: u32) {
        let (mut sim, now) = self.shared.now();
        let owed = -f64::from(calls);
        sim.buckets.0 = (0..FAMILIES.len()).map(|place| (place, (owed, now))).collect();
    }

    /// Takes a token for a call of ECS, as a caller does that looks at the world without its wire; whether there was
    /// none, and the call would have been throttled.
    pub fn throttles(&self, operation: &str) -> bool {
        let (mut sim, now) = self.shared.now();
        sim.takes_too_much(operation, now)
    }
}

impl Sim {
    /// Takes a token for the call; whether there was none.
    pub(crate) fn over_its_rate(&mut self, call: &Call, now: Timestamp) -> bool {
        call.service == Service::Ecs && self.takes_too_much(&call.operation, now)
    }

    fn takes_too_much(&mut self, operation: &str, now: Timestamp) -> bool {
        if !self.config.rate_limits {
            return false;
        }
        let covers = |family: &Family| family.operations.contains(&operation);
        let Some(place) = FAMILIES.iter().position(covers) else {
            return false;
        };
        let family = &FAMILIES[place];
        let (left, at) = self.buckets.0.get(&place).copied().unwrap_or((family.burst, now));
        let refilled = now.duration_since(at).as_secs_f64() * family.per_second;
        let left = (left + refilled).min(family.burst);
        let empty = left < 1.0;
        self.buckets
            .0
            .insert(place, (if empty { left } else { left - 1.0 }, now));
        empty
    }
}
