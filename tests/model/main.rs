//! The model check: production code of the three stages that decide whether anything is safe, in every order in which
//! its steps can happen. `stateright` walks through all states; in each, the promises of `promises.rs` are asked.
//!
//! **Real** are the look (`lamplighter::inventory`), the decision (`lamplighter::planner::plan`), what is written on
//! which conditions (`lamplighter::recorder`), and those conditions with the gate's (`tests/support/memory_tables.rs`,
//! held equal to the adapter over DynamoDB). **Modelled** (`steps.rs`) are CodeBuild, the way to it, replicas that die
//! or stall between any two steps, and what people ask. Nothing here is drawn at random.
//!
//! What is left out, and why that is sound enough:
//!
//! * *Time* stands. The planner's waits are zero (`shape.rs`), so whatever time could bring may happen at any moment,
//!   and the one limit on which something rests, the life of a token, is a step of its own: CodeBuild forgets the
//!   token, the daemon trusts it no longer, or both, which covers clocks that differ. Not covered: builds that overrun
//!   their deadline, that CodeBuild does not know any more, and boundaries of schedules.
//! * *Nothing is lost or contested*: memory is there, so listings show nothing that it lacks, and a taken slot refuses.
//! * *Names* of operations and builds are used again once nothing tells of the old ones; they are only ever compared.
//! * *Versions* are `fresh` or not: a version only grows, so a pass whose memory was written since can never win.
//! * *Memory* is without what people are told and without settled operations that no decision reads (`passes.rs`, which
//!   checks on each decision that the planner decides the same with them). A write that would change only such
//!   things is not made; to others it looks like a pass that died.
//! * *What can't matter any more* is taken out (`tidy.rs`).
//! * *A look* is one step, although it is several reads: the later reads are fresher than the memory, on whose version
//!   the write depends. *A lost write* is a pass that died. *Two passes* are in hand at once, one for each replica.
//!
//! No replica has a lease unless a shape says so: all act on everything, always. See `docs/testing.md` for figures.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod calm;
mod edge;
mod kept;
#[path = "../support/memory_tables.rs"]
mod memory_tables;
mod passes;
mod promises;
mod shape;
mod shapes;
mod state;
mod steps;
mod store;
mod tidy;

use stateright::Property;

use calm::Calm;
use passes::Passes;
use shape::Shape;
use state::{AppState, Replica, State};
use steps::Step;

/// A shape, and what is known of it by now.
pub(crate) struct Model {
    shape: Shape,
    passes: Passes,
    calm: Calm,
    /// The one promise that is checked, or all.
    only: Option<&'static str>,
}

impl Model {
    fn of(shape: Shape) -> Self {
        Self {
            shape,
            passes: Passes::default(),
            calm: Calm::default(),
            only: None,
        }
    }

    fn first(&self) -> State {
        let replica = |leads| Replica { leads, hand: None };
        let apps = self.shape.first.iter().map(|row| AppState {
            row: *row,
            memory: None,
            service: None,
            remains: false,
        });
        State {
            apps: apps.collect(),
            claims: vec![None; self.shape.claims.len()],
            gates: Vec::new(),
            builds: Vec::new(),
            late: Vec::new(),
            replicas: [replica(!self.shape.leases), replica(true)],
            left: self.shape.budget,
            broke_a_rule: false,
        }
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.first()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.steps(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        self.take(state, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = promises::all();
        all.retain(|property| self.only.is_none_or(|only| property.name == only));
        all
    }
}
