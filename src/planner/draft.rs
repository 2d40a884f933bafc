//! The plan while it is being made, and what a step answers.

use std::sync::Arc;

use jiff::Timestamp;

use super::plan::{Action, AppView, Class, Requeue};
use super::recall;
use crate::model::blueprint::{Blueprint, BuildKind, BuildRequest};
use crate::model::claim::ClaimKey;
use crate::model::keep::Ledger;
use crate::model::memory::{Ending, Failures, Memory, Operation};
use crate::model::name::OperationId;
use crate::model::policy::{Admission, Policy};
use crate::model::schedule::later;
use crate::model::status::Phase;
use crate::model::utc;

/// Everything a step may read, and the memory it may change.
pub(super) struct Draft<'a> {
    pub(super) view: &'a AppView,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
    pub(super) memory: Memory,
    /// What the ledger of exemptions is to say, where it says something else.
    pub(super) ledger: Option<Ledger>,
    pub(super) release: Vec<ClaimKey>,
    pub(super) forget: bool,
}

/// What a step came to.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) action: Option<Action>,
    pub(super) phase: Phase,
    /// The rule behind it, when it is not the wish's.
    pub(super) rule: Option<&'static str>,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) requeue: Requeue,
    /// Something that matters could not be looked at: what was told last stands.
    pub(super) blind: bool,
}

impl Step {
    /// Nothing is decided until a look succeeds.
    pub(super) fn blind(phase: Phase, message: impl Into<String>) -> Self {
        let step = Self::wait(phase, "WaitingForObservation", message, Requeue::Progress);
        Self {
            blind: true,
            rule: Some("Observation"),
            ..step
        }
    }

    /// Nothing to do now, for a reason.
    pub(super) fn wait(
        phase: Phase,
        reason: &'static str,
        message: impl Into<String>,
        requeue: Requeue,
    ) -> Self {
        Self {
            action: None,
            phase,
            rule: None,
            reason,
            message: message.into(),
            requeue,
            blind: false,
        }
    }

    /// Something to do, followed up at once.
    pub(super) fn act(
        phase: Phase,
        reason: &'static str,
        message: impl Into<String>,
        action: Action,
    ) -> Self {
        Self {
            action: Some(action),
            phase,
            rule: None,
            reason,
            message: message.into(),
            requeue: Requeue::Now,
            blind: false,
        }
    }

    pub(super) fn because(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }
}

