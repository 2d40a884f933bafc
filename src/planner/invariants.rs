//! What holds of every plan, whatever the view: checked by tests and simulation after each decision.

use super::contest::SUPERSEDED;
use super::plan::{Action, AppView, Plan};
use crate::model::blueprint::BuildKind;
use crate::model::claim::{Bid, ClaimKey};
use crate::model::keep::Ledger;
use crate::model::memory::{Ending, Memory, Operation};
use crate::model::name::{AppId, ResourceName};
use crate::model::observed::{Build, BuildState, Gate, Observed};
use crate::model::policy::{Deletions, TOKEN_LIFE};
use crate::model::schedule::later;

/// Every rule that `plan` breaks.
pub fn violations(view: &AppView, plan: &Plan) -> Vec<String> {
    let fresh = Memory::new(view.id.clone());
    let old = view.memory.present().unwrap_or(&fresh);
    let mut found = Vec::new();
    let mut rule = |holds: bool, text: &str| {
        if !holds {
            found.push(text.to_owned());
        }
    };
    check_blindness(view, plan, &mut rule);
    check_action(view, plan, old, &mut rule);
    check_giving_back(view, plan, old, &mut rule);
    check_superseded(view, plan, old, &mut rule);
    if let (Some(operation), Some(new)) = (&old.operation, &plan.memory.operation)
        && operation.id == new.id
    {
        rule(
            operation.settled.is_none() || new.settled.is_some(),
            "settled never reverts",
        );
        rule(operation.request == new.request, "a request never changes");
        if let (None, Some(settled)) = (&operation.settled, &new.settled) {
            rule(
                is_proven(view, &settled.outcome, operation),
                "an operation is settled on proof only",
            );
        }
    }
    if plan.memory.status.url.is_some() {
        rule(
            plan.memory.ready_since.is_some(),
            "a URL is only published for an app that is ready",
        );
    }
    found
}

/// Whether the look shows that no build of the operation can be past its gate any more.
fn is_proven(view: &AppView, outcome: &Ending, operation: &Operation) -> bool {
    let ended = view
        .build
        .present()
        .is_some_and(|build| build.state != BuildState::Running);
    match outcome {
        Ending::Succeeded | Ending::Failed(_) if !operation.gate => ended && operation.build.is_some(),
        Ending::Lost if !operation.gate => view.build.is_absent() && operation.build.is_some(),
        Ending::Unseen => view.listing.present().is_some_and(|listing| {
            let sent = later(operation.intended_at, TOKEN_LIFE);
            !operation.gate && operation.build.is_none() && listing.mine.is_none() && listing.began > sent
        }),
        Ending::Abandoned | Ending::NeverRan(_) => view.gate == Observed::Present(Gate::Closed),
        Ending::Succeeded | Ending::Failed(_) => {
            let beyond = view.build.present().is_some_and(Build::is_beyond_its_gate);
            ended
                && match &view.gate {
                    Observed::Present(Gate::Held(_)) | Observed::Absent => true,
                    // Its gate's item went back in time, or its buildspec does not ask.
                    Observed::Present(Gate::Closed) => beyond,
                    Observed::Present(Gate::Open) | Observed::Unknown => false,
                }
        }
        Ending::Lost => match &view.gate {
            Observed::Present(Gate::Held(_)) => view.build.is_absent(),
            Observed::Absent => view.build.is_absent() || operation.build.is_none(),
            Observed::Present(Gate::Open | Gate::Closed) | Observed::Unknown => false,
        },
        Ending::Leftover => false,
    }
}

fn check_blindness(view: &AppView, plan: &Plan, rule: &mut impl FnMut(bool, &str)) {
    rule(
        plan.action.is_none() || view.paused.is_absent(),
        "nothing is done to an app unless it is known not to be paused",
    );
    if !view.row.is_unknown() && !view.memory.is_unknown() {
        return;
    }
    rule(
        plan.action.is_none(),
        "an unknown row or memory leads to no action",
    );
    rule(
        plan.release.is_empty() && !plan.forget,
        "an unknown row or memory gives nothing back",
    );
    let same = view.memory.present().is_none_or(|memory| *memory == plan.memory);
    rule(same, "an unknown row or memory writes nothing");
}

