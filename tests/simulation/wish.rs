//! What should become of a row, worked out a second time and independently of the planner: from what the
//! portal wrote and when, and the schedules. The daemon may notice a write late and its clock may be wrong,
//! so the answer is a set: what would be right for some delay and some error of its clock.

use std::collections::BTreeSet;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use lamplighter::model::row::Desired;

use crate::keeps::{Exempt, Fact};
use crate::naps;
use crate::row::{Broken, RowSpec};

/// What the portal wrote about one app, in order.
pub(crate) type Writes = Vec<(Timestamp, Option<RowSpec>)>;

/// After how long a daemon may have noticed a write: at once, by its looks at rows, by its sweeps with some faults, and after
/// much trouble. `Scenario::lags` says which of them a story excuses.
pub(crate) const NOTICED_AFTER: [SignedDuration; 4] = [
    SignedDuration::ZERO,
    SignedDuration::from_secs(90),
    SignedDuration::from_mins(20),
    SignedDuration::from_mins(80),
];

/// How much more than it is a clock is taken to be wrong: from a decision to what comes of it takes some time.
pub(crate) const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// Every level that could be right at `now`, when everything has been noticed, be it only now.
pub(crate) fn levels(
    writes: &Writes,
    exempt: Exempt<'_>,
    now: Timestamp,
    skew: SignedDuration,
    lags: &[SignedDuration],
) -> BTreeSet<Desired> {
    let at_rest = |(lag, skew)| {
        let level = level(writes, exempt, now, lag, [skew; 2], true);
        level.unwrap_or(Desired::Destroyed)
    };
    lags.iter()
        .copied()
        .flat_map(|lag| [SignedDuration::ZERO, skew, -skew].map(|skew| (lag, skew)))
        .map(at_rest)
        .collect()
}

/// Whether at some time from `since` to `until` it could have been right to have no more than `most` of it, for clocks
/// that are wrong by any of `errors`. Whoever reads the row need not be who notices that its day is over.
pub(crate) fn may_have_been(
    writes: &Writes,
    exempt: Exempt<'_>,
    most: Desired,
    [since, until]: [Timestamp; 2],
    errors: &BTreeSet<SignedDuration>,
    lags: &[SignedDuration],
) -> bool {
    // Before its first row there is no app.
    let since = writes.first().map_or(since, |(first, _)| since.max(*first));
    // A ledger says what it says since some time between two looks at it.
    let first: Vec<Fact> = exempt.facts.iter().map(Fact::at_first).collect();
    let ledgers = [
        exempt,
        Exempt {
            facts: &first,
            ..exempt
        },
    ];
    let told = ledgers.iter().flat_map(|ledger| ledger.facts).map(|fact| fact.at);
    let written = writes
        .iter()
        .map(|(at, _)| *at)
        .chain(told)
        .filter(|at| (since..=until).contains(at));
    let moments = written
        .flat_map(|at| [at - SignedDuration::from_millis(1), at])
        // The clock may be less wrong than it is taken to be at the most, so a little later counts too.
        .chain([since, until, until + SLACK]);
    // What was started was noticed before: that its row might not have been is no reason to stop it.
    let clocks = || {
        errors
            .iter()
            .flat_map(|read| errors.iter().map(|now| [*read, *now]))
    };
    moments.into_iter().any(|at| {
        let known = |lag: SignedDuration, ledger: Exempt<'_>| {
            clocks().any(|clocks| {
                level(writes, ledger, at, lag, clocks, false).is_some_and(|level| level <= most)
            })
        };
        lags.iter()
            .any(|lag| ledgers.iter().any(|ledger| known(*lag, *ledger)))
    })
}

/// Whether what the last write means depends on what was accepted before it, so that no one answer is right.
pub(crate) fn is_open(writes: &Writes) -> bool {
    matches!(writes.last(), Some((_, Some(row))) if row.broken.is_some())
}

/// When a row was asked for, as far as anybody can tell: a request that says no time, or one to come, is as old as
/// the daemon's first look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    written: Timestamp,
    earliest: Timestamp,
    latest: Timestamp,
    level: Desired,
}

/// Every request for an app, in order.
pub(crate) fn asked(writes: &Writes, skew: SignedDuration) -> Vec<Asked> {
    let mut last: Option<&RowSpec> = None;
    let mut all = Vec::new();
    for (written, row) in writes {
        let Some(row) = row else {
            last = None;
            continue;
        };
        if last.is_some_and(|last| last.asks_as(row)) {
            continue;
        }
        last = Some(row);
        if row.broken.is_some() {
            continue;
        }
        let seen = *written + NOTICED_AFTER[3] + skew;
        let level = row.desired;
        let said = row.requested_at.unwrap_or(Timestamp::MAX);
        all.push(Asked {
            written: *written,
            earliest: said.min(*written - skew),
            latest: said.min(seen),
            level,
        });
    }
    all
}

