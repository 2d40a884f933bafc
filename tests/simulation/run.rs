//! Runs one seed: the story is told, the daemons live and die, and every oracle is asked.

mod events;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::clock::{VirtualClock, WallClock};
use crate::cloud::{TestCloud, changes};
use crate::daemon::Daemon;
use crate::fringe;
use crate::keeps::Keeps;
use crate::memory_tables::Items;
use crate::plans::Place;
use crate::scenario::{Depth, Event, Scenario};
use crate::verdict::{self, Portal};
use crate::warnings;
use crate::watch::Watch;
use crate::weather::{Operation, Weather};

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) depth: Depth,
    /// What is wrong; empty: nothing.
    pub(crate) wrong: Vec<String>,
    /// Everything that happened, in order.
    pub(crate) log: Vec<String>,
    pub(crate) hash: String,
    /// Every call until all became quiet, where they are counted.
    pub(crate) calls: Vec<Operation>,
    /// How the world was in the end, a line for each thing that is there.
    pub(crate) end: Vec<String>,
    /// How many builds passed their gate, by app.
    pub(crate) passed: BTreeMap<String, usize>,
    /// What shows that something happened at all.
    pub(crate) tally: Tally,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) virtual_hours: f64,
    pub(crate) calls: u64,
    pub(crate) builds: usize,
    pub(crate) crashes: usize,
    pub(crate) faults: u64,
    pub(crate) readied: usize,
    /// How often an exemption was given through the API.
    pub(crate) kept: usize,
    /// How many stops were told beforehand.
    pub(crate) warned: usize,
}

/// How long after the trouble everything must be as it is wished.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_mins(210);
/// How often that is asked.
const SETTLING_STEP: SignedDuration = SignedDuration::from_mins(20);
/// How long nothing may change then.
const STABLE_FOR: SignedDuration = SignedDuration::from_hours(2);
/// The oracles are asked at least that often; where they can, after every change too.
const STEP: SignedDuration = SignedDuration::from_secs(30);

thread_local! {
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Notes panics of simulated daemons instead of printing them; the controller survives those of a pass.
pub(crate) fn catch_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let noted =
                PANICS.with_borrow_mut(|panics| panics.as_mut().map(|all| all.push(info.to_string())));
            if noted.is_none() {
                before(info);
            }
        }));
    });
}

/// Runs one seed from beginning to end.
pub(crate) fn run(seed: u64, depth: Depth) -> Outcome {
    tell(Scenario::of(seed, depth), &[])
}

/// Runs one scenario from beginning to end.
pub(crate) fn tell(scenario: Scenario, places: &[Place]) -> Outcome {
    let (seed, depth) = (scenario.seed, scenario.depth);
    catch_panics();
    PANICS.set(Some(Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut story = Story::new(scenario).await;
            if let Some(weather) = story.cloud.weather() {
                weather.place(places);
            }
            story.tell().await;
            story.close()
        })
    }));
    let panics = PANICS.take().unwrap_or_default();
    let mut outcome = told.unwrap_or_else(|_| Outcome {
        seed,
        depth,
        wrong: Vec::new(),
        log: Vec::new(),
        hash: String::new(),
        calls: Vec::new(),
        end: Vec::new(),
        passed: BTreeMap::new(),
        tally: Tally::default(),
    });
    outcome.wrong.extend(
        panics
            .into_iter()
            .map(|panic| format!("panic: {}", panic.replace('\n', " "))),
    );
    outcome
}

struct Story {
    scenario: Scenario,
    cloud: TestCloud,
    clock: VirtualClock,
    /// The clock on the wall of each daemon.
    walls: Vec<WallClock>,
    daemons: Vec<Option<Daemon>>,
    /// When a daemon that is down starts anew.
    returns: BTreeMap<usize, Timestamp>,
    /// How long each is to stay down when it comes to the call it dies at.
    doomed: BTreeMap<usize, SignedDuration>,
    lives: u64,
    portal: Portal,
    keeps: Keeps,
    watch: Watch,
    /// Services whose target group somebody detached.
    detached: BTreeSet<String>,
    /// The state table as it was.
    backup: Option<Items>,
    told: Vec<String>,
    calls: Vec<Operation>,
    end: Vec<String>,
    wrong: Vec<String>,
    tally: Tally,
}