fn check_action(view: &AppView, plan: &Plan, old: &Memory, rule: &mut impl FnMut(bool, &str)) {
    let unsettled = old.in_flight();
    match &plan.action {
        Some(Action::Intend {
            operation,
            kind,
            take,
            ..
        }) => {
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
                let takes = holding.is_some_and(|h| h.slot && h.keys().iter().all(|key| take.contains(key)));
                rule(takes, "a deployment takes its slot and its names");
            } else {
                rule(old.deployment.is_some(), "only what may be there is destroyed");
            }
        }
        Some(Action::Adopt { take }) => {
            rule(
                unsettled.is_none(),
                "nothing is taken over while a build is in flight",
            );
            let holding = plan.memory.holding.as_ref();
            let takes = holding.is_some_and(|h| h.slot && h.keys().iter().all(|key| take.contains(key)));
            rule(
                takes && plan.memory.deployment.is_some(),
                "what is taken over is remembered with its slot and its names",
            );
        }
        Some(Action::StartBuild { request }) => {
            if unsettled.is_none_or(|operation| operation.gate) {
                rule(
                    view.gate == Observed::Present(Gate::Open),
                    "a build is only started while its gate is open",
                );
            } else {
                let listing = view.listing.present();
                rule(
                    listing.is_some_and(|listing| listing.mine.is_none() && listing.other.is_none()),
                    "without a gate a build is only started after a look for others",
                );
            }
            rule(
                unsettled.is_some_and(|operation| operation.request == *request),
                "only the frozen request of the operation in flight is sent",
            );
        }
        Some(Action::Scale { tasks, .. }) => {
            rule(
                unsettled.is_none(),
                "nothing is scaled while a build is in flight",
            );
            rule(
                view.service.present().is_some(),
                "only a service that was seen is scaled",
            );
            let may = *tasks == 0 || view.row.present().is_some();
            rule(may, "nothing is scaled up for a row that is gone");
        }
        Some(Action::DeleteService { service, .. }) => check_deletion(view, plan, old, service, rule),
        Some(Action::CloseGate { operation }) => {
            rule(
                unsettled.is_some_and(|old| old.id == *operation && old.gate),
                "only the gate in flight is closed",
            );
        }
        Some(Action::Bid {
            slot,
            holder,
            over,
            bid,
        }) => check_bid(view, plan, (slot, holder), over.as_ref(), bid, rule),
        Some(Action::Keep { over, ledger, .. }) => check_keep(view, *over, ledger, rule),
        Some(Action::StopBuild { .. }) => {
            let ended = plan.memory.in_flight().is_none();
            // Its gate is closed to it, or it has passed, whatever the gate's item says, and overran.
            let known = match &view.gate {
                Observed::Present(Gate::Held(_) | Gate::Closed) | Observed::Absent => true,
                Observed::Present(Gate::Open) => view.build.present().is_some_and(Build::is_beyond_its_gate),
                Observed::Unknown => false,
            };
            let called_off = unsettled.is_some_and(|old| !old.gate);
            rule(
                ended || known || called_off,
                "a build is stopped when it can do nothing, or has overrun",
            );
        }
        None => {}
    }
}

/// An app changes its own exemption, over what was read.
fn check_keep(view: &AppView, over: u64, ledger: &Ledger, rule: &mut impl FnMut(bool, &str)) {
    let old = view.keeps.present().cloned().unwrap_or_default();
    rule(
        old.version == over && ledger.version == over.saturating_add(1),
        "a ledger of exemptions goes over the one that was read",
    );
    let mut others = ledger.apps.iter().filter(|(app, _)| **app != view.id);
    rule(
        others.all(|(app, exempt)| old.apps.get(app) == Some(exempt)),
        "an app changes no other app's exemption",
    );
}

/// Only a leftover is deleted, and only the app's own.
fn check_deletion(
    view: &AppView,
    plan: &Plan,
    old: &Memory,
    service: &ResourceName,
    rule: &mut impl FnMut(bool, &str),
) {
    let leftover = plan.memory.leftover.is_some() && old.in_flight().is_none();
    rule(leftover, "only what survived a destroy is deleted");
    let seen = view.service.present();
    let ours = seen.is_some_and(|seen| seen.name == *service && seen.instance_id.as_ref() == Some(&view.id));
    rule(ours, "only a service that is seen to be the app's is deleted");
}

