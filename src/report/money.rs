//! Hours in which apps ran, and in which they did not because a stop had come, and what both cost.

use jiff::{SignedDuration, Timestamp};

use super::life::{Stretch, is_up};
use super::{Builds, Day, Hours, Money, Orphaned, Subject, due_since};
use crate::model::cost::Cost;
use crate::model::history::Inputs;
use crate::model::memory::Memory;
use crate::model::orphan::Orphan;
use crate::model::policy::{Costs, Policy};
use crate::model::row::Desired;
use crate::model::schedule::later;
use crate::model::status::{Exemption, Phase};

/// Why an app runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Running {
    /// It is wanted.
    Wanted,
    /// The end of its day has come, and it is exempt from that.
    Exempt,
    /// A stop is due, and it is not down yet.
    Overdue,
}

impl Running {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wanted, Self::Exempt, Self::Overdue];
}

/// Why an app runs now; `None`: it does not.
pub fn standing(memory: &Memory, now: Timestamp) -> Option<Running> {
    let due = due_since(memory).is_some();
    if !is_up(memory.status.phase, due) {
        return None;
    }
    Some(if due {
        Running::Overdue
    } else if exempt(memory.status.exemption.as_ref()).is_some_and(|(since, _)| since <= now) {
        Running::Exempt
    } else {
        Running::Wanted
    })
}

/// Whether an app that its row wants up is down now because a stop has come, and that counts as saved.
pub fn saves(memory: &Memory, policy: &Policy, now: Timestamp) -> bool {
    let down = matches!(memory.status.phase, Phase::Destroyed | Phase::Suspended);
    // Most that are down are so by their rows, which is told without a copy of all that a decision rests on.
    let wanted = memory
        .accepted
        .as_ref()
        .is_some_and(|accepted| accepted.desired == Desired::Running);
    let wanted = wanted && memory.row_gone.is_none();
    down && wanted && saved_until(&Inputs::of(memory), &policy.costs).is_some_and(|until| now < until)
}

/// What an hour of an app costs, if its catalogue entry says so.
pub fn hourly(memory: &Memory, policy: &Policy) -> Option<Cost> {
    let accepted = memory.accepted.as_ref()?;
    policy
        .catalogue
        .get(&accepted.blueprint.identity.app)?
        .cost_per_hour
}

/// Minutes of builds in the month of `now`.
pub fn builds<'m>(memories: impl Iterator<Item = &'m Memory>, costs: &Costs, now: Timestamp) -> Builds {
    let month = crate::model::cost::month(now);
    let spent = memories.filter_map(|memory| memory.spent.as_ref());
    let minutes = spent
        .filter(|spent| spent.month == month)
        .map(|spent| u64::from(spent.minutes))
        .sum();
    let allowance = costs.build_minutes_per_month;
    let beyond = u64::saturating_sub(minutes, u64::from(allowance.unwrap_or(0)));
    Builds {
        month,
        minutes,
        allowance,
        cost: costs.build_minute.times(beyond),
    }
}

/// From when on an exemption keeps an app up, and until when: from the end of the day that it puts off.
pub(super) fn exempt(exemption: Option<&Exemption>) -> Option<(Timestamp, Timestamp)> {
    let (since, until) = exemption.and_then(|exemption| Some((exemption.since?, exemption.until)))?;
    (since < until).then_some((since, until))
}

/// Until when an app that a stop has put down counts as saved. Stops that follow each other are one absence.
fn saved_until(inputs: &Inputs, costs: &Costs) -> Option<Timestamp> {
    let due = inputs.away_since.or(inputs.stop_due)?;
    (inputs.desired == Some(Desired::Running)).then(|| later(due, costs.saved_at_most))
}

/// Adds the hours of many apps up.
pub(super) struct Meter<'a> {
    policy: &'a Policy,
    day: &'a Day,
    /// What of the day is over.
    until: Timestamp,
    wanted: Sum,
    exempt: Sum,
    overdue: Sum,
    orphans: Sum,
    unpriced: Sum,
    saved: Sum,
}

