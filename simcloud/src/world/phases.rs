//! How a build moves through its phases: what each is entered with, how it ends, and what follows. The effects
//! themselves are in `gate`, `locks` and `terraform`.

use jiff::Timestamp;

use super::agenda::{BuildStep, Event};
use super::behaviour::Behaviour;
use super::builds::{BuildStatus, Context, Phase, PhaseRecord};
use super::{after, terraform};
use crate::sim::Sim;

/// Why a phase did not succeed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: &'static str,
    pub(crate) context: Context,
}

impl Failure {
    pub(crate) fn failed(context: Context) -> Self {
        Self {
            status: "FAILED",
            context,
        }
    }
}

impl Sim {
    pub(crate) fn build_event(&mut self, id: &str, epoch: Option<u32>, step: BuildStep, at: Timestamp) {
        let Some(build) = self.state.builds.get(id) else {
            return;
        };
        if step == BuildStep::LateAct {
            return self.act_late(id, at);
        }
        if build.is_complete() || epoch.is_some_and(|epoch| epoch != build.epoch) {
            return;
        }
        match step {
            BuildStep::PhaseEnds => self.phase_ends(id, at),
            BuildStep::MayStart => {
                self.with_build(id, |build| build.waits_for_room = true);
                self.admit(at);
            }
            BuildStep::Lock => self.take_lock(id, at),
            BuildStep::Act => self.act(id, at),
            BuildStep::LateAct => {}
            BuildStep::QueueTimeout => {
                if build.phase() <= Phase::Queued {
                    let text = "Build timed out waiting in the queue.";
                    self.kill_build(id, at, BuildStatus::TimedOut, Some(("QUEUED_TIMED_OUT", text)));
                }
            }
            BuildStep::BuildTimeout => {
                self.kill_build(
                    id,
                    at,
                    BuildStatus::TimedOut,
                    Some(("BUILD_TIMED_OUT", "Build has timed out.")),
                );
            }
        }
    }

    /// Puts a build into a phase and plans how that phase goes on.
    pub(crate) fn enter_phase(&mut self, id: &str, phase: Phase, at: Timestamp) {
        let Some(build) = self.state.builds.get_mut(id) else {
            return;
        };
        build.epoch += 1;
        build.waits_for_room = false;
        build.phases.push(PhaseRecord {
            phase,
            started: at,
            ended: None,
            status: None,
            context: None,
        });
        if phase == Phase::Completed {
            return self.complete(id, at);
        }
        let (timeout, slow) = (build.timeout_minutes, slowness(&build.behaviours));
        let hangs = build.behaviours.contains(&Behaviour::hang_in(phase));
        if phase == Phase::Provisioning {
            // AWS: the build timeout does not count the time in the queue.
            let deadline = after(at, self.scaled(u64::from(timeout) * 60));
            let (id, step) = (id.to_owned(), BuildStep::BuildTimeout);
            self.state.agenda.plan(
                deadline,
                Event::Build {
                    id,
                    epoch: None,
                    step,
                },
            );
        }
        if phase == Phase::Build {
            return self.take_lock(id, at);
        }
        if hangs {
            return;
        }
        let timings = &self.config.timings;
        let (span, step) = match phase {
            Phase::Submitted => (timings.submitted, BuildStep::PhaseEnds),
            Phase::Queued => (timings.queued, BuildStep::MayStart),
            Phase::Provisioning => (timings.provisioning, BuildStep::PhaseEnds),
            Phase::DownloadSource => (timings.download_source, BuildStep::PhaseEnds),
            Phase::Install => (timings.install, BuildStep::PhaseEnds),
            Phase::PreBuild => (timings.pre_build, BuildStep::PhaseEnds),
            Phase::Build | Phase::Completed => return,
            Phase::PostBuild => (timings.post_build, BuildStep::PhaseEnds),
            Phase::UploadArtifacts => (timings.upload_artifacts, BuildStep::PhaseEnds),
            Phase::Finalizing => (timings.finalizing, BuildStep::PhaseEnds),
        };
        let wait = self.span(span).mul_f64(slow);
        self.plan_build(id, after(at, wait), step);
    }

    /// Plans a step that is void once the build has left its present phase.
    pub(crate) fn plan_build(&mut self, id: &str, at: Timestamp, step: BuildStep) {
        let Some(build) = self.state.builds.get(id) else {
            return;
        };
        let (id, epoch) = (id.to_owned(), Some(build.epoch));
        self.state.agenda.plan(at, Event::Build { id, epoch, step });
    }

    pub(crate) fn phase_ends(&mut self, id: &str, at: Timestamp) {
        let Some(build) = self.state.builds.get(id) else {
            return;
        };
        let (phase, behaviours) = (build.phase(), build.behaviours.clone());
        // What spoils BUILD beforehand has been looked at before Terraform acted.
        if phase != Phase::Build
            && let Some(failure) = spoiled(&behaviours, phase, false)
        {
            return self.fail_phase(id, at, failure);
        }
        if phase == Phase::PreBuild
            && let Err(failure) = self.pass_gate(id, at)
        {
            return self.fail_phase(id, at, failure);
        }
        if let Some(failure) = spoiled(&behaviours, phase, true) {
            return self.fail_phase(id, at, failure);
        }
        if behaviours.contains(&Behaviour::Hang {
            phase,
            after_applying: true,
        }) {
            return;
        }
        self.close_phase(id, at, "SUCCEEDED", None);
        self.enter_phase(id, phase.next(), at);
    }

