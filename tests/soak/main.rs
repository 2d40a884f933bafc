//! The real binary for as long as you like: replicas that are killed at any moment, over real sockets, in front of an
//! AWS that throttles, fails, loses, delays and doubles, while a portal never stops writing. The promises are judged
//! from what that AWS did and from the tables, never from what the daemons say of themselves.
//!
//! `SEED` decides everything that is drawn: lives, faults, rows. How long things take is the machine's affair, so a
//! seed brings back the kind of a run, not each of its steps. See `docs/testing.md`, "Soak".
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "tests on real time, with figures"
)]

#[path = "../support/behaviour.rs"]
mod behaviour;
#[path = "../simulation/dice.rs"]
#[allow(dead_code, reason = "shared; a part of it is used here")]
mod dice;
mod judge;
#[path = "../support/lab/mod.rs"]
#[allow(unused_imports, reason = "shared; a part of it is used here")]
mod lab;
mod lives;
mod memory;
#[path = "../support/overlaps.rs"]
mod overlaps;
mod portal;
mod storm;

use std::env;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use lamplighter::cloud::Cloud;
use lamplighter::cloud::aws::{Clients, Simulation, Unobserved};
use lamplighter::serve;
use simcloud::{SimCloud, SimConfig};
use tokio::time::Instant;

use crate::judge::Judge;
use crate::lab::{Lab, MORNING, Setup};
use crate::lives::Lives;
use crate::portal::Portal;

/// The storm of a run in the suite, in minutes. With the calm after it, that is a minute in all.
const SHORT: f64 = 0.5;
/// A storm goes on until there were so many kills in each of its minutes, even where everything is slow.
const KILLS_PER_MINUTE: f64 = 17.0;
/// Only a machine that hardly moves needs so many times the time that was asked for.
const AT_MOST: f64 = 4.0;

/// Whether the storm goes on.
pub(crate) struct Storm {
    began: Instant,
    wanted: Duration,
    /// How many kills it takes at the least.
    floor: u64,
    kills: AtomicU64,
    over: AtomicBool,
    lasted: OnceLock<Duration>,
    /// What was found wrong; it ends the storm.
    wrong: Mutex<Vec<String>>,
}

