//! model check
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod calm;
mod edge;
#[path = "../support/memory_tables.rs"]
mod memory_tables;
mod passes;
mod promises;
mod shape;
mod state;
mod steps;

use std::sync::atomic::Ordering;
use std::time::Instant;

use stateright::{Checker as _, HasDiscoveries, Model as _, Property};

use calm::Calm;
use passes::Passes;
use shape::{Shape, Surroundings};
use state::{AppState, Budget, Replica, State, Wish};
use steps::Step;

/// A shape, and what is known of it by now.
pub(crate) struct Model {
    shape: Shape,
    passes: Passes,
    calm: Calm,
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

#[test]
fn measure() {
    let n = |name: &str, d: u8| -> u8 { std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(d) };
    let budget = Budget {
        crashes: n("CRASH", 3),
        expiries: n("EXP", 2),
        losses: n("LOSS", 3),
        failures: n("FAIL", 0),
        changes: n("CHANGE", 1),
        takeovers: n("TAKE", 0),
    };
    let all = [Wish::Running, Wish::Destroyed, Wish::Larger, Wish::Suspended, Wish::Gone]; let wishes = &all[..usize::from(n("WISHES", 2))];
    let people: &[(&str, &str)] = match n("PEOPLE", 0) {
        0 => &[("ann", "ann.example.com")],
        1 => &[("ann", "ann.example.com"), ("ann", "two.example.com")],
        2 => &[("ann", "ann.example.com"), ("bob", "ann.example.com")],
        _ => &[("ann", "ann.example.com"), ("bob", "bob.example.com")],
    };
    let began = Instant::now();
    let surroundings = match n("SUR", 0) {
        0 => Surroundings::Real,
        1 => Surroundings::NoGate,
        2 => Surroundings::OneGateForAll,
        3 => Surroundings::ReplacesUnsettled,
        4 => Surroundings::NoVersion,
        _ => Surroundings::ClaimsAreTaken,
    };
    let mut shape = Shape::of(people, wishes, budget).within(surroundings);
    if n("LEASE", 0) == 1 {
        shape = shape.with_leases();
    }
    let mut model = Model::of(shape);
    model.only = std::env::var("ONLY").ok().map(|s| &*s.leak());
    let checker = model
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "{} states, {} generated, depth {}, longest calm {}, {:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        checker.model().calm.longest.load(Ordering::Relaxed),
        began.elapsed()
    );
    for (name, path) in checker.discoveries() {
        if name.starts_with("met") { println!("{name}"); continue; }
        println!("{name}: {}", path.into_actions().iter().map(|a| format!("{a:?}")).collect::<Vec<_>>().join("; "));
    }
}
