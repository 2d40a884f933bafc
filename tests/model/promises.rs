//! What must hold in every state, and what must be met in some, or the model would show less than it says.

use lamplighter::model::memory::Memory;
use stateright::Property;

use crate::Model;
use crate::calm::needs;
use crate::state::{App, Build, Gate, Op, Stage, State};

/// Two builds at work for one operation, which only its gate can tell apart.
pub(crate) const SECOND_BUILD: &str = "a second build for one token";
/// A build that failed at its gate.
pub(crate) const TURNED_AWAY: &str = "a build that is turned away";
/// An app that works.
pub(crate) const READY: &str = "an app that is ready";
/// An app that has to wait for another one.
pub(crate) const REFUSED: &str = "an app that is refused";
/// The promises that a wrong surrounding is to break.
pub(crate) const ONE_BUILD: &str = "one-build-per-app";
/// See [`ONE_BUILD`].
pub(crate) const ONE_INSTANCE: &str = "one-instance-per-user";

/// Every promise that is checked.
pub(crate) fn all() -> Vec<Property<Model>> {
    vec![
        Property::always(ONE_BUILD, one_build_per_app),
        Property::always(ONE_INSTANCE, one_instance_per_user),
        Property::always("unique-claims", unique_claims),
        Property::always("settled is final", settled_is_final),
        Property::always(
            "a plan keeps the planner's own rules",
            |_: &Model, state: &State| !state.broke_a_rule,
        ),
        Property::always("no stuck state", Model::comes_to_rest),
        Property::sometimes(SECOND_BUILD, a_second_build),
        Property::sometimes(TURNED_AWAY, turned_away),
        Property::sometimes(READY, |model: &Model, state: &State| {
            any_memory(model, state, |memory| memory.ready_since.is_some())
        }),
        Property::sometimes(REFUSED, |model: &Model, state: &State| {
            any_memory(model, state, |memory| memory.refused_since.is_some())
        }),
    ]
}

/// Whether this is the name of a promise, and not of something that is to be met.
pub(crate) fn is_promise(name: &str) -> bool {
    let all = all();
    let mut named = all.iter().filter(|property| property.name == name);
    named.any(|property| property.expectation.discovery_is_failure())
}

fn one_build_per_app(model: &Model, state: &State) -> bool {
    model.shape.apps().all(|app| state.past_the_gate(app) <= 1)
}

/// Nobody has two apps of which anything may be there, and whoever has one holds its claims.
fn one_instance_per_user(model: &Model, state: &State) -> bool {
    let remains = |app: &App| state.apps[usize::from(*app)].remains;
    let user = |app: App| &model.shape.who[usize::from(app)].identity.user;
    let alone = |app: App| {
        !model
            .shape
            .apps()
            .filter(remains)
            .any(|other| other != app && user(other) == user(app))
    };
    let holds = |app: App| {
        needs(&model.shape, app)
            .iter()
            .all(|claim| state.claims[*claim] == Some(app))
    };
    model
        .shape
        .apps()
        .filter(remains)
        .all(|app| alone(app) && holds(app))
}

/// What a memory says that it holds is its own in the table, so no two say it of the same.
fn unique_claims(model: &Model, state: &State) -> bool {
    model.shape.apps().all(|app| {
        let memory = state.apps[usize::from(app)]
            .memory
            .map(|no| model.passes.memory(no));
        memory.is_none_or(|known| known.holds.iter().all(|claim| state.claims[*claim] == Some(app)))
    })
}

/// No build of an operation that is not the current one, or is settled, is past its gate or can still come there.
fn settled_is_final(model: &Model, state: &State) -> bool {
    let flying = |app: App| {
        let known = state.apps[usize::from(app)]
            .memory
            .map(|no| model.passes.memory(no));
        known.filter(|known| known.in_flight).and_then(|known| known.op)
    };
    let over = |op: Op| flying(op.app) != Some(op);
    let past = state
        .builds
        .iter()
        .any(|build| build.stage == Stage::Past && over(build.op));
    let open = state
        .gates
        .iter()
        .any(|(op, gate)| *gate == Gate::Open && over(*op));
    !past && !open
}

fn any_memory(model: &Model, state: &State, is_so: fn(&Memory) -> bool) -> bool {
    let mut memories = state.apps.iter().filter_map(|app| app.memory);
    memories.any(|no| is_so(&model.passes.memory(no).memory))
}

fn a_second_build(_: &Model, state: &State) -> bool {
    let going = |build: &&Build| !build.stage.is_over();
    let mut going = state.builds.iter().filter(going).map(|build| build.op);
    // In order, so builds of one operation are neighbours.
    going.next().is_some_and(|first| {
        let mut last = first;
        going.any(|op| std::mem::replace(&mut last, op) == op)
    })
}

fn turned_away(_: &Model, state: &State) -> bool {
    let shut = |build: &Build| match state.gate(build.op) {
        Some(Gate::Closed) => true,
        Some(Gate::Held(holder)) => holder != build.n,
        Some(Gate::Open) | None => false,
    };
    state
        .builds
        .iter()
        .any(|build| build.stage == Stage::Failed && shut(build))
}
