//! Plants bugs in the daemon, one at a time, and shows that they are found: a test that can't fail proves nothing.
//!
//! `cargo test --features planted --test simulation planted -- --nocapture` runs the seed that found each bug before, and
//! the others if that one does not any more. With `PLANTED=all` it looks for that anew, in so many seeds, a part of the single
//! faults, and the planner's own tests, and prints the table that `docs/testing.md` has (about half an hour);
//! `PLANTED=GateIgnored,TokenReused` does that for some.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, iter};

use lamplighter::planted::{ALL, Bug, plant};

use crate::cores;
use crate::plans::{self, Calm, Plan};
use crate::run::run;
use crate::scenario::Depth;
use crate::tales::{self, Tale};

/// So many seeds are tried until a bug counts as one that no seed finds.
const SEEDS: u64 = 200;
/// Of so many seeds is told how many find a bug.
const COUNTED: u64 = 24;
/// Every so manieth single fault is tried.
const EVERY: usize = 160;

/// What is known to find a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finder {
    /// The oracles of that seed.
    Seed(u64),
    /// No seed of those that were tried, mostly since some other guard keeps it harmless there: `tests/planner/` or
    /// `tests/e2e/`, as the table in `docs/testing.md` says.
    Elsewhere,
}

impl Finder {
    fn seed(self) -> Option<u64> {
        match self {
            Self::Seed(seed) => Some(seed),
            Self::Elsewhere => None,
        }
    }
}

/// What found each bug, as `PLANTED=all` found out: where a search begins.
fn finder(bug: Bug) -> Finder {
    match bug {
        Bug::SlotNotClaimed
        | Bug::NamesNotClaimed
        | Bug::ClaimsNotHeeded
        | Bug::TokenReused
        | Bug::DriftIgnored
        | Bug::NowRounded
        | Bug::HoldIgnored
        | Bug::DeletionUnconfirmed
        | Bug::GivenWithoutEnd
        | Bug::WarnedTwice
        | Bug::MovedStopTold
        | Bug::DestroyNotRetried
        | Bug::WarnedEarly => Finder::Seed(1),
        Bug::SettledWhileRunning
        | Bug::ClaimsKept
        | Bug::SlotFreedBySuspending
        | Bug::NapDestroys
        | Bug::ReadyWithoutAnswer
        | Bug::LapsedExemptionHolds
        | Bug::WarnedOnceForAll => Finder::Seed(2),
        Bug::KeepIgnored | Bug::ExpiryIgnored => Finder::Seed(3),
        Bug::LeaseForEver => Finder::Seed(4),
        Bug::CurfewForgotten | Bug::OwnerIgnored => Finder::Seed(5),
        Bug::NightsNotCounted => Finder::Seed(6),
        Bug::BoundaryIsBefore => Finder::Seed(7),
        Bug::GateLeftOpen | Bug::GateIgnored | Bug::PoisonEndsSweep | Bug::WeekNotCounted => Finder::Seed(8),
        Bug::DestroyNotVerified | Bug::SurvivorIgnored => Finder::Seed(9),
        Bug::UnreadIsAbsent => Finder::Seed(11),
        Bug::StatusBelieved => Finder::Seed(13),
        Bug::ExemptionBeatsExpiry => Finder::Seed(15),
        Bug::DaysOffIgnored | Bug::ClosingIgnored => Finder::Seed(18),
        Bug::WakeIgnored => Finder::Seed(20),
        Bug::HalfDeploymentForgotten => Finder::Seed(23),
        Bug::UnknownBuildIsOver => Finder::Seed(29),
        Bug::PauseIgnored => Finder::Seed(50),
        Bug::VersionIgnored => Finder::Seed(56),
        Bug::RouteLossIgnored => Finder::Seed(96),
        Bug::CapacityIsFailure
        | Bug::TokenExpiryIgnored
        | Bug::DrainingIgnored
        | Bug::AbsenceBelievedAtOnce
        | Bug::BackoffForgotten
        | Bug::FutureBelieved
        | Bug::StopUndone
        | Bug::RefusalForgotten
        | Bug::HostRenamed
        | Bug::FirstPageOnly
        | Bug::ExemptNightsCounted
        | Bug::HistoryIgnored => Finder::Elsewhere,
    }
}

