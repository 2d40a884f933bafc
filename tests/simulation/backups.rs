//! The state table lost, or restored from a backup, at every minute of every tale, under the daemons' feet: nothing is
//! built that runs or builds already, nothing is leaked, names are kept, and in the end the world is as it would be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use simcloud::Fault;

use crate::cores;
use crate::run::{self, Outcome};
use crate::scenario::{Event, Scenario};
use crate::tales::{self, Tale};
use crate::trouble::Rate;

/// How old listings of builds are for a daemon that begins after the loss.
const LISTED_LATE: Duration = Duration::from_mins(4);

/// What becomes of the state table.
#[derive(Clone, Copy, Debug)]
struct Loss {
    tale: usize,
    /// How long after the tale's beginning.
    at: SignedDuration,
    /// The age of the backup that is restored; `None`: there is none.
    backup: Option<SignedDuration>,
    /// Whether every daemon dies just before, so that none knows what the table knew.
    restart: bool,
}

impl Loss {
    fn scenario(&self, tales: &[Tale]) -> Scenario {
        let mut scenario = tales[self.tale].scenario();
        let at = scenario.begin + self.at;
        // A row that was deleted before leaves an orphan.
        scenario.reaps = true;
        let replicas = scenario.replicas.len();
        let mut add = |at: Timestamp, event| {
            // Behind whatever happens at the same time.
            let place = scenario.events.partition_point(|(other, _)| *other <= at);
            scenario.events.insert(place, (at, event));
        };
        if self.restart {
            // What was started in the last minutes is not listed yet.
            scenario.trouble.staleness = LISTED_LATE;
            scenario.trouble.rates.push(Rate {
                operation: Some("codebuild.ListBuildsForProject"),
                probability: 1.0,
                fault: Fault::StaleList(LISTED_LATE),
            });
            for replica in 0..replicas {
                let crash = Event::Crash {
                    replica,
                    after: 0,
                    answered: false,
                    down: SignedDuration::from_secs(20),
                };
                add(at, crash);
            }
        }
        match self.backup {
            None => add(at, Event::StateLost),
            Some(age) => {
                add(at, Event::StateRestored);
                let begin = at - self.at;
                add((at - age).max(begin), Event::BackUp);
            }
        }
        scenario
    }
}

/// As `LOSS` takes it; an exclamation mark stands for the restart.
impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = tales::all()[self.tale].name;
        let seconds = self.at.as_secs();
        match self.backup {
            None => write!(f, "{name}@{seconds}=lost")?,
            Some(age) => write!(f, "{name}@{seconds}={}", age.as_secs())?,
        }
        if self.restart { f.write_str("!") } else { Ok(()) }
    }
}

impl Loss {
    fn parse(text: &str) -> Self {
        let (text, restart) = match text.strip_suffix('!') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (name, rest) = text.split_once('@').unwrap();
        let (at, backup) = rest.split_once('=').unwrap();
        let seconds = |text: &str| SignedDuration::from_secs(text.parse().unwrap());
        Self {
            tale: tales::all().iter().position(|tale| tale.name == name).unwrap(),
            at: seconds(at),
            backup: (backup != "lost").then(|| seconds(backup)),
            restart,
        }
    }
}

fn judge(loss: &Loss, tale: &Tale, outcome: &Outcome, calm: &Outcome) -> Option<String> {
    let undecided = |wrong: &str| {
        // Two apps want one slot or name, and the table has it for the one that is not there: a person has to decide.
        let of_a_slot =
            wrong.contains("SlotTaken") || (wrong.contains("slot#") && wrong.ends_with("which is Refused"));
        loss.backup.is_some() && of_a_slot && is_contested(tale)
    };
    if let Some(wrong) = outcome.wrong.iter().find(|wrong| !undecided(wrong)) {
        return Some(wrong.clone());
    }
    if !outcome.wrong.is_empty() {
        return None;
    }
    // Where slots change hands, and owners too, there are several right ways to go on.
    let name = tale.name;
    if name == "user-renamed-and-back" || name.starts_with("replace") {
        return None;
    }
    // A build that passed its gate after the backup may have ended since; nobody can tell that it passed, so once more.
    for (app, passed) in &outcome.passed {
        let without = calm.passed.get(app).copied().unwrap_or_default();
        if *passed > without + usize::from(loss.backup.is_some()) {
            return Some(format!(
                "{passed} builds of {app} passed their gate instead of {without}"
            ));
        }
    }
    // While nothing is started, a refused row may be refused for too long.
    if outcome.end.iter().any(|line| line.contains("NeedsNewRequest")) {
        return None;
    }
    let (with, without) = (what_matters(&outcome.end), what_matters(&calm.end));
    (with != without).then(|| format!("ended as {with:?} instead of {without:?}"))
}

