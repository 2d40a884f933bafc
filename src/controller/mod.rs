//! The controller: triggers wake keys, workers take each through observe, decide, act and record. It wires
//! the stages and judges what concerns more than one app (admission, mass deletions); it names no adapter.
//!
//! Level-based throughout: a key carries no reason, every pass looks afresh, and a sweep finds whatever no
//! trigger told.

mod admission;
mod deletions;
mod feed;
pub mod handle;
mod lease;
mod notices;
mod observe;
mod orphans;
mod pass;
mod queue;
mod report;
mod shards;
mod state;
pub mod triggers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::cloud::{Cloud, Webhook};
use crate::config::{AdmissionLimits, Intervals, LeaseSettings};
use crate::executor::Executor;
use crate::inventory::{Context, Inventory, tag_look};
use crate::metrics::Metrics;
use crate::model::SignedDuration;
use crate::model::backoff::Backoff;
use crate::model::lease::Held;
use crate::model::memory::Memory;
use crate::model::name::{AppId, Entropy};
use crate::model::observed::{Observed, TagLook};
use crate::model::policy::{Admission as Answer, Deletions, Policy};
use crate::model::row::Row;
use crate::model::schedule::Schedule;
use crate::recorder::Recorder;
use admission::Admission;
use feed::Feed;
use handle::{Fleet, Handle, Readiness};
use notices::Notices;
use pass::unsigned;
use queue::{Priority, Queue};
use shards::Keeper;
use state::State;
use triggers::Tick;

/// What a controller is made of.
pub struct Parts {
    /// The edges.
    pub cloud: Cloud,
    /// What the planner goes by.
    pub policy: Arc<Policy>,
    /// How many builds at once.
    pub admission: AdmissionLimits,
    /// How often it looks.
    pub intervals: Intervals,
    /// How many apps are worked on at the same time.
    pub workers: usize,
    /// How replicas share the apps. `None`: this one acts on all of them, whoever else does.
    pub leases: Option<LeaseSettings>,
    /// Where warnings go, and for how long each is tried. `None`: only into history and to who watches.
    pub webhook: Option<(Arc<dyn Webhook>, SignedDuration)>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Where it counts.
    pub metrics: Metrics,
    /// What its randomness grows from.
    pub seed: [u8; 32],
}

/// The controller. Cheap to share; [`Controller::run`] makes it work.
pub struct Controller {
    cloud: Cloud,
    inventory: Inventory,
    executor: Executor,
    recorder: Recorder,
    policy: Arc<Policy>,
    queue: Queue,
    admission: Mutex<Admission>,
    state: Mutex<State>,
    keeper: Option<Keeper>,
    feed: Arc<Feed>,
    notices: Option<Notices>,
    randomness: Mutex<ChaCha8Rng>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    intervals: Intervals,
    workers: usize,
    started: Instant,
    /// When it was last told what is saved.
    told_at: Mutex<Option<Timestamp>>,
}

/// How long a key whose pass failed waits.
const PASS_RETRY: Backoff = Backoff {
    initial: SignedDuration::from_millis(250),
    max: SignedDuration::from_mins(2),
    multiplier: 2.0,
};

/// After which silence of the observing loop the process counts as stuck.
const STUCK_AFTER: Duration = Duration::from_mins(5);