/// A bid is newer than the request of whoever has the slot, and says what its app asks for now.
fn check_bid(
    view: &AppView,
    plan: &Plan,
    (slot, holder): (&ClaimKey, &AppId),
    over: Option<&Bid>,
    bid: &Bid,
    rule: &mut impl FnMut(bool, &str),
) {
    rule(
        slot.is_slot() && view.row.present().is_some(),
        "only a slot is bid for, and only by a row that is there",
    );
    let claim = view.claims.present().and_then(|claims| claims.get(slot));
    let read = claim.is_some_and(|claim| claim.app == *holder && claim.bid.as_ref() == over);
    rule(
        read && *holder != view.id,
        "a bid goes over what was read of another app's claim",
    );
    let mine = plan
        .memory
        .accepted
        .as_ref()
        .map(|accepted| accepted.bid(&view.id));
    rule(mine.as_ref() == Some(bid), "a bid is the app's own request");
    let theirs = view
        .rivals
        .get(holder)
        .and_then(|rival| rival.memory.present()?.accepted.as_ref())
        .map(|accepted| accepted.bid(holder));
    rule(
        theirs.is_some_and(|theirs| *bid > theirs),
        "only a newer request bids for a slot",
    );
}

/// A stop for another app's sake is begun only while that app's newer request is seen to stand.
fn check_superseded(view: &AppView, plan: &Plan, old: &Memory, rule: &mut impl FnMut(bool, &str)) {
    let stop = |memory: &Memory| memory.stop.clone().filter(|stop| stop.rule == SUPERSEDED);
    let Some(new) = stop(&plan.memory).filter(|_| stop(old).is_none()) else {
        return;
    };
    let mine = plan
        .memory
        .accepted
        .as_ref()
        .map(|accepted| accepted.bid(&view.id));
    let winner = new
        .by
        .as_ref()
        .and_then(|bid| Some((bid, view.rivals.get(&bid.app)?)));
    let newer = winner.is_some_and(|(bid, _)| mine.is_none_or(|mine| *bid > mine));
    rule(newer, "only a newer request supersedes");
    let there = winner.is_some_and(|(bid, rival)| {
        let accepted = rival.memory.present().and_then(|memory| memory.accepted.as_ref());
        rival.row.present().is_some() && accepted.is_some_and(|accepted| accepted.bid(&bid.app) == *bid)
    });
    rule(
        there,
        "nothing is superseded by an app that is not seen to be there",
    );
    rule(
        view.paused.is_absent() && view.row.present().is_some(),
        "nothing is superseded while it is paused or its row is gone",
    );
}

fn check_giving_back(view: &AppView, plan: &Plan, old: &Memory, rule: &mut impl FnMut(bool, &str)) {
    let intends = matches!(plan.action, Some(Action::Intend { .. }));
    if !plan.release.is_empty() && !intends {
        rule(
            plan.memory.in_flight().is_none(),
            "no claim is given back while a build is in flight",
        );
        rule(
            plan.memory.deployment.is_none(),
            "no claim is given back while something may be deployed",
        );
    }
    if old.deployment.is_some() && plan.memory.deployment.is_none() {
        rule(
            view.service.is_absent(),
            "nothing is called gone that was not looked for",
        );
    }
    if view.row.is_absent() {
        let confirmed = old.row_gone.as_ref().is_some_and(|gone| {
            let now = Deletions::Clear {
                gone_since: Some(gone.since),
            };
            gone.confirmed || view.deletions == now
        });
        let intends_destroy = matches!(
            &plan.action,
            Some(Action::Intend {
                kind: BuildKind::Destroy,
                ..
            })
        );
        let stopped = plan.memory.stop.is_some()
            || old
                .accepted
                .as_ref()
                .is_some_and(|a| a.desired == crate::model::row::Desired::Destroyed);
        rule(
            confirmed || !intends_destroy || stopped,
            "a row that is gone is not acted on before a sweep judged",
        );
    }
    let empty = plan.memory.holding.is_none() && plan.memory.in_flight().is_none();
    rule(
        !plan.forget || empty,
        "nothing is forgotten that still holds something",
    );
}
