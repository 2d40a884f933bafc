//! What is in AWS and should not be there: orphans, which nothing asks for and nothing remembered, and leftovers,
//! which survived their destroy. Told from the fleet as the controller last saw it; nothing is decided here.

use jiff::Timestamp;

use super::handle::{AppSummary, Fleet};
use crate::inventory::Stray;
use crate::model::memory::Leftover;
use crate::model::orphan::{Orphan, OrphanState};
use crate::model::policy::Deletions;
use crate::model::schedule::later;

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
        since: None,
        identity: stray.identity.clone(),
        cluster: stray.cluster.clone(),
        service: stray.service.clone(),
        due: None,
    }
}
