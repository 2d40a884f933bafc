//! What must hold of every plan, whatever the view; every pass of every test goes through [`plan`].

use jiff::Timestamp;
use lamplighter::model::memory::Memory;
use lamplighter::model::name::Entropy;
use lamplighter::model::observed::Observed;
use lamplighter::model::policy::Policy;
use lamplighter::planner::{self, Action, AppView, Plan, Requeue, invariants};

use crate::world::Sense;

/// Plans, and holds the plan against every rule.
#[track_caller]
pub(crate) fn plan(view: &AppView, policy: &Policy, now: Timestamp) -> Plan {
    let plan = planner::plan(view, policy, now);
    hold(view, policy, now, &plan);
    plan
}

/// Holds a plan against every rule.
#[track_caller]
pub(crate) fn hold(view: &AppView, policy: &Policy, now: Timestamp, plan: &Plan) {
    let mut wrong = invariants::violations(view, plan);
    wrong.extend(not_deterministic(view, policy, now, plan));
    wrong.extend(bold_when_blind(view, policy, now, plan));
    wrong.extend(writes_again(view, policy, now, plan));
    wrong.extend(unexplained(plan));
    assert!(
        wrong.is_empty(),
        "{wrong:#?}\nat {now}\nview: {view:#?}\nplan: {plan:#?}"
    );
}

fn not_deterministic(view: &AppView, policy: &Policy, now: Timestamp, plan: &Plan) -> Option<String> {
    let again = planner::plan(view, policy, now);
    (again != *plan).then(|| format!("the same view is planned differently: {again:#?}"))
}

/// What is begun, given back or forgotten without a look would have been with it as well.
fn bold_when_blind(view: &AppView, policy: &Policy, now: Timestamp, plan: &Plan) -> Vec<String> {
    let mut wrong = Vec::new();
    for sense in Sense::ALL {
        let mut blind = view.clone();
        sense.blind(&mut blind);
        let guess = planner::plan(&blind, policy, now);
        let broken = invariants::violations(&blind, &guess);
        wrong.extend(
            broken
                .into_iter()
                .map(|text| format!("without {sense:?}: {text}")),
        );
        let begins = matches!(guess.action, Some(Action::Intend { .. })) && guess.action != plan.action;
        let gives = !guess.release.is_empty() && guess.release != plan.release;
        let forgets = guess.forget && !plan.forget;
        if begins || gives || forgets {
            wrong.push(format!("without {sense:?} it is bolder: {guess:#?}"));
        }
        if matches!(sense, Sense::Row | Sense::Memory) && guess.action.is_some() {
            wrong.push(format!("without {sense:?} it acts: {guess:#?}"));
        }
    }
    wrong
}

/// A view that stays as it is leads to a few writes at most, and then to none.
fn writes_again(view: &AppView, policy: &Policy, now: Timestamp, plan: &Plan) -> Option<String> {
    const FEW: u8 = 4;
    let mut last = plan.clone();
    let mut view = view.clone();
    for pass in 1..=FEW + 1 {
        if last.action.is_some() || last.forget || view.memory.is_unknown() {
            return None;
        }
        let written = view.memory == Observed::Present(last.memory.clone()) && last.release.is_empty();
        if written && last.requeue == Requeue::Now {
            return Some(format!("it goes round at once for ever: {last:#?}"));
        }
        if written {
            return None;
        }
        view.memory = Observed::Present(last.memory.clone());
        if let Observed::Present(claims) = &mut view.claims {
            claims.retain(|key, _| !last.release.contains(key));
        }
        view.entropy = Entropy([pass; 16]);
        last = planner::plan(&view, policy, now);
    }
    let old = view
        .memory
        .present()
        .map_or(String::new(), |old| differences(old, &last.memory));
    Some(format!("the same view is written again and again: {old}"))
}

fn differences(old: &Memory, new: &Memory) -> String {
    let (old, new) = (format!("{old:#?}"), format!("{new:#?}"));
    let changed = old.lines().zip(new.lines()).filter(|(old, new)| old != new);
    changed
        .map(|(old, new)| format!("{} -> {}\n", old.trim(), new.trim()))
        .collect()
}

/// Every decision has a rule, a reason and a sentence.
fn unexplained(plan: &Plan) -> Option<String> {
    let camel = |text: &str| text.chars().next().is_some_and(char::is_uppercase) && !text.contains(' ');
    let decision = &plan.decision;
    let good = camel(decision.rule) && camel(decision.reason) && !decision.message.is_empty();
    let mut conditions = plan.memory.status.conditions.iter();
    let bare = conditions.any(|condition| !camel(&condition.reason));
    (!good || bare).then(|| format!("a decision without its reason: {decision:?}"))
}
