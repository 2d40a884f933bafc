//! Between the small words of a state and the items of the tables. The conditions themselves, of writes, gates and
//! claims, are those of `tests/support/memory_tables.rs`, which a test holds equal to the real adapter's.

use std::collections::BTreeMap;

use lamplighter::model::claim::{Claim, ClaimKey};
use lamplighter::model::memory::Memory;
use lamplighter::model::name::AppId;
use lamplighter::model::observed;

use crate::memory_tables::{Items, MemoryTables};
use crate::shape::{self, Shape, number_of, operation_id};
use crate::state::{App, Gate, Op};

/// What is stored when a pass is written down, given what it saw: of its version, or of a later one.
pub(crate) fn stored(id: &AppId, seen: Option<&Memory>, fresh: bool) -> Option<Memory> {
    match (seen, fresh) {
        (seen, true) => seen.cloned(),
        (seen, false) => {
            let mut other = Memory::new(id.clone());
            other.version = seen.map_or(0, |seen| seen.version) + 9;
            Some(other)
        }
    }
}

pub(crate) fn tables(items: Items) -> MemoryTables {
    let tables = MemoryTables::default();
    *tables.items() = items;
    tables
}

pub(crate) fn stored_gate(op: Op, gate: Gate) -> observed::Gate {
    match gate {
        Gate::Open => observed::Gate::Open,
        Gate::Closed => observed::Gate::Closed,
        Gate::Held(n) => observed::Gate::Held(shape::build_id(op, n)),
    }
}

/// What the real conditions make of one gate: a build asks (with its number), or the daemon closes it.
pub(crate) fn change_gate(op: Op, gate: Option<Gate>, asks: Option<u8>) -> (Option<Gate>, bool) {
    let id = operation_id(op);
    let tables = MemoryTables::default();
    if let Some(gate) = gate {
        tables.items().gates.insert(id.clone(), stored_gate(op, gate));
    }
    let passed = asks.is_some_and(|n| tables.pass_gate(&id, &shape::build_id(op, n)));
    if asks.is_none() {
        tables.items().close_gate(&id);
    }
    let items = tables.items();
    let after = items.gates.get(&id).map(|gate| match gate {
        observed::Gate::Open => Gate::Open,
        observed::Gate::Closed => Gate::Closed,
        observed::Gate::Held(build) => Gate::Held(number_of(build)),
    });
    (after, passed)
}

pub(crate) fn claims(shape: &Shape, held: &[Option<App>]) -> BTreeMap<ClaimKey, Claim> {
    let held = shape.claims.iter().zip(held);
    held.filter_map(|(key, holder)| {
        let app = shape.who[usize::from((*holder)?)].id.clone();
        let since = shape::now();
        Some((
            key.clone(),
            Claim {
                app,
                since,
                bid: None,
            },
        ))
    })
    .collect()
}

pub(crate) fn holders(shape: &Shape, claims: &BTreeMap<ClaimKey, Claim>) -> Vec<Option<App>> {
    let holder = |key: &ClaimKey| {
        let holder = &claims.get(key)?.app;
        shape
            .apps()
            .find(|app| shape.who[usize::from(*app)].id == *holder)
    };
    shape.claims.iter().map(holder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model leaves out builds and calls whose gate is not open; this is what it relies on.
    #[test]
    fn a_gate_that_is_not_open_stays_as_it_is_and_lets_nobody_else_pass() {
        let op = Op { app: 0, n: 0 };
        for gate in [None, Some(Gate::Closed), Some(Gate::Held(0))] {
            assert_eq!(
                change_gate(op, gate, Some(1)),
                (gate, false),
                "a build asks at {gate:?}"
            );
            assert_eq!(change_gate(op, gate, None), (gate, false), "{gate:?} is closed");
        }
        assert_eq!(
            change_gate(op, Some(Gate::Open), Some(1)),
            (Some(Gate::Held(1)), true)
        );
        assert_eq!(
            change_gate(op, Some(Gate::Open), None),
            (Some(Gate::Closed), false)
        );
        assert_eq!(
            change_gate(op, Some(Gate::Held(1)), Some(1)),
            (Some(Gate::Held(1)), true)
        );
    }
}