impl Draft<'_> {
    /// Notes one more failure of a kind of build, and when to try again.
    pub(super) fn count_failure(&mut self, kind: BuildKind, message: String) {
        let before = self
            .memory
            .failures
            .as_ref()
            .filter(|f| f.kind == kind)
            .map_or(0, |f| f.count);
        let count = before.saturating_add(1);
        self.memory.failures = Some(Failures {
            kind,
            count,
            message,
            retry_at: self.retry_at(kind, count),
        });
    }

    /// Puts off the next try without counting a failure: a lack of capacity is nobody's.
    pub(super) fn defer(&mut self, kind: BuildKind, message: String) {
        let count = self.failures(kind).map_or(0, |failures| failures.count);
        let retry_at = self.retry_at(kind, count.max(1));
        self.memory.failures = Some(Failures {
            kind,
            count,
            message,
            retry_at,
        });
    }

    /// When to try again after `count` failures in a row.
    pub(super) fn retry_at(&self, kind: BuildKind, count: u32) -> Timestamp {
        let timing = &self.policy.timing;
        let backoff = match kind {
            BuildKind::Apply => timing.deploy_retry,
            BuildKind::Destroy if planted!(DestroyNotRetried) => return Timestamp::MAX,
            BuildKind::Destroy => timing.destroy_retry,
        };
        later(self.now, backoff.delay(count, self.view.entropy))
    }

    /// Failures in a row of this kind of build.
    pub(super) fn failures(&self, kind: BuildKind) -> Option<&Failures> {
        self.memory
            .failures
            .as_ref()
            .filter(|failures| failures.kind == kind)
    }

    /// Whether the last operation was a destroy that left something.
    fn was_survived(&self) -> bool {
        let last = self.memory.operation.as_ref();
        let settled = last.and_then(|operation| operation.settled.as_ref());
        settled.is_some_and(|settled| settled.outcome == Ending::Leftover)
    }

    /// Whether deployments have failed too often in a row.
    pub(super) fn stalled(&self) -> bool {
        self.failures(BuildKind::Apply)
            .is_some_and(|f| f.count >= self.policy.max_attempts)
    }

    /// Whether the builds of a project ask at the gate, as the catalogue says now: it speaks of the buildspec, which
    /// is not frozen with the blueprint. Where it has no such app or project any more, what was last known counts.
    fn asks_at_gate(&self, blueprint: &Blueprint, request: &BuildRequest) -> bool {
        let entry = self.policy.catalogue.get(&blueprint.identity.app);
        let projects = entry.map(|entry| [&entry.deploy_project, &entry.destroy_project]);
        entry
            .filter(|_| projects.is_some_and(|projects| projects.contains(&&request.project)))
            .map(|entry| entry.gate)
            .or_else(|| self.memory.operation.as_ref().map(|last| last.gate))
            .unwrap_or(true)
    }

    /// Intends a build, unless it has to wait for its backoff or its place in the line.
    pub(super) fn intend(
        &mut self,
        kind: BuildKind,
        class: Class,
        blueprint: Arc<Blueprint>,
        take: Vec<ClaimKey>,
    ) -> Step {
        let phase = match kind {
            BuildKind::Apply => Phase::Pending,
            BuildKind::Destroy => Phase::Destroying,
        };
        if let Some(failures) = self.failures(kind)
            && failures.retry_at > self.now
            && !planted!(BackoffForgotten)
        {
            let what = match failures.count {
                0 => "CodeBuild had no room for it".to_owned(),
                1 => "It failed once".to_owned(),
                count => format!("It failed {count} times in a row"),
            };
            let next = utc(failures.retry_at);
            let survived = kind == BuildKind::Destroy && self.was_survived();
            let (reason, what) = match self.memory.leftover.as_ref().filter(|_| survived) {
                Some(leftover) => (
                    "Leftover",
                    format!("{leftover}, and keeps the app's names and slot"),
                ),
                None => ("WaitingToRetry", format!("{what} ({})", failures.message)),
            };
            let message = format!("{what}; the next try is at {next}.");
            return Step::wait(phase, reason, message, Requeue::At(failures.retry_at)).because("Backoff");
        }
        if let Admission::Waiting { place, reason, until } = &self.view.admission {
            let message = format!("Number {place} in line for a build: {reason}.");
            return Step::wait(phase, "WaitingForBuildSlot", message, Requeue::At(*until))
                .because("Admission");
        }
        if self.view.traces.is_unknown() {
            let message = "Builds have not been listed yet; nothing is started until it is known what runs.";
            return Step::wait(phase, "WaitingForListing", message, Requeue::Progress).because("Recovery");
        }
        if let Some(step) = recall::wait_for_it(self, phase) {
            return step;
        }
        let new = OperationId::generate(self.view.entropy, self.now);
        let id = planted!(TokenReused => self.memory.operation.take().map_or(new, |last| last.id), else new);
        let request = Arc::new(blueprint.request(kind, &id));
        let gate = self.asks_at_gate(&blueprint, &request);
        if let Some(last) = self.memory.operation.take() {
            self.memory.leave_behind(last.id);
        }
        self.memory.operation = Some(Operation {
            id: id.clone(),
            kind,
            blueprint,
            request,
            intended_at: self.now,
            gate,
            build: None,
            cancel: None,
            start_error: None,
            start_trouble: None,
            settled: None,
        });
        self.memory.service_absent_since = None;
        self.memory.route_lost_since = None;
        self.memory.ready_since = None;
        if kind == BuildKind::Apply {
            // What is applied again is no leftover.
            self.memory.leftover = None;
        }
        let (phase, reason) = match kind {
            BuildKind::Apply => (Phase::Deploying, "DeployIntended"),
            BuildKind::Destroy => (Phase::Destroying, "DestroyIntended"),
        };
        let message = format!("A build that runs {} is about to start.", kind.as_str());
        Step::act(
            phase,
            reason,
            message,
            Action::Intend {
                operation: id,
                kind,
                class,
                take,
            },
        )
    }
}
