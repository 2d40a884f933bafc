//! RECORD: writes what was decided and what came of it: memory with status, history, gate and claims, all in
//! one conditional write. Never changes CodeBuild or ECS.

use std::sync::Arc;

use jiff::Timestamp;

use crate::cloud::{StateStore, Write, WriteError};
use crate::executor::Outcome;
use crate::model::history::{Event, Inputs};
use crate::model::memory::Memory;
use crate::model::name::{Entropy, OperationId};
use crate::model::observed::Observed;
use crate::model::schedule::later;
use crate::model::status::Source;
use crate::planner::{Action, AppView, Decision, Plan};

/// Writes passes down.
#[derive(Clone)]
pub struct Recorder {
    state: Arc<dyn StateStore>,
}

/// What was written.
#[derive(Debug)]
pub struct Recorded {
    /// The memory as it is now.
    pub memory: Memory,
    /// Whether anything was written.
    pub changed: bool,
    /// Whether the memory is forgotten.
    pub forgotten: bool,
}

/// How long a gate is kept after its operation was settled. A build that finds no gate is turned away.
const GATE_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

impl Recorder {
    /// A recorder on this store.
    pub fn new(state: Arc<dyn StateStore>) -> Self {
        Self { state }
    }

    /// Writes down a pass, unless it changed nothing.
    pub async fn record(
        &self,
        view: &AppView,
        plan: Plan,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<Recorded, WriteError> {
        let before = match &view.memory {
            Observed::Present(memory) => Some(memory),
            Observed::Absent => None,
            // Nothing is ever written over a memory that could not be read.
            Observed::Unknown => {
                return Ok(Recorded {
                    memory: plan.memory,
                    changed: false,
                    forgotten: false,
                });
            }
        };
        let mut memory = plan.memory;
        if let Some(Action::StartBuild { .. }) = &plan.action {
            note_start(&mut memory, outcome);
        }
        let unchanged = before == Some(&memory) && plan.release.is_empty() && !plan.forget;
        // Nothing was seen of it yet; or it was never seen and nothing is known of it.
        let worthless = before.is_none()
            && (memory == Memory::new(view.id.clone())
                || memory.accepted.is_none() && memory.deployment.is_none() && view.row.is_absent());
        if unchanged || worthless {
            return Ok(Recorded {
                memory,
                changed: false,
                forgotten: false,
            });
        }
        let expected_version = planted!(
            VersionIgnored => self.state.memory(&view.id).await.ok().flatten().map_or(0, |memory| memory.version),
            else before.map_or(0, |memory| memory.version)
        );
        // The last one there is is read by no adapter.
        memory.version = expected_version.saturating_add(1);
        let mut events = event(view, before, &mut memory, plan.decision.rule, now, view.entropy);
        events.extend(
            plan.warning
                .as_ref()
                .map(|warning| line(view, &memory, warning, now)),
        );
        let (open_gate, take) = match &plan.action {
            Some(Action::Intend { operation, take, .. }) => (Some(operation.clone()), take.clone()),
            Some(Action::Adopt { take }) => (None, take.clone()),
            Some(
                Action::StartBuild { .. }
                | Action::CloseGate { .. }
                | Action::StopBuild { .. }
                | Action::Bid { .. }
                | Action::Keep { .. }
                | Action::Scale { .. }
                | Action::DeleteService { .. },
            )
            | None => (None, Vec::new()),
        };
        let write = Write {
            events,
            expire_gate: settled_now(before, &memory).map(|id| (id, later(now, GATE_KEPT))),
            expected_version,
            forget: plan.forget,
            open_gate,
            take,
            release: plan.release,
            at: now,
            memory,
        };
        self.state.write(&write).await?;
        Ok(Recorded {
            memory: write.memory,
            changed: true,
            forgotten: write.forget,
        })
    }
}

/// What came of `StartBuild` belongs to the operation it was sent for.
fn note_start(memory: &mut Memory, outcome: &Outcome) {
    let Some(operation) = memory
        .operation
        .as_mut()
        .filter(|operation| operation.in_flight())
    else {
        return;
    };
    match outcome {
        Outcome::Started(build) => {
            operation.build = Some(build.clone());
            operation.start_trouble = None;
            if let Some(status) = &mut memory.status.build {
                status.id = Some(build.to_string());
            }
        }
        Outcome::Failed(error @ crate::cloud::Error::LimitReached { .. }) if planted!(CapacityIsFailure) => {
            operation.start_error = Some(error.to_string());
        }
        Outcome::Failed(error) if operation.build.is_none() => match error {
            crate::cloud::Error::NotFound { .. } | crate::cloud::Error::Rejected { .. } => {
                operation.start_error = Some(error.to_string());
            }
            crate::cloud::Error::Throttled { .. }
            | crate::cloud::Error::LimitReached { .. }
            | crate::cloud::Error::Denied { .. }
            | crate::cloud::Error::Unavailable { .. }
            | crate::cloud::Error::Unreadable { .. } => operation.start_trouble = Some(error.to_string()),
        },
        Outcome::Failed(_) | Outcome::Done => {}
    }
}

/// The operation that this pass settled, if it did.
fn settled_now(before: Option<&Memory>, after: &Memory) -> Option<OperationId> {
    let old = before?.in_flight()?;
    let new = after.operation.as_ref()?;
    (new.id == old.id && new.settled.is_some()).then(|| new.id.clone())
}

/// The line about a stop that is near.
fn line(view: &AppView, memory: &Memory, warning: &Decision, now: Timestamp) -> Event {
    let (at, ttl) = Event::keys(now, view.entropy.apart(2));
    Event {
        id: view.id.clone(),
        at,
        time: now,
        rule: warning.rule.to_owned(),
        reason: warning.reason.to_owned(),
        message: warning.message.clone(),
        phase: memory.status.phase.to_string(),
        version: Some(memory.version),
        life: memory.life.clone(),
        requested_by: view.row.present().and_then(|row| row.requested_by.clone()),
        inputs: Some(Inputs::of(memory)),
        ttl,
    }
}

/// History gets a line when the rule or what it came to changes. The first one gives a record its life.
fn event(
    view: &AppView,
    before: Option<&Memory>,
    after: &mut Memory,
    rule: &str,
    now: Timestamp,
    entropy: Entropy,
) -> Vec<Event> {
    // What is given through the API has a line of its own.
    let by_row = |memory: &Memory| {
        let exemption = memory.status.exemption.as_ref();
        let by_row = exemption.filter(|exemption| exemption.source == Source::Row);
        by_row.map(|exemption| exemption.until)
    };
    let same = |before: &Memory| before.decision == after.decision && by_row(before) == by_row(after);
    if before.is_some_and(same) {
        return Vec::new();
    }
    let (at, ttl) = Event::keys(now, entropy);
    if before.is_none() {
        after.life = Some(at.clone());
    }
    vec![Event {
        id: view.id.clone(),
        at,
        time: now,
        rule: rule.to_owned(),
        reason: after.status.reason.clone(),
        message: after.status.message.clone(),
        phase: after.status.phase.to_string(),
        version: Some(after.version),
        life: after.life.clone(),
        requested_by: view.row.present().and_then(|row| row.requested_by.clone()),
        inputs: Some(Inputs::of(after)),
        ttl,
    }]
}
