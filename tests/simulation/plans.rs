//! Faults placed exhaustively: every call of a tale that goes well is a boundary, and at each boundary everything goes
//! wrong that can. No oracle may complain, and in the end the world must be as it is without the fault.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use crate::cores::{self, Cost};
use crate::dice::Dice;
use crate::run::{self, Outcome};
use crate::tales::{self, Tale};
use crate::weather::{Fate, Operation, SHORTLY, changes, may_be_stale, reads_by_name};

/// A fault at one call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// Which call of the run, counted from 1.
    pub(crate) nth: u64,
    pub(crate) fate: Fate,
}

/// One run: a tale and what goes wrong in it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) tale: usize,
    pub(crate) places: Vec<Place>,
}

/// Right behind the calls that follow it.
const A_LITTLE: Duration = Duration::from_secs(5);

/// How late a late call is: longer than most of a tale's steps, shorter than the life of an idempotency token.
const LATE: Duration = Duration::from_mins(4);

/// Longer than that life.
pub(crate) const VERY_LATE: Duration = Duration::from_mins(8);

/// Longer than that life and than a lease.
const LONG: Duration = Duration::from_mins(12);

/// How far back a stale look reaches. (Five minutes is the most that was ever told of ECS.)
const STALE: Duration = Duration::from_mins(5);

/// In a tale of days, faults befall the beginning only.
const LONG_TALE_CALLS: usize = 150;

/// A stride at which no look is taken, and none but the usual faults, at every call.
const NO_LOOKS: usize = usize::MAX;

/// Every fate by its name.
fn known_fates() -> [(&'static str, Fate); 20] {
    let dies = |answered, down| Fate::Dies { answered, down };
    [
        ("dies-before", dies(false, SHORTLY)),
        ("dies-after", dies(true, SHORTLY)),
        ("dies-for-long", dies(true, LONG)),
        ("lost", Fate::Lost),
        ("answer-lost", Fate::AnswerLost),
        ("again", Fate::Again),
        ("a-little-late", Fate::Late(A_LITTLE)),
        ("late", Fate::Late(LATE)),
        ("very-late", Fate::Late(VERY_LATE)),
        ("twice", Fate::Twice),
        ("throttled", Fate::Throttled),
        ("limit", Fate::Limit),
        ("denied", Fate::Denied),
        ("rejected", Fate::Rejected),
        ("hangs", Fate::Hangs { applied: false }),
        ("hangs-applied", Fate::Hangs { applied: true }),
        ("stale", Fate::Stale(STALE)),
        ("nothing", Fate::Nothing),
        ("freezes", Fate::Freezes(VERY_LATE)),
        ("freezes-for-long", Fate::Freezes(LONG)),
    ]
}

/// Deaths and losses befall every call that changes something, and a part of the looks, in every run of the suite.
const ALWAYS: [&str; 4] = ["dies-before", "dies-after", "lost", "answer-lost"];

/// What is late or double befalls every other one.
const OFTEN: [&str; 4] = ["late", "very-late", "twice", "hangs"];

fn is_usual(name: &str) -> bool {
    ALWAYS.contains(&name) || OFTEN.contains(&name)
}

/// At every so manieth call, of those that [`singles`] takes, a fate is tried.
fn every(name: &str, stride: usize) -> usize {
    match stride {
        _ if ALWAYS.contains(&name) => 1,
        NO_LOOKS if OFTEN.contains(&name) => 1,
        stride if OFTEN.contains(&name) => stride.min(2),
        stride => stride,
    }
}

/// What can become of a call.
pub(crate) fn fates(operation: Operation) -> Vec<(&'static str, Fate)> {
    let of_changes = [
        "dies-for-long",
        "answer-lost",
        "again",
        "a-little-late",
        "late",
        "very-late",
        "twice",
        "hangs-applied",
        "freezes-for-long",
    ];
    let fits = |name: &str| match name {
        "limit" => operation == "codebuild.StartBuild",
        "rejected" => operation == "dynamodb.TransactWriteItems",
        "stale" => may_be_stale(operation),
        "nothing" => reads_by_name(operation),
        name if of_changes.contains(&name) => changes(operation),
        _ => true,
    };
    known_fates().into_iter().filter(|(name, _)| fits(name)).collect()
}

fn fate_name(fate: &Fate) -> &'static str {
    let known = known_fates().into_iter().find(|(_, known)| known == fate);
    known.map_or("other", |(name, _)| name)
}

