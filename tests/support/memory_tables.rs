//! The three tables in plain memory, for simulations that make millions of calls. `tests/adapters/conformance.rs`
//! holds them equal to the real adapter over DynamoDB's emulator, answer for answer.
#![allow(dead_code, reason = "each test binary that shares this uses a part of it")]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::Timestamp;
use lamplighter::cloud::{DesiredStore, Result, Rows, StateSnapshot, StateStore, Swapped, Write, WriteError};
use lamplighter::model::claim::{Bid, Claim, ClaimKey};
use lamplighter::model::history::{Event, first_key};
use lamplighter::model::keep::Ledger;
use lamplighter::model::lease::{Lease, Shard};
use lamplighter::model::memory::Memory;
use lamplighter::model::name::{AppId, BuildId, OperationId, User};
use lamplighter::model::observed::{ClaimHolders, Gate};
use lamplighter::model::pause::{Pause, PauseScope, Pauses};
use lamplighter::model::policy::Approvals;
use lamplighter::model::row::Row;

/// Every table. Each call takes effect whole, as one transaction of DynamoDB does.
#[derive(Debug, Default)]
pub(crate) struct MemoryTables(Mutex<Items>);

/// What is stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Items {
    pub(crate) rows: BTreeMap<AppId, Row>,
    pub(crate) memories: BTreeMap<AppId, Memory>,
    pub(crate) gates: BTreeMap<OperationId, Gate>,
    pub(crate) claims: BTreeMap<ClaimKey, Claim>,
    pub(crate) events: BTreeMap<AppId, BTreeMap<String, Event>>,
    pub(crate) approvals: Approvals,
    pub(crate) reported: Option<Timestamp>,
    pub(crate) pauses: Pauses,
    pub(crate) keeps: BTreeMap<User, Ledger>,
    pub(crate) leases: BTreeMap<Shard, Lease>,
}

impl MemoryTables {
    /// The items themselves, to look at and to meddle with.
    pub(crate) fn items(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap()
    }

    /// What a build asks in its first phase: whether it is the one build of its operation.
    pub(crate) fn pass_gate(&self, operation: &OperationId, build: &BuildId) -> bool {
        let mut items = self.items();
        match items.gates.get_mut(operation) {
            Some(gate @ Gate::Open) => {
                *gate = Gate::Held(build.clone());
                true
            }
            Some(Gate::Held(holder)) => holder == build,
            Some(Gate::Closed) | None => false,
        }
    }
}

impl Items {
    /// The state table, as one complete reading shows it.
    pub(crate) fn snapshot(&self) -> StateSnapshot {
        StateSnapshot {
            memories: self.memories.clone(),
            gates: self.gates.clone(),
            claims: self.claims.clone(),
            approvals: self.approvals,
            reported: self.reported,
            pauses: self.pauses.clone(),
            keeps: self.keeps.clone(),
            ..StateSnapshot::default()
        }
    }

    /// Carries out a write, or nothing of it.
    pub(crate) fn write(&mut self, write: &Write) -> std::result::Result<(), WriteError> {
        let me = &write.memory.id;
        let stored = self.memories.get(me);
        let unchanged = match write.expected_version {
            0 => stored.is_none(),
            version => stored.is_some_and(|stored| stored.version == version),
        };
        if !unchanged {
            let done = match stored {
                None => write.forget,
                Some(stored) => !write.forget && *stored == write.memory,
            };
            return if done {
                Ok(())
            } else {
                Err(WriteError::VersionConflict)
            };
        }
        for key in write.take.iter().chain(&write.release) {
            if let Some(claim) = self.claims.get(key).filter(|claim| claim.app != *me) {
                return Err(WriteError::ClaimTaken {
                    key: key.clone(),
                    holder: Some(claim.clone()),
                });
            }
        }
        if let Some(operation) = &write.open_gate {
            if self.gates.contains_key(operation) {
                return Err(WriteError::VersionConflict);
            }
            self.gates.insert(operation.clone(), Gate::Open);
        }
        for key in &write.take {
            self.claims.entry(key.clone()).or_insert_with(|| Claim {
                app: me.clone(),
                since: write.at,
                bid: None,
            });
        }
        for key in &write.release {
            self.claims.remove(key);
        }
        for event in &write.events {
            let of_app = self.events.entry(event.id.clone()).or_default();
            of_app.insert(event.at.clone(), event.clone());
        }
        if write.forget {
            self.memories.remove(me);
        } else {
            self.memories.insert(me.clone(), write.memory.clone());
        }
        Ok(())
    }

    /// Closes a gate unless a build holds it.
    pub(crate) fn close_gate(&mut self, operation: &OperationId) -> Option<Gate> {
        let gate = self.gates.get_mut(operation)?;
        if *gate == Gate::Open {
            *gate = Gate::Closed;
        }
        Some(gate.clone())
    }

    /// Writes a bid onto a claim that is as it was read.
    pub(crate) fn bid(
        &mut self,
        slot: &ClaimKey,
        holder: &AppId,
        over: Option<&Bid>,
        bid: &Bid,
    ) -> Option<Claim> {
        let claim = self.claims.get_mut(slot)?;
        if claim.app == *holder && claim.bid.as_ref() == over {
            claim.bid = Some(bid.clone());
        }
        Some(claim.clone())
    }

    /// The leases of these shards.
    pub(crate) fn leases_of(&self, shards: &[Shard]) -> BTreeMap<Shard, Lease> {
        let found = shards
            .iter()
            .filter_map(|shard| Some((*shard, self.leases.get(shard)?.clone())));
        found.collect()
    }

