//! The world: everything the simulated cloud remembers, and the agenda that moves it. Time is lazy: nothing runs
//! in the background; whoever asks first makes everything due by then happen, in its order. Knows no wire.

pub(crate) mod admission;
pub(crate) mod agenda;
pub(crate) mod behaviour;
pub(crate) mod builds;
pub(crate) mod definitions;
pub(crate) mod dice;
pub(crate) mod gate;
pub(crate) mod locks;
pub(crate) mod oracle;
pub(crate) mod phases;
pub(crate) mod scheduler;
pub(crate) mod services;
pub(crate) mod targets;
pub(crate) mod tasks;
pub(crate) mod terraform;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Span;
use crate::sim::Sim;
use agenda::{Agenda, Event};
use behaviour::{Quirks, Rule};
use builds::{Build, Project, Token};
use definitions::TaskDefinition;
use dice::Dice;
use locks::StateLock;
use services::{Cluster, Service};
use targets::TargetGroup;
use tasks::Task;

/// Everything that survives a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) projects: BTreeMap<String, Project>,
    pub(crate) builds: BTreeMap<String, Build>,
    /// The builds that are not complete.
    pub(crate) unfinished: BTreeSet<String>,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// By `cluster/name`.
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) tasks: BTreeMap<String, Task>,
    /// By `family:revision`.
    pub(crate) task_definitions: BTreeMap<String, TaskDefinition>,
    pub(crate) target_groups: BTreeMap<String, TargetGroup>,
    /// By host name, as each app has a Terraform state of its own.
    pub(crate) locks: BTreeMap<String, StateLock>,
    pub(crate) agenda: Agenda,
    pub(crate) rules: Vec<Rule>,
    pub(crate) quirks: BTreeMap<String, Quirks>,
    pub(crate) violations: Vec<String>,
    pub(crate) ids: Dice,
    pub(crate) spans: Dice,
    pub(crate) request_ids: Dice,
}

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            projects: BTreeMap::new(),
            builds: BTreeMap::new(),
            unfinished: BTreeSet::new(),
            tokens: BTreeMap::new(),
            clusters: BTreeMap::new(),
            services: BTreeMap::new(),
            tasks: BTreeMap::new(),
            task_definitions: BTreeMap::new(),
            target_groups: BTreeMap::new(),
            locks: BTreeMap::new(),
            agenda: Agenda::default(),
            rules: Vec::new(),
            quirks: BTreeMap::new(),
            violations: Vec::new(),
            // Streams of their own, so that one more id does not change how long a build takes.
            ids: Dice::new(seed, 1),
            spans: Dice::new(seed, 2),
            request_ids: Dice::new(seed, 3),
        }
    }
}

/// `at` and a duration later.
pub(crate) fn after(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// A point in time as AWS' JSON carries it: seconds since 1970, with milliseconds.
pub(crate) fn epoch(at: Timestamp) -> serde_json::Value {
    let millis = at.as_millisecond();
    if millis % 1000 == 0 {
        return serde_json::Value::from(millis / 1000);
    }
    #[allow(clippy::cast_precision_loss)]
    serde_json::Value::from(millis as f64 / 1000.0)
}

impl Sim {
    /// Makes everything happen that is due by `now`, in its order.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some((at, event)) = self.state.agenda.pop_due(now) {
            match event {
                Event::Build { id, epoch, step } => self.build_event(&id, epoch, step, at),
                Event::Task { id, epoch, step } => self.task_event(&id, epoch, step, at),
                Event::Service { key, serial, step } => self.service_event(&key, serial, step, at),
                Event::Deliver { call, label } => self.deliver_late(&call, &label, at),
            }
            self.remember(at);
        }
    }

    /// How long something takes this time.
    pub(crate) fn span(&mut self, span: Span) -> Duration {
        span.draw(self.state.spans.rng(), self.config.speed)
    }

    /// A fixed duration at the speed of this world.
    pub(crate) fn scaled(&self, seconds: u64) -> Duration {
        #[allow(clippy::cast_precision_loss)]
        Duration::from_secs_f64(seconds as f64 / self.config.speed.max(0.001))
    }
}
