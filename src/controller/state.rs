//! What the controller keeps in memory between passes. All of it can be lost: the tables and AWS have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::deletions::Judgement;
use super::feed::{Feed, News};
use super::handle::{AppSummary, Fleet};
use crate::inventory::{BuildIndex, Glance, Strays, TagIndex};
use crate::model::memory::Memory;
use crate::model::name::{AppId, ClusterName, ProjectName};
use crate::model::row::Row;
use crate::model::status::Status;
use crate::model::warned::Warned;

/// What the controller keeps in memory.
#[derive(Default)]
pub(super) struct State {
    /// The fleet as last seen.
    pub(super) fleet: Fleet,
    /// Who is told what becomes known, from when the first sweep is taken in: what that finds is no news.
    pub(super) feed: Option<Arc<Feed>>,
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
    /// When builds may be listed again, after the state table went back in time.
    listed_not_before: Option<Instant>,
    /// Whether builds were listed as far back as CodeBuild remembers.
    pub(super) listed_all: bool,
    /// Apps that AWS shows and that nothing remembers.
    pub(super) strays: Strays,
    /// Whether those are known, from complete listings of everything since this process began or saw that the state
    /// table went back in time. Before, what they hold could be taken for free.
    pub(super) strays_known: bool,
    /// Orphans that may be begun with in this sweep.
    pub(super) reapable: BTreeSet<AppId>,
    /// Apps under way, with what the last glance saw of them.
    pub(super) under_way: BTreeMap<AppId, Option<Glance>>,
    /// When apps are due for a pass, by wall time.
    pub(super) due: BTreeMap<AppId, Timestamp>,
    /// When the last complete sweep ended.
    pub(super) swept: Option<Instant>,
    /// Up to which time days were reported, by whichever replica, as of the last sweep.
    pub(super) reported: Option<Timestamp>,
    /// When the last sweep was tried.
    pub(super) sweep_tried: Option<Instant>,
    /// Why the last sweep was not complete, if it was not.
    pub(super) sweep_trouble: Option<String>,
    /// Why the last poll of the desired table failed, if it did.
    pub(super) poll_trouble: Option<String>,
    /// When the observing loop last went round.
    pub(super) beat: Option<Instant>,
    /// Why history could not be read when that was last tried, if so.
    pub(super) history_trouble: Option<String>,
    /// Apps whose records were the newest there were when this process first decided about them.
    vouched: BTreeSet<AppId>,
    /// Whether somebody waits for a sweep.
    pub(super) sweep_wanted: bool,
    /// How many sweeps there were; turns the slice of apps whose targets are looked at.
    pub(super) sweeps: usize,
    /// How many glances there were.
    pub(super) glances: usize,
}

/// How long a build that was started may be missing from listings. AWS promises nothing; five minutes is the most that
/// was ever told of ECS.
pub(super) const LISTINGS_LAG: Duration = Duration::from_mins(5);

/// The version of an app's record, and whether the app was over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known(Option<(u64, bool)>);

impl Known {
    /// Whether a record read since is older than what was known, so that the table went back in time.
    pub(super) fn is_ahead_of(self, read: Option<&Memory>) -> bool {
        // One that was over may have been forgotten since, and be asked for anew.
        self.0
            .is_some_and(|(version, over)| !over && read.is_none_or(|read| read.version < version))
    }
}

impl State {
    /// Takes note of what a pass saw and wrote.
    pub(super) fn note(&mut self, id: &AppId, row: Option<&Row>, memory: Option<&Memory>) {
        self.noted.insert(id.clone(), Instant::now());
        self.take_in(id, row, memory);
    }

    /// What is known of an app's record before it is read again.
    pub(super) fn known(&self, id: &AppId) -> Known {
        let memory = self.fleet.apps.get(id).and_then(|app| app.memory.as_ref());
        Known(memory.map(|memory| (memory.version, memory.over_since.is_some())))
    }

    /// Takes note of what a reading of everything that began then has of an app. What a pass noted since is newer,
    /// above all where the reading has nothing: that has no version to go by. Says whether that is how it shows that
    /// the state table went back in time.
    pub(super) fn note_read(
        &mut self,
        began: Instant,
        id: &AppId,
        row: Option<&Row>,
        memory: Option<&Memory>,
    ) -> bool {
        if self.noted.get(id).is_some_and(|at| *at >= began) {
            return false;
        }
        let news = self.known(id).is_ahead_of(memory) && self.state_table_went_back(id);
        self.take_in(id, row, memory);
        news
    }