    /// Stores a lease if it is as expected.
    pub(crate) fn swap_lease(&mut self, shard: Shard, expected: Option<&Lease>, new: &Lease) -> Swapped {
        let stored = self.leases.get(&shard).cloned();
        let met = match (&stored, expected) {
            (None, None) => true,
            (Some(stored), Some(expected)) => stored.unmoved_since(expected),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if met {
            self.leases.insert(shard, new.clone());
            return Swapped::Done { before: stored };
        }
        if stored.as_ref().is_some_and(|stored| stored.unmoved_since(new)) {
            return Swapped::Done { before: None };
        }
        Swapped::Lost { stored }
    }

    /// Stores a user's exemptions, with their line of history, over those that were read.
    pub(crate) fn swap_keeps(&mut self, user: &User, over: u64, new: &Ledger, line: &Event) -> bool {
        let stored = self.keeps.get(user);
        if stored.map_or(0, |stored| stored.version) != over {
            return stored == Some(new);
        }
        self.keeps.insert(user.clone(), new.clone());
        let of_app = self.events.entry(line.id.clone()).or_default();
        of_app.insert(line.at.clone(), line.clone());
        true
    }

    /// Who holds these claims.
    pub(crate) fn holders(&self, keys: &[ClaimKey]) -> ClaimHolders {
        keys.iter()
            .filter_map(|key| Some((key.clone(), self.claims.get(key)?.clone())))
            .collect()
    }
}

#[async_trait]
impl DesiredStore for MemoryTables {
    async fn row(&self, id: &AppId) -> Result<Option<Row>> {
        Ok(self.items().rows.get(id).cloned())
    }

    async fn rows(&self) -> Result<Rows> {
        Ok(Rows {
            rows: self.items().rows.clone(),
            unreadable: 0,
        })
    }

    async fn put_row(&self, row: &Row) -> Result<()> {
        self.items().rows.insert(row.id.clone(), row.clone());
        Ok(())
    }

    async fn delete_row(&self, id: &AppId) -> Result<()> {
        self.items().rows.remove(id);
        Ok(())
    }
}

#[async_trait]
impl StateStore for MemoryTables {
    async fn memory(&self, id: &AppId) -> Result<Option<Memory>> {
        Ok(self.items().memories.get(id).cloned())
    }

    async fn snapshot(&self) -> Result<StateSnapshot> {
        Ok(self.items().snapshot())
    }

    async fn claims(&self, keys: &[ClaimKey]) -> Result<ClaimHolders> {
        Ok(self.items().holders(keys))
    }

    async fn gate(&self, operation: &OperationId) -> Result<Option<Gate>> {
        Ok(self.items().gates.get(operation).cloned())
    }

    async fn close_gate(&self, operation: &OperationId) -> Result<Option<Gate>> {
        Ok(self.items().close_gate(operation))
    }

    async fn bid(
        &self,
        slot: &ClaimKey,
        holder: &AppId,
        over: Option<&Bid>,
        bid: &Bid,
    ) -> Result<Option<Claim>> {
        Ok(self.items().bid(slot, holder, over, bid))
    }

    async fn write(&self, write: &Write) -> std::result::Result<(), WriteError> {
        self.items().write(write)
    }

    async fn events(&self, id: &AppId, limit: u32) -> Result<Vec<Event>> {
        let items = self.items();
        let newest_first = items
            .events
            .get(id)
            .into_iter()
            .flat_map(|all| all.values().rev());
        Ok(newest_first
            .take(usize::try_from(limit).unwrap())
            .cloned()
            .collect())
    }

    async fn history(&self, id: &AppId, from: Timestamp, to: Timestamp) -> Result<Vec<Event>> {
        let items = self.items();
        let (from, to) = (first_key(from), first_key(to));
        let Some(lines) = items.events.get(id) else {
            return Ok(Vec::new());
        };
        let before = lines.range(..from.clone()).next_back();
        let then = (from < to).then(|| lines.range(from..to));
        let all = before.into_iter().chain(then.into_iter().flatten());
        Ok(all.map(|(_, line)| line.clone()).collect())
    }

    async fn approvals(&self) -> Result<Approvals> {
        Ok(self.items().approvals)
    }

    async fn approve_deletions(&self, seen: Approvals, at: Timestamp) -> Result<()> {
        let approvals = &mut self.items().approvals;
        if approvals.count == seen.count {
            *approvals = Approvals {
                count: seen.count + 1,
                latest: Some(at),
            };
        }
        Ok(())
    }

    async fn set_reported(&self, until: Timestamp) -> Result<()> {
        self.items().reported = Some(until);
        Ok(())
    }

    async fn pauses(&self) -> Result<Pauses> {
        Ok(self.items().pauses.clone())
    }

    async fn set_pause(&self, scope: &PauseScope, pause: Option<&Pause>) -> Result<Pauses> {
        let mut items = self.items();
        match (scope, pause) {
            (PauseScope::Fleet, pause) => items.pauses.fleet = pause.cloned(),
            (PauseScope::App(id), Some(pause)) => {
                items.pauses.apps.insert(id.clone(), pause.clone());
            }
            (PauseScope::App(id), None) => {
                items.pauses.apps.remove(id);
            }
        }
        Ok(items.pauses.clone())
    }

    async fn keeps(&self, user: &User) -> Result<Option<Ledger>> {
        Ok(self.items().keeps.get(user).cloned())
    }

    async fn swap_keeps(&self, user: &User, over: u64, new: &Ledger, line: &Event) -> Result<bool> {
        Ok(self.items().swap_keeps(user, over, new, line))
    }

    async fn leases(&self, shards: &[Shard]) -> Result<BTreeMap<Shard, Lease>> {
        Ok(self.items().leases_of(shards))
    }

    async fn swap_lease(&self, shard: Shard, expected: Option<&Lease>, new: &Lease) -> Result<Swapped> {
        Ok(self.items().swap_lease(shard, expected, new))
    }
}
