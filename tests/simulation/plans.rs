//! Faults placed exhaustively: every call of a tale that goes well is a boundary, and at each boundary everything goes
//! wrong that can. No oracle may complain, and in the end the world must be as it is without the fault.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use crate::dice::Dice;
use crate::run::{self, Cost, Outcome};
use crate::tales::{self, Tale};
use crate::weather::{Fate, Operation, changes};

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

/// How late a late call is: longer than most of a tale's steps, shorter than the life of an idempotency token.
const LATE: Duration = Duration::from_mins(4);

/// Longer than that life.
const VERY_LATE: Duration = Duration::from_mins(8);

/// What can become of a call. Of one that changes something, seven things; of a look, four.
fn fates(operation: Operation) -> Vec<(&'static str, Fate)> {
    let mut fates = vec![
        ("dies-before", Fate::DiesBefore),
        ("dies-after", Fate::DiesAfter),
        ("lost", Fate::Lost),
    ];
    if changes(operation) {
        fates.extend([
            ("answer-lost", Fate::AnswerLost),
            ("late", Fate::Late(LATE)),
            ("very-late", Fate::Late(VERY_LATE)),
            ("twice", Fate::Twice),
        ]);
    } else {
        fates.push(("hangs", Fate::Hangs { applied: false }));
    }
    fates
}

fn fate_name(fate: &Fate) -> &'static str {
    let all = fates("dynamodb.UpdateItem")
        .into_iter()
        .chain(fates("dynamodb.Scan"));
    all.into_iter()
        .find(|(_, known)| known == fate)
        .map_or("other", |(name, _)| name)
}

fn fate_named(name: &str) -> Fate {
    let all = fates("dynamodb.UpdateItem")
        .into_iter()
        .chain(fates("dynamodb.Scan"));
    let known = all.into_iter().find(|(known, _)| *known == name);
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
struct Calm {
    calls: Vec<Operation>,
    end: Vec<String>,
}

fn calm(tales: &[Tale]) -> Vec<Calm> {
    let run = |n: usize| {
        let plan = Plan {
            tale: n,
            places: Vec::new(),
        };
        let outcome = plan.run(tales);
        assert_eq!(outcome.wrong, Vec::<String>::new(), "{plan} without a fault");
        assert!(!outcome.end.is_empty(), "{plan} ends with something to compare");
        Calm {
            calls: outcome.calls,
            end: outcome.end,
        }
    };
    (0..tales.len()).map(run).collect()
}

/// Every fault at every call that changes something, and at every `stride`-th look.
fn singles(calm: &[Calm], stride: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (tale, calm) in calm.iter().enumerate() {
        let mut looks = 0;
        for (n, operation) in calm.calls.iter().enumerate() {
            looks += usize::from(!changes(operation));
            if !changes(operation) && looks % stride != tale % stride {
                continue;
            }
            for (_, fate) in fates(operation) {
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

/// What a run with faults did wrong, judged also by how it ended without.
fn judge(plan: &Plan, outcome: &Outcome, calm: &Calm) -> Option<String> {
    if let Some(wrong) = outcome.wrong.first() {
        return Some(format!("{plan}: {wrong}"));
    }
    (outcome.end != calm.end).then(|| format!("{plan}: ended as {:?} instead of {:?}", outcome.end, calm.end))
}

/// Runs plans on every core. What went wrong, and what it cost.
fn run_all(plans: &[Plan], tales: &[Tale], calm: &[Calm]) -> (Vec<String>, Cost) {
    let wrong = Mutex::new(Vec::new());
    let cost = run::on_every_core(plans.len(), |n| {
        let plan = &plans[n];
        if let Some(what) = judge(plan, &plan.run(tales), &calm[plan.tale]) {
            println!("PLAN={plan} cargo test --test simulation one_plan -- --nocapture  # {what}");
            wrong.lock().unwrap().push(what);
        }
    });
    (wrong.into_inner().unwrap(), cost)
}

/// At every call that changes something and at every fifth look; `STRIDE=1` takes every look.
#[test]
fn no_single_fault_breaks_a_promise() {
    let tales = tales::all();
    let calm = calm(&tales);
    let stride = crate::variable("STRIDE").map_or(5, |stride| usize::try_from(stride).unwrap());
    let plans = singles(&calm, stride);
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
    let firsts = singles(&calm, usize::MAX);
    let mut dice = Dice::new(crate::variable("SEED").unwrap_or(1), 11);
    let count = crate::variable("PAIRS").unwrap_or(600);
    let drawn: Vec<(Plan, u64, u64)> = (0..count)
        .map(|_| (dice.pick(&firsts), dice.between(1, 50), dice.next()))
        .collect();
    let pairs = Mutex::new(Vec::new());
    run::on_every_core(drawn.len(), |n| {
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

/// Every pair of faults at calls that change something, tale by tale, with a line of progress and where it was left:
/// `cargo test --test simulation every_pair -- --ignored --nocapture`. Run again, it goes on; `ONLY=deploy` takes one.
#[test]
#[ignore = "takes hours"]
fn every_pair_of_faults() {
    let tales = tales::all();
    let calm = calm(&tales);
    let left_at = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pairs.progress");
    let done: BTreeMap<String, usize> = std::fs::read_to_string(&left_at)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, count)| (name.to_owned(), count.parse().unwrap()))
        .collect();
    let done = Mutex::new(done);
    let only = std::env::var("ONLY").ok();
    let firsts = singles(&calm, usize::MAX);
    let mut wrong = Vec::new();
    for (n, first) in firsts.iter().enumerate() {
        let name = tales[first.tale].name;
        let line = first.to_string();
        if only.as_deref().is_some_and(|only| only != name) || done.lock().unwrap().contains_key(&line) {
            continue;
        }
        let outcome = first.run(&tales);
        let later = outcome
            .calls
            .iter()
            .enumerate()
            .skip(usize::try_from(first.places[0].nth).unwrap());
        let pairs: Vec<Plan> = later
            .filter(|(_, operation)| changes(operation))
            .flat_map(|(at, operation)| fates(operation).into_iter().map(move |(_, fate)| (at, fate)))
            .filter_map(|(at, fate)| second(first, &outcome, u64::try_from(at).unwrap() + 1, fate))
            .collect();
        wrong.extend(run_all(&pairs, &tales, &calm).0);
        let mut done = done.lock().unwrap();
        done.insert(line, pairs.len());
        let total: usize = done.values().sum();
        print!(
            "\r{}/{} first faults, {total} pairs, {} wrong; at {name}    ",
            n + 1,
            firsts.len(),
            wrong.len()
        );
        let lines: Vec<String> = done
            .iter()
            .map(|(line, count)| format!("{line} {count}"))
            .collect();
        std::fs::write(&left_at, lines.join("\n")).unwrap();
    }
    println!();
    assert_eq!(wrong, Vec::<String>::new());
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
    assert_eq!(judge(&plan, &outcome, &calm), None);
}
