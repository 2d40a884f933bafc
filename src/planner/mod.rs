//! DECIDE: what to do about one app, as a pure and total function of what is known of it.
//!
//! No await, no clock, no randomness, no SDK. Each step answers one question, in the order of [`plan`], and
//! the first that has something to do ends the pass. Read `plan.rs` for what goes in and comes out, then
//! the steps in the order in which they are called.

pub mod adopt;
mod build;
mod choice;
mod contest;
mod desire;
mod draft;
pub mod forecast;
mod health;
mod intake;
pub mod invariants;
mod keep;
mod level;
mod operation;
mod owner;
mod pause;
pub mod plan;
mod recall;
mod route;
mod service;
mod teardown;
mod tell;
mod times;
mod ungated;
mod warn;

use jiff::Timestamp;

pub use plan::{Action, AppView, Class, Decision, Plan, Requeue};
pub use teardown::GONE;

use crate::model::memory::Memory;
use crate::model::observed::Observed;
use crate::model::policy::Policy;
use crate::model::row::Desired;
use draft::{Draft, Step};

/// Decides what to do about one app.
pub fn plan(view: &AppView, policy: &Policy, now: Timestamp) -> Plan {
    let memory = match &view.memory {
        Observed::Present(memory) => memory.clone(),
        Observed::Absent => Memory::new(view.id.clone()),
        Observed::Unknown => return wait_for_a_look(view),
    };
    if view.row.is_unknown() || view.paused.is_unknown() || view.keeps.is_unknown() {
        return wait_for_a_look(view);
    }
    let mut draft = Draft {
        view,
        policy,
        now,
        memory,
        ledger: None,
        release: Vec::new(),
        forget: false,
    };

    if let Some(step) = recall::ask_first(&draft) {
        let wish = desire::wish(&mut draft);
        return tell::finish(draft, step, &wish, &intake::Intake::default());
    }
    let recalled = recall::recall(&mut draft);
    let intake = intake::read_row(&mut draft);
    let wish = desire::wish(&mut draft);
    let paused = planted!(PauseIgnored => None, else view.paused.present());
    let before = paused.map(|_| draft.memory.clone());
    let step = if let Some(step) = recalled.or_else(|| operation::progress(&mut draft, &wish)) {
        step
    } else {
        match wish.level {
            Desired::Destroyed => teardown::leave_nothing(&mut draft, &wish, &intake),
            Desired::Suspended => service::suspend(&mut draft, &wish),
            Desired::Running => run(&mut draft, &wish, &intake),
        }
    };
    let step = keep::note(&mut draft, step);
    let step = match before {
        Some(before) => pause::hold(&mut draft, before, step),
        None => step,
    };
    tell::finish(draft, step, &wish, &intake)
}

/// Running: is a build needed, is the service as wanted, does it work?
fn run(draft: &mut Draft<'_>, wish: &desire::Wish, intake: &intake::Intake) -> Step {
    build::deploy_if_needed(draft, wish, intake)
        .or_else(|| service::run(draft, wish))
        .or_else(|| route::keep(draft, wish))
        .unwrap_or_else(|| health::judge(draft, wish))
}

/// An unknown row, memory, pause or exemption only ever waits: nothing is written, nothing is done.
fn wait_for_a_look(view: &AppView) -> Plan {
    let memory = match &view.memory {
        Observed::Present(memory) => memory.clone(),
        Observed::Unknown | Observed::Absent => Memory::new(view.id.clone()),
    };
    Plan {
        action: None,
        memory,
        release: Vec::new(),
        forget: false,
        decision: Decision {
            rule: "Observation",
            reason: "WaitingForObservation",
            message: "The tables could not be read; nothing is decided until they can be.".to_owned(),
        },
        warning: None,
        requeue: Requeue::Progress,
    }
}