impl Story {
    async fn new(scenario: Scenario) -> Self {
        let clock = VirtualClock::starting_at(scenario.begin);
        let cloud = TestCloud::new(&scenario).await;
        let watch = Watch::new(&scenario);
        let daemons = scenario.replicas.iter().map(|_| None).collect();
        let returns = (0..scenario.replicas.len())
            .map(|n| (n, scenario.begin))
            .collect();
        let walls = scenario.replicas.iter();
        let walls = walls.map(|replica| WallClock::new(clock, replica.skew)).collect();
        Self {
            cloud,
            clock,
            walls,
            daemons,
            returns,
            doomed: BTreeMap::new(),
            lives: 0,
            portal: Portal::new(),
            keeps: Keeps::default(),
            watch,
            detached: BTreeSet::new(),
            backup: None,
            told: Vec::new(),
            calls: Vec::new(),
            end: Vec::new(),
            wrong: Vec::new(),
            tally: Tally::default(),
            scenario,
        }
    }

    fn tell_line(&mut self, what: &str) {
        self.told.push(format!("{} story {what}", self.clock.now()));
    }

    /// Everything until the first thing that is wrong.
    async fn tell(&mut self) {
        let quiet = self.scenario.quiet;
        let (busy, last): (Vec<_>, Vec<_>) = self
            .scenario
            .events
            .clone()
            .into_iter()
            .partition(|(at, _)| *at < quiet);
        for (at, event) in busy {
            if !self.pass_until(at).await {
                return;
            }
            self.happen(event).await;
        }
        if !self.pass_until(quiet).await {
            return;
        }
        self.quieten();
        for (at, event) in last {
            if !self.pass_until(at).await {
                return;
            }
            self.happen(event).await;
        }
        if !self.settle().await {
            return;
        }
        self.cloud.sim.world().reset_calls();
        let before = self.cloud.changes();
        if !self.pass_until(self.clock.now() + STABLE_FOR).await {
            return;
        }
        if self.cloud.changes() != before {
            let calls = self.cloud.sim.world().calls();
            let mut written: Vec<_> = calls.keys().filter(|name| changes(name)).cloned().collect();
            let log = self.cloud.weather().map(Weather::log).unwrap_or_default();
            written.extend(log.last().cloned());
            self.wrong
                .push(format!("eventually-stable: nothing changed, and yet {written:?}"));
        }
        self.end = verdict::end(&self.cloud).await;
        let history = self.cloud.history();
        self.wrong
            .extend(fringe::acted_while_paused(&self.scenario, &history));
        self.wrong.extend(verdict::in_hindsight(
            &self.scenario,
            &self.cloud,
            &history,
            &self.portal,
            &self.keeps,
            &self.watch,
        ));
    }

    /// Waits until everything is as it is wished, and no longer than it may take.
    async fn settle(&mut self) -> bool {
        let limit = self.scenario.quiet + SETTLED_AFTER;
        let mut before = u64::MAX;
        loop {
            let now = self.clock.now();
            if !self.pass_until((now + SETTLING_STEP).min(limit)).await {
                return false;
            }
            let now = self.clock.now();
            let wrong = verdict::converged(
                &self.scenario,
                &self.cloud,
                &self.portal,
                &self.keeps,
                &self.detached,
                now,
            );
            let wrong = wrong.await;
            // What is as wished by now may still have to be written down, or be handed from one app to the next.
            // And while a daemon is down, nothing is over.
            let changes = self.cloud.changes();
            let calm = changes == before && self.returns.is_empty();
            if wrong.is_empty() && (calm || now >= limit) {
                return true;
            }
            before = changes;
            if now >= limit {
                self.wrong = wrong;
                return false;
            }
        }
    }

    /// Lets time pass until `until`, with every oracle asked on the way. False: something is wrong.
    async fn pass_until(&mut self, until: Timestamp) -> bool {
        while self.wrong.is_empty() {
            let now = self.clock.now();
            self.revive(now);
            self.wrong = self.watch.step(&self.cloud, now).await;
            self.keeps.look(self.watch.ledgers(), now);
            if now >= until || !self.wrong.is_empty() {
                break;
            }
            let soon = self
                .cloud
                .sim
                .next_due()
                .unwrap_or(Timestamp::MAX)
                .max(now + SignedDuration::from_millis(50));
            let returns = self.returns.values().min().copied().unwrap_or(Timestamp::MAX);
            let next = until.min(now + STEP).min(soon).min(returns.max(now));
            self.sleep_until(next).await;
        }
        self.wrong.is_empty()
    }