fn fate_named(name: &str) -> Fate {
    let known = known_fates().into_iter().find(|(known, _)| *known == name);
    known.unwrap_or_else(|| panic!("{name} is no fate")).1
}

/// `deploy@17=late,40=lost`, as `PLAN` takes it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self
            .places
            .iter()
            .map(|place| format!("{}={}", place.nth, fate_name(&place.fate)))
            .collect();
        write!(f, "{}@{}", tales::all()[self.tale].name, places.join(","))
    }
}

impl Plan {
    /// A plan from its line.
    pub(crate) fn parse(text: &str) -> Self {
        let (name, places) = text.split_once('@').unwrap_or((text, ""));
        let tale = tales::all().iter().position(|tale| tale.name == name);
        let places = places.split(',').filter(|place| !place.is_empty()).map(|place| {
            let (nth, fate) = place.split_once('=').unwrap();
            Place {
                nth: nth.parse().unwrap(),
                fate: fate_named(fate),
            }
        });
        Self {
            tale: tale.unwrap_or_else(|| panic!("there is no tale {name}")),
            places: places.collect(),
        }
    }

    pub(crate) fn run(&self, tales: &[Tale]) -> Outcome {
        run::tell(tales[self.tale].scenario(), &self.places)
    }
}

/// A tale that went well: its calls, and how the world was in the end.
pub(crate) struct Calm {
    calls: Vec<Operation>,
    end: Vec<String>,
}

pub(crate) fn calm(tales: &[Tale]) -> Vec<Calm> {
    (0..tales.len()).map(|n| calm_of(tales, n)).collect()
}

pub(crate) fn calm_of(tales: &[Tale], tale: usize) -> Calm {
    let plan = Plan {
        tale,
        places: Vec::new(),
    };
    let outcome = plan.run(tales);
    assert_eq!(outcome.wrong, Vec::<String>::new(), "{plan} without a fault");
    assert!(!outcome.end.is_empty(), "{plan} ends with something to compare");
    Calm {
        calls: outcome.calls,
        end: outcome.end,
    }
}

/// The plans of one fault: those of [`ALWAYS`] at every call that changes something and at one look in three times
/// `stride`, those of [`OFTEN`] at every other of those and all others at every `stride`-th, each beginning elsewhere.
pub(crate) fn singles(tales: &[Tale], calm: &[Calm], stride: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    // Most calls are looks, and a look that goes wrong is taken again.
    let looked = if stride == 1 { 1 } else { stride.saturating_mul(3) };
    for (tale, calm) in calm.iter().enumerate() {
        let mut looks = 0;
        let (most, step) = if tales[tale].is_long() {
            (LONG_TALE_CALLS, 5)
        } else {
            (usize::MAX, 1)
        };
        for (n, operation) in calm.calls.iter().enumerate().take(most).step_by(step) {
            looks += usize::from(!changes(operation));
            if !changes(operation) && looks % looked != tale % looked {
                continue;
            }
            for (place, (name, fate)) in fates(operation).into_iter().enumerate() {
                if (n + place) % every(name, stride) != 0 {
                    continue;
                }
                let nth = u64::try_from(n).unwrap() + 1;
                plans.push(Plan {
                    tale,
                    places: vec![Place { nth, fate }],
                });
            }
        }
    }
    plans
}

/// Whether a fate takes longer than the story lets pass between two wishes. Then wishes come and go that nobody sees, a
/// refused app is looked at no more, and it may rightly end otherwise; the oracles still say what must be.
pub(crate) fn outlasts_wishes(fate: &Fate) -> bool {
    match fate {
        Fate::Freezes(_) => true,
        Fate::Dies { down, .. } => *down >= LONG,
        Fate::Lost
        | Fate::AnswerLost
        | Fate::Again
        | Fate::Late(_)
        | Fate::Twice
        | Fate::Throttled
        | Fate::Limit
        | Fate::Denied
        | Fate::Rejected
        | Fate::Hangs { .. }
        | Fate::Stale(_)
        | Fate::Nothing => false,
    }
}

/// What a run with faults did wrong, judged also by how it ended without.
pub(crate) fn judge(plan: &Plan, tale: &Tale, outcome: &Outcome, calm: &Calm) -> Option<String> {
    if let Some(wrong) = outcome.wrong.first() {
        return Some(format!("{plan}: {wrong}"));
    }
    let long = plan.places.iter().any(|place| outlasts_wishes(&place.fate));
    if long && !tale.is_told_at_once() {
        return None;
    }
    (outcome.end != calm.end).then(|| format!("{plan}: ended as {:?} instead of {:?}", outcome.end, calm.end))
}