    /// The state table shows less of an app than was known before it was read: it was lost or restored from a backup.
    /// What it does not know now, AWS has to be asked for again. Says whether that is news.
    pub(super) fn state_table_went_back(&mut self, id: &AppId) -> bool {
        self.fleet.apps.remove(id);
        self.sweep_wanted = true;
        // All that one loss has taken shows in the first sweep after it, long before anything is listed.
        let news = self.may_list();
        if news {
            tracing::error!(
                app = %id.as_str().escape_debug(),
                "the state table knows less than it did: it was lost or restored; nothing is started until builds \
                 and services have been listed anew, which tells what there is"
            );
            self.listed_not_before = Some(Instant::now() + LISTINGS_LAG);
        }
        self.builds.clear();
        self.tags.clear();
        self.strays_known = false;
        self.listed_all = false;
        news
    }

    /// Whether this process may take an app's record for the newest: history agreed with it once, and what is lost from
    /// then on shows in the record itself; or a loss was noticed, after which AWS is asked for all that it took.
    pub(super) fn vouched_for(&self, id: &AppId) -> bool {
        self.listed_not_before.is_some() || self.vouched.contains(id)
    }

    /// History agrees with what the state table has of an app.
    pub(super) fn vouch_for(&mut self, id: &AppId) {
        self.vouched.insert(id.clone());
    }

    /// Whether a listing of builds that begins now shows all that the state table may have forgotten.
    pub(super) fn may_list(&self) -> bool {
        self.listed_not_before.is_none_or(|at| Instant::now() >= at)
    }

    /// Forgets when passes noted what, as far as it lies before the beginning of the last reading.
    pub(super) fn forget_noted_before(&mut self, began: Instant) {
        self.noted.retain(|_, at| *at >= began);
    }

    /// A memory older than the one known is not news, and what is known already is not copied anew: a sweep takes in
    /// every app, of which few have changed.
    fn take_in(&mut self, id: &AppId, row: Option<&Row>, memory: Option<&Memory>) {
        if memory.is_some_and(Memory::holds_slot) {
            self.strays.remembered(id);
            self.fleet.strays.retain(|stray| stray.id != *id);
        }
        let known = self.fleet.apps.get(id);
        let known_memory = known.and_then(|app| app.memory.as_ref());
        let memory = match (memory, known_memory) {
            (Some(new), Some(old)) if new.version < old.version => known_memory,
            _ => memory,
        };
        if row.is_none() && memory.is_none() {
            self.vouched.remove(id);
            if self.fleet.apps.remove(id).is_some() {
                self.tell(News::Gone(id.clone()));
            }
            return;
        }
        if known.is_some_and(|app| app.row.as_ref() == row && app.memory.as_ref() == memory) {
            return;
        }
        let now = AppSummary {
            id: id.clone(),
            row: row.cloned(),
            memory: memory.cloned(),
        };
        for news in news(known, &now) {
            self.tell(news);
        }
        self.fleet.apps.insert(id.clone(), now);
    }

    fn tell(&self, news: News) {
        if let Some(feed) = &self.feed {
            feed.publish(news);
        }
    }
}

/// What is new about an app: what a status says, and a stop that is told beforehand.
fn news(before: Option<&AppSummary>, now: &AppSummary) -> Vec<News> {
    fn shown(app: &AppSummary) -> (bool, Option<&Status>) {
        (
            app.row.is_some(),
            app.memory.as_ref().map(|memory| &memory.status),
        )
    }
    let mut found = Vec::new();
    if before.map(shown) != Some(shown(now)) {
        found.push(News::Changed(Box::new(now.clone())));
    }
    let old = before.and_then(|app| app.memory.as_ref());
    let new = now.memory.as_ref().and_then(|memory| memory.warned.as_ref());
    let same = |warned: &Warned| warned.deadline;
    if let (Some(old), Some(warned)) = (old, new)
        && old.warned.as_ref().map(same) != Some(warned.deadline)
    {
        found.push(News::StopSoon {
            app: Box::new(now.clone()),
            warned: warned.clone(),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_older_record_is_a_loss_and_one_of_an_app_that_was_over_is_none() {
        let memory = |version| {
            let mut memory = Memory::new(AppId::from_key("a").unwrap());
            memory.version = version;
            memory
        };
        let live = Known(Some((7, false)));
        assert!(live.is_ahead_of(Some(&memory(6))) && live.is_ahead_of(None));
        assert!(!live.is_ahead_of(Some(&memory(7))));
        // Forgotten by another process, and asked for anew.
        let over = Known(Some((7, true)));
        assert!(!over.is_ahead_of(Some(&memory(1))) && !over.is_ahead_of(None));
        assert!(!Known(None).is_ahead_of(Some(&memory(1))));
    }

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
        state.note(&id, None, memory(1).as_ref());
        state.note_read(began, &id, None, None);
        assert_eq!(state.fleet.apps[&id].memory, memory(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        state.note_read(Instant::now(), &id, None, None);
        assert!(state.fleet.apps.is_empty(), "a later one is believed");
    }
}
