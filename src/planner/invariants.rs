//! What holds of every plan, whatever the view: checked by tests and simulation after each decision.

use super::plan::{Action, AppView, Plan};
use crate::model::blueprint::BuildKind;
use crate::model::memory::Memory;
use crate::model::observed::{Gate, Observed};
use crate::model::policy::Deletions;

/// Every rule that `plan` breaks.
pub fn violations(view: &AppView, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let mut rule = |holds: bool, text: &str| {
        if !holds {
            found.push(text.to_owned());
        }
    };
    let before = view.memory.present();
    let fresh = Memory::new(view.id.clone());
    let old = before.unwrap_or(&fresh);
    let unsettled = old.in_flight();

    if view.row.is_unknown() || view.memory.is_unknown() {
        rule(
            plan.action.is_none(),
            "an unknown row or memory leads to no action",
        );
        rule(
            plan.release.is_empty() && !plan.forget,
            "an unknown row or memory gives nothing back",
        );
        rule(
            before.is_none_or(|memory| *memory == plan.memory),
            "an unknown row or memory writes nothing",
        );
    }
    if let Some(Action::Intend {
        operation,
        kind,
        take,
        ..
    }) = &plan.action
    {
        rule(
            unsettled.is_none(),
            "a new operation is only intended when the last one is settled",
        );
        let new = plan.memory.in_flight();
        rule(
            new.is_some_and(|new| new.id == *operation && new.kind == *kind),
            "the intent is in the memory",
        );
        if *kind == BuildKind::Apply {
            rule(
                view.row.present().is_some(),
                "nothing is deployed for a row that is gone",
            );
            let holding = plan.memory.holding.as_ref();
            rule(
                holding.is_some_and(|h| h.slot && h.keys().iter().all(|key| take.contains(key))),
                "a deployment takes its slot and its names",
            );
        } else {
            rule(old.deployment.is_some(), "only what may be there is destroyed");
        }
    }
    if let Some(Action::StartBuild { request }) = &plan.action {
        rule(
            view.gate == Observed::Present(Gate::Open),
            "a build is only started while its gate is open",
        );
        rule(
            unsettled.is_some_and(|operation| operation.request == **request),
            "only the frozen request of the operation in flight is sent",
        );
    }
    if let Some(Action::Scale { tasks, .. }) = &plan.action {
        rule(
            unsettled.is_none(),
            "nothing is scaled while a build is in flight",
        );
        rule(
            view.service.present().is_some(),
            "only a service that was seen is scaled",
        );
        rule(
            *tasks == 0 || view.row.present().is_some(),
            "nothing is scaled up for a row that is gone",
        );
    }
    let gives_slot_back = plan.release.iter().any(crate::model::claim::ClaimKey::is_slot);
    rule(
        !(gives_slot_back && (plan.memory.in_flight().is_some() && plan.memory.holding.is_none())),
        "no slot is given back while a build is in flight",
    );
    rule(
        !gives_slot_back || plan.memory.deployment.is_none(),
        "no slot is given back while something may be deployed",
    );
    if let (Some(operation), Some(new)) = (&old.operation, &plan.memory.operation)
        && operation.id == new.id
    {
        rule(
            operation.settled.is_none() || new.settled.is_some(),
            "settled never reverts",
        );
        rule(operation.request == new.request, "a request never changes");
    }
    if view.row.is_absent() && !matches!(view.deletions, Deletions::Clear { .. }) {
        rule(
            old.deployment.is_none() == plan.memory.deployment.is_none() || unsettled.is_some(),
            "a row that is gone is not acted on before a sweep has judged",
        );
    }
    if plan.memory.status.url.is_some() {
        rule(
            plan.memory.ready_since.is_some(),
            "a URL is only published for an app that is ready",
        );
    }
    rule(
        !plan.forget || (plan.memory.holding.is_none() && plan.memory.in_flight().is_none()),
        "nothing is forgotten that still holds something",
    );
    found
}
