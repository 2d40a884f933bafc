//! Does traffic reach the service? Finds a target group that is missing or attached to nothing.

use std::sync::Arc;

use super::build;
use super::desire::Wish;
use super::draft::{Draft, Step};
use super::plan::Requeue;
use crate::model::observed::Observed;
use crate::model::schedule::later;
use crate::model::status::Phase;
use crate::model::utc;

/// Keeps the route. `None`: there is none to keep, or it is as it should be, or it could not be looked at.
pub(super) fn keep(draft: &mut Draft<'_>, wish: &Wish) -> Option<Step> {
    let deployment = draft.memory.deployment.clone()?;
    deployment.blueprint.target_group.as_ref()?;
    let lost = match &draft.view.target_group {
        Observed::Unknown => return None,
        Observed::Absent => true,
        Observed::Present(group) => !group.attached && !planted!(RouteLossIgnored),
    };
    if !lost {
        draft.memory.route_lost_since = None;
        return None;
    }
    if let Some(step) = moved(draft) {
        return Some(step);
    }
    // AWS: tasks run and counts look fine while no load balancer uses the target group.
    draft.memory.ready_since = None;
    let timing = &draft.policy.timing;
    let first = *draft.memory.route_lost_since.get_or_insert(draft.now);
    let believed_at = later(first, timing.confirm_absence).max(later(deployment.at, timing.appear_grace));
    if draft.now < believed_at {
        let message = format!(
            "Its target group is missing or attached to no load balancer; believed from {} on.",
            utc(believed_at)
        );
        return Some(Step::wait(
            Phase::Starting,
            "RouteLost",
            message,
            Requeue::Progress,
        ));
    }
    Some(build::repair(
        draft,
        wish,
        "Its target group is missing or attached to no load balancer",
    ))
}

/// What another tool has named has its target group by the word of its service, and a build of the same module may
/// have given it another one.
fn moved(draft: &mut Draft<'_>) -> Option<Step> {
    let shown = draft.view.service.present()?.target_group()?.to_owned();
    let deployed = &mut draft.memory.deployment.as_mut()?.blueprint;
    if !deployed.identity.is_named_by_another() || deployed.target_group.as_ref() == Some(&shown) {
        return None;
    }
    Arc::make_mut(deployed).target_group = Some(shown);
    draft.memory.ready_since = None;
    draft.memory.route_lost_since = None;
    let message = "Its service has another target group by now, which is looked at next.";
    Some(Step::wait(Phase::Starting, "RouteLost", message, Requeue::Now))
}
