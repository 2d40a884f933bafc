//! What few stories would come to by chance: an operator who pauses and resumes, somebody who asks at the very end of a
//! day, somebody who starts a failed build again at once, a table of many rows that is empty for an hour, an app
//! that sleeps at night, an owner who leaves. Drawn from dice of their own, so that all the rest of a
//! seed's story stays what it is without them.

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::row::Desired;
use simcloud::{Behaviour, Match, Phase};

use crate::dice::Dice;
use crate::row::RowSpec;
use crate::scenario::{Depth, Event, Meddling, Scenario};
use crate::wish;

/// Streams that nothing else draws from.
const FRINGE: u64 = 15;
const FAR: u64 = 27;
/// Half an hour is the change of its clocks.
const HOWE: &str = "Australia/Lord_Howe";

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
    if scenario.depth == Depth::Direct && dice.percent(20) {
        empty_a_crowded_table(scenario, &mut dice);
    }
    if dice.percent(40) {
        nap(scenario, &mut dice);
    }
    if dice.percent(20) {
        leave(scenario, &mut dice);
    }
}

/// Somebody far away asks for an app by the days of a zone whose clocks change, by half an hour on Lord Howe.
pub(crate) fn draw_far(scenario: &mut Scenario) {
    let mut dice = Dice::new(scenario.seed, FAR);
    if !dice.percent(40) {
        return;
    }
    let zone = dice.pick(&[HOWE, HOWE, "Europe/Berlin", "America/New_York"]);
    let app = dice.pick(&["shop", "desk", "wiki"]);
    // Its evening comes at eight, and all is to be still by ten past six, warnings too.
    let early = scenario.keeps.warn_before > Some(SignedDuration::from_mins(90));
    if zone == HOWE && (early || app == "wiki") {
        return;
    }
    let last = scenario.quiet - SignedDuration::from_hours(1);
    let mut at = dice.moment(scenario.begin, last);
    for generation in 1..=dice.between(1, 4) {
        let asks = RowSpec {
            generation: Some(generation),
            zone: Some(zone),
            ..row("user-far", app, at)
        };
        scenario.events.push((at, put("far", asks)));
        at += dice.seconds(6 * 3600, 30 * 3600);
        if at >= last {
            break;
        }
    }
}

pub(crate) fn row(user: &str, app: &'static str, at: Timestamp) -> RowSpec {
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
        away: false,
        broken: None,
    }
}

pub(crate) fn put(id: &str, row: RowSpec) -> Event {
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

/// Eight people have an app whose day has no end; then nobody has a row for an hour, and the rows come back in two parts.
fn empty_a_crowded_table(scenario: &mut Scenario, dice: &mut Dice) {
    const CROWD: i64 = 8;
    let (rise, hour) = (SignedDuration::from_hours(3), SignedDuration::from_hours(1));
    let at = dice.moment(scenario.begin, scenario.quiet - (rise + hour * 3));
    for n in 0..CROWD {
        let (id, asked) = (format!("crowd-{n}"), at + SignedDuration::from_mins(5 * n));
        let up = row(&format!("user-of-{id}"), "blog", asked);
        // Afterwards they are in nobody's way, and cost no time.
        let over = asked + rise + hour * 2;
        let down = RowSpec {
            desired: Desired::Destroyed,
            generation: Some(2),
            requested_at: Some(over),
            ..up.clone()
        };
        scenario.events.push((asked, put(&id, up)));
        scenario.events.push((over, put(&id, down)));
    }
    let emptied = at + rise;
    scenario.events.push((emptied, Event::TableEmptied));
    let rows = usize::try_from(dice.between(4, 8)).unwrap();
    let parts = [(rows, hour / 2), (usize::MAX, hour)];
    for (rows, after) in parts {
        scenario
            .events
            .push((emptied + after, Event::TableComesBack { rows }));
    }
}

/// Somebody has an app that sleeps at night, and asks for it once more, mostly shortly before all becomes quiet.
fn nap(scenario: &mut Scenario, dice: &mut Dice) {
    let last = scenario.quiet - SignedDuration::from_mins(30);
    let first = dice.moment(scenario.begin, last);
    scenario
        .events
        .push((first, put("nap", row("user-nap", "den", first))));
    if dice.percent(50) {
        return;
    }
    let late = last - SignedDuration::from_hours(9);
    let again = dice.moment(first.max(late), last);
    let asks = RowSpec {
        generation: Some(2),
        ..row("user-nap", "den", again)
    };
    scenario.events.push((again, put("nap", asks)));
}

/// Somebody leaves, comes back, and asks again; not all do all of it. Whoever is back before any daemon has looked has not
/// been away.
fn leave(scenario: &mut Scenario, dice: &mut Dice) {
    let last = scenario.quiet - SignedDuration::from_hours(1);
    let away_for = SignedDuration::from_hours(4);
    let begins = dice.moment(scenario.begin, last - away_for);
    let leaves = dice.moment(begins, last - away_for);
    let returns = dice.moment(leaves + away_for, last);
    let here = row("user-away", "blog", begins);
    let away = RowSpec {
        away: true,
        ..here.clone()
    };
    let asks = RowSpec {
        generation: Some(2),
        requested_at: Some(returns),
        ..here.clone()
    };
    let after = match dice.between(0, 2) {
        0 => away.clone(),
        1 => here.clone(),
        _ => asks,
    };
    for (at, row) in [(begins, here), (leaves, away), (returns, after)] {
        scenario.events.push((at, put("leaves", row)));
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
pub(crate) fn acted_while_paused(scenario: &Scenario, history: &[String]) -> Vec<String> {
    let freezes = scenario.events.iter().filter_map(|(_, event)| match event {
        Event::Freeze { length, .. } => Some(*length),
        _ => None,
    });
    let slack = scenario.skew() + SignedDuration::from_mins(10) + freezes.max().unwrap_or_default();
    let all: Vec<(Timestamp, Timestamp, Option<&str>)> = pauses(scenario)
        .map(|(from, until, id)| (from + slack, until - slack, id))
        .collect();
    let mut wrong = Vec::new();
    for line in history {
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

/// Every pause, with its beginning, its end and its app.
pub(crate) fn pauses(scenario: &Scenario) -> impl Iterator<Item = (Timestamp, Timestamp, Option<&str>)> {
    scenario.events.iter().filter_map(|(from, event)| {
        let Event::Pause { id } = event else { return None };
        let until = scenario.events.iter().find_map(|(at, event)| match event {
            Event::Resume { id: resumed } if resumed == id && at > from => Some(*at),
            _ => None,
        });
        Some((*from, until?, id.as_deref()))
    })
}
