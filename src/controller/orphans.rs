//! What is in AWS and should not be there: orphans, which nothing asks for and nothing remembered, and leftovers,
//! which survived their destroy. Told from the fleet as the controller last saw it. What becomes of an
//! orphan the planner decides; here is only judged which of them have their turn.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::handle::{AppSummary, Fleet};
use crate::cloud::StateSnapshot;
use crate::inventory::Stray;
use crate::model::memory::Leftover;
use crate::model::name::AppId;
use crate::model::orphan::{Orphan, OrphanState};
use crate::model::policy::{Deletions, Orphans};
use crate::model::row::Row;
use crate::model::schedule::later;

/// Orphans that are due, as many as may be begun with at once, those first that were found first.
pub(super) fn reapable(
    policy: Orphans,
    rows: &BTreeMap<AppId, Row>,
    state: &StateSnapshot,
    now: Timestamp,
) -> BTreeSet<AppId> {
    let mut due: Vec<(Timestamp, &AppId)> = state
        .memories
        .values()
        .filter(|memory| policy.reap && !rows.contains_key(&memory.id))
        .filter(|memory| memory.operation.is_none())
        // One that is paused would stand in the way of all that were found after it.
        .filter(|memory| state.pauses.of(&memory.id).is_absent())
        .filter_map(|memory| Some((memory.found.as_ref()?.since, &memory.id)))
        .filter(|(since, _)| later(*since, policy.reap_after) <= now)
        .collect();
    due.sort();
    let most = usize::try_from(policy.per_sweep).unwrap_or(usize::MAX);
    due.into_iter().take(most).map(|(_, id)| id.clone()).collect()
}

impl Fleet {
    /// Every orphan, by id.
    pub fn orphans(&self, now: Timestamp) -> Vec<Orphan> {
        let remembered = self.apps.values().filter_map(|app| of_memory(app, self, now));
        // One that has a row is on its way to being an app like any other.
        let is_remembered = |stray: &&Stray| {
            let app = self.apps.get(&stray.id);
            app.and_then(|app| app.memory.as_ref()?.found.as_ref()).is_some()
        };
        let strays = self
            .strays
            .iter()
            .filter(|stray| !stray.has_row && !is_remembered(stray));
        let mut all: Vec<Orphan> = remembered.chain(strays.map(of_stray)).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Every app of which something survived its destroy, by id.
    pub fn leftovers(&self) -> impl Iterator<Item = (&AppSummary, &Leftover)> {
        self.apps.values().filter_map(|app| {
            let memory = app.memory.as_ref()?;
            Some((app, memory.leftover.as_ref()?))
        })
    }
}

fn of_memory(app: &AppSummary, fleet: &Fleet, now: Timestamp) -> Option<Orphan> {
    let policy = fleet.orphan_policy;
    let memory = app.memory.as_ref().filter(|_| app.row.is_none())?;
    let found = memory.found.as_ref()?;
    let blueprint = memory.blueprint()?;
    let due = later(found.since, policy.reap_after);
    let state = if memory.operation.is_some() {
        OrphanState::Reaping
    } else if !policy.reap || now < due {
        OrphanState::Quarantined
    } else if matches!(fleet.deletions, Deletions::Held { .. }) {
        OrphanState::Held
    } else {
        OrphanState::Due
    };
    Some(Orphan {
        id: app.id.clone(),
        state,
        since: Some(found.since),
        identity: Some(blueprint.identity.clone()),
        cluster: Some(blueprint.cluster.clone()),
        service: Some(blueprint.service().clone()),
        due: Some(due),
    })
}

fn of_stray(stray: &Stray) -> Orphan {
    Orphan {
        id: stray.id.clone(),
        state: match stray.identity {
            Some(_) => OrphanState::Found,
            None => OrphanState::Unidentified,
        },
        since: stray.seen_since,
        identity: stray.identity.clone(),
        cluster: stray.cluster.clone(),
        service: stray.service.clone(),
        due: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::SignedDuration;
    use crate::model::memory::{Found, Memory};
    use crate::model::pause::Pause;

    #[test]
    fn those_found_first_have_their_turn_and_a_paused_one_takes_nobodys() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let policy = Orphans {
            reap: true,
            reap_after: SignedDuration::from_secs(100),
            per_sweep: 2,
        };
        let mut state = StateSnapshot::default();
        for (id, found) in [("d", 4), ("a", 1), ("c", 3), ("b", 2), ("late", 50)] {
            let id = AppId::from_key(id).unwrap();
            let mut memory = Memory::new(id.clone());
            memory.found = Some(Found { since: at(found) });
            state.memories.insert(id, memory);
        }
        let turn = |state: &StateSnapshot, policy| -> Vec<String> {
            let due = reapable(policy, &BTreeMap::new(), state, at(120));
            due.iter().map(ToString::to_string).collect()
        };
        assert_eq!(turn(&state, policy), ["a", "b"]);
        for paused in ["a", "b"] {
            let id = AppId::from_key(paused).unwrap();
            state.pauses.apps.insert(id, Pause::default());
        }
        assert_eq!(turn(&state, policy), ["c", "d"]);
        assert!(
            turn(
                &state,
                Orphans {
                    reap: false,
                    ..policy
                }
            )
            .is_empty()
        );
    }
}