/// Whether several apps of the tale are one user's, under whichever name, or want one host name.
fn is_contested(tale: &Tale) -> bool {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, event) in tale.scenario().events {
        if let Event::Put { id, row } = event {
            let host = row.host.map(|host| format!("host {host}"));
            for what in [Some(format!("owner {}", row.owner())), host]
                .into_iter()
                .flatten()
            {
                wanted.entry(what).or_default().insert(id.clone());
            }
        }
    }
    wanted.values().any(|apps| apps.len() > 1)
}

/// How the world is in the end, without what only the table knew: why an app is refused, and that one is over and
/// which names it keeps.
fn what_matters(end: &[String]) -> Vec<String> {
    let words = |line: &'_ str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    let over: Vec<String> = end
        .iter()
        .map(|line| words(line))
        .filter(|words| {
            words
                .get(1)
                .is_some_and(|phase| phase == "Destroyed" || phase == "Refused")
        })
        .map(|words| words[0].clone())
        .collect();
    let nobodys = |line: &&String| {
        let owner = line.rsplit(" of ").next().unwrap_or_default();
        !(line.contains('#') && over.iter().any(|id| id == owner))
    };
    let lives = |line: &&String| words(line).get(1).is_none_or(|phase| phase != "Destroyed");
    end.iter()
        .filter(nobodys)
        .filter(lives)
        .map(|line| match words(line).as_slice() {
            [id, phase, ..] if phase == "Refused" => format!("{id} is refused"),
            _ => line.clone(),
        })
        .collect()
}

fn calm(tales: &[Tale], tale: usize) -> Outcome {
    run::tell(tales[tale].scenario(), &[])
}

/// Its day has ended by a clock that was wrong, which only the table remembers.
const STOPPED_BY_A_WRONG_CLOCK: &str = "clock-jumps-back";

/// Every minute of a tale, each beginning a few seconds later, with backups of several ages in turn.
fn losses(tales: &[Tale]) -> Vec<Loss> {
    let mut all = Vec::new();
    for (tale, told) in tales
        .iter()
        .enumerate()
        .filter(|(_, tale)| !tale.is_long() && tale.name != STOPPED_BY_A_WRONG_CLOCK)
    {
        let scenario = told.scenario();
        let length = scenario.quiet.duration_since(scenario.begin);
        let mut at = SignedDuration::from_secs(5 + i64::try_from(tale).unwrap() * 7 % 55);
        while at < length {
            // The oldest is from before the tale, and there are as many ages as not to go in step with the restarts.
            let age = [2, 5, 15, 60, 30][all.len() / 2 % 5];
            let restart = all.len() / 2 % 2 == 1;
            for backup in [None, Some(SignedDuration::from_mins(age))] {
                all.push(Loss {
                    tale,
                    at,
                    backup,
                    restart,
                });
            }
            at += SignedDuration::from_mins(1);
        }
    }
    all
}

#[test]
fn no_loss_of_the_state_table_builds_twice_or_leaks() {
    let tales = tales::all();
    let calm: Vec<Outcome> = (0..tales.len()).map(|tale| calm(&tales, tale)).collect();
    let losses = losses(&tales);
    let wrong = Mutex::new(Vec::new());
    let cost = cores::on_every_core(losses.len(), |n| {
        let loss = &losses[n];
        let outcome = run::tell(loss.scenario(&tales), &[]);
        if let Some(what) = judge(loss, &tales[loss.tale], &outcome, &calm[loss.tale]) {
            println!("LOSS={loss} cargo test --test simulation one_loss -- --nocapture  # {what}");
            wrong.lock().unwrap().push(loss.to_string());
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!(
        "the state table lost or restored {} times in {:.1} s, {:.1} s of processors: {} wrong",
        losses.len(),
        cost.wall,
        cost.cpu,
        wrong.len()
    );
    assert!(losses.len() > 1000, "{} losses", losses.len());
    assert_eq!(wrong, Vec::<String>::new());
}

/// What is wrong with one loss, as `LOSS` takes it.
#[cfg(feature = "planted")]
pub(crate) fn wrong_with(line: &str) -> Option<String> {
    let (tales, loss) = (tales::all(), Loss::parse(line));
    let outcome = run::tell(loss.scenario(&tales), &[]);
    judge(&loss, &tales[loss.tale], &outcome, &calm(&tales, loss.tale))
}

/// Tells one loss: `LOSS=deploy@65=lost cargo test --test simulation one_loss -- --nocapture`.
#[test]
fn one_loss() {
    let Ok(line) = std::env::var("LOSS") else {
        println!("skipped: LOSS is not set");
        return;
    };
    let (tales, loss) = (tales::all(), Loss::parse(&line));
    let outcome = run::tell(loss.scenario(&tales), &[]);
    for line in &outcome.log {
        println!("{line}");
    }
    assert_eq!(
        judge(&loss, &tales[loss.tale], &outcome, &calm(&tales, loss.tale)),
        None
    );
}