/// A time, and what it costs.
#[derive(Default)]
struct Sum(SignedDuration, Cost);

impl<'a> Meter<'a> {
    pub(super) fn new(policy: &'a Policy, day: &'a Day, now: Timestamp) -> Self {
        Self {
            policy,
            day,
            until: day.to.min(now),
            wanted: Sum::default(),
            exempt: Sum::default(),
            overdue: Sum::default(),
            orphans: Sum::default(),
            unpriced: Sum::default(),
            saved: Sum::default(),
        }
    }

    /// Counts one app's day.
    pub(super) fn count(&mut self, subject: Subject<'_>, life: &[Stretch]) {
        let Some(memory) = subject.memory else { return };
        let rate = hourly(memory, self.policy).unwrap_or_default();
        for stretch in life {
            let (from, to) = (stretch.from.max(self.day.from), stretch.to.min(self.until));
            let all = between(from, to);
            if stretch.inputs.found_since.is_some() {
                if !stretch.is_down() {
                    self.orphan(all, hourly_of_found(memory, self.policy));
                }
            } else if stretch.is_up() && stretch.is_due() {
                self.overdue.add(all, rate);
            } else if stretch.is_up() {
                let exempt = exempt(stretch.inputs.exemption.as_ref())
                    .map_or(SignedDuration::ZERO, |(since, until)| {
                        between(since.max(from), until.min(to))
                    });
                self.exempt.add(exempt, rate);
                self.wanted.add(all - exempt, rate);
            } else if stretch.is_down()
                && stretch.inputs.row_gone_since.is_none()
                && let Some(until) = saved_until(&stretch.inputs, &self.policy.costs)
            {
                self.saved.add(between(from, to.min(until)), rate);
            }
        }
    }

    /// Counts an orphan that nothing remembers, from when it was first seen.
    pub(super) fn count_stray(&mut self, orphan: &Orphan) {
        if orphan.is_remembered() {
            return;
        }
        if let Some(since) = orphan.since {
            let seen = between(since.max(self.day.from), self.until);
            self.orphan(seen, hourly_of_orphan(orphan, self.policy));
        }
    }

    fn orphan(&mut self, time: SignedDuration, rate: Option<Cost>) {
        self.orphans.add(time, rate.unwrap_or_default());
        if rate.is_none() {
            self.unpriced.add(time, Cost::ZERO);
        }
    }

    /// What it came to.
    pub(super) fn read(&self) -> Money {
        Money {
            currency: self.policy.costs.currency.clone(),
            wanted: self.wanted.read(),
            exempt: self.exempt.read(),
            overdue: self.overdue.read(),
            orphans: Orphaned {
                hours: self.orphans.read(),
                unpriced_hours: self.unpriced.read().hours,
            },
            saved: self.saved.read(),
            ..Money::default()
        }
    }
}

impl Sum {
    fn add(&mut self, time: SignedDuration, rate: Cost) {
        self.0 += time;
        self.1 += rate.over(time);
    }

    fn read(&self) -> Hours {
        Hours {
            hours: (self.0.as_secs_f64() / 36.0).round() / 100.0,
            cost: self.1,
        }
    }
}

/// The time between two instants; none if they are the other way round.
fn between(from: Timestamp, to: Timestamp) -> SignedDuration {
    to.duration_since(from).max(SignedDuration::ZERO)
}

/// What an hour costs of an app that was found in AWS. Who it is stands in what is deployed, or in what destroyed that.
fn hourly_of_found(memory: &Memory, policy: &Policy) -> Option<Cost> {
    let last = memory.operation.as_ref().map(|operation| &*operation.blueprint);
    let blueprint = memory.blueprint().or(last)?;
    policy.catalogue.get(&blueprint.identity.app)?.cost_per_hour
}

/// What an hour of an orphan costs, if it is known which app it is.
pub fn hourly_of_orphan(orphan: &Orphan, policy: &Policy) -> Option<Cost> {
    let identity = orphan.identity.as_ref()?;
    policy.catalogue.get(&identity.app)?.cost_per_hour
}
