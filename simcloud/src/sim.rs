//! The one value behind the lock: configuration, world, ledger and faults. Performs calls; which faults befall a
//! call, and how long it waits, is decided in `cloud`.

use jiff::Timestamp;

use crate::api;
use crate::config::SimConfig;
use crate::faults::Injector;
use crate::history::History;
use crate::ledger::Ledger;
use crate::rates::Buckets;
use crate::wire::answer::{Answer, Outcome};
use crate::wire::{Call, Service};
use crate::world::State;

#[derive(Debug)]
pub(crate) struct Sim {
    pub(crate) config: SimConfig,
    pub(crate) state: State,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Injector,
    pub(crate) history: History,
    pub(crate) buckets: Buckets,
}

impl Sim {
    pub(crate) fn new(config: SimConfig, state: State) -> Self {
        let ledger = Ledger::new(config.log_lines);
        let faults = Injector::new(config.seed);
        Self {
            config,
            state,
            ledger,
            faults,
            history: History::default(),
            buckets: Buckets::default(),
        }
    }

    /// Applies a call to the world, now.
    pub(crate) fn perform(&mut self, call: &Call, now: Timestamp) -> Answer {
        let outcome = match call.service {
            Service::CodeBuild => api::codebuild::perform(self, call, now),
            Service::Ecs => api::ecs::perform(self, call, now),
            Service::Elb => api::elb::perform(self, call, now),
            Service::DynamoDb | Service::DynamoDbStreams => api::dynamodb::perform(self, call),
            Service::Sts => api::sts::perform(self, call),
        };
        self.answer(Some(call.service), &call.operation, outcome)
    }

    pub(crate) fn answer(&mut self, service: Option<Service>, operation: &str, outcome: Outcome) -> Answer {
        let request_id = self.state.request_ids.uuid();
        Answer::new(service, operation, outcome, request_id)
    }

    /// A call arrives after its caller gave up on it.
    pub(crate) fn deliver_late(&mut self, call: &Call, label: &str, at: Timestamp) {
        let answer = self.perform(call, at);
        let outcome = format!("{} ({label})", answer.outcome());
        self.ledger.call(at, call, &outcome);
    }
}
