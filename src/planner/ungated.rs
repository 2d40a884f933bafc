//! Where does an operation stand whose build asks at no gate? What the gate would say has to be found out by
//! looking: CodeBuild's listing shows whether there is a build, and only its end shows that it does nothing more.
//!
//! This is as careful as looking can be, and not safe: a `StartBuild` that CodeBuild gets later than the listing
//! that was believed starts a build that nobody turns away. See `operation` for the way that is.

use jiff::Timestamp;

use super::desire::Wish;
use super::draft::{Draft, Step};
use super::operation::{
    no_longer_wanted, not_found, phase, reason_running, send, settle, stop_overrun, token_ends,
    waiting_for_a_look,
};
use super::plan::{Action, Requeue};
use crate::model::memory::{Ending, Operation};
use crate::model::name::BuildId;
use crate::model::observed::{Build, BuildState, Observed};
use crate::model::policy::TOKEN_LIFE;
use crate::model::schedule::later;
use crate::model::utc;

/// Takes it one step further.
pub(super) fn progress(draft: &mut Draft<'_>, operation: &Operation, wish: &Wish) -> Step {
    let unwanted = operation
        .cancel
        .clone()
        .or_else(|| no_longer_wanted(draft, operation, wish).map(str::to_owned));
    if let (Some(why), Some(mine)) = (&unwanted, &mut draft.memory.operation) {
        mine.cancel = Some(why.clone());
    }
    if operation.build.is_some() {
        follow(draft, operation, unwanted.as_deref())
    } else {
        search(draft, operation, unwanted.as_deref())
    }
}

/// A build is known. Whatever it came to, it may have applied something.
fn follow(draft: &mut Draft<'_>, operation: &Operation, unwanted: Option<&str>) -> Step {
    match &draft.view.build {
        Observed::Unknown => waiting_for_a_look(operation),
        // AWS: a build may not be shown right after it was started.
        Observed::Absent if draft.now < covered_at(draft, operation) => waiting_for_a_look(operation),
        Observed::Absent => not_found(draft, operation),
        Observed::Present(build) => match &build.state {
            BuildState::Succeeded => settle(draft, &Ending::Succeeded),
            BuildState::Failed(failure) => settle(draft, &Ending::Failed(failure.clone())),
            BuildState::Running => running(draft, operation, build, unwanted),
        },
    }
}

/// A build that is not wanted any more is stopped as long as it has not begun its work. Past that it is left to
/// end: what a stopped Terraform leaves, its half of the work and its lock, takes a person to mend.
fn running(draft: &Draft<'_>, operation: &Operation, build: &Build, unwanted: Option<&str>) -> Step {
    if let Some(step) = stop_overrun(draft, operation, build) {
        return step;
    }
    let begun = !BEFORE_ITS_WORK.contains(&build.phase.as_str());
    let (message, stops) = match unwanted {
        Some(why) if begun => (
            format!(
                "{why}, but the build is at work ({}), so it is left to end.",
                build.phase
            ),
            false,
        ),
        Some(why) => (
            format!("{why}; the build is stopped, and counts as one that may have applied something."),
            true,
        ),
        None => (format!("The build is under way ({}).", build.phase), false),
    };
    Step {
        action: stops.then(|| Action::StopBuild {
            build: build.id.clone(),
        }),
        ..Step::wait(
            phase(operation),
            reason_running(operation),
            message,
            Requeue::Progress,
        )
    }
}

/// CodeBuild's phases before the commands that may apply something.
const BEFORE_ITS_WORK: [&str; 6] = [
    "SUBMITTED",
    "QUEUED",
    "PROVISIONING",
    "DOWNLOAD_SOURCE",
    "INSTALL",
    "PRE_BUILD",
];

/// No build is known: one that is there is adopted. If there is none, the frozen request is sent, again if need be,
/// while CodeBuild still honours its token. After that the operation is over once a listing shows that nothing came
/// of any of it; what is wanted then is intended anew, with an id and a token of its own.
fn search(draft: &mut Draft<'_>, operation: &Operation, unwanted: Option<&str>) -> Step {
    let Observed::Present(listing) = &draft.view.listing else {
        return waiting_for_a_look(operation);
    };
    if let Some(build) = &listing.mine {
        return adopt(draft, operation, build.clone());
    }
    let covered_at = covered_at(draft, operation);
    let given_up = unwanted.or(operation.start_error.as_deref());
    if given_up.is_none() && draft.now < token_ends(operation) {
        if let Some(other) = &listing.other {
            let message =
                format!("Build {other} of this app runs for another operation; it is left to end first.");
            return Step::wait(phase(operation), "OtherBuildRunning", message, Requeue::Progress);
        }
        return send(draft, operation);
    }
    if listing.began >= covered_at {
        let step = settle(draft, &Ending::Unseen);
        if let Some(error) = &operation.start_error {
            draft.count_failure(operation.kind, error.clone());
        }
        return step;
    }
    let why = given_up.unwrap_or("No answer to StartBuild came while its token was valid");
    let message = format!(
        "{why}. No build of this operation shows; it is believed that there is none from {} on.",
        utc(covered_at)
    );
    Step::wait(phase(operation), "BuildNotSeen", message, Requeue::At(covered_at))
}

fn adopt(draft: &mut Draft<'_>, operation: &Operation, build: BuildId) -> Step {
    let message = format!("Build {build} carries the id of this operation.");
    if let Some(mine) = &mut draft.memory.operation {
        mine.build = Some(build);
    }
    Step::wait(phase(operation), "BuildAdopted", message, Requeue::Now)
}

/// From when on a listing shows every build that was asked for while the token was valid. AWS: what was started in
/// the last minutes may not be listed yet.
fn covered_at(draft: &Draft<'_>, operation: &Operation) -> Timestamp {
    let unanswered = later(operation.intended_at, TOKEN_LIFE);
    later(unanswered, draft.policy.timing.appear_grace)
}