/// The depth at which seeds can see a bug: those of the adapters only through the SDK.
fn depth(bug: Bug) -> Depth {
    if bug == Bug::FirstPageOnly {
        Depth::Sdk
    } else {
        Depth::Direct
    }
}

/// What is wrong with a bug planted, or with none.
fn with(bug: Option<Bug>, invariants: bool, what: impl FnOnce() -> Option<String>) -> Option<String> {
    plant(bug, invariants);
    let wrong = what();
    plant(None, true);
    wrong
}

fn wrong_in(seed: u64, depth: Depth) -> Option<String> {
    run(seed, depth).wrong.into_iter().next()
}

/// The promise that a complaint names.
fn promise(wrong: &str) -> &str {
    wrong.split(':').next().unwrap_or(wrong)
}

/// A single fault, what it is judged by, and what it did.
fn wrong_with(bug: Option<Bug>, plan: &Plan, tales: &[Tale], calm: &Calm) -> Option<String> {
    let tale = &tales[plan.tale];
    with(bug, false, || plans::judge(plan, tale, &plan.run(tales), calm))
}

fn ask(seed: u64, bug: Option<Bug>) -> Option<String> {
    with(bug, false, || wrong_in(seed, Depth::Direct))
}

#[test]
fn every_planted_bug_is_found_by_a_seed_or_elsewhere() {
    if std::env::var_os("PLANTED").is_some() {
        println!("skipped: PLANTED asks for the table");
        return;
    }
    let known: Vec<(Bug, u64)> = ALL
        .iter()
        .filter_map(|bug| Some((*bug, finder(*bug).seed()?)))
        .collect();
    let told = Mutex::new(Vec::new());
    // What seeds say of the daemon as it is: several bugs are found by the same.
    let sound = Mutex::new(BTreeMap::new());
    let of_none = |seed| {
        let known = sound.lock().unwrap().get(&seed).cloned();
        let wrong = known.unwrap_or_else(|| ask(seed, None));
        sound.lock().unwrap().insert(seed, wrong.clone());
        wrong
    };
    cores::on_every_core(known.len(), |n| {
        let (bug, seed) = known[n];
        let found = iter::once(seed).chain(1..=SEEDS).find_map(|seed| {
            let wrong = ask(seed, Some(bug))?;
            Some((seed, wrong, of_none(seed)))
        });
        told.lock().unwrap().push((n, found));
    });
    let mut told = told.into_inner().unwrap();
    told.sort();
    let (mut found, mut missed) = (0, Vec::new());
    for (n, by) in told {
        let (bug, before) = known[n];
        match by {
            None => missed.push(format!(
                "{bug:?} is found by none of {SEEDS} seeds, {before} among them"
            )),
            Some((seed, _, Some(wrong))) => {
                missed.push(format!("no bug is planted, and seed {seed} complains: {wrong}"));
            }
            Some((seed, wrong, None)) => {
                found += 1;
                println!("{bug:?}, {}: seed {seed}: {wrong}", bug.what());
                if seed != before {
                    println!("  (seed {before} found it before: any change of the dice moves this one)");
                }
            }
        }
    }
    println!("{found} of {} planted bugs found by a seed", ALL.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(found >= 20, "{found} bugs found");
}

/// What finds a bug.
struct Found {
    bug: Bug,
    /// The first seed whose oracles complain, and what they say.
    first: Option<(u64, String)>,
    of_counted: usize,
    promises: BTreeSet<String>,
    plans: usize,
    first_plan: Option<String>,
    /// Tests of `tests/planner/` that fail.
    planner: usize,
}

#[test]
fn table_of_planted_bugs() {
    let Ok(wanted) = std::env::var("PLANTED") else {
        println!("skipped: PLANTED=all prints the table");
        return;
    };
    let named = |bug: &&Bug| wanted == "all" || wanted.split(',').any(|name| name == format!("{bug:?}"));
    let bugs: Vec<Bug> = ALL.iter().filter(named).copied().collect();
    let tales = tales::all();
    let calm = plans::calm(&tales);
    let singles: Vec<Plan> = plans::singles(&tales, &calm, usize::MAX)
        .into_iter()
        .step_by(EVERY)
        .collect();
    let found = Mutex::new(Vec::new());
    let done = AtomicUsize::new(0);
    cores::on_every_core(bugs.len(), |n| {
        let one = look_for(bugs[n], &tales, &calm, &singles);
        let done = done.fetch_add(1, Ordering::SeqCst) + 1;
        println!(
            "{done} of {}: {one}\n    {:?}; {:?}",
            bugs.len(),
            one.first,
            one.first_plan
        );
        found.lock().unwrap().push((n, one));
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(n, _)| *n);
    println!(
        "\n| planted | first seed | seeds of {COUNTED} | they say | single faults of {} \
         | planner's tests |",
        singles.len()
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (_, one) in &found {
        println!("{one}");
    }
    let mut firsts: Vec<u64> = found
        .iter()
        .filter_map(|(_, one)| Some(one.first.as_ref()?.0))
        .collect();
    firsts.sort_unstable();
    println!(
        "\n{} of {} found by the oracles of one of {SEEDS} seeds, in the median by seed {:?}",
        firsts.len(),
        found.len(),
        firsts.get(firsts.len() / 2)
    );
}

fn look_for(bug: Bug, tales: &[Tale], calm: &[Calm], singles: &[Plan]) -> Found {
    let mut found = Found {
        bug,
        first: None,
        of_counted: 0,
        promises: BTreeSet::new(),
        plans: 0,
        first_plan: None,
        planner: failing_planner_tests(bug),
    };
    for seed in 1..=SEEDS {
        if seed > COUNTED && found.first.is_some() {
            break;
        }
        let Some(wrong) = with(Some(bug), false, || wrong_in(seed, depth(bug))) else {
            continue;
        };
        found.of_counted += usize::from(seed <= COUNTED);
        found.promises.insert(promise(&wrong).to_owned());
        found.first.get_or_insert((seed, wrong));
    }
    for plan in singles {
        if let Some(wrong) = wrong_with(Some(bug), plan, tales, &calm[plan.tale]) {
            found.plans += 1;
            found.first_plan.get_or_insert(wrong);
        }
    }
    found
}

/// How many tests of `tests/planner/` fail with a bug planted. They are another program, told by its environment.
fn failing_planner_tests(bug: Bug) -> usize {
    let answer = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--features", "planted", "--test", "planner", "--"])
        .args(["--skip", "planted"])
        .env("PLANTED_BUG", format!("{bug:?}"))
        .env("INSTA_UPDATE", "no")
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&answer.stdout);
    assert!(
        said.contains("test result"),
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    said.lines()
        .filter(|line| line.starts_with("test ") && line.ends_with("FAILED"))
        .count()
}

/// A row of the table.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize| if n == 0 { "–".to_owned() } else { n.to_string() };
        let first = self
            .first
            .as_ref()
            .map_or("–".to_owned(), |(seed, _)| seed.to_string());
        let promises: Vec<&str> = self.promises.iter().map(String::as_str).collect();
        write!(
            f,
            "| `{:?}`: {} | {first} | {} | {} | {} | {} |",
            self.bug,
            self.bug.what(),
            count(self.of_counted),
            promises.join(", "),
            count(self.plans),
            count(self.planner)
        )
    }
}

/// No seed loses the state table; a tale does, under daemons that begin anew and see old listings.
#[test]
fn a_lost_table_that_history_tells_of_is_noticed() {
    let loss = || crate::backups::wrong_with("crash-loop@126=lost!");
    assert_eq!(with(None, true, loss), None);
    let found = with(Some(Bug::HistoryIgnored), false, loss).unwrap_or_default();
    assert!(found.starts_with("one-build-per-app"), "{found}");
}

/// Each bug that no seed finds is planted where something does find it.
#[test]
fn every_other_bug_has_a_test_that_is_shown_to_fail() {
    let elsewhere = [
        include_str!("../planner/planted.rs"),
        include_str!("../e2e/planted.rs"),
        include_str!("../adapters/planted.rs"),
    ];
    for bug in ALL.iter().filter(|bug| finder(**bug).seed().is_none()) {
        let name = format!("\"{bug:?}\"");
        let found = elsewhere.iter().any(|text| text.contains(&name)) || *bug == Bug::HistoryIgnored;
        assert!(found, "nothing is shown to find {bug:?}");
    }
}
