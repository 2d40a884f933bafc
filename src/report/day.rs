//! Adds the apps of a day up.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::life::{self, Stretch};
use super::money::{self, Meter};
use super::{
    Boundary, Day, Due, Exempt, Known, Left, LeftKind, Outcome, Report, Subject, Which, due_since, is_beyond,
    seconds, text,
};
use crate::model::orphan::Orphan;
use crate::model::policy::Policy;
use crate::model::schedule::later;
use crate::model::status::Phase;

/// For how long after a day what became of its stops is looked for.
pub const LOOKED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The report of `day`, told at `now`.
pub fn of(day: &Day, known: &Known<'_>, policy: &Policy, now: Timestamp) -> Report {
    let until = later(day.to, LOOKED_FOR).min(now);
    let mut meter = Meter::new(policy, day, now);
    let (mut due, mut exempt) = (Vec::new(), Vec::new());
    for (subject, events) in &known.apps {
        let life = life::stretches(*subject, events, until, now);
        meter.count(*subject, &life);
        due.extend(stops(*subject, &life, day, policy, until));
        exempt.extend(exemptions(*subject, &life, day, now));
    }
    known.orphans.iter().for_each(|orphan| meter.count_stray(orphan));
    due.sort_by(|a, b| (a.due, &a.which.id).cmp(&(b.due, &b.which.id)));
    exempt.sort_by(|a, b| (a.since, &a.which.id).cmp(&(b.since, &b.which.id)));
    let report = Report {
        day: day.date,
        time_zone: day.zone.iana_name().unwrap_or("UTC").to_owned(),
        from: day.from,
        to: day.to,
        as_of: now,
        due,
        exempt,
        left: Vec::new(),
        money: meter.read(),
        next: Vec::new(),
        text: String::new(),
    };
    anew(report, known, policy, now)
}

/// A report that was made earlier with all that is told as of now, whichever day it is about. No history is needed for that.
pub fn anew(mut report: Report, known: &Known<'_>, policy: &Policy, now: Timestamp) -> Report {
    let apps = || known.apps.iter().map(|(subject, _)| *subject);
    let orphans = known.orphans.iter().map(|orphan| stray(orphan, policy));
    let mut left: Vec<Left> = apps()
        .filter_map(|subject| left_over(subject, policy))
        .chain(orphans)
        .collect();
    left.sort_by(|a, b| (a.since, &a.which.id).cmp(&(b.since, &b.which.id)));
    report.money.left_per_hour = left.iter().filter_map(|left| left.cost_per_hour).sum();
    report.money.builds = money::builds(apps().filter_map(|subject| subject.memory), &policy.costs, now);
    report.left = left;
    let next = policy.schedules.values().map(|schedule| Boundary {
        schedule: schedule.name.clone(),
        action: schedule.action,
        at: schedule.next_boundary(now, None),
    });
    report.next = next.collect();
    report.as_of = now;
    report.text = text::of(&report);
    report
}

/// Every stop of one app that was due on the day.
fn stops<'a>(
    subject: Subject<'a>,
    life: &'a [Stretch],
    day: &'a Day,
    policy: &'a Policy,
    until: Timestamp,
) -> impl Iterator<Item = Due> + 'a {
    let mut firsts: BTreeMap<Timestamp, usize> = BTreeMap::new();
    for (at, stretch) in life.iter().enumerate() {
        if let Some(due) = stretch.inputs.stop_due.filter(|due| day.has(*due)) {
            firsts.entry(due).or_insert(at);
        }
    }
    firsts.into_iter().map(move |(due, first)| {
        let (outcome, at) = became(subject, &life[first..], due);
        let delay = at.unwrap_or(until).duration_since(due);
        let left = subject
            .memory
            .filter(|memory| outcome == Outcome::Left && due_since(memory).is_some());
        Due {
            which: Which::of(subject),
            due,
            rule: life[first].inputs.stop_rule.clone().unwrap_or_default(),
            outcome,
            at,
            delay_seconds: seconds(delay),
            late: outcome != Outcome::WantedAgain && delay > policy.reporting.late_after,
            why: left.map(|memory| memory.status.message.clone()),
        }
    })
}

/// What became of the stop that `life` begins with. One that took another's place goes on with it.
fn became(subject: Subject<'_>, life: &[Stretch], due: Timestamp) -> (Outcome, Option<Timestamp>) {
    for stretch in life {
        let outcome = match stretch.phase {
            // What is refused holds nothing: so ends an app whose owner has left.
            Phase::Destroyed | Phase::Refused => Outcome::Gone,
            Phase::Suspended => Outcome::Suspended,
            _ if stretch.inputs.stop_due.is_none_or(|other| other < due) => Outcome::WantedAgain,
            _ => continue,
        };
        return (outcome, Some(stretch.from));
    }
    match (subject.memory, life.last()) {
        // Forgotten, which only comes once nothing is left.
        (None, Some(last)) => (Outcome::Gone, Some(last.from)),
        _ => (Outcome::Left, None),
    }
}

/// When one app ran on although its day was over, since it was exempt.
fn exemptions(subject: Subject<'_>, life: &[Stretch], day: &Day, now: Timestamp) -> Vec<Exempt> {
    let mut found: BTreeMap<Timestamp, Exempt> = BTreeMap::new();
    for stretch in life.iter().filter(|stretch| stretch.is_up()) {
        let (Some((since, until)), None) = (
            money::exempt(stretch.inputs.exemption.as_ref()),
            stretch.inputs.stop_due,
        ) else {
            continue;
        };
        // What the memory says now ends with now, and counts all the same.
        let (from, to) = (stretch.from.max(day.from), stretch.to.min(day.to));
        if since.max(from) > until.min(to) || from > to || since > now {
            continue;
        }
        let exemption = stretch.inputs.exemption.clone();
        let exempt = Exempt {
            which: Which::of(subject),
            since,
            until,
            source: exemption.as_ref().map(|exemption| exemption.source),
            by: exemption.as_ref().and_then(|exemption| exemption.by.clone()),
            reason: exemption.and_then(|exemption| exemption.reason),
        };
        found.insert(since, exempt);
    }
    found.into_values().collect()
}

/// What is left of one app although it should not be there.
fn left_over(subject: Subject<'_>, policy: &Policy) -> Option<Left> {
    let memory = subject.memory?;
    // What was found is an orphan as long as it has no row.
    if memory.found.is_some() && subject.row.is_none() {
        return None;
    }
    let since = due_since(memory)?;
    let stop = memory.stop.as_ref();
    let kind = if stop.is_some_and(|stop| is_beyond(memory, stop.at_most)) && memory.leftover.is_none() {
        LeftKind::Due
    } else {
        LeftKind::Unwanted
    };
    Some(Left {
        which: Which::of(subject),
        kind,
        since: Some(since),
        reason: memory.status.message.clone(),
        // What sleeps costs next to nothing.
        cost_per_hour: money::hourly(memory, policy).filter(|_| memory.status.phase != Phase::Suspended),
    })
}

/// What AWS shows and nothing asks for.
fn stray(orphan: &Orphan, policy: &Policy) -> Left {
    let identity = orphan.identity.as_ref();
    let which = Which {
        id: orphan.id.to_string(),
        user: identity.map(|identity| identity.user.to_string()),
        app: identity.map(|identity| identity.app.to_string()),
        host_name: identity.map(|identity| identity.host_name.to_string()),
    };
    Left {
        cost_per_hour: money::hourly_of_orphan(orphan, policy),
        which,
        kind: LeftKind::Orphan,
        since: orphan.since,
        reason: orphan.state.as_str().to_owned(),
    }
}
