//! No stuck state: from every state, once nothing goes wrong any more, everything comes to rest as the rows ask, in a
//! bounded number of steps. stateright's `eventually` is unsound where paths meet, so this is asked of each state.
#![allow(
    clippy::disallowed_types,
    reason = "asked by key only, and millions of times; no order of theirs is ever seen"
)]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lamplighter::model::memory::Memory;

use crate::Model;
use crate::shape::Shape;
use crate::state::{App, Stage, State, Todo, Wish};
use crate::steps::{Fate, Step};

/// The most steps that calm weather may take.
pub(crate) const STEPS_MAX: usize = 80;

/// How many steps each state is from rest, as far as that is known.
pub(crate) struct Calm {
    known: [Mutex<HashMap<u64, usize>>; 16],
    hasher: RandomState,
    pub(crate) longest: AtomicUsize,
}

impl Default for Calm {
    fn default() -> Self {
        Self {
            known: Default::default(),
            hasher: RandomState::new(),
            longest: AtomicUsize::new(0),
        }
    }
}

impl Calm {
    fn key(&self, state: &State) -> u64 {
        self.hasher.hash_one(state)
    }

    fn shelf(&self, key: u64) -> &Mutex<HashMap<u64, usize>> {
        &self.known[usize::try_from(key % 16).unwrap()]
    }
}

impl Model {
    /// Whether calm weather leads from here to rest, and rest is as the rows ask.
    pub(crate) fn comes_to_rest(&self, state: &State) -> bool {
        let calm = &self.calm;
        let mut way = Vec::new();
        let mut at = state.clone();
        let left = loop {
            let key = calm.key(&at);
            if let Some(left) = calm.shelf(key).lock().unwrap().get(&key) {
                break *left;
            }
            way.push(key);
            match self.next_in_calm(&at) {
                Some(next) => at = next,
                None if self.is_as_asked(&at) => break 0,
                None => return false,
            }
            if way.len() > STEPS_MAX {
                return false;
            }
        };
        // The last on the way is at rest itself if nothing was known.
        let mut steps = left;
        for key in way.into_iter().rev() {
            steps += 1;
            calm.shelf(key).lock().unwrap().insert(key, steps);
        }
        calm.longest.fetch_max(steps, Ordering::Relaxed);
        steps <= STEPS_MAX
    }

    /// The one step that calm weather takes: what is on its way arrives, what is in hand is finished, builds go on,
    /// and then somebody looks.
    pub(crate) fn next_in_calm(&self, state: &State) -> Option<State> {
        if !state.late.is_empty() {
            return self.take(state, Step::Arrive(0));
        }
        for (n, replica) in state.replicas.iter().enumerate() {
            match replica.hand.map(|hand| hand.todo) {
                Some(Todo::Act) => return self.take(state, Step::Act(n, Fate::Answered)),
                Some(Todo::Record(_)) => return self.take(state, Step::Record(n)),
                None => {}
            }
        }
        for (n, build) in state.builds.iter().enumerate() {
            match build.stage {
                Stage::Waiting => return self.take(state, Step::Ask(n)),
                Stage::Past => return self.take(state, Step::End { build: n, well: true }),
                Stage::Succeeded | Stage::Failed => {}
            }
        }
        let leader = state.replicas.iter().position(|replica| replica.leads)?;
        self.shape
            .apps()
            .find_map(|app| self.take(state, Step::Look(leader, app)))
    }

    /// Whether every app is as its row asks.
    fn is_as_asked(&self, state: &State) -> bool {
        self.shape.apps().all(|app| self.app_is_as_asked(state, app))
    }

    fn app_is_as_asked(&self, state: &State, app: App) -> bool {
        let it = &state.apps[usize::from(app)];
        let known = it.memory.map(|no| self.passes.memory(no));
        let known = known.as_ref();
        if known.is_some_and(|known| known.in_flight) {
            return false;
        }
        let mine = |claim: &usize| state.claims[*claim] == Some(app);
        let slot = self.shape.claim(&self.shape.who[usize::from(app)].identity.slot);
        match it.row {
            Wish::Running | Wish::Larger => known.is_some_and(|known| {
                let memory = &known.memory;
                let runs = it.service == Some(2) && memory.ready_since.is_some() && is_newest(memory);
                (runs && mine(&slot)) || (!it.remains && self.is_refused_for_a_reason(state, app, memory))
            }),
            Wish::Suspended => it.service.is_none_or(|tasks| tasks == 0),
            Wish::Destroyed => !it.remains && it.service.is_none() && !mine(&slot),
            Wish::Gone => {
                let none = state.claims.iter().all(|holder| *holder != Some(app));
                !it.remains && it.service.is_none() && none
            }
        }
    }

    /// Refused is as asked, as long as another app holds what this one needs.
    fn is_refused_for_a_reason(&self, state: &State, app: App, memory: &Memory) -> bool {
        let taken = |claim: usize| state.claims[claim].is_some_and(|holder| holder != app);
        memory.refused_since.is_some() && needs(&self.shape, app).into_iter().any(taken)
    }
}

/// Whether what is deployed is what was asked last.
fn is_newest(memory: &Memory) -> bool {
    let deployed = memory
        .deployment
        .as_ref()
        .filter(|deployment| deployment.complete);
    let asked = memory.accepted.as_ref();
    deployed.map(|it| &it.blueprint.spec_hash) == asked.map(|it| &it.blueprint.spec_hash)
}

/// The claims an app needs.
pub(crate) fn needs(shape: &Shape, app: App) -> [usize; 3] {
    let identity = &shape.who[usize::from(app)].identity;
    let [host, name] = identity.name_keys();
    [&identity.slot, &host, &name].map(|key| shape.claim(key))
}
