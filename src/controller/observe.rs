//! The observing loop: sweeps, polls of the desired table, and glances at apps under way. It only ever wakes
//! keys; nothing is done to an app here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Controller;
use super::deletions::Judgement;
use super::handle::Fleet;
use super::orphans;
use super::pass::{priority, wants_attention};
use super::queue::Priority;
use super::triggers::Tick;
use crate::inventory::{ALL_BUILDS_BACK, BUILDS_BACK, BuildIndex, Context, Sweep, SweepPlan};
use crate::model::lease::Held;
use crate::model::memory::Memory;
use crate::model::name::{AppId, ProjectName};
use crate::planner;

/// An app under way is looked at after this many glances even if nothing moved.
const LOOK_ANYWAY_AFTER: usize = 12;

impl Controller {
    /// Observes until it is aborted.
    pub(super) async fn observe(self: Arc<Self>, mut ticks: mpsc::Receiver<Tick>) {
        let mut rows = interval(self.intervals.row_poll);
        let mut progress = interval(self.intervals.progress);
        for timer in [&mut rows, &mut progress] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        // A sweep before the leases were looked at would wake nobody.
        if self.keeper.is_some() {
            self.gained().await;
        }
        self.sweep().await;
        loop {
            self.state().beat = Some(Instant::now());
            tokio::select! {
                biased;
                tick = ticks.recv() => match tick {
                    Some(Tick::Sweep) => self.sweep().await,
                    Some(Tick::Minute) => self.wake_due(),
                    // The ticker is gone; the timers below still see to it that sweeps happen.
                    None => tokio::time::sleep(self.intervals.progress).await,
                },
                () = self.gained() => self.sweep().await,
                _ = rows.tick() => self.poll_rows().await,
                _ = progress.tick() => {
                    if self.sweep_is_overdue() {
                        self.sweep().await;
                    }
                    self.glance().await;
                    self.publish_gauges();
                }
            }
        }
    }

