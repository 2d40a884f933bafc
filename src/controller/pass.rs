//! One pass over one app: look, decide, act, record, and say when to look again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Controller;
use super::queue::Priority;
use super::state::Known;
use crate::cloud::{Error, WriteError};
use crate::executor::Outcome;
use crate::inventory::Glance;
use crate::metrics::{BuildOutcome, ReconcileResult};
use crate::model::history::Event;
use crate::model::memory::Memory;
use crate::model::name::AppId;
use crate::model::observed::Observed;
use crate::model::policy::Admission as Answer;
use crate::model::schedule::later;
use crate::model::status::Phase;
use crate::planner::{self, Action, AppView, GONE, Plan, Requeue};
use crate::recorder::Recorded;

/// How long nothing is started after the account's limit was met. AWS: the call is never retried by the SDK,
/// and only a build that ends makes room.
const LIMIT_PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// How long nothing is started after a throttle that outlasted the SDK's own retries.
const THROTTLE_PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// How much of an app's history is asked for its newest version: lines are in the order of clocks, of which each
/// replica has its own, so what was written last may lie under all of the last half hour.
const HISTORY_ASKED: u32 = 100;

/// What history says of a memory.
enum History {
    /// It knows of no later one.
    Agrees,
    /// It does.
    IsAhead,
    /// It could not be read, or the memory is not the newest any more: look again.
    Unread,
}

impl Controller {
    /// Takes one app through the four stages.
    pub(super) async fn pass(&self, id: &AppId) {
        let began = Instant::now();
        let known = {
            let mut state = self.state();
            state.due.remove(id);
            state.known(id)
        };
        let mut view = self
            .inventory
            .look(id, |row, memory| self.context(id, row, memory))
            .await;
        note_operation(&view);
        self.distrust_a_lost_table(known, &mut view).await;
        let read = self.clock.now();
        let now = planted!(NowRounded => later(read, SignedDuration::from_secs(3600 - read.as_second() % 3600)), else read);
        let plan = self.decide(&mut view, now);
        // With a bug planted, the oracles of the world are to find it by themselves.
        debug_assert!(
            planted!() || planner::invariants::violations(&view, &plan).is_empty(),
            "{:?}",
            planner::invariants::violations(&view, &plan)
        );
        let acted = plan.action.is_some();
        let outcome = match &plan.action {
            Some(action) => self.executor.perform(action).await,
            None => Outcome::Done,
        };
        self.heed(&outcome, now);
        let recorded = self.recorder.record(&view, plan.clone(), &outcome, now).await;
        let result = self.follow_up(id, &view, &plan, &outcome, recorded, now);
        let undisturbed = matches!(result, ReconcileResult::Idle | ReconcileResult::Waiting);
        let result = if acted && undisturbed {
            ReconcileResult::Acted
        } else {
            result
        };
        self.metrics.reconcile.passed(result, began.elapsed());
    }

    /// A record that is older than the one known before the look, or than history tells of, shows that the state table
    /// was lost or restored. Nothing is decided on its strength until builds have been listed anew.
    async fn distrust_a_lost_table(&self, known: Known, view: &mut AppView) {
        let at_hand = match &view.memory {
            Observed::Present(memory) => Some(memory),
            Observed::Absent => None,
            Observed::Unknown => return,
        };
        let trusted = !known.is_ahead_of(at_hand)
            && match self.history_agrees(&view.id, at_hand).await {
                History::Agrees => true,
                History::Unread => {
                    view.memory = Observed::Unknown;
                    return;
                }
                History::IsAhead => false,
            };
        if !trusted {
            if self.state().state_table_went_back(&view.id) {
                self.metrics.sweeps.state_lost();
            }
            view.memory = Observed::Unknown;
        }
    }

    /// Whether history, which is a table of its own, tells of no later memory than the one at hand. A process that has
    /// just begun knows of none to compare with, and the newest builds of what the state table has lost may not be
    /// listed yet. So that is asked before it first decides about an app.
    async fn history_agrees(&self, id: &AppId, at_hand: Option<&Memory>) -> History {
        // Of one loss, each app would tell again.
        if self.state().vouched_for(id) || planted!(HistoryIgnored) {
            return History::Agrees;
        }
        let told = match self.cloud.state.events(id, HISTORY_ASKED).await {
            Ok(events) => events,
            Err(error) => return self.history_unread(id, &error),
        };
        let is_behind =
            |memory: Option<&Memory>| told_version(&told, memory) > memory.map_or(0, |memory| memory.version);
        if is_behind(at_hand) {
            // Another process may have written both since the look.
            return match self.cloud.state.memory(id).await {
                Ok(memory) if is_behind(memory.as_ref()) => History::IsAhead,
                Ok(_) => History::Unread,
                Err(error) => self.history_unread(id, &error),
            };
        }
        let mut state = self.state();
        state.vouch_for(id);
        state.history_trouble = None;
        History::Agrees
    }