/// Runs plans on every core. What went wrong, and what it cost.
fn run_all(plans: &[Plan], tales: &[Tale], calm: &[Calm]) -> (Vec<String>, Cost) {
    let wrong = Mutex::new(Vec::new());
    let cost = cores::on_every_core(plans.len(), |n| {
        let plan = &plans[n];
        if let Some(what) = judge(plan, &tales[plan.tale], &plan.run(tales), &calm[plan.tale]) {
            println!("PLAN={plan} cargo test --test simulation one_plan -- --nocapture  # {what}");
            wrong.lock().unwrap().push(what);
        }
    });
    (wrong.into_inner().unwrap(), cost)
}

/// Deaths and losses at every call that changes something and at every twenty-fourth look, what is late or double at every
/// other of those, and the rest at every eighth; `STRIDE=1` takes all.
#[test]
fn no_single_fault_breaks_a_promise() {
    let tales = tales::all();
    let calm = calm(&tales);
    let stride = crate::variable("STRIDE").map_or(8, |stride| usize::try_from(stride).unwrap());
    let plans = singles(&tales, &calm, stride);
    let calls: usize = calm.iter().map(|calm| calm.calls.len()).sum();
    let (wrong, cost) = run_all(&plans, &tales, &calm);
    println!(
        "{} plans of one fault in {} tales with {calls} calls in {:.1} s, {:.1} s of processors: {} wrong",
        plans.len(),
        tales.len(),
        cost.wall,
        cost.cpu,
        wrong.len()
    );
    assert!(plans.len() >= 4000, "{} plans", plans.len());
    assert_eq!(wrong, Vec::<String>::new());
}

/// The second fault befalls a call of the run that the first has disturbed.
fn second(plan: &Plan, first: &Outcome, nth: u64, fate: Fate) -> Option<Plan> {
    let operation = first.calls.get(usize::try_from(nth - 1).unwrap())?;
    let fits = fates(operation).iter().any(|(_, known)| *known == fate);
    fits.then(|| {
        let mut places = plan.places.clone();
        places.push(Place { nth, fate });
        Plan {
            tale: plan.tale,
            places,
        }
    })
}

/// Some hundred pairs, drawn at random: the second within fifty calls of the first. `PAIRS=n` draws more.
#[test]
fn no_sampled_pair_of_faults_breaks_a_promise() {
    let tales = tales::all();
    let calm = calm(&tales);
    let firsts = singles(&tales, &calm, NO_LOOKS);
    let mut dice = Dice::new(crate::variable("SEED").unwrap_or(1), 11);
    let count = crate::variable("PAIRS").unwrap_or(600);
    let drawn: Vec<(Plan, u64, u64)> = (0..count)
        .map(|_| (dice.pick(&firsts), dice.between(1, 50), dice.next()))
        .collect();
    let pairs = Mutex::new(Vec::new());
    cores::on_every_core(drawn.len(), |n| {
        let (plan, ahead, which) = &drawn[n];
        let first = plan.run(&tales);
        let nth = plan.places[0].nth + ahead;
        let Some(operation) = first.calls.get(usize::try_from(nth - 1).unwrap()) else {
            return;
        };
        let fates = fates(operation);
        let (_, fate) = &fates[usize::try_from(*which % (fates.len() as u64)).unwrap()];
        let pair = second(plan, &first, nth, fate.clone());
        pairs.lock().unwrap().extend(pair);
    });
    let pairs = pairs.into_inner().unwrap();
    let (wrong, cost) = run_all(&pairs, &tales, &calm);
    println!(
        "{} pairs of faults in {:.1} s, {:.1} s of processors: {} wrong",
        pairs.len(),
        cost.wall,
        cost.cpu,
        wrong.len()
    );
    assert!(
        pairs.len() * 2 > usize::try_from(count).unwrap(),
        "{} pairs",
        pairs.len()
    );
    assert_eq!(wrong, Vec::<String>::new());
}

