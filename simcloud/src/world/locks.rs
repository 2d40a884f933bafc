//! The lock of each app's Terraform state. AWS knows nothing of it; Terraform does: one state, one writer, and a
//! writer that is killed leaves its lock behind.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::after;
use super::agenda::{BuildStep, Event};
use super::behaviour::Behaviour;
use super::builds::{Context, Phase};
use super::phases::Failure;
use crate::sim::Sim;

/// A held lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StateLock {
    pub(crate) build: String,
    /// When the holder was killed, if it was.
    pub(crate) abandoned: Option<Timestamp>,
}

/// How long after its holder's end a lock may be forced open.
const FORCE_AFTER_SECS: u64 = 60;

impl Sim {
    /// The start of `BUILD`: Terraform locks the state of the host, or fails.
    pub(crate) fn take_lock(&mut self, id: &str, at: Timestamp) {
        let Some(build) = self.state.builds.get(id) else {
            return;
        };
        let contract = &self.config.contract;
        let host = build.variable(&contract.host_name).map(str::to_owned);
        let may_force = contract.force_unlock && build.gate_passed.is_some();
        let hangs = build.behaviours.contains(&Behaviour::hang_in(Phase::Build));
        if let Some(lock) = host.as_ref().and_then(|host| self.state.locks.get(host)).cloned() {
            match lock.abandoned {
                Some(killed) if may_force => {
                    let open = after(killed, self.scaled(FORCE_AFTER_SECS));
                    if at < open {
                        return self.plan_build(id, open, BuildStep::Lock);
                    }
                    self.ledger
                        .note(at, &format!("{id} forces the lock that {} left", lock.build));
                }
                abandoned => {
                    if abandoned.is_none() {
                        self.violation(
                            at,
                            &format!("{id} and {} were in BUILD at once for one host", lock.build),
                        );
                    }
                    // FACTS of Terraform: "Error acquiring the state lock … ConditionalCheckFailedException".
                    let message = "Error while executing command: terraform apply. Reason: exit status 1. \
                                   Error acquiring the state lock: ConditionalCheckFailedException"
                        .to_owned();
                    let context = Context {
                        code: "COMMAND_EXECUTION_ERROR".to_owned(),
                        message,
                    };
                    return self.fail_phase(id, at, Failure::failed(context));
                }
            }
        }
        if let Some(host) = host {
            self.state.locks.insert(
                host,
                StateLock {
                    build: id.to_owned(),
                    abandoned: None,
                },
            );
        }
        self.with_build(id, |build| build.applied_from = Some(at));
        self.check_builds(id, at);
        if !hangs {
            let wait = self.terraform_span(id).mul_f64(self.before_acting(id));
            self.plan_build(id, after(at, wait), BuildStep::Act);
        }
    }

    /// `BUILD` ends in the ordinary way and unlocks.
    pub(crate) fn release_lock(&mut self, id: &str, at: Timestamp) {
        let Some(build) = self.state.builds.get_mut(id) else {
            return;
        };
        if build.phase() != Phase::Build || build.applied_from.is_none() {
            return;
        }
        build.applied_to = Some(at);
        let host = build.variable(&self.config.contract.host_name);
        let Some(host) = host.map(str::to_owned) else {
            return;
        };
        let mine = |lock: &StateLock| lock.build == id && lock.abandoned.is_none();
        if self.state.locks.get(&host).is_some_and(mine) {
            self.state.locks.remove(&host);
        }
    }

    /// The container is gone and never unlocked; or it is not quite gone yet.
    pub(crate) fn abandon_lock(&mut self, id: &str, at: Timestamp) {
        for lock in self.state.locks.values_mut() {
            if lock.build == id {
                lock.abandoned.get_or_insert(at);
            }
        }
        let Some(build) = self.state.builds.get(id) else {
            return;
        };
        let lives_on = build.behaviours.iter().find_map(|behaviour| match behaviour {
            Behaviour::OutlivesStop(wait) => Some(*wait),
            _ => None,
        });
        if let Some(wait) = lives_on
            && build.phase() == Phase::Build
            && build.applied.is_none()
        {
            let (id, step) = (id.to_owned(), BuildStep::LateAct);
            let event = Event::Build {
                id,
                epoch: None,
                step,
            };
            self.state.agenda.plan(after(at, wait), event);
        }
    }

    /// Terraform finishes what it had begun when its build was ended.
    pub(crate) fn act_late(&mut self, id: &str, at: Timestamp) {
        let host_name = &self.config.contract.host_name;
        let host = self
            .state
            .builds
            .get(id)
            .and_then(|build| build.variable(host_name));
        let holder = host
            .and_then(|host| self.state.locks.get(host))
            .map(|lock| lock.build.clone());
        if let Some(holder) = holder.filter(|holder| holder != id) {
            self.violation(at, &format!("{id} changed the world while {holder} had the lock"));
        }
        self.ledger.note(at, &format!("{id} still acts after its end"));
        self.run_terraform(id, at);
        self.with_build(id, |build| build.applied = Some(at));
    }
}
