//! Builds that ask at no gate, under single faults: what still holds, and the one fault under which nothing can hold.
//! The tales of it leave out builds that hang: without a gate nobody may take away the lock that a stopped one leaves.

use crate::plans::{Place, VERY_LATE, fates, outlasts_wishes};
use crate::run::{self, Outcome};
use crate::scenario::Scenario;
use crate::tales::{self, Tale};
use crate::weather::{Fate, changes};

const TALES: [&str; 10] = [
    "deploy",
    "deploy-with-two",
    "two-projects",
    "destroy",
    "destroy-with-two",
    "row-deleted",
    "deploy-fails",
    "destroy-fails",
    "cancelled-early",
    "cancelled-late",
];

fn tale_of(name: &str) -> Tale {
    let tale = tales::all().into_iter().find(|tale| tale.name == name);
    tale.unwrap_or_else(|| panic!("there is no tale {name}"))
}

fn told(name: &str, gate: bool, places: &[Place]) -> Outcome {
    let scenario = tale_of(name).scenario();
    run::tell(Scenario { gate, ..scenario }, places)
}

fn place(nth: usize, fate: &Fate) -> Vec<Place> {
    let nth = u64::try_from(nth).unwrap() + 1;
    vec![Place {
        nth,
        fate: fate.clone(),
    }]
}

/// Lost, doubled and late calls, lost answers and crashes, at every call that changes something or looks for builds:
/// the build is found, or started once, as long as no call comes later than its token lives.
#[test]
fn without_a_gate_every_fault_but_a_very_late_call_is_borne() {
    let (mut plans, mut wrong) = (0, Vec::new());
    for name in TALES {
        let calm = told(name, false, &[]);
        assert_eq!(calm.wrong, Vec::<String>::new(), "{name} without a fault");
        for (n, operation) in calm.calls.iter().enumerate() {
            if !changes(operation) && *operation != "codebuild.ListBuildsForProject" {
                continue;
            }
            for (what, fate) in fates(operation) {
                // To CodeBuild, a replica that stands still before it calls is a call that comes late.
                let stands_still = matches!(fate, Fate::Freezes(_)) && *operation == "codebuild.StartBuild";
                if fate == Fate::Late(VERY_LATE) || stands_still {
                    continue;
                }
                plans += 1;
                let outcome = told(name, false, &place(n, &fate));
                // Who sleeps through a wish never carries it out, and may rightly end otherwise.
                let comparable = tale_of(name).is_told_at_once() || !outlasts_wishes(&fate);
                if !outcome.wrong.is_empty() || (comparable && outcome.end != calm.end) {
                    wrong.push(format!(
                        "{name}@{}={what} ({operation}): {:?} {:?}",
                        n + 1,
                        outcome.wrong,
                        outcome.end
                    ));
                }
            }
        }
    }
    println!("{plans} plans of one fault without a gate: {} wrong", wrong.len());
    assert!(plans >= 1000, "{plans} plans");
    assert_eq!(wrong, Vec::<String>::new());
}

/// A `StartBuild` that CodeBuild gets after its token has died starts a build of its own. The gate turns it away;
/// without one it runs beside the destroy that was begun meanwhile.
#[test]
fn a_very_late_call_makes_two_builds_at_once_and_only_the_gate_prevents_that() {
    let doubled = |gate: bool| {
        let calm = told("destroy", gate, &[]);
        let starts = calm.calls.iter().enumerate();
        let starts = starts.filter(|(_, operation)| **operation == "codebuild.StartBuild");
        let (n, _) = starts.clone().next().expect("something is built");
        let outcome = told("destroy", gate, &place(n, &Fate::Late(VERY_LATE)));
        outcome
            .wrong
            .into_iter()
            .filter(|what| what.starts_with("one-build-per-app"))
            .collect::<Vec<_>>()
    };
    let found = doubled(false);
    println!("without a gate: {found:?}");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(doubled(true), Vec::<String>::new());
}