/// Whether one of `others`, which asked for its app to be at least `level`, may have been newer than what `mine` asked
/// for last at some time from `since` to `until`.
pub(crate) fn may_supersede(
    mine: &[Asked],
    others: &[Asked],
    level: Desired,
    since: Timestamp,
    until: Timestamp,
) -> bool {
    // What was written before may not have been noticed yet.
    let noticed = since.saturating_sub(NOTICED_AFTER[3]).unwrap();
    let before = mine.iter().rev().find(|asked| asked.written <= noticed);
    let since_then = mine
        .iter()
        .filter(|asked| asked.written > noticed && asked.written <= until);
    let oldest = before
        .into_iter()
        .chain(since_then)
        .map(|asked| asked.earliest)
        .min();
    others
        .iter()
        .filter(|other| other.written <= until && other.level >= level)
        .any(|other| oldest.is_none_or(|oldest| other.latest >= oldest))
}

/// When time stops an app next that is wanted to run, as far as daemons knew at `now` that notice everything so much later
/// and whose clock is wrong by that.
pub(crate) fn next_stop(
    writes: &Writes,
    exempt: Exempt<'_>,
    now: Timestamp,
    lag: SignedDuration,
    skew: SignedDuration,
) -> Option<Timestamp> {
    known(writes, exempt, now, lag, [skew; 2], false)?.next_stop(now + skew)
}

/// Whether the day of an app was over at `now`, whatever put that off.
pub(crate) fn is_past_its_day(writes: &Writes, exempt: Exempt<'_>, now: Timestamp) -> bool {
    let no_time = SignedDuration::ZERO;
    let known = known(writes, exempt, now, no_time, [no_time; 2], false);
    let asked = known.and_then(|known| Some((known.accepted?, known.requested?)));
    asked.is_some_and(|(accepted, requested)| {
        latest_boundary(&accepted, now).is_some_and(|(boundary, _)| requested < boundary)
    })
}

struct Known<'a> {
    exempt: Exempt<'a>,
    fact: Option<Fact>,
    /// When the last exemption ended that is not in force any more.
    kept: Option<Timestamp>,
    last: Option<RowSpec>,
    requested: Option<Timestamp>,
    accepted: Option<RowSpec>,
    stop: Option<Desired>,
    gone: bool,
}

/// What is right for daemons that notice each write so much later, by a clock that is wrong by the first of `clocks`, and
/// look at the time now by one that is wrong by the second; what they have not noticed by `now` they notice right then, if
/// `at_rest`. `None`: they have noticed nothing.
fn level(
    writes: &Writes,
    exempt: Exempt<'_>,
    now: Timestamp,
    lag: SignedDuration,
    clocks: [SignedDuration; 2],
    at_rest: bool,
) -> Option<Desired> {
    let known = known(writes, exempt, now, lag, clocks, at_rest)?;
    Some(match known.accepted.filter(|_| !known.gone) {
        None => Desired::Destroyed,
        Some(accepted) => known
            .stop
            .map_or(accepted.desired, |stop| stop.min(accepted.desired)),
    })
}

/// What such daemons know; `None`: nothing of its rows.
fn known<'a>(
    writes: &Writes,
    exempt: Exempt<'a>,
    now: Timestamp,
    lag: SignedDuration,
    [skew, skew_now]: [SignedDuration; 2],
    at_rest: bool,
) -> Option<Known<'a>> {
    let mut known = Known {
        exempt,
        fact: None,
        kept: None,
        last: None,
        requested: None,
        accepted: None,
        stop: None,
        gone: false,
    };
    let noticed = |at: Timestamp| {
        let seen = if at_rest { (at + lag).min(now) } else { at + lag };
        (seen <= now).then_some(seen)
    };
    let mut facts = exempt.facts.iter().peekable();
    let mut any = false;
    for (at, row) in writes {
        let Some(seen) = noticed(*at) else { break };
        while let Some(fact) = facts.next_if(|fact| fact.at <= *at) {
            known.hears(*fact, noticed(fact.at).unwrap_or(seen) + skew);
        }
        any = true;
        known.time_passes(seen + skew);
        known.reads(row.as_ref(), seen + skew);
    }
    for fact in facts {
        let Some(seen) = noticed(fact.at) else { break };
        known.hears(*fact, seen + skew);
    }
    known.time_passes(now + skew_now);
    any.then_some(known)
}

