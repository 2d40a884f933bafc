//! What is due and when. Equal times keep the order in which they were planned, so a run is repeatable.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::Call;

/// Something that will happen to the world by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A build goes on. Without an epoch it concerns the build whatever it is doing by then.
    Build {
        id: String,
        epoch: Option<u32>,
        step: BuildStep,
    },
    /// A task goes on, unless something else has happened to it since.
    Task { id: String, epoch: u32, step: TaskStep },
    /// A service goes on; `serial` tells a service from an earlier one of the same name.
    Service {
        key: String,
        serial: u64,
        step: ServiceStep,
    },
    /// A call arrives long after its caller gave up.
    Deliver { call: Call, label: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BuildStep {
    /// The present phase is over.
    PhaseEnds,
    /// A queued build may start once there is room.
    MayStart,
    /// Terraform asks for its lock.
    Lock,
    /// Terraform changes the world.
    Act,
    /// Terraform changes the world although its build has been ended.
    LateAct,
    QueueTimeout,
    BuildTimeout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TaskStep {
    Pending,
    Run,
    Crash,
    CheckTarget,
    /// The load balancer's health checks made the scheduler give up on the task.
    Replace,
    Stopped,
    Forget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ServiceStep {
    /// Launch back-off or draining time is over.
    Settle,
    Forget,
}

/// The events to come.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Planned>", into = "Vec<Planned>")]
pub(crate) struct Agenda {
    events: BTreeMap<(Timestamp, u64), Event>,
    next: u64,
}

type Planned = (Timestamp, u64, Event);

impl From<Vec<Planned>> for Agenda {
    fn from(planned: Vec<Planned>) -> Self {
        let next = planned.iter().map(|(_, order, _)| order + 1).max().unwrap_or(0);
        let events = planned
            .into_iter()
            .map(|(at, order, event)| ((at, order), event))
            .collect();
        Self { events, next }
    }
}

impl From<Agenda> for Vec<Planned> {
    fn from(agenda: Agenda) -> Self {
        agenda
            .events
            .into_iter()
            .map(|((at, order), event)| (at, order, event))
            .collect()
    }
}

impl Agenda {
    pub(crate) fn plan(&mut self, at: Timestamp, event: Event) {
        self.events.insert((at, self.next), event);
        self.next += 1;
    }

    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Event)> {
        let first = self.events.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let ((at, _), event) = first.remove_entry();
        Some((at, event))
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn forget(id: &str) -> Event {
        Event::Task {
            id: id.to_owned(),
            epoch: 0,
            step: TaskStep::Forget,
        }
    }

    #[test]
    fn equal_times_keep_their_order_also_after_a_restart() {
        let at = Timestamp::UNIX_EPOCH;
        let mut agenda = Agenda::default();
        for id in ["b", "a"] {
            agenda.plan(at, forget(id));
        }
        let text = serde_json::to_string(&agenda).unwrap();
        let mut agenda: Agenda = serde_json::from_str(&text).unwrap();
        agenda.plan(at, forget("c"));
        let mut order = Vec::new();
        while let Some((_, Event::Task { id, .. })) = agenda.pop_due(at) {
            order.push(id);
        }
        assert_eq!(order, ["b", "a", "c"]);
    }

    #[test]
    fn nothing_happens_before_its_time() {
        let mut agenda = Agenda::default();
        agenda.plan("2026-11-20T09:00:01Z".parse().unwrap(), forget("a"));
        assert!(agenda.pop_due("2026-11-20T09:00:00Z".parse().unwrap()).is_none());
        assert!(agenda.next_due().is_some());
    }
}