    fn history_unread(&self, id: &AppId, error: &Error) -> History {
        let app = id.as_str().escape_debug();
        tracing::warn!(%app, error = error.chain(), "could not read the history, so nothing is done");
        self.state().history_trouble = Some(error.chain());
        History::Unread
    }

    /// Plans, asks admission about a build that the plan would start, and plans again if it has to wait.
    fn decide(&self, view: &mut AppView, now: Timestamp) -> Plan {
        let plan = planner::plan(view, &self.policy, now);
        let answer = match &plan.action {
            Some(Action::Intend { kind, class, .. }) => self.admission().ask(&view.id, *kind, *class, now),
            Some(Action::StartBuild { .. }) => self.admission().ask_to_send(now),
            Some(
                Action::Adopt { .. }
                | Action::CloseGate { .. }
                | Action::StopBuild { .. }
                | Action::Bid { .. }
                | Action::Keep { .. }
                | Action::Scale { .. }
                | Action::DeleteService { .. },
            )
            | None => return plan,
        };
        if answer == Answer::Granted {
            return plan;
        }
        view.admission = answer;
        planner::plan(view, &self.policy, now)
    }

    /// A limit or a throttle concerns everybody who wants a build.
    fn heed(&self, outcome: &Outcome, now: Timestamp) {
        let Outcome::Failed(error) = outcome else { return };
        let pause = match error {
            Error::LimitReached { .. } => LIMIT_PAUSE,
            Error::Throttled { call, .. } if call.contains("StartBuild") => THROTTLE_PAUSE,
            Error::Throttled { .. }
            | Error::Denied { .. }
            | Error::NotFound { .. }
            | Error::Rejected { .. }
            | Error::Unavailable { .. }
            | Error::Unreadable { .. } => return,
        };
        self.admission().pause_until(later(now, pause), error.to_string());
    }

