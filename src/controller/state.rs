//! What the controller keeps in memory between passes. All of it can be lost: the tables and AWS have it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio::time::Instant;

use super::deletions::Judgement;
use super::handle::{AppSummary, Fleet};
use crate::inventory::{BuildIndex, Glance, Strays, TagIndex};
use crate::model::memory::Memory;
use crate::model::name::{AppId, ClusterName, ProjectName};
use crate::model::row::Row;

/// What the controller keeps in memory.
#[derive(Default)]
pub(super) struct State {
    /// The fleet as last seen.
    pub(super) fleet: Fleet,
    /// When passes noted what they saw: newer than any reading that began before.
    noted: BTreeMap<AppId, Instant>,
    /// The last sweep's judgement of rows that are gone.
    pub(super) judgement: Judgement,
    /// Services by tag, from the last complete listing of each cluster.
    pub(super) tags: BTreeMap<ClusterName, TagIndex>,
    /// Builds by project, from the last complete listing of each since this process began, or since it saw that the
    /// state table went back in time.
    pub(super) builds: BTreeMap<ProjectName, BuildIndex>,
    /// Projects whose builds could not be listed when that was last tried, with the reason.
    pub(super) unlisted: BTreeMap<ProjectName, String>,
    /// Whether builds were listed as far back as CodeBuild remembers.
    pub(super) listed_all: bool,
    /// Apps that AWS shows and that nothing remembers.
    pub(super) strays: Strays,
    /// Orphans that may be begun with in this sweep.
    pub(super) reapable: BTreeSet<AppId>,
    /// Apps under way, with what the last glance saw of them.
    pub(super) under_way: BTreeMap<AppId, Option<Glance>>,
    /// When apps are due for a pass, by wall time.
    pub(super) due: BTreeMap<AppId, Timestamp>,
    /// When the last complete sweep ended.
    pub(super) swept: Option<Instant>,
    /// When the last sweep was tried.
    pub(super) sweep_tried: Option<Instant>,
    /// Why the last sweep was not complete, if it was not.
    pub(super) sweep_trouble: Option<String>,
    /// Why the last poll of the desired table failed, if it did.
    pub(super) poll_trouble: Option<String>,
    /// When the observing loop last went round.
    pub(super) beat: Option<Instant>,
    /// Whether somebody waits for a sweep.
    pub(super) sweep_wanted: bool,
    /// How many sweeps there were; turns the slice of apps whose targets are looked at.
    pub(super) sweeps: usize,
    /// How many glances there were.
    pub(super) glances: usize,
}

impl State {
    /// Takes note of what a pass saw and wrote.
    pub(super) fn note(&mut self, id: &AppId, row: Option<Row>, memory: Option<Memory>) {
        self.noted.insert(id.clone(), Instant::now());
        self.take_in(id, row, memory);
    }

    /// Takes note of what a reading of everything that began then has of an app. What a pass noted since is newer,
    /// above all where the reading has nothing: that has no version to go by. Says whether the state table knows less
    /// of it than it did.
    pub(super) fn note_read(
        &mut self,
        began: Instant,
        id: &AppId,
        row: Option<Row>,
        memory: Option<Memory>,
    ) -> bool {
        if self.noted.get(id).is_some_and(|at| *at >= began) {
            return false;
        }
        let known = self.fleet.apps.get(id).and_then(|app| app.memory.as_ref());
        let went_back = known.is_some_and(|known| match &memory {
            Some(read) => read.version < known.version,
            // One that was over may be forgotten at any time.
            None => known.over_since.is_none(),
        });
        if went_back {
            self.state_table_went_back(id);
        }
        self.take_in(id, row, memory);
        went_back
    }

    /// A reading of everything shows less than was known before it began: the state table was lost or restored from a
    /// backup. What it does not know now, AWS has to be asked for again.
    fn state_table_went_back(&mut self, id: &AppId) {
        if !self.builds.is_empty() {
            tracing::error!(
                app = %id.as_str().escape_debug(),
                "the state table knows less than it did: it was lost or restored; builds and services are listed \
                 anew, and tell what there is"
            );
        }
        self.builds.clear();
        self.listed_all = false;
        self.sweep_wanted = true;
        self.fleet.apps.remove(id);
    }

    /// Forgets when passes noted what, as far as it lies before the beginning of the last reading.
    pub(super) fn forget_noted_before(&mut self, began: Instant) {
        self.noted.retain(|_, at| *at >= began);
    }

    /// A memory older than the one known is not news.
    fn take_in(&mut self, id: &AppId, row: Option<Row>, memory: Option<Memory>) {
        if memory.is_some() {
            self.strays.remembered(id);
            self.fleet.strays.retain(|stray| stray.id != *id);
        }
        let known = self.fleet.apps.get(id).and_then(|app| app.memory.as_ref());
        let memory = match (memory, known) {
            (Some(new), Some(old)) if new.version < old.version => Some(old.clone()),
            (new, _) => new,
        };
        if row.is_none() && memory.is_none() {
            self.fleet.apps.remove(id);
        } else {
            self.fleet.apps.insert(
                id.clone(),
                AppSummary {
                    id: id.clone(),
                    row,
                    memory,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_began_before_a_pass_does_not_undo_what_the_pass_noted() {
        let (mut state, id) = (State::default(), AppId::from_key("a").unwrap());
        let memory = |version| {
            let mut memory = Memory::new(AppId::from_key("a").unwrap());
            memory.version = version;
            Some(memory)
        };
        let began = Instant::now();
        tokio::time::advance(Duration::from_millis(1)).await;
        state.note(&id, None, memory(1));
        state.note_read(began, &id, None, None);
        assert_eq!(state.fleet.apps[&id].memory, memory(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        state.note_read(Instant::now(), &id, None, None);
        assert!(state.fleet.apps.is_empty(), "a later one is believed");
    }
}