    /// Returns when the leases were looked at for the first time, and whenever a shard was gained.
    async fn gained(&self) {
        match &self.keeper {
            Some(keeper) => keeper.gained.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Reads everything, judges what concerns all, and wakes every app that wants something.
    async fn sweep(&self) {
        let began = Instant::now();
        let held = self.held();
        let plan = {
            let mut state = self.state();
            state.sweep_tried = Some(began);
            state.sweep_wanted = false;
            state.sweeps = state.sweeps.wrapping_add(1);
            SweepPlan {
                targets_of: slice(&state.fleet, &held, state.sweeps, self.slices()),
                held,
            }
        };
        let acts = !plan.held.is_nothing();
        if acts {
            self.list_builds().await;
        }
        match self.inventory.sweep(&plan).await {
            Ok(sweep) => {
                if acts {
                    self.list_all_builds_if_needed(&sweep).await;
                }
                self.take_in(&sweep, began);
                self.metrics.sweeps.completed(sweep.rows_read_at, began.elapsed());
                self.metrics
                    .sweeps
                    .set_unreadable(sweep.rows.unreadable, sweep.state.unreadable.len());
            }
            Err(error) => {
                tracing::error!(error = error.chain(), "the sweep could not read the tables");
                self.metrics.sweeps.missed(began.elapsed());
                self.state().sweep_trouble = Some(error.chain());
            }
        }
        self.publish_gauges();
    }

    /// Lists the builds of every project that was not listed since this process began, or not for a while: a gate
    /// keeps builds apart also where the table has forgotten them, but only a listing tells that they are there.
    async fn list_builds(&self) {
        let old = |index: &BuildIndex| self.inventory.is_old(index);
        let wanted: Vec<ProjectName> = {
            let state = self.state();
            if !state.may_list() {
                return;
            }
            let projects = self.inventory.projects().into_iter();
            projects
                .filter(|project| state.builds.get(project).is_none_or(old))
                .collect()
        };
        for project in wanted {
            self.list_builds_of(&project, BUILDS_BACK).await;
        }
    }

    async fn list_builds_of(&self, project: &ProjectName, back: SignedDuration) {
        match self.inventory.list_builds(project, back).await {
            Ok(index) => {
                let mut state = self.state();
                state.builds.insert(project.clone(), index);
                state.unlisted.remove(project);
            }
            Err(error) => {
                tracing::warn!(%project, error = error.chain(), "could not list the builds");
                self.state().unlisted.insert(project.clone(), error.chain());
            }
        }
    }

    /// A service of ours that nothing remembers and no recent build has made: how it came to be is worth a longer
    /// look, once.
    async fn list_all_builds_if_needed(&self, sweep: &Sweep) {
        let needed = {
            let mut state = self.state();
            let mut tagged = sweep.tags.values().flat_map(|index| index.by_app.keys());
            let needed = !state.listed_all
                && state.may_list()
                && tagged.any(|id| {
                    sweep.state.memories.get(id).is_none_or(Memory::is_new)
                        && !state.builds.values().any(|index| index.has(id))
                });
            state.listed_all |= needed;
            needed
        };
        if needed {
            for project in self.inventory.projects() {
                self.list_builds_of(&project, ALL_BUILDS_BACK).await;
            }
        }
    }

    fn take_in(&self, sweep: &Sweep, began: Instant) {
        let held = self.held();
        let lost = {
            let mut state = self.state();
            state.tags.extend(
                sweep
                    .tags
                    .iter()
                    .map(|(cluster, index)| (cluster.clone(), index.clone())),
            );
            state.swept = Some(Instant::now());
            state.sweep_trouble = None;
            state.poll_trouble = None;
            state.fleet.as_of = Some(sweep.rows_read_at);
            state.reported = sweep.state.reported;
            state.fleet.pauses.clone_from(&sweep.state.pauses);
            state.fleet.unreadable.clone_from(&sweep.state.unreadable);
            let ids = sweep.ids();
            let gone: Vec<AppId> = state
                .fleet
                .apps
                .keys()
                .filter(|id| !ids.contains(*id))
                .cloned()
                .collect();
            let mut lost = false;
            for id in &gone {
                lost |= state.note_read(began, id, None, None);
            }
            let rows = &sweep.rows.rows;
            let strays = self.inventory.strays(
                rows,
                &sweep.state.memories,
                &state.builds,
                &state.tags,
                sweep.rows_read_at,
            );
            state.strays = strays.seen_after(&state.strays, sweep.rows_read_at);
            state.strays_known |= self.inventory.has_listed_all(&state.builds, &state.tags);
            state.fleet.strays = state.strays.apps.values().cloned().collect();
            state.fleet.orphan_policy = self.policy.orphans;
            state.reapable = orphans::reapable(self.policy.orphans, rows, &sweep.state, self.clock.now());
            for id in &ids {
                lost |= state.note_read(began, id, rows.get(id), sweep.state.memories.get(id));
            }
            state.feed.get_or_insert_with(|| Arc::clone(&self.feed));
            // Who stands by lists nothing and acts on nothing: its judgement is shown, and may be approved.
            state.judgement = if state.strays_known || held.is_nothing() {
                let rows_read_at = sweep.rows_read_at;
                Judgement::of(
                    &state.judgement,
                    &sweep.rows,
                    &sweep.state,
                    &state.strays,
                    rows_read_at,
                )
            } else {
                Judgement::unjudged(&sweep.state)
            };
            state.fleet.deletions = state.judgement.overall().clone();
            state.forget_noted_before(began);
            // While nobody can note anything newer: a pass may have written since this was read, and then the
            // fleet has what it wrote, or it has still the place that it was granted.
            let mut admission = self.admission();
            for id in ids.iter().chain(&gone) {
                let newest = state.fleet.apps.get(id).and_then(|app| app.memory.as_ref());
                admission.note_read(id, newest);
            }
            drop(admission);
            lost
        };
        if lost {
            self.metrics.sweeps.state_lost();
        }
        for (key, reason) in &sweep.state.unreadable {
            tracing::error!(item = ?key, reason, "an item of the state table cannot be read; its app waits");
        }
        self.wake_who_wants(sweep, &held);
    }

    /// Wakes every app that wants something, by what the sweep's batches show of it.
    fn wake_who_wants(&self, sweep: &Sweep, held: &Held) {
        let now = self.clock.now();
        let mut ids = sweep.ids();
        ids.extend(self.state().strays.apps.keys().cloned());
        for id in ids.into_iter().filter(|id| held.has(id)) {
            if planted!(PoisonEndsSweep)
                && sweep
                    .rows
                    .rows
                    .get(&id)
                    .is_some_and(|row| !row.problems.is_empty())
            {
                break;
            }
            let memory = sweep.state.memories.get(&id);
            let context = Context {
                tagged: memory.map_or_else(Default::default, |memory| sweep.tagged(memory)),
                ..self.context(&id, sweep.rows.rows.get(&id), memory)
            };
            let view = sweep.view(&self.inventory, &id, context);
            let plan = planner::plan(&view, &self.policy, now);
            if wants_attention(&view, &plan) {
                self.queue.add(&id, priority(&plan).max(Priority::Resync));
            } else {
                self.requeue(&id, plan.requeue, priority(&plan), now);
                if view.paused.is_absent() {
                    self.take_up_delivery(&id);
                }
            }
        }
    }

    /// Whether a sweep is due that no tick has brought, or one that somebody waits for.
    fn sweep_is_overdue(&self) -> bool {
        let state = self.state();
        let since = state.sweep_tried.map_or(Duration::MAX, |at| at.elapsed());
        let wanted = state.sweep_wanted && since >= self.intervals.row_poll.min(self.intervals.sweep);
        wanted || since > self.intervals.sweep * 2
    }

    /// Wakes every app that is due by wall time, however the clock came to show it.
    fn wake_due(&self) {
        let now = self.clock.now();
        let due: Vec<AppId> = {
            let state = self.state();
            state
                .due
                .iter()
                .filter(|(_, at)| **at <= now)
                .map(|(id, _)| id.clone())
                .collect()
        };
        for id in due {
            self.queue.add(&id, Priority::Teardown);
        }
    }

    /// Wakes every app of ours whose row is not the one last seen. Rows of others are noted for the API alone.
    async fn poll_rows(&self) {
        let rows = match self.cloud.desired.rows().await {
            Ok(rows) => rows.rows,
            Err(error) => {
                tracing::warn!(error = error.chain(), "could not read the desired table");
                self.state().poll_trouble = Some(error.chain());
                return;
            }
        };
        let held = self.held();
        let changed: Vec<AppId> = {
            let mut state = self.state();
            state.poll_trouble = None;
            let apps = &state.fleet.apps;
            let known = |id: &AppId| apps.get(id).and_then(|app| app.row.as_ref());
            let gone = apps
                .iter()
                .filter(|(id, app)| app.row.is_some() && !rows.contains_key(*id));
            rows.iter()
                .filter(|(id, row)| known(id) != Some(*row))
                .map(|(id, _)| id.clone())
                .chain(gone.map(|(id, _)| id.clone()))
                .collect()
        };
        for id in changed {
            if held.has(&id) {
                self.queue.add(&id, Priority::Human);
            } else {
                let mut state = self.state();
                let memory = state.fleet.apps.get(&id).and_then(|app| app.memory.clone());
                state.note(&id, rows.get(&id), memory.as_ref());
            }
        }
    }

    /// Glances at apps under way, in batches, and wakes those that moved.
    async fn glance(&self) {
        let (memories, lost): (Vec<Memory>, Vec<AppId>) = {
            let mut state = self.state();
            state.glances = state.glances.wrapping_add(1);
            let memory = |id: &AppId| state.fleet.apps.get(id).and_then(|app| app.memory.clone());
            let known = state.under_way.keys().filter_map(memory).collect();
            let lost = state
                .under_way
                .keys()
                .filter(|id| memory(id).is_none())
                .cloned()
                .collect();
            (known, lost)
        };
        let seen = self.inventory.glance(&memories).await;
        let mut moved = lost;
        {
            let mut state = self.state();
            let anyway = state.glances.is_multiple_of(LOOK_ANYWAY_AFTER);
            for (id, glance) in seen {
                let Some(before) = state.under_way.get_mut(&id) else {
                    continue;
                };
                if anyway || glance.wants_a_look() || before.as_ref() != Some(&glance) {
                    moved.push(id);
                }
                *before = Some(glance);
            }
        }
        for id in moved {
            self.queue.add(&id, Priority::Repair);
        }
    }

    /// In how many sweeps every app's targets are looked at once.
    fn slices(&self) -> usize {
        let sweeps =
            self.intervals.ready_recheck.as_secs_f64() / self.intervals.sweep.as_secs_f64().max(0.001);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 1..=1000"
        )]
        let slices = sweeps.round().clamp(1.0, 1000.0) as usize;
        slices
    }
}

/// Our ready apps whose turn it is, so that all have had theirs after `slices` sweeps.
fn slice(fleet: &Fleet, held: &Held, turn: usize, slices: usize) -> BTreeSet<AppId> {
    fleet
        .apps
        .values()
        .filter(|app| held.has(&app.id))
        .filter(|app| {
            app.memory
                .as_ref()
                .is_some_and(|memory| memory.ready_since.is_some())
        })
        .enumerate()
        .filter(|(place, _)| place % slices == turn % slices)
        .map(|(_, app)| app.id.clone())
        .collect()
}
