//! The real controller and the real AWS clients in a simulated world, on paused time: one seed decides
//! everything, and the same seed gives the same log to the last byte. `SEED=n` replays one.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod cloud;
mod daemon;
mod dice;
mod row;
mod run;
mod scenario;
mod trouble;
mod verdict;
mod watch;
mod wish;
mod workload;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use run::{Outcome, Tally, run};

/// Seeds that found a bug once.
const FAILED_BEFORE: &str = include_str!("seeds.txt");

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

fn failed_before() -> Vec<u64> {
    let lines = FAILED_BEFORE
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().unwrap())
        .collect()
}

/// Runs seeds on every core, and fails with one line for each that is wrong.
fn check(seeds: &[u64]) {
    let next = AtomicU64::new(0);
    let total = Mutex::new((Tally::default(), Vec::new()));
    let took = run::cost(|| {
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some(seed) =
                        seeds.get(usize::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap())
                    {
                        let outcome = run(*seed);
                        let (tally, wrong) = &mut *total.lock().unwrap();
                        tally.add(&outcome.tally);
                        if let Some(what) = outcome.wrong.first() {
                            println!("{}", replay_line(*seed, what));
                            wrong.push(*seed);
                        }
                    }
                });
            }
        });
    });
    let (tally, wrong) = total.into_inner().unwrap();
    println!("{} seeds in {:.1} s: {tally:?}", seeds.len(), took.as_secs_f64());
    assert!(wrong.is_empty(), "seeds {wrong:?} failed");
}

fn replay_line(seed: u64, what: &str) -> String {
    format!("SEED={seed} cargo test --test simulation replay -- --nocapture  # {what}")
}

/// `SEEDS=10000` tries more, `FIRST=n` others. A seed takes about 4 s of CPU.
#[test]
fn a_hundred_seeds_break_no_promise() {
    let first = variable("FIRST").unwrap_or(1);
    let count = variable("SEEDS").unwrap_or(100);
    check(&(first..first + count).collect::<Vec<_>>());
}

#[test]
fn seeds_that_failed_before_pass() {
    check(&failed_before());
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in [3, 8, 21] {
        let (first, second) = (run(seed), run(seed));
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
    let here = run(5).hash;
    let there = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "replay", "--nocapture"])
        .env("SEED", "5")
        .env("QUIET", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&there.stdout);
    assert!(said.contains(&here), "{here} is not in {said}");
}

/// Tells one seed: `SEED=17 cargo test --test simulation replay -- --nocapture`. `QUIET=1` leaves out the log.
#[test]
fn replay() {
    let Some(seed) = variable("SEED") else {
        println!("skipped: SEED is not set");
        return;
    };
    let outcome: Outcome = run(seed);
    if std::env::var_os("QUIET").is_none() {
        let scenario = scenario::Scenario::of(seed);
        println!("{:#?}", Short(&scenario));
        for line in &outcome.log {
            println!("{line}");
        }
    }
    println!("seed {seed} has hash {} and {:?}", outcome.hash, outcome.tally);
    for what in &outcome.wrong {
        println!("{}", replay_line(outcome.seed, what));
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
            .field("faults", &scenario.trouble.mix)
            .field("staleness", &scenario.trouble.staleness)
            .field("replicas", &scenario.replicas)
            .field("scope", &scenario.scope)
            .field("admission", &scenario.admission)
            .field("intervals", &scenario.intervals)
            .field("workers", &scenario.workers)
            .field("concurrent_builds", &scenario.concurrent_builds)
            .field("memory_retention", &scenario.memory_retention)
            .field("ask_again", &scenario.ask_again)
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
    }
}
