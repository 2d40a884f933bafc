//! What must hold in every state, and what must be met in some, or the model would show less than it says.

use stateright::Property;

use crate::Model;
use crate::calm::needs;
use crate::state::{App, Gate, Op, Stage, State};

/// Every promise that is checked.
pub(crate) fn all() -> Vec<Property<Model>> {
    vec![
        Property::always("one-build-per-app", one_build_per_app),
        Property::always("one-instance-per-user", one_instance_per_user),
        Property::always("unique-claims", unique_claims),
        Property::always("settled is final", settled_is_final),
        Property::always("a plan keeps the planner's own rules", |_: &Model, state: &State| !state.broke_a_rule),
        Property::always("no stuck state", Model::comes_to_rest),
        Property::sometimes("met: a second build for one token", a_second_build),
        Property::sometimes("met: a build that is turned away", turned_away),
    ]
}

fn one_build_per_app(model: &Model, state: &State) -> bool {
    model.shape.apps().all(|app| state.past_the_gate(app) <= 1)
}

/// Nobody has two apps of which anything may be there, and whoever has one holds its claims.
fn one_instance_per_user(model: &Model, state: &State) -> bool {
    let remains = |app: &App| state.apps[usize::from(*app)].remains;
    let user = |app: App| &model.shape.who[usize::from(app)].identity.user;
    let alone = |app: App| !model.shape.apps().filter(remains).any(|other| other != app && user(other) == user(app));
    let holds = |app: App| needs(&model.shape, app).iter().all(|claim| state.claims[*claim] == Some(app));
    model.shape.apps().filter(remains).all(|app| alone(app) && holds(app))
}

/// What a memory says that it holds is its own in the table, so no two say it of the same.
fn unique_claims(model: &Model, state: &State) -> bool {
    model.shape.apps().all(|app| {
        let memory = state.apps[usize::from(app)].memory.map(|no| model.passes.memory(no));
        memory.is_none_or(|known| known.holds.iter().all(|claim| state.claims[*claim] == Some(app)))
    })
}

/// No build of an operation that is not the current one, or is settled, is past its gate or can still come there.
fn settled_is_final(model: &Model, state: &State) -> bool {
    let flying = |app: App| {
        let known = state.apps[usize::from(app)].memory.map(|no| model.passes.memory(no));
        known.filter(|known| known.in_flight).and_then(|known| known.op)
    };
    let over = |op: Op| flying(op.app) != Some(op);
    let past = state.builds.iter().any(|build| build.stage == Stage::Past && over(build.op));
    let open = state.gates.iter().any(|(op, gate)| *gate == Gate::Open && over(*op));
    !past && !open
}

fn a_second_build(_: &Model, state: &State) -> bool {
    state.builds.iter().any(|build| build.n > 0)
}

fn turned_away(_: &Model, state: &State) -> bool {
    state.builds.iter().any(|build| {
        build.stage == Stage::Failed
            && state.gate(build.op).is_some_and(|gate| gate == Gate::Closed || gate == Gate::Held(1 - build.n.min(1)))
    })
}
