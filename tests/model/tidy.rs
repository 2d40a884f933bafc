//! After each step: what can't make a difference any more is taken out, so that states which differ in nothing else are
//! one. Each rule says why what it takes out is without effect; `store.rs` tests what they say of gates.

use std::sync::Arc;

use crate::Model;
use crate::passes::{Does, Known, Pass, Recorded};
use crate::shape::Surroundings;
use crate::state::{Build, Came, Gate, Hand, Op, PassNo, Stage, State, Todo};

impl Model {
    /// Whether a gate that is not open lets nobody pass any more.
    fn gates_work(&self) -> bool {
        match self.shape.surroundings {
            Surroundings::NoGate | Surroundings::OneGateForAll => false,
            Surroundings::Real
            | Surroundings::ReplacesUnsettled
            | Surroundings::NoVersion
            | Surroundings::ClaimsAreTaken => true,
        }
    }

    pub(crate) fn writes_nothing(&self, state: &State, pass: PassNo, came: Came) -> bool {
        let recorded = self.passes.record(&self.shape, pass, came, true, &state.claims);
        matches!(recorded, Recorded::Unchanged)
    }

    /// Whether nothing that is left of a pass can change anything: there is nothing to write or its condition can
    /// only fail, and its call, if it is still to be made, meets a gate that is not open.
    fn comes_to_nothing(&self, state: &State, hand: Hand) -> bool {
        let overtaken = !hand.fresh && self.shape.surroundings != Surroundings::NoVersion;
        match hand.todo {
            Todo::Record(came) => overtaken || self.writes_nothing(state, hand.pass, came),
            Todo::Act if !overtaken || !self.gates_work() => false,
            Todo::Act => match self.passes.pass(hand.pass).does {
                Does::Start { op, .. } | Does::Close(op) => state.gate(op) != Some(Gate::Open),
                // Its gate is closed.
                Does::Stop { .. } | Does::Nothing => true,
                Does::Scale(_) => false,
            },
        }
    }

    /// Takes out what can't make a difference any more, and puts the rest in order.
    pub(crate) fn tidy(&self, state: &mut State) {
        for n in 0..state.replicas.len() {
            if let Some(hand) = state.replicas[n].hand
                && self.comes_to_nothing(state, hand)
            {
                state.replicas[n].hand = None;
            }
        }
        let gates = std::mem::take(&mut state.gates);
        let gate = |op: Op| gates.iter().find(|(of, _)| *of == op).map(|(_, gate)| *gate);
        // A call that starts a build which its gate can only turn away, or that closes a gate which is not open.
        state
            .late
            .retain(|call| gate(call.op()) == Some(Gate::Open) || !self.gates_work());
        let sights = self.sights(state);
        let on_its_way = |op: Op| state.late.iter().any(|call| call.op() == op);
        state.builds.retain(|build| {
            let gate = gate(build.op);
            let shut = self.gates_work()
                && build.stage == Stage::Waiting
                && match gate {
                    Some(Gate::Open) => false,
                    Some(Gate::Held(holder)) => holder != build.n,
                    Some(Gate::Closed) | None => true,
                };
            let works = !build.stage.is_over() && !shut;
            let found = build.known_by_token && (sights.is_current(build.op) || on_its_way(build.op));
            works || found || sights.show(*build, gate)
        });
        // A gate is looked at through the operation in flight. An open one also matters to a build that may come.
        let comes = |op: Op| {
            let built = state.builds.iter().any(|build| build.op == op);
            built || on_its_way(op) || sights.is_called(op)
        };
        state.gates = gates;
        state.gates.retain(|(op, gate)| {
            let may_let_pass = *gate == Gate::Open || !self.gates_work();
            sights.is_current(*op) || (may_let_pass && comes(*op))
        });
        state.gates.sort_unstable();
        state.builds.sort_unstable();
        state.late.sort_unstable();
        // Replicas are alike.
        state.replicas.sort_unstable();
    }

    fn sights(&self, state: &State) -> Sights {
        let memories = state.apps.iter().filter_map(|app| app.memory);
        let hands = state.replicas.iter().filter_map(|replica| replica.hand);
        Sights {
            flying: memories
                .map(|no| self.passes.memory(no))
                .filter(|known| known.in_flight)
                .collect(),
            hands: hands.map(|hand| (hand, self.passes.pass(hand.pass))).collect(),
        }
    }
}

/// What replicas can still see of builds and gates: through operations in flight, and through what they have in hand.
struct Sights {
    flying: Vec<Arc<Known>>,
    hands: Vec<(Hand, Arc<Pass>)>,
}

impl Sights {
    fn is_current(&self, op: Op) -> bool {
        self.flying.iter().any(|known| known.op == Some(op))
    }

    /// Whether somebody is about to make a call for this operation, or just did.
    fn is_called(&self, op: Op) -> bool {
        let mut calls = self.hands.iter().filter_map(|(_, pass)| pass.call());
        calls.any(|call| call.op() == op)
    }

    /// Whether a build is looked at, or is about to be written down as the one of its operation.
    fn show(&self, build: Build, gate: Option<Gate>) -> bool {
        let holds = gate == Some(Gate::Held(build.n));
        let known =
            |known: &Arc<Known>| known.op == Some(build.op) && (holds || known.build == Some(build.n));
        let answered = |(hand, pass): &(Hand, Arc<Pass>)| {
            let started = hand.todo == Todo::Record(Came::Started(build.n));
            started && pass.call().is_some_and(|call| call.op() == build.op)
        };
        self.flying.iter().any(known) || self.hands.iter().any(answered)
    }
}