    /// Terraform has its lock: time to change the world.
    fn act(&mut self, id: &str, at: Timestamp) {
        let Some(build) = self.state.builds.get(id) else {
            return;
        };
        let behaviours = build.behaviours.clone();
        if let Some(failure) = spoiled(&behaviours, Phase::Build, false) {
            return self.fail_phase(id, at, failure);
        }
        match self.run_terraform(id, at) {
            terraform::Progress::Done => {
                self.with_build(id, |build| build.applied = Some(at));
                let rest = self.terraform_span(id).mul_f64(1.0 - self.before_acting(id));
                self.plan_build(id, after(at, rest), BuildStep::PhaseEnds);
            }
            terraform::Progress::Wait => {
                let again = after(at, self.scaled(10));
                self.plan_build(id, again, BuildStep::Act);
            }
            terraform::Progress::Failed(context) => self.fail_phase(id, at, Failure::failed(context)),
        }
    }

    /// Ends the present phase badly and goes on as `CodeBuild` does.
    pub(crate) fn fail_phase(&mut self, id: &str, at: Timestamp, failure: Failure) {
        let Some(build) = self.state.builds.get(id) else {
            return;
        };
        let phase = build.phase();
        let (verdict, next) = match failure.status {
            "FAULT" => (BuildStatus::Fault, Phase::Completed),
            "CLIENT_ERROR" => (BuildStatus::Failed, Phase::Completed),
            // AWS: POST_BUILD still runs after a failed BUILD, and after no other failure.
            _ if phase == Phase::Build => (BuildStatus::Failed, Phase::PostBuild),
            _ if phase >= Phase::Finalizing => (BuildStatus::Failed, Phase::Completed),
            _ => (BuildStatus::Failed, Phase::Finalizing),
        };
        self.close_phase(id, at, failure.status, Some(failure.context));
        self.with_build(id, |build| build.verdict = build.verdict.or(Some(verdict)));
        self.enter_phase(id, next, at);
    }

    /// Lets a build go on that hangs, or would have hung in a later phase.
    pub(crate) fn release_build(&mut self, id: &str, at: Timestamp) {
        let Some(build) = self.state.builds.get_mut(id).filter(|build| !build.is_complete()) else {
            return;
        };
        let phase = build.phase();
        let hung = |after_applying| Behaviour::Hang {
            phase,
            after_applying,
        };
        let before = build.behaviours.contains(&hung(false));
        let after_effect = build.behaviours.contains(&hung(true));
        let (locked, applied) = (build.applied_from.is_some(), build.applied.is_some());
        build
            .behaviours
            .retain(|behaviour| !matches!(behaviour, Behaviour::Hang { .. }));
        let step = match phase {
            Phase::Queued if before => BuildStep::MayStart,
            Phase::Build if before && locked => BuildStep::Act,
            // Terraform is still at work, and ends by itself.
            Phase::Build if !applied => return,
            _ if before || after_effect => BuildStep::PhaseEnds,
            _ => return,
        };
        self.plan_build(id, at, step);
    }

    /// Takes a build down at once: no later phase runs, and a Terraform lock it holds stays locked.
    pub(crate) fn kill_build(
        &mut self,
        id: &str,
        at: Timestamp,
        status: BuildStatus,
        why: Option<(&str, &str)>,
    ) {
        self.abandon_lock(id, at);
        let context = why.map(|(code, message)| Context {
            code: code.to_owned(),
            message: message.to_owned(),
        });
        self.close_phase(id, at, status.as_str(), context);
        self.with_build(id, |build| build.verdict = Some(status));
        self.enter_phase(id, Phase::Completed, at);
    }

    fn close_phase(&mut self, id: &str, at: Timestamp, status: &str, context: Option<Context>) {
        self.release_lock(id, at);
        let Some(build) = self.state.builds.get_mut(id) else {
            return;
        };
        let Some(record) = build.phases.last_mut() else {
            return;
        };
        record.ended = Some(at);
        record.status = Some(status.to_owned());
        let why = context
            .as_ref()
            .map_or_else(String::new, |context| format!(": {}", context.message));
        record.context = context;
        let line = format!("{id} {} {status}{why}", record.phase.as_str());
        self.ledger.note(at, &line);
    }

    pub(crate) fn with_build(&mut self, id: &str, change: impl FnOnce(&mut super::builds::Build)) {
        if let Some(build) = self.state.builds.get_mut(id) {
            change(build);
        }
    }
}

/// How many times as long a build takes.
pub(crate) fn slowness(behaviours: &[Behaviour]) -> f64 {
    let factors = behaviours.iter().map(|behaviour| match behaviour {
        Behaviour::Slow(factor) => factor.clamp(0.01, 10_000.0),
        _ => 1.0,
    });
    factors.product()
}

/// What makes `phase` end badly, before or after its effect.
fn spoiled(behaviours: &[Behaviour], phase: Phase, applied: bool) -> Option<Failure> {
    behaviours.iter().find_map(|behaviour| match behaviour {
        Behaviour::Fail {
            phase: failing,
            after_applying,
            message,
        } if *failing == phase => {
            let context = Context {
                code: "COMMAND_EXECUTION_ERROR".to_owned(),
                message: message.clone(),
            };
            (*after_applying == applied).then(|| Failure::failed(context))
        }
        Behaviour::Fault(failing) if *failing == phase && !applied => {
            let message = "An internal error occurred.".to_owned();
            let context = Context {
                code: "INTERNAL_SERVICE_ERROR".to_owned(),
                message,
            };
            Some(Failure {
                status: "FAULT",
                context,
            })
        }
        _ => None,
    })
}