impl Storm {
    fn new(minutes: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let floor = (minutes * KILLS_PER_MINUTE).ceil() as u64;
        Self {
            began: Instant::now(),
            wanted: Duration::from_secs_f64(minutes * 60.0),
            floor,
            kills: AtomicU64::new(0),
            over: AtomicBool::new(false),
            lasted: OnceLock::new(),
            wrong: Mutex::default(),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        let elapsed = self.began.elapsed();
        let unfinished = elapsed < self.wanted || self.kills() < self.floor;
        unfinished && elapsed < self.wanted.mul_f64(AT_MOST) && !self.over.load(Ordering::Relaxed)
    }

    /// For how long, so far or in all.
    fn lasts(&self) -> Duration {
        self.lasted.get().copied().unwrap_or_else(|| self.began.elapsed())
    }

    pub(crate) fn kills(&self) -> u64 {
        self.kills.load(Ordering::Relaxed)
    }

    pub(crate) fn killed(&self) {
        self.kills.fetch_add(1, Ordering::Relaxed);
    }

    /// Something must never be so, and is: nothing that follows matters.
    pub(crate) fn wrong(&self, what: impl IntoIterator<Item = String>) {
        let mut wrong = self.wrong.lock().unwrap();
        wrong.extend(what);
        if !wrong.is_empty() {
            self.over.store(true, Ordering::Relaxed);
        }
    }

    fn verdict(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    let Ok(text) = env::var(name) else { return default };
    text.parse()
        .unwrap_or_else(|_| panic!("{name}={text} is no number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_amid_faults_the_promises_hold() {
    let (seed, minutes) = (setting("SEED", 1_u64), setting("SOAK_MINUTES", SHORT));
    let replay = format!(
        "SEED={seed} SOAK_MINUTES={minutes} cargo test --test soak -- --nocapture   (timing is the machine's, so it may take several)"
    );
    let lab = lab(seed).await;
    let storm = Storm::new(minutes);
    let mut judge = Judge::new(&lab);
    let mut portal = Portal::new(&lab, seed);
    let lives = Lives::new(&lab, seed);
    let mut steady = lives.steady();
    let mut memory = memory::Gauge::of(steady.id());
    tokio::join!(
        storm::rage(&lab, &storm, seed),
        portal.write(&storm),
        lives.come_and_go(&storm, 0),
        lives.come_and_go(&storm, 1),
        lives.watch(&storm, &mut steady),
        memory.watch(&storm),
        judge.watch(&storm),
        progress(&lab, &storm),
    );
    let _ = storm.lasted.set(storm.began.elapsed());
    let mut wrong = storm.verdict();
    if wrong.is_empty() {
        storm::calm(&lab);
        let quiet = [lives.steady(), lives.steady()];
        wrong = judge.calm(&mut portal).await;
        for mut replica in quiet.into_iter().chain([steady]) {
            wrong.extend(lives.dismiss(&mut replica).await);
        }
    }
    wrong.extend(judge.in_hindsight());
    wrong.extend(memory.verdict());
    println!("{}", figures(&lab, &storm, &lives, &portal, &judge, &memory));
    if !wrong.is_empty() {
        let log = lab.sim.world().log();
        let tail = &log[log.len().saturating_sub(120)..];
        println!("the last that AWS saw:\n{}\n", tail.join("\n"));
    }
    assert!(wrong.is_empty(), "{}\nreplay: {replay}", wrong.join("\n"));
}

/// An AWS of its own, with a way to its tables that no fault befalls.
async fn lab(seed: u64) -> Lab {
    let mut lab = Lab::with(Setup {
        seed,
        speed: 80.0,
        ..Setup::default()
    })
    .await;
    let aside = SimCloud::new(SimConfig {
        log_lines: 0,
        database: lab.sim.database(),
        ..SimConfig::default()
    });
    let simulation = Simulation::new(aside.http_client(), MORNING.parse().unwrap(), 0);
    let clients = Clients::simulated(&simulation, &(Arc::new(Unobserved) as _));
    let tables = serve::tables(&lab.config);
    let unseen: Cloud = serve::cloud(&clients, tables).unwrap();
    lab.cloud = unseen;
    lab
}

async fn progress(lab: &Lab, storm: &Storm) {
    let step = (storm.wanted / 20).clamp(Duration::from_secs(5), Duration::from_secs(30));
    while storm.is_on() {
        let from = Instant::now();
        while storm.is_on() && from.elapsed() < step {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        println!(
            "{:>4} of {} s: {} kills, {} builds, {} calls gone wrong",
            storm.lasts().as_secs(),
            storm.wanted.as_secs(),
            storm.kills(),
            lab.sim.world().builds().len(),
            lab.sim.faults().injected().values().sum::<u64>(),
        );
    }
}

fn figures(
    lab: &Lab,
    storm: &Storm,
    lives: &Lives,
    portal: &Portal<'_>,
    judge: &Judge<'_>,
    memory: &memory::Gauge,
) -> String {
    let world = lab.sim.world();
    let builds = world.builds();
    let passed = builds.iter().filter(|build| build.gate_passed.is_some()).count();
    let faults = lab.sim.faults().injected();
    let kinds: Vec<String> = faults
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "storm of {:.1?}: {} kills (kill -9), {} ends by SIGTERM, {} lives",
        storm.lasts(),
        storm.kills(),
        lives.stopped(),
        lives.lives(),
    );
    let _ = writeln!(
        text,
        "the portal wrote {} times, deletions of {} rows among them; apps got ready {} times",
        portal.writes,
        portal.deletions,
        judge.readied(),
    );
    let _ = writeln!(
        text,
        "{} builds, {passed} past the gate; {} calls of AWS, {} faults: {}",
        builds.len(),
        world.calls().values().sum::<u64>(),
        faults.values().sum::<u64>(),
        kinds.join(", "),
    );
    let _ = writeln!(text, "judged {} times; {}", judge.looks, judge.calm_after());
    let _ = write!(text, "{memory}");
    text
}