impl Controller {
    /// A controller that does nothing yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            cloud,
            policy,
            admission,
            intervals,
            workers,
            leases,
            webhook,
            clock,
            metrics,
            seed,
        } = parts;
        let feed = Feed::new(&seed);
        let mut randomness = ChaCha8Rng::from_seed(seed);
        let mut admission = Admission::new(admission);
        let keeper = leases.map(|settings| {
            admission.hold(Held::Shards {
                of: settings.shards,
                held: BTreeSet::new(),
            });
            let mut name = [0; 16];
            randomness.fill_bytes(&mut name);
            Keeper::new(settings, Entropy(name))
        });
        Arc::new(Self {
            inventory: Inventory::new(cloud.clone(), clock.clone(), Arc::clone(&policy)),
            executor: Executor::new(cloud.clone()),
            recorder: Recorder::new(cloud.state.clone()),
            queue: Queue::new(PASS_RETRY, metrics.queue.clone()),
            admission: Mutex::new(admission),
            keeper,
            notices: webhook.map(|(webhook, give_up_after)| Notices::new(webhook, give_up_after)),
            state: Mutex::default(),
            feed,
            randomness: Mutex::new(randomness),
            started: Instant::now(),
            told_at: Mutex::default(),
            cloud,
            policy,
            clock,
            metrics,
            intervals,
            workers: workers.max(1),
        })
    }

    /// Works until `shutdown` turns true, then finishes what is in hand, gives its leases back and returns.
    /// Dropped earlier, it leaves everything where it is, as a crash would.
    pub async fn run(self: &Arc<Self>, ticks: mpsc::Receiver<Tick>, mut shutdown: watch::Receiver<bool>) {
        let mut workers = JoinSet::new();
        for _ in 0..self.workers {
            let controller = Arc::clone(self);
            workers.spawn(async move { controller.work().await });
        }
        let mut observer = JoinSet::new();
        let controller = Arc::clone(self);
        observer.spawn(async move { controller.observe(ticks).await });
        let mut messenger = JoinSet::new();
        let controller = Arc::clone(self);
        messenger.spawn(async move { controller.deliver().await });
        let mut reporter = JoinSet::new();
        let controller = Arc::clone(self);
        reporter.spawn(async move { controller.report_days().await });
        let mut keeper = JoinSet::new();
        let controller = Arc::clone(self);
        keeper.spawn(async move { controller.keep_leases().await });
        // An error means that the sender is gone, and with it whoever could ask us to go on.
        let _ = shutdown.wait_for(|stop| *stop).await;
        observer.abort_all();
        messenger.abort_all();
        reporter.abort_all();
        self.queue.shut_down();
        while workers.join_next().await.is_some() {}
        // Only now, so that the next holder finds everything written down.
        keeper.shutdown().await;
        self.release_leases().await;
    }

    /// Takes keys from the queue until it is shut down. A pass that panics costs that pass only. Keys of apps that
    /// are not ours, or not any more, are dropped: whoever holds them finds them by itself.
    async fn work(self: Arc<Self>) {
        while let Some(id) = self.queue.get().await {
            if !self.held().has(&id) {
                self.queue.forget(&id);
                self.queue.done(&id);
                continue;
            }
            let controller = Arc::clone(&self);
            let key = id.clone();
            // A task of its own, so that a panic ends there; in a set, so that it ends with this worker.
            let mut pass = JoinSet::new();
            // Every line that is written on the way says which app it is about, whichever lines are wanted.
            let span = tracing::error_span!(
                "reconcile",
                app = %key.as_str().escape_debug(),
                operation = tracing::field::Empty,
                build = tracing::field::Empty,
            );
            pass.spawn(async move { Box::pin(controller.pass(&key)).await }.instrument(span));
            if let Some(Err(error)) = pass.join_next().await
                && error.is_panic()
            {
                // What it was granted, it may have used or not: the next reading tells.
                self.admission().pass_was_lost(&id);
                tracing::error!(app = %id.as_str().escape_debug(), "a pass panicked; the app is looked at again");
                self.metrics
                    .reconcile
                    .passed(crate::metrics::ReconcileResult::Panicked, Duration::ZERO);
                self.queue.add_rate_limited(&id, Priority::Resync, self.entropy());
            }
            self.queue.done(&id);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is a plain assignment, so a panic elsewhere does not make it worthless.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entropy(&self) -> Entropy {
        let mut bytes = [0; 16];
        self.randomness
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(&mut bytes);
        Entropy(bytes)
    }

    /// What a look is told besides what it observes.
    fn context(&self, id: &AppId, row: Option<&Row>, memory: Option<&Memory>) -> Context {
        let state = self.state();
        let tagged = memory.map_or(Observed::Unknown, |memory| tagged(&state, memory));
        let (deletions, traces) = if state.strays_known {
            let traces = self.inventory.traces(id, row, memory, &state.builds, &state.tags);
            (state.judgement.for_app(memory), traces)
        } else {
            (Deletions::Unjudged, Observed::Unknown)
        };
        let strays = if state.strays.apps.contains_key(id) {
            // Two of them may want the same; which of them it is, the table tells.
            Arc::default()
        } else {
            Arc::clone(&state.strays.claims)
        };
        let reap = state.reapable.contains(id);
        drop(state);
        Context {
            tagged,
            deletions,
            traces,
            strays,
            reap,
            notice: self.notices.as_ref().and_then(|notices| notices.of(id)),
            admission: Answer::Unasked,
            entropy: self.entropy(),
        }
    }

    /// How many of our apps are in each phase, and what admission does: set again with every glance.
    fn publish_gauges(&self) {
        let now = self.clock.now();
        {
            let admission = self.admission();
            self.metrics.builds.set_in_flight(admission.in_flight());
            self.metrics.builds.set_limit(admission.max());
            self.metrics.builds.set_waiting(admission.waiting());
            self.metrics.builds.set_paused(admission.is_paused(now));
        }
        let held = self.held();
        let state = self.state();
        let mut phases = BTreeMap::new();
        let (mut due, mut oldest) = (0, None);
        let ours = state.fleet.apps.values().filter(|app| held.has(&app.id));
        let ours: Vec<&Memory> = ours.filter_map(|app| app.memory.as_ref()).collect();
        for memory in &ours {
            *phases.entry(memory.status.phase).or_insert(0) += 1;
            due += usize::from(crate::report::due_since(memory).is_some());
            let intended = memory.in_flight().map(|operation| operation.intended_at);
            oldest = [oldest, intended].into_iter().flatten().min();
        }
        self.publish_day(&state.fleet, &held, &ours, now);
        let age = |at: Timestamp| unsigned(now.duration_since(at));
        self.metrics.builds.set_oldest(oldest.map(age));
        self.metrics.fleet.set_apps(&phases);
        self.metrics.fleet.set_teardown_due(due);
        self.metrics.fleet.set_deletions(state.judgement.overall());
        self.metrics.fleet.set_pauses(&state.fleet.pauses);
        let mut states = BTreeMap::new();
        for orphan in state.fleet.orphans(now) {
            *states.entry(orphan.state).or_insert(0) += 1;
        }
        self.metrics.fleet.set_orphans(&states);
        self.metrics.fleet.set_leftovers(state.fleet.leftovers().count());
    }
}

/// Services with an app's tag, from the last complete listing of its cluster.
fn tagged(state: &State, memory: &Memory) -> Observed<TagLook> {
    memory
        .blueprint()
        .and_then(|blueprint| state.tags.get(&blueprint.cluster))
        .map_or(Observed::Unknown, |index| {
            Observed::Present(tag_look(index, &memory.id))
        })
}

impl Handle for Controller {
    fn schedules(&self) -> std::collections::BTreeMap<String, Schedule> {
        self.policy.schedules.clone()
    }

    fn hint(&self, id: &AppId) {
        self.queue.add(id, Priority::Human);
    }

    fn fleet(&self) -> Arc<Fleet> {
        Arc::new(self.state().fleet.clone())
    }

    fn feed(&self) -> Arc<Feed> {
        Arc::clone(&self.feed)
    }

    fn readiness(&self) -> Readiness {
        let state = self.state();
        let patience = self.intervals.sweep * 3 + Duration::from_secs(10);
        let mut reasons = Vec::new();
        match state.swept {
            None => reasons.push("no sweep has been completed yet".to_owned()),
            Some(at) if at.elapsed() > patience => {
                reasons.push(format!(
                    "the last complete sweep is {} seconds old",
                    at.elapsed().as_secs()
                ));
            }
            Some(_) => {}
        }
        reasons.extend(state.sweep_trouble.clone());
        if state.sweep_trouble.is_none() {
            reasons.extend(state.poll_trouble.clone());
        }
        // Without a listing nothing is started, and who would look for that in the status of each app?
        let acts = !self.held().is_nothing();
        let unlisted = state.unlisted.iter().filter(|(project, _)| {
            let index = state.builds.get(*project);
            acts && !index.is_some_and(|index| self.inventory.may_be_believed(index))
        });
        reasons.extend(unlisted.map(|(project, why)| {
            format!("the builds of project {project} cannot be listed, so none is started: {why}")
        }));
        let history = state.history_trouble.iter();
        reasons.extend(history.map(|why| format!("the history cannot be read, so nothing is begun: {why}")));
        reasons.extend(self.keeper.as_ref().and_then(Keeper::trouble));
        Readiness {
            ready: reasons.is_empty(),
            reasons,
            shards: self.keeper.as_ref().map(Keeper::shards),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn beats(&self) -> bool {
        let lately = |beat: Option<Instant>| beat.unwrap_or(self.started).elapsed() < STUCK_AFTER;
        lately(self.state().beat) && self.keeper.as_ref().is_none_or(|keeper| lately(keeper.beat()))
    }
}