    /// Sleeps, unless a daemon comes to the call it dies at.
    async fn sleep_until(&mut self, at: Timestamp) {
        let instant = self.clock.instant(at);
        let died = {
            let mut deaths = Vec::new();
            for (n, daemon) in self.daemons.iter().enumerate() {
                deaths.extend(daemon.as_ref().map(|daemon| {
                    Box::pin(async move {
                        daemon.tripped().await;
                        n
                    })
                }));
            }
            let first = async {
                if deaths.is_empty() {
                    std::future::pending().await
                } else {
                    first_of(&mut deaths).await
                }
            };
            let changed = async {
                match self.cloud.weather() {
                    Some(weather) => weather.changed.notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                n = first => Some(n),
                // The oracles look after every change.
                () = changed => None,
                () = tokio::time::sleep_until(instant) => None,
            }
        };
        if let Some(n) = died {
            let by_itself = self.daemons[n].as_ref().map(Daemon::down).unwrap_or_default();
            let by_itself = SignedDuration::try_from(by_itself).unwrap();
            let down = self.doomed.remove(&n).unwrap_or(by_itself);
            self.crash(n, down).await;
        }
    }

    fn revive(&mut self, now: Timestamp) {
        let back: Vec<usize> = self
            .returns
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(n, _)| *n)
            .collect();
        for n in back {
            self.returns.remove(&n);
            self.lives += 1;
            let replica = &self.scenario.replicas[n];
            let daemon = Daemon::start(
                &self.cloud,
                replica,
                self.lives,
                self.clock,
                self.walls[n].clone(),
            );
            self.daemons[n] = Some(daemon);
            self.tell_line(&format!("daemon {n} starts"));
        }
        if self.daemons.iter().any(Option::is_some) {
            self.watch.eyes_since.get_or_insert(now);
        }
    }

    async fn crash(&mut self, n: usize, down: SignedDuration) {
        let Some(daemon) = self.daemons[n].take() else {
            return;
        };
        self.judge_alarm(&daemon);
        daemon.crash().await;
        self.tally.crashes += 1;
        self.tell_line(&format!("daemon {n} dies and is down for {down:#}"));
        self.returns.insert(n, self.clock.now() + down);
        if self.daemons.iter().all(Option::is_none) {
            self.watch.eyes_since = None;
        }
    }

    /// An alarm that nothing is behind stops every start for minutes.
    fn judge_alarm(&mut self, daemon: &Daemon) {
        let behind =
            |(_, event): &(Timestamp, Event)| matches!(event, Event::StateLost | Event::StateRestored);
        if daemon.saw_a_loss() && !self.scenario.events.iter().any(behind) {
            self.wrong
                .push("the state table was taken for lost, and never was".to_owned());
        }
    }

    /// The trouble is over.
    fn quieten(&mut self) {
        self.tell_line("all is quiet from here on");
        self.tally.faults = self.cloud.clear_faults();
        self.calls = self.cloud.weather().map(Weather::recorded).unwrap_or_default();
        self.cloud.sim.world().forget_behaviours();
        for daemon in self.daemons.iter().flatten() {
            daemon.trip(0, false);
        }
    }

    /// Puts the world's log, the story and the daemons' decisions into one, in the order of time.
    fn close(mut self) -> Outcome {
        let world = self.cloud.sim.world();
        let builds = world.builds();
        self.tally.builds = builds.len();
        let mut passed = BTreeMap::new();
        for build in builds.iter().filter(|build| build.gate_passed.is_some()) {
            *passed
                .entry(build.instance.clone().unwrap_or_default())
                .or_default() += 1;
        }
        let mut log = world.log();
        self.tally.calls = match self.cloud.weather() {
            Some(weather) => {
                log.extend(weather.log());
                weather.calls()
            }
            None => log.iter().filter(|line| line.contains(" -> ")).count() as u64,
        };
        log.append(&mut self.told);
        for daemon in std::mem::take(&mut self.daemons).iter().flatten() {
            self.judge_alarm(daemon);
        }
        let decided = self.cloud.history();
        self.tally.readied = decided
            .iter()
            .filter(|line| line.contains("| Ready | Ready |"))
            .count();
        let warned = warnings::count(&decided);
        log.extend(decided);
        self.tally.kept = self.keeps.given();
        self.tally.warned = warned;
        log.sort_by_key(|line| moment(line));
        let mut hash = Sha256::new();
        for line in &log {
            hash.update(line.as_bytes());
            hash.update(b"\n");
        }
        let hash = hex::encode(&hash.finalize()[..8]);
        let hours = self.clock.now().duration_since(self.scenario.begin).as_secs_f64() / 3600.0;
        self.tally.virtual_hours = hours;
        Outcome {
            seed: self.scenario.seed,
            depth: self.scenario.depth,
            wrong: self.wrong,
            log,
            hash,
            calls: self.calls,
            end: self.end,
            passed,
            tally: self.tally,
        }
    }
}

/// When a line of a log was written.
fn moment(line: &str) -> Option<Timestamp> {
    line.split(' ').next().and_then(|at| at.parse().ok())
}

/// The first of some futures to be ready.
async fn first_of<F: Future<Output = usize> + Unpin>(futures: &mut [F]) -> usize {
    std::future::poll_fn(|context| {
        for future in &mut *futures {
            if let std::task::Poll::Ready(n) = std::pin::Pin::new(future).poll(context) {
                return std::task::Poll::Ready(n);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
