//! What few stories would come to by chance: an operator who pauses and resumes, somebody who asks at the very end of a
//! day, somebody who starts a failed build again at once. Drawn from dice of their own, so that all the rest of a
//! seed's story stays what it is without them.

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::row::Desired;
use simcloud::{Behaviour, Match, Phase};

use crate::cloud::TestCloud;
use crate::dice::Dice;
use crate::row::RowSpec;
use crate::scenario::{Event, Meddling, Scenario};
use crate::wish;

/// A stream that nothing else draws from.
const FRINGE: u64 = 15;

/// Draws what is unlikely.
pub(crate) fn draw(scenario: &mut Scenario) {
    let mut dice = Dice::new(scenario.seed, FRINGE);
    if dice.percent(40) {
        pause(scenario, &mut dice);
    }
    if dice.percent(25) {
        ask_at_the_boundary(scenario);
    }
    if dice.percent(20) {
        start_failed_builds_again(scenario, &mut dice);
    }
}

fn row(user: &str, app: &'static str, at: Timestamp) -> RowSpec {
    RowSpec {
        user: user.to_owned(),
        app,
        desired: Desired::Running,
        generation: Some(1),
        requested_at: Some(at),
        host: None,
        size: None,
        zone: None,
        keep_until: None,
        expires_at: None,
        broken: None,
    }
}

fn put(id: &str, row: RowSpec) -> Event {
    Event::Put {
        id: id.to_owned(),
        row: Box::new(row),
    }
}

/// Of the whole fleet or of one app, for some hours, and over well before all becomes quiet.
fn pause(scenario: &mut Scenario, dice: &mut Dice) {
    let length = dice.seconds(2 * 3600, 5 * 3600);
    let latest = scenario.quiet - length - SignedDuration::from_hours(1);
    let at = dice.moment(scenario.begin, latest.max(scenario.begin));
    if at + length > scenario.quiet - SignedDuration::from_mins(40) {
        return;
    }
    let id = dice.percent(50).then(|| format!("app-{}", dice.between(0, 5)));
    scenario.events.push((at, Event::Pause { id: id.clone() }));
    scenario.events.push((at + length, Event::Resume { id }));
}

/// Somebody asks in the very instant in which the last day before all becomes quiet ends, and so for the next.
fn ask_at_the_boundary(scenario: &mut Scenario) {
    let any = row("user-late", "shop", scenario.quiet);
    let last = wish::latest_boundary(&any, scenario.quiet).map(|(at, _)| at);
    let at = last.expect("the days of a shop end").max(scenario.begin);
    scenario
        .events
        .push((at, put("late", row("user-late", "shop", at))));
}

/// A build fails before its gate, and while the daemon sees to the next one, somebody starts the failed one again.
fn start_failed_builds_again(scenario: &mut Scenario, dice: &mut Dice) {
    let latest = scenario.quiet - SignedDuration::from_hours(1);
    let at = dice.moment(scenario.begin, latest);
    let fails = Event::Build {
        matching: Match::instance("again"),
        behaviour: Behaviour::Fault(Phase::Provisioning),
    };
    scenario.events.push((at, fails));
    scenario
        .events
        .push((at, put("again", row("user-again", "blog", at))));
    for minutes in 2..6 {
        let again = Event::Meddle {
            what: Meddling::RetryBuild,
            which: 0,
        };
        let later = at + SignedDuration::from_mins(minutes) + dice.seconds(0, 40);
        scenario.events.push((later, again));
    }
}

/// Reasons of decisions that do something.
const ACTS: [&str; 6] = [
    "DeployIntended",
    "DestroyIntended",
    "BuildStarting",
    "Cancelling",
    "Scaling",
    "BuildOverran",
];

/// no-surprise-kill: while it is paused, nothing is decided that would do anything. Clocks differ, and a daemon may
/// sleep between its look and its decision, so the pause counts without its ends.
pub(crate) fn acted_while_paused(scenario: &Scenario, cloud: &TestCloud) -> Vec<String> {
    let freezes = scenario.events.iter().filter_map(|(_, event)| match event {
        Event::Freeze { length, .. } => Some(*length),
        _ => None,
    });
    let slack = scenario.skew() + SignedDuration::from_mins(10) + freezes.max().unwrap_or_default();
    let all: Vec<(Timestamp, Timestamp, Option<&str>)> = pauses(scenario)
        .map(|(from, until, id)| (from + slack, until - slack, id))
        .collect();
    let mut wrong = Vec::new();
    for line in cloud.history() {
        let Some((at, rest)) = line.split_once(" decided ") else {
            continue;
        };
        let at: Timestamp = at.parse().unwrap();
        let mut words = rest.split(" | ");
        let app = words.next().unwrap().split_once(' ').unwrap().1;
        let reason = words.nth(1).unwrap_or_default();
        let paused = all
            .iter()
            .any(|(from, until, id)| (*from..*until).contains(&at) && id.is_none_or(|id| id == app));
        if paused && ACTS.contains(&reason) {
            wrong.push(format!(
                "no-surprise-kill: {app} is paused, and at {at} it came to {reason}"
            ));
        }
    }
    wrong
}

fn pauses(scenario: &Scenario) -> impl Iterator<Item = (Timestamp, Timestamp, Option<&str>)> {
    scenario.events.iter().filter_map(|(from, event)| {
        let Event::Pause { id } = event else { return None };
        let until = scenario.events.iter().find_map(|(at, event)| match event {
            Event::Resume { id: resumed } if resumed == id && at > from => Some(*at),
            _ => None,
        });
        Some((*from, until?, id.as_deref()))
    })
}