    fn follow_up(
        &self,
        id: &AppId,
        view: &AppView,
        plan: &Plan,
        outcome: &Outcome,
        recorded: Result<Recorded, WriteError>,
        now: Timestamp,
    ) -> ReconcileResult {
        let priority = priority(plan);
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(error) => return self.write_failed(id, view, error, priority),
        };
        let forgotten = recorded.forgotten || (view.memory.is_absent() && !recorded.changed);
        let memory = (!forgotten).then_some(&recorded.memory);
        if !view.memory.is_unknown() {
            self.note(id, view, memory);
        }
        if recorded.changed {
            self.tell(view, plan, &recorded.memory, now);
        }
        if let Some(notices) = self.notices.as_ref().filter(|_| !view.memory.is_unknown()) {
            // Nothing is told beforehand while it is held back.
            let wanted = memory.filter(|_| view.paused.is_absent());
            notices.see_to(id, view.row.present(), wanted);
        }
        if let Outcome::Failed(error) = outcome {
            tracing::warn!(app = %id.as_str().escape_debug(), error = error.chain(), "the call did not succeed");
            self.queue.add_rate_limited(id, priority, self.entropy());
            return ReconcileResult::Failed;
        }
        if view.row.is_unknown() || view.memory.is_unknown() || view.paused.is_unknown() {
            self.queue.add_rate_limited(id, priority, self.entropy());
            return ReconcileResult::Failed;
        }
        // A pass that changed nothing and is to be followed up at once would go round for ever.
        if plan.requeue == Requeue::Now && !recorded.changed && plan.action.is_none() {
            self.queue.add_rate_limited(id, priority, self.entropy());
            return ReconcileResult::Waiting;
        }
        self.queue.forget(id);
        self.requeue(id, plan.requeue, priority, now);
        // The next sweep would find it as well.
        if let Some(Action::Bid { holder, .. }) = &plan.action
            && self.held().has(holder)
        {
            self.queue.add(holder, Priority::Human);
        }
        if plan.decision.rule == "RowGone" {
            self.state().sweep_wanted = true;
        }
        if plan.requeue == Requeue::Sweep {
            ReconcileResult::Idle
        } else {
            ReconcileResult::Waiting
        }
    }

    fn write_failed(
        &self,
        id: &AppId,
        view: &AppView,
        error: WriteError,
        priority: Priority,
    ) -> ReconcileResult {
        // What the memory really is, the next look will tell; a place taken for this pass is given back.
        self.admission().note(id, view.memory.present());
        let result = match error {
            WriteError::VersionConflict => ReconcileResult::Conflict,
            WriteError::ClaimTaken { key, .. } => {
                tracing::info!(app = %id.as_str().escape_debug(), claim = ?key.as_str(), "another app took the claim first");
                ReconcileResult::Conflict
            }
            WriteError::Other(error) => {
                tracing::warn!(app = %id.as_str().escape_debug(), error = error.chain(), "could not record the pass");
                ReconcileResult::Failed
            }
        };
        self.queue.add_rate_limited(id, priority, self.entropy());
        result
    }

    fn note(&self, id: &AppId, view: &AppView, memory: Option<&Memory>) {
        // Before admission is told: see where a sweep is taken in.
        if !view.row.is_unknown() {
            self.state().note(id, view.row.present(), memory);
        }
        let (freed, next) = {
            let mut admission = self.admission();
            let before = admission.in_flight();
            admission.note(id, memory);
            let freed = admission.in_flight() < before;
            (freed, if freed { admission.next() } else { Vec::new() })
        };
        if freed {
            for waiting in next {
                self.queue.add(&waiting, Priority::Human);
            }
        }
    }

    /// One line per change of state, and what is counted about it.
    fn tell(&self, view: &AppView, plan: &Plan, memory: &Memory, now: Timestamp) {
        let before = view.memory.present();
        let operation = memory.operation.as_ref();
        if before.is_none_or(|before| before.decision != memory.decision) {
            tracing::info!(
                app = %view.id.as_str().escape_debug(),
                phase = %memory.status.phase,
                rule = plan.decision.rule,
                reason = plan.decision.reason,
                operation = operation.map(|o| o.id.as_str()),
                build = operation.and_then(|o| o.build.as_ref()).map(crate::model::name::BuildId::as_str),
                "{}",
                plan.decision.message,
            );
        }
        if let Some(warning) = &plan.warning {
            tracing::info!(app = %view.id.as_str().escape_debug(), rule = warning.rule, "{}", warning.message);
            self.metrics.warnings.warned();
        }
        if let Some(Action::Intend { kind, .. }) = &plan.action {
            self.metrics.builds.started(*kind);
        }
        let was_in_flight = before.and_then(Memory::in_flight);
        if let (Some(old), Some(new)) = (was_in_flight, operation)
            && let Some(settled) = new.settled.as_ref().filter(|_| old.id == new.id)
        {
            let took = settled.at.duration_since(new.intended_at);
            self.metrics
                .builds
                .ended(new.kind, BuildOutcome::from(&settled.outcome), unsigned(took));
        }
        if let Some(due) = before.and_then(crate::report::due_since)
            && crate::report::due_since(memory).is_none()
            && crate::report::standing(memory, now).is_none()
        {
            self.metrics.day.gone(unsigned(now.duration_since(due)));
        }
        // What wakes or is mended later answers nothing.
        let newly = memory
            .answered
            .filter(|request| before.is_none_or(|before| before.answered != Some(*request)));
        if let Some(request) = newly {
            // One that its schedule held until it opened counts from then on.
            let asked = memory.woken_at.map_or(request, |opened| opened.max(request));
            self.metrics
                .reconcile
                .became_ready(unsigned(now.duration_since(asked)));
        }
    }

    /// Puts an app where its plan wants to be looked at next.
    pub(super) fn requeue(&self, id: &AppId, requeue: Requeue, priority: Priority, now: Timestamp) {
        if !self.held().has(id) {
            // Its shard was lost while the pass was in hand; its next holder looks by itself.
            return;
        }
        let mut state = self.state();
        if requeue == Requeue::Progress {
            state.under_way.entry(id.clone()).or_insert(None);
        } else {
            state.under_way.remove(id);
        }
        match requeue {
            Requeue::At(at) => {
                state.due.insert(id.clone(), at);
                drop(state);
                self.queue
                    .add_after(id, unsigned(at.duration_since(now)), priority);
            }
            Requeue::Now => {
                drop(state);
                self.queue.add(id, priority);
            }
            Requeue::Progress | Requeue::Sweep => {}
        }
    }
}

