//! One app's history, as stretches in which nothing changed.

use jiff::Timestamp;

use super::Subject;
use crate::model::history::{Event, Inputs};
use crate::model::row::Desired;
use crate::model::status::Phase;

/// A stretch of an app's life.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) phase: Phase,
    pub(super) inputs: Inputs,
}

impl Stretch {
    /// Whether it may have tasks that run.
    pub(super) fn is_up(&self) -> bool {
        is_up(self.phase, self.is_due())
    }

    /// Whether it should have none: a stop has begun, or its row asks for its end or is gone.
    pub(super) fn is_due(&self) -> bool {
        let unwanted = self.inputs.desired == Some(Desired::Destroyed);
        self.inputs.stop_due.is_some() || unwanted || self.inputs.row_gone_since.is_some()
    }

    /// Whether it has none any more: nothing of it, or none that run.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.phase, Phase::Destroyed | Phase::Suspended)
    }
}

/// Whether an app may have tasks that run. Of what failed to deploy nothing is known to run; of what failed to be
/// destroyed, something may.
pub(super) fn is_up(phase: Phase, due: bool) -> bool {
    match phase {
        Phase::Starting | Phase::Ready | Phase::Suspending | Phase::Destroying => true,
        Phase::Failed => due,
        Phase::Pending | Phase::Deploying | Phase::Suspended | Phase::Destroyed | Phase::Refused => false,
    }
}

/// An app's life as `events` tell it, oldest first, until `until`; and at `now`, if that is not later, as it is
/// remembered. Clocks of replicas differ, so a line that is older than the one before it counts from that one's time on.
pub(super) fn stretches(
    subject: Subject<'_>,
    events: &[Event],
    until: Timestamp,
    now: Timestamp,
) -> Vec<Stretch> {
    let mut life: Vec<Stretch> = Vec::new();
    let mut begin = |at: Timestamp, phase: Option<Phase>, inputs: Option<Inputs>| {
        let last = life.last_mut();
        let at = last.as_ref().map_or(at, |last| at.max(last.from));
        // A line about an exemption, or one of an older release, tells no more than what it is about.
        let before = last.as_ref().map(|last| last.inputs.clone());
        let was = last.as_ref().map(|last| last.phase);
        if let Some(last) = last {
            last.to = at;
        }
        life.push(Stretch {
            from: at,
            to: until.max(at),
            phase: phase.or(was).unwrap_or_default(),
            inputs: inputs.or(before).unwrap_or_default(),
        });
    };
    for event in events {
        begin(event.time, Phase::parse(&event.phase), event.inputs.clone());
    }
    if now <= until
        && let Some(memory) = subject.memory
    {
        begin(now, Some(memory.status.phase), Some(Inputs::of(memory)));
    }
    life
}
