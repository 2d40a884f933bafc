//! Runs one seed: the story is told, the daemons live and die, and every oracle is asked.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::status::Phase;
use sha2::{Digest as _, Sha256};
use simcloud::ServiceStatus;

use crate::clock::{VirtualClock, WallClock};
use crate::cloud::{TestCloud, changes};
use crate::daemon::Daemon;
use crate::fringe;
use crate::memory_tables::Items;
use crate::plans::Place;
use crate::scenario::{Depth, Event, Meddling, Scenario, Spoilt};
use crate::verdict::{self, Portal};
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
        self.wrong
            .extend(fringe::acted_while_paused(&self.scenario, &self.cloud));
        self.wrong.extend(verdict::in_hindsight(
            &self.scenario,
            &self.cloud,
            &self.portal,
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
            let wrong =
                verdict::converged(&self.scenario, &self.cloud, &self.portal, &self.detached, now).await;
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

    #[allow(clippy::too_many_lines, reason = "a line or two for each kind of event")]
    async fn happen(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Put { id, row } => {
                self.cloud.put(&id, &row);
                let shown: String = format!("{row:?}").chars().take(400).collect();
                self.tell_line(&format!("portal puts {id} {shown}"));
                self.portal.entry(id).or_default().push((now, Some(*row)));
            }
            Event::Delete { id } => {
                self.cloud.delete(&id);
                self.tell_line(&format!("portal deletes {id}"));
                self.portal.entry(id).or_default().push((now, None));
            }
            Event::Meddle { what, which } => self.meddle(what, which),
            Event::Build { matching, behaviour } => {
                self.tell_line(&format!("the next build of {matching:?} is to {behaviour:?}"));
                self.cloud.sim.world().behave(matching, behaviour);
            }
            Event::Spoil { id, how } => {
                self.tell_line(&format!("{id} misbehaves: {how:?}"));
                let world = self.cloud.sim.world();
                match how {
                    Spoilt::CrashLoop => world.crash_loop(&id, Some(1), "bad luck"),
                    Spoilt::Unhealthy => world.unhealthy_target(&id),
                    Spoilt::ErrorPage => world.http_status(&id, 500),
                }
            }
            Event::Heal { id } => {
                self.tell_line(&format!("{id} behaves again"));
                self.cloud.sim.world().heal(&id);
            }
            Event::Crash {
                replica,
                after,
                answered,
                down,
            } => match &self.daemons[replica] {
                Some(_) if after == 0 => self.crash(replica, down).await,
                Some(daemon) => {
                    daemon.trip(after, answered);
                    self.doomed.insert(replica, down);
                }
                None => {}
            },
            Event::Freeze { replica, length } => {
                if let (Some(weather), Some(daemon)) = (self.cloud.weather(), &self.daemons[replica]) {
                    weather.freeze(daemon.line(), length.unsigned_abs());
                    self.tell_line(&format!("daemon {replica} sleeps for {length:#}"));
                }
            }
            Event::ClockJumps { replica, to } => {
                self.walls[replica].jump(to);
                self.tell_line(&format!(
                    "the clock of daemon {replica} is wrong by {to:#} from now on"
                ));
            }
            Event::CredentialsExpire { length } => {
                self.tell_line(&format!("all credentials are expired for {length:#}"));
                self.cloud.deny(length.unsigned_abs());
                self.watch.blind_until = self.watch.blind_until.max(Some(now + length));
            }
            Event::TableEmptied => self.empty_the_table().await,
            Event::TableComesBack { rows } => {
                // Few rows missing look like ordinary deletions to whoever never saw that all were.
                let rows = if self.mass_was_seen().await {
                    rows
                } else {
                    usize::MAX
                };
                let mut back = Vec::new();
                for (id, writes) in &self.portal {
                    if let Some((_, Some(row))) = writes.last()
                        && back.len() < rows
                        && !self.cloud.has_row(id)
                    {
                        self.cloud.put(id, row);
                        back.push(id.clone());
                    }
                }
                self.tell_line(&format!("rows that vanished are back: {back:?}"));
            }
            Event::Pause { id } => {
                self.tell_line(&format!("an operator pauses {id:?}"));
                self.cloud.set_pause(id.as_deref(), true).await;
            }
            Event::Resume { id } => {
                self.tell_line(&format!("an operator resumes {id:?}"));
                self.cloud.set_pause(id.as_deref(), false).await;
            }
            Event::BackUp => self.backup = Some(self.cloud.state_table()),
            Event::StateLost => {
                self.tell_line("the state table is lost");
                self.cloud.restore(Items::default());
                self.watch.state_lost(now);
            }
            Event::StateRestored => {
                self.tell_line("the state table is restored from its backup");
                self.cloud
                    .restore(self.backup.clone().expect("it was backed up before"));
                self.watch.state_restored();
            }
            Event::OtherBinary => {
                self.tell_line("every memory is as another binary would have written it");
                self.cloud.rewrite_memories();
            }
        }
    }

    /// Every row is gone, and it is not the portal that deleted them. Unless few apps would lose theirs: then nobody
    /// could tell it from ordinary deletions. (More than five is what is held; an app or two may be on its way out.)
    async fn empty_the_table(&mut self) {
        let state = self.cloud.state().await;
        let rows: Vec<String> = self
            .portal
            .iter()
            .filter(|(_, writes)| matches!(writes.last(), Some((_, Some(_)))))
            .map(|(id, _)| id.clone())
            .collect();
        let live = rows.iter().filter(|id| {
            let memory = state.memories.values().find(|memory| memory.id.as_str() == *id);
            memory
                .is_some_and(|memory| memory.deployment.is_some() && memory.status.phase != Phase::Destroying)
        });
        if live.count() < 7 {
            return;
        }
        self.tell_line("the table of rows is empty");
        for id in rows {
            self.cloud.delete(&id);
        }
    }

    /// Whether every row that is missing is known to be gone with many.
    async fn mass_was_seen(&self) -> bool {
        let memories = self.cloud.state().await.memories;
        let missing = |id: &str| self.portal.contains_key(id) && !self.cloud.has_row(id);
        memories
            .values()
            .filter(|memory| missing(memory.id.as_str()))
            .all(|memory| {
                memory
                    .row_gone
                    .as_ref()
                    .is_some_and(|gone| gone.held || gone.confirmed)
            })
    }

    fn meddle(&mut self, what: Meddling, which: u64) {
        let world = self.cloud.sim.world();
        let pick = |len: usize| (len > 0).then(|| usize::try_from(which % (len as u64)).unwrap());
        let on_build = matches!(
            what,
            Meddling::StopBuild | Meddling::RetryBuild | Meddling::ForgetBuild
        );
        if on_build {
            let mut builds = world.builds();
            builds.retain(|build| match what {
                Meddling::RetryBuild => build.ended.is_some(),
                // In a seed, what was forgotten before anybody saw its end would be waited for longer than all of it.
                Meddling::ForgetBuild => self.scenario.may_forget(build.ended, self.clock.now()),
                _ => build.ended.is_none(),
            });
            builds.sort_by_key(|build| std::cmp::Reverse(build.started));
            // Of the newest ones: older ones matter to nobody.
            builds.truncate(3);
            if let Some(n) = pick(builds.len()) {
                let id = &builds[n].id;
                self.tell_line(&format!("somebody does {what:?} to {id}"));
                match what {
                    Meddling::RetryBuild => {
                        world.retry_build(id);
                    }
                    Meddling::ForgetBuild => world.forget_build(id),
                    _ => world.stop_build(id),
                }
            }
            return;
        }
        if matches!(what, Meddling::ExhaustRates) {
            self.tell_line("somebody else uses up what ECS lets the account call");
            return world.exhaust_rates(u32::try_from(which % 600).unwrap());
        }
        let mut live = world.services();
        live.retain(|service| service.status == ServiceStatus::Active);
        let Some(n) = pick(live.len()) else { return };
        let (cluster, name) = (live[n].cluster.as_str(), live[n].name.as_str());
        self.tell_line(&format!("somebody does {what:?} to {name}"));
        match what {
            Meddling::Scale(count) => world.set_desired_count(cluster, name, count),
            Meddling::DeleteService => world.delete_service(cluster, name),
            Meddling::DetachTargetGroup => {
                self.detached.insert(name.to_owned());
                world.detach_target_group(name);
            }
            Meddling::DeleteTargetGroup => {
                self.detached.insert(name.to_owned());
                world.delete_target_group(name);
            }
            Meddling::KillTasks => world.kill_tasks(cluster, name),
            Meddling::StopBuild | Meddling::RetryBuild | Meddling::ForgetBuild | Meddling::ExhaustRates => {}
        }
        self.watch.forgive(&self.cloud, self.clock.now());
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
        log.extend(decided);
        log.sort_by_key(|line| moment(line));
        let mut hash = Sha256::new();
        for line in &log {
            hash.update(line.as_bytes());
            hash.update(b"\n");
        }
        let hash: String = hash
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
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

/// What running something cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    /// Of the processors, by all threads together. As much as the wall shows where the system does not tell.
    pub(crate) cpu: f64,
}

/// Calls `work` with 0, 1, 2… below `count` on every core, in order.
pub(crate) fn on_every_core(count: usize, work: impl Fn(usize) + Sync) -> Cost {
    #[allow(
        clippy::disallowed_methods,
        reason = "measures the test itself, not the simulation"
    )]
    let begin = std::time::Instant::now();
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let spent = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if n >= count {
                            return thread_seconds();
                        }
                        work(n);
                    }
                })
            })
            .collect();
        let spent = threads.into_iter().map(|thread| thread.join().unwrap());
        spent.sum::<Option<f64>>()
    });
    let wall = begin.elapsed().as_secs_f64();
    Cost {
        wall,
        cpu: spent.unwrap_or(wall),
    }
}

/// How long this thread has kept a processor busy. Tests of one binary run side by side, so the process as a whole
/// does not tell.
fn thread_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    // proc(5): after the name in brackets, utime and stime are fields 12 and 13, in hundredths of a second.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(f64::from(ticks()? + ticks()?) / 100.0)
}