/// Has every line of this pass say which operation and which build it found at work.
fn note_operation(view: &AppView) {
    let memory = view.memory.present();
    if let Some(operation) = memory.and_then(Memory::in_flight) {
        let span = tracing::Span::current();
        span.record("operation", operation.id.as_str());
        if let Some(build) = &operation.build {
            span.record("build", build.as_str());
        }
    }
}

/// The version that the memory at hand must have by these lines: the highest of its own life, and without a memory that of
/// any life. None of one that is over, since its memory may have been forgotten. Lines of older releases say nothing.
fn told_version(events: &[Event], at_hand: Option<&Memory>) -> u64 {
    let is_over = |life: &Option<String>| {
        events
            .iter()
            .any(|event| event.life == *life && event.reason == GONE)
    };
    let about_it = |event: &&Event| at_hand.is_none_or(|memory| memory.life == event.life);
    let lines = events
        .iter()
        .filter(about_it)
        .filter(|event| !is_over(&event.life));
    lines.filter_map(|event| event.version).max().unwrap_or(0)
}

/// How urgent an app's next pass is.
pub(super) fn priority(plan: &Plan) -> Priority {
    match (&plan.action, plan.memory.status.phase) {
        (_, Phase::Destroying | Phase::Suspending) => Priority::Teardown,
        (Some(_), _) | (None, Phase::Pending | Phase::Deploying | Phase::Starting | Phase::Refused) => {
            Priority::Human
        }
        (None, Phase::Ready | Phase::Suspended | Phase::Destroyed | Phase::Failed) => Priority::Repair,
    }
}

/// Whether a plan made from a sweep's batches is worth a proper look.
pub(super) fn wants_attention(view: &AppView, plan: &Plan) -> bool {
    let unchanged = match &view.memory {
        Observed::Present(memory) => *memory == plan.memory,
        Observed::Absent | Observed::Unknown => false,
    };
    // A sweep asks only apps that are ready for their health; one that came up since is worth asking too.
    let came_up = plan.decision.rule == "Observation"
        && plan.requeue == Requeue::Progress
        && Glance::Service(view.service.clone()).wants_a_look();
    plan.action.is_some() || plan.forget || !plan.release.is_empty() || !unchanged || came_up
}

pub(super) fn unsigned(duration: SignedDuration) -> Duration {
    duration.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::name::Entropy;

    #[test]
    fn history_tells_of_the_life_at_hand_and_of_none_that_is_over() {
        let line = |life: Option<&str>, version, reason: &str| {
            let (at, ttl) = Event::keys(Timestamp::UNIX_EPOCH, Entropy([0; 16]));
            Event {
                id: AppId::from_key("a").unwrap(),
                at,
                time: Timestamp::UNIX_EPOCH,
                rule: "Row".to_owned(),
                reason: reason.to_owned(),
                message: String::new(),
                phase: String::new(),
                version,
                life: life.map(str::to_owned),
                requested_by: None,
                inputs: None,
                ttl,
            }
        };
        let memory = |life: Option<&str>| {
            let mut memory = Memory::new(AppId::from_key("a").unwrap());
            memory.life = life.map(str::to_owned);
            memory
        };
        // Clocks of replicas differ: lines of two lives are in no order, and the end is not the first of its life.
        let told = [
            line(Some("one"), Some(21), "VerifyingDestroy"),
            line(Some("two"), Some(2), "BuildRunning"),
            line(Some("one"), Some(22), "Gone"),
            line(Some("two"), Some(3), "Ready"),
            line(None, None, "Ready"),
        ];
        assert_eq!(told_version(&told, Some(&memory(Some("two")))), 3);
        assert_eq!(told_version(&told, None), 3, "that memory was lost");
        assert_eq!(told_version(&told, Some(&memory(Some("one")))), 0);
        assert_eq!(
            told_version(&told, Some(&memory(None))),
            0,
            "begun by an older release"
        );
        assert_eq!(told_version(&told[..1], None), 21);
        assert_eq!(told_version(&told[2..3], None), 0, "forgotten");
        assert_eq!(told_version(&[], None), 0);
    }
}
