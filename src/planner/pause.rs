//! Is it paused? Then whatever would be done is held, and the status says so. What was seen is still written
//! down: that changes nothing in AWS, and a pause that blinds its operator would not be used.

use super::draft::{Draft, Step};
use super::plan::{Action, Requeue};
use crate::model::blueprint::BuildKind;
use crate::model::memory::Memory;
use crate::model::pause::Paused;
use crate::model::status::Phase;
use crate::model::utc;

/// Turns a step that would act into a wait. `before` is the memory without what the step did to it.
pub(super) fn hold(draft: &mut Draft<'_>, before: Memory, step: Step) -> Step {
    let (Some(paused), Some(action)) = (draft.view.paused.present(), &step.action) else {
        return step;
    };
    let phase = match action {
        Action::Intend {
            kind: BuildKind::Apply,
            ..
        } => Phase::Pending,
        Action::Intend { .. }
        | Action::Adopt { .. }
        | Action::StartBuild { .. }
        | Action::CloseGate { .. }
        | Action::StopBuild { .. }
        | Action::Bid { .. }
        | Action::Keep { .. }
        | Action::Scale { .. }
        | Action::DeleteService { .. } => step.phase,
    };
    let message = format!("{} Held until then: {}.", sentence(paused), what(action));
    draft.memory = before;
    draft.release.clear();
    draft.forget = false;
    Step::wait(phase, "Paused", message, Requeue::Sweep).because("Pause")
}

/// A pause for people, with its way out.
pub(super) fn sentence(paused: &Paused) -> String {
    let (scope, flag) = if paused.whole_fleet {
        ("the whole fleet", "")
    } else {
        ("this app", " --app ID")
    };
    let since = paused
        .pause
        .since
        .map_or_else(String::new, |at| format!(" at {}", utc(at)));
    let reason = paused
        .pause
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("An operator paused {scope}{since}{reason}; `lamplighter resume{flag}` ends it.")
}

/// What is held.
fn what(action: &Action) -> &'static str {
    match action {
        Action::Intend {
            kind: BuildKind::Apply,
            ..
        } => "deploying it",
        Action::Intend {
            kind: BuildKind::Destroy,
            ..
        } => "destroying it",
        Action::Adopt { .. } => "taking over what is deployed",
        Action::StartBuild { .. } => "asking CodeBuild for its build",
        Action::CloseGate { .. } => "calling off its build",
        Action::StopBuild { .. } => "stopping its build",
        Action::Bid { .. } => "asking another app to make room",
        Action::Keep { .. } => "noting its exemption",
        Action::Scale { tasks: 0, .. } => "suspending it",
        Action::Scale { .. } => "setting its number of tasks",
        Action::DeleteService { .. } => "deleting what survived its destroy",
    }
}