impl Known<'_> {
    fn hears(&mut self, fact: Fact, now: Timestamp) {
        self.time_passes(now);
        self.exemption_changes(now);
        self.fact = Some(fact);
    }

    /// What was in force ends now at the latest.
    fn exemption_changes(&mut self, now: Timestamp) {
        let ended = self.exempt_until().map(|until| until.min(now));
        self.kept = self.kept.max(ended);
    }

    /// Until when it is exempt from the end of its day.
    fn exempt_until(&self) -> Option<Timestamp> {
        let (accepted, requested) = (self.accepted.as_ref()?, self.requested?);
        let by_row = accepted
            .keep_until
            .map(|until| until.min(requested + self.exempt.most));
        let by_row = if self.exempt.by_ledger {
            by_row.and_then(|until| Some(until.min(self.fact?.row?)))
        } else {
            by_row
        };
        by_row.max(self.fact.and_then(|fact| fact.given))
    }

    fn next_stop(&self, now: Timestamp) -> Option<Timestamp> {
        let (accepted, requested) = (self.accepted.as_ref()?, self.requested?);
        if self.gone || self.stop.is_some() || accepted.desired != Desired::Running {
            return None;
        }
        let day = next_boundary(accepted, requested).map(|day| self.exempt_until().max(Some(day)));
        let stops = [day.flatten(), accepted.expires_at];
        stops.into_iter().flatten().filter(|at| *at > now).min()
    }

    fn reads(&mut self, row: Option<&RowSpec>, now: Timestamp) {
        self.exemption_changes(now);
        self.gone = row.is_none();
        let Some(row) = row else { return };
        if self.last.as_ref().is_none_or(|last| !last.asks_as(row)) {
            self.last = Some(row.clone());
            self.requested = Some(row.requested_at.map_or(now, |asked| asked.min(now)));
            self.stop = None;
        }
        if row.away {
            self.stop = Some(Desired::Destroyed);
        }
        if row.broken.is_none() {
            self.accepted = Some(row.clone());
            return;
        }
        if let Some(accepted) = &mut self.accepted {
            accepted.desired = row
                .legible_desired()
                .map_or(accepted.desired, |new| new.min(accepted.desired));
            accepted.expires_at = row.expires_at.or(accepted.expires_at);
            if row.broken != Some(Broken::KeepIsNoTime) {
                accepted.keep_until = row.keep_until.or(accepted.keep_until);
            }
        }
    }

    /// A stop that has come due stays until the next request.
    fn time_passes(&mut self, now: Timestamp) {
        let (Some(accepted), Some(requested)) = (&self.accepted, self.requested) else {
            return;
        };
        let kept = self.stop.is_none() && self.exempt_until().is_some_and(|until| until > now);
        let mut due = None;
        if accepted.app == "den" {
            // What a boundary has put to sleep, the morning wakes.
            self.stop = self.stop.filter(|stop| *stop == Desired::Destroyed);
            let kept = self.kept.max(self.exempt_until());
            due = Some(naps::level(requested, kept, now)).filter(|level| *level < Desired::Running);
        }
        if let Some((boundary, stop)) = latest_boundary(accepted, now)
            && requested < boundary
            && !kept
        {
            due = Some(stop);
        }
        if accepted.expires_at.is_some_and(|at| at <= now) {
            due = Some(Desired::Destroyed);
        }
        self.stop = match (self.stop, due) {
            (Some(old), Some(new)) => Some(old.min(new)),
            (old, new) => old.or(new),
        };
    }
}

/// The latest end of an app's day: at 19:00, or on weekdays at 18:30.
pub(crate) fn latest_boundary(row: &RowSpec, now: Timestamp) -> Option<(Timestamp, Desired)> {
    let days = Days::of(row)?;
    let mut past = (0..8).filter_map(|back| days.end(now, -back));
    Some((past.find(|end| *end <= now)?, days.stop))
}

/// The first end of an app's day after `asked`.
fn next_boundary(row: &RowSpec, asked: Timestamp) -> Option<Timestamp> {
    let days = Days::of(row)?;
    (-1..8)
        .filter_map(|on| days.end(asked, on))
        .find(|end| *end > asked)
}

/// How the days of an app end.
struct Days {
    zone: TimeZone,
    hour: i8,
    minute: i8,
    every_day: bool,
    stop: Desired,
}

impl Days {
    fn of(row: &RowSpec) -> Option<Self> {
        let (zone, hour, minute, every_day, stop) = match row.app {
            "shop" | "desk" => ("Europe/Berlin", 19, 0, true, Desired::Destroyed),
            "wiki" => ("America/New_York", 18, 30, false, Desired::Suspended),
            _ => return None,
        };
        let zone = TimeZone::get(row.zone.unwrap_or(zone)).unwrap();
        Some(Self {
            zone,
            hour,
            minute,
            every_day,
            stop,
        })
    }

    /// The end of the day so many days after that of `now`; `None`: that day has none.
    fn end(&self, now: Timestamp, days: i32) -> Option<Timestamp> {
        let day = self.zone.to_datetime(now).date() + days.days();
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let end = day.at(self.hour, self.minute, 0, 0);
        let end = end.to_zoned(self.zone.clone()).unwrap().timestamp();
        (self.every_day || !weekend).then_some(end)
    }
}
