//! The real controller and the real AWS clients in a simulated world, on paused time: one seed decides
//! everything, and the same seed gives the same log to the last byte. `SEED=n` replays one.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

/// Half the time of a simulation goes into small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod backups;
#[path = "../support/behaviour.rs"]
mod behaviour;
mod clock;
mod cloud;
mod cores;
mod daemon;
mod dice;
mod edge;
mod fringe;
mod keeps;
#[path = "../support/memory_tables.rs"]
mod memory_tables;
mod naps;
#[path = "../support/overlaps.rs"]
mod overlaps;
mod plans;
#[cfg(feature = "planted")]
mod planted;
mod row;
mod run;
mod scenario;
mod tales;
mod trouble;
mod ungated;
mod verdict;
mod warnings;
mod watch;
mod weather;
mod wish;
mod workload;

use std::sync::Mutex;

use run::{Outcome, Tally, run};
use scenario::Depth;

/// Seeds that found a bug once.
const FAILED_BEFORE: &str = include_str!("seeds.txt");

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// The depth that `DEPTH` names.
fn depth() -> Depth {
    match std::env::var("DEPTH").as_deref() {
        Ok("sdk") => Depth::Sdk,
        Ok("direct") | Err(_) => Depth::Direct,
        Ok(other) => panic!("DEPTH={other} is neither sdk nor direct"),
    }
}

fn failed_before(wanted: Depth) -> Vec<u64> {
    let lines = FAILED_BEFORE
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut seeds = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (depth, seed) = line.split_once(' ').unwrap();
        if depth == wanted.name() {
            seeds.push(seed.trim().parse().unwrap());
        }
    }
    seeds
}

/// Runs seeds on every core, and fails with one line for each that is wrong.
fn check(seeds: &[u64], depth: Depth) {
    let total = Mutex::new((Tally::default(), Vec::new()));
    let cost = cores::on_every_core(seeds.len(), |n| {
        let outcome = run(seeds[n], depth);
        let (tally, wrong) = &mut *total.lock().unwrap();
        tally.add(&outcome.tally);
        if let Some(what) = outcome.wrong.first() {
            println!("{}", replay_line(seeds[n], depth, what));
            wrong.push(seeds[n]);
        }
    });
    let (tally, wrong) = total.into_inner().unwrap();
    println!(
        "{} seeds ({}) in {:.1} s, {:.1} s of processors, {:.0} virtual hours per second of a processor: {tally:?}",
        seeds.len(),
        depth.name(),
        cost.wall,
        cost.cpu,
        tally.virtual_hours / cost.cpu
    );
    assert!(wrong.is_empty(), "seeds {wrong:?} failed");
}

fn replay_line(seed: u64, depth: Depth, what: &str) -> String {
    let depth = depth.name();
    format!("SEED={seed} DEPTH={depth} cargo test --test simulation replay -- --nocapture  # {what}")
}

/// `SEEDS=10000` tries more, `FIRST=n` others.
fn seeds(unless_told: u64) -> Vec<u64> {
    let first = variable("FIRST").unwrap_or(1);
    let count = variable("SEEDS").unwrap_or(unless_told);
    (first..first + count).collect()
}

/// A hundred virtual hours each. A thousand of them took more than nine minutes on two cores.
#[test]
fn seeds_behind_the_traits_break_no_promise() {
    check(&seeds(400), Depth::Direct);
}

/// With the real SDK a seed takes about 4 s of CPU.
#[test]
fn seeds_over_the_sdk_break_no_promise() {
    check(&seeds(60), Depth::Sdk);
}

#[test]
fn seeds_that_failed_before_pass() {
    for depth in [Depth::Direct, Depth::Sdk] {
        check(&failed_before(depth), depth);
    }
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let mut hashes = std::collections::BTreeSet::new();
    for (seed, depth) in [(3, Depth::Sdk), (8, Depth::Direct), (21, Depth::Direct)] {
        let (first, second) = (run(seed, depth), run(seed, depth));
        let differs = first.log.iter().zip(&second.log).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert!(first.log.len() > 1000, "seed {seed}: {} lines", first.log.len());
        hashes.insert(first.hash);
    }
    assert_eq!(hashes.len(), 3, "different seeds tell different stories");
}

#[test]
fn another_process_gives_the_same_log() {
    let here = run(5, Depth::Direct).hash;
    let there = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "replay", "--nocapture"])
        .env("SEED", "5")
        .env("DEPTH", "direct")
        .env("QUIET", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&there.stdout);
    assert!(said.contains(&here), "{here} is not in {said}");
}

/// Tells one seed: `SEED=17 DEPTH=sdk cargo test --test simulation replay -- --nocapture`. `QUIET=1` leaves out the log.
#[test]
fn replay() {
    let Some(seed) = variable("SEED") else {
        println!("skipped: SEED is not set");
        return;
    };
    let outcome: Outcome = run(seed, depth());
    if std::env::var_os("QUIET").is_none() {
        let scenario = scenario::Scenario::of(seed, depth());
        println!("{:#?}", Short(&scenario));
        for line in &outcome.log {
            println!("{line}");
        }
    }
    println!("seed {seed} has hash {} and {:?}", outcome.hash, outcome.tally);
    for what in &outcome.wrong {
        println!("{}", replay_line(outcome.seed, outcome.depth, what));
    }
    assert!(outcome.wrong.is_empty(), "seed {seed} failed");
}

/// A scenario without its events, which the log has.
struct Short<'a>(&'a scenario::Scenario);

impl std::fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scenario = self.0;
        f.debug_struct("Scenario")
            .field("begin", &scenario.begin)
            .field("quiet", &scenario.quiet)
            .field("faults", &scenario.trouble.rates)
            .field("staleness", &scenario.trouble.staleness)
            .field("replicas", &scenario.replicas)
            .field("scope", &scenario.scope)
            .field("on_conflict", &scenario.on_conflict)
            .field("admission", &scenario.admission)
            .field("intervals", &scenario.intervals)
            .field("leases", &scenario.leases)
            .field("workers", &scenario.workers)
            .field("concurrent_builds", &scenario.concurrent_builds)
            .field("memory_retention", &scenario.memory_retention)
            .field("ask_again", &scenario.ask_again)
            .field("keeps", &scenario.keeps)
            .finish()
    }
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.virtual_hours += other.virtual_hours;
        self.calls += other.calls;
        self.builds += other.builds;
        self.crashes += other.crashes;
        self.faults += other.faults;
        self.readied += other.readied;
        self.kept += other.kept;
        self.warned += other.warned;
    }
}