/// Every pair of the usual faults at calls that change something, first fault by first fault, with a line of progress.
/// Where it was left, and what was wrong, is kept in a file: run again, it goes on, and still fails for what was wrong
/// before. `ONLY=deploy` takes one tale; `FIRSTS=n` stops after that many first faults.
/// `cargo test --test simulation every_pair -- --ignored --nocapture`
#[test]
#[ignore = "takes hours"]
fn every_pair_of_faults() {
    let tales = tales::all();
    let calm = calm(&tales);
    let left_at = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pairs.progress");
    let mut progress = Progress::read(&std::fs::read_to_string(&left_at).unwrap_or_default());
    let only = std::env::var("ONLY").ok();
    let firsts = singles(&tales, &calm, NO_LOOKS);
    let most = crate::variable("FIRSTS").map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    let wanted = |first: &&Plan| {
        let name = tales[first.tale].name;
        only.as_deref().is_none_or(|only| only == name) && !tales[first.tale].is_long()
    };
    let firsts: Vec<&Plan> = firsts.iter().filter(wanted).collect();
    let left: Vec<&&Plan> = firsts
        .iter()
        .filter(|first| !progress.done.contains_key(&first.to_string()))
        .take(most)
        .collect();
    for first in left {
        let outcome = first.run(&tales);
        let later = outcome
            .calls
            .iter()
            .enumerate()
            .skip(usize::try_from(first.places[0].nth).unwrap());
        let pairs: Vec<Plan> = later
            .filter(|(_, operation)| changes(operation))
            .flat_map(|(at, operation)| {
                let usual = fates(operation).into_iter().filter(|(name, _)| is_usual(name));
                usual.map(move |(_, fate)| (at, fate))
            })
            .filter_map(|(at, fate)| second(first, &outcome, u64::try_from(at).unwrap() + 1, fate))
            .collect();
        progress.wrong.extend(run_all(&pairs, &tales, &calm).0);
        progress.done.insert(first.to_string(), pairs.len());
        std::fs::write(&left_at, progress.to_string()).unwrap();
        println!("{}", progress.bar(firsts.len(), tales[first.tale].name));
    }
    println!("{}", progress.bar(firsts.len(), "the end"));
    assert_eq!(progress.wrong, Vec::<String>::new());
}

/// How far a command has come that takes hours.
#[derive(Debug, Default, PartialEq)]
struct Progress {
    /// How many pairs each first fault had.
    done: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Progress {
    fn read(text: &str) -> Self {
        let mut progress = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("wrong", what)) => progress.wrong.push(what.to_owned()),
                Some((first, count)) => {
                    progress.done.insert(first.to_owned(), count.parse().unwrap());
                }
                None => {}
            }
        }
        progress
    }

    fn bar(&self, of: usize, at: &str) -> String {
        const WIDTH: usize = 40;
        let full = WIDTH * self.done.len() / of.max(1);
        let (pairs, wrong) = (self.done.values().sum::<usize>(), self.wrong.len());
        let bar = format!(
            "{}{}",
            "#".repeat(full.min(WIDTH)),
            ".".repeat(WIDTH.saturating_sub(full))
        );
        let done = self.done.len();
        format!("[{bar}] {done} of {of} first faults, {pairs} pairs, {wrong} wrong; at {at}")
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (first, pairs) in &self.done {
            writeln!(f, "{first} {pairs}")?;
        }
        for what in &self.wrong {
            writeln!(f, "wrong {}", what.replace('\n', " "))?;
        }
        Ok(())
    }
}

#[test]
fn progress_is_kept_with_what_was_wrong() {
    let progress = Progress {
        done: BTreeMap::from([("deploy@17=late".to_owned(), 12)]),
        wrong: vec!["deploy@17=late,40=lost: no-leak: a group".to_owned()],
    };
    assert_eq!(Progress::read(&progress.to_string()), progress);
}

/// Tells one plan: `PLAN=deploy@17=late cargo test --test simulation one_plan -- --nocapture`.
#[test]
fn one_plan() {
    let Ok(line) = std::env::var("PLAN") else {
        println!("skipped: PLAN is not set");
        return;
    };
    let (tales, plan) = (tales::all(), Plan::parse(&line));
    let calm = Plan {
        places: Vec::new(),
        ..plan.clone()
    }
    .run(&tales);
    let outcome = plan.run(&tales);
    for line in &outcome.log {
        println!("{line}");
    }
    for (n, operation) in outcome.calls.iter().enumerate() {
        println!("call {} {operation}", n + 1);
    }
    let calm = Calm {
        calls: calm.calls,
        end: calm.end,
    };
    assert_eq!(judge(&plan, &tales[plan.tale], &outcome, &calm), None);
}
