//! What goes wrong in a scenario, apart from what its users do.

use std::time::Duration;

use jiff::SignedDuration;
use simcloud::{Behaviour, Cancellation, Fault, FaultPlan, Match, Phase, ServerError};

use crate::behaviour::behaviour;
use crate::dice::Dice;
use crate::scenario::{Event, Meddling, Scenario, Spoilt};

/// The streams of what was thought of later.
const MORE_RATES: u64 = 13;
const MORE_EVENTS: u64 = 14;

/// The faults of calls.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) rates: Vec<Rate>,
    /// How far back a stale answer may reach.
    pub(crate) staleness: Duration,
}

/// A fault that befalls calls at random.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    /// Of that operation, or of all.
    pub(crate) operation: Option<&'static str>,
    pub(crate) probability: f64,
    pub(crate) fault: Fault,
}

impl Trouble {
    /// Nothing goes wrong.
    pub(crate) fn none() -> Self {
        Self {
            rates: Vec::new(),
            staleness: Duration::ZERO,
        }
    }

    /// The mix of a seed: none on a quarter of them, else some kinds, each at a rate of its own.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 3);
        let mut trouble = Self::none();
        if dice.percent(25) {
            return trouble;
        }
        let secs = |dice: &mut Dice, most| Duration::from_secs(dice.between(1, most));
        let kinds = [
            (40, 0.05, Fault::Throttle),
            (30, 0.03, Fault::InternalError(ServerError::Internal500)),
            (30, 0.03, Fault::InternalError(ServerError::Html503)),
            (40, 0.04, Fault::LoseRequest),
            (50, 0.08, Fault::LoseResponse),
            (50, 0.08, Fault::DeliverLate(secs(&mut dice, 900))),
            (40, 0.05, Fault::Duplicate),
            (25, 0.02, Fault::Hang),
            (25, 0.02, Fault::HangAfterApplying),
            (50, 0.5, Fault::Latency(secs(&mut dice, 4))),
            (50, 0.3, Fault::StaleList(secs(&mut dice, 180))),
            (40, 0.2, Fault::ShortPage),
            (25, 0.05, Fault::TransactionConflict),
            (20, 0.02, Fault::TruncatedBody),
        ];
        for (percent, most, fault) in kinds {
            let (chosen, rate) = (dice.percent(percent), dice.rate(most));
            if chosen {
                if let Fault::StaleList(age) = &fault {
                    trouble.staleness = *age;
                }
                trouble.add(None, rate, fault);
            }
        }
        // Calls that change something are rare among the reads, so on some seeds they fare worse.
        let changes = [
            "codebuild.StartBuild",
            "dynamodb.TransactWriteItems",
            "dynamodb.UpdateItem",
        ];
        for operation in changes {
            let late = Fault::DeliverLate(secs(&mut dice, 900));
            for fault in [
                Fault::LoseResponse,
                late,
                Fault::HangAfterApplying,
                Fault::AccountLimitExceeded,
            ] {
                let (chosen, rate) = (dice.percent(25), dice.rate(0.6));
                if chosen {
                    trouble.add(Some(operation), rate, fault);
                }
            }
        }
        trouble.worsen(seed);
        trouble
    }

    /// Rarer kinds, on six of ten seeds that have any. Drawn from a stream of its own, so that seeds which failed
    /// before there were these still tell the story they told.
    fn worsen(&mut self, seed: u64) {
        let mut dice = Dice::new(seed, MORE_RATES);
        if !dice.percent(60) {
            return;
        }
        let kinds = [
            (40, 0.03, Fault::ResetMidBody),
            (50, 0.05, Fault::NothingFound),
            (30, 0.02, Fault::ExpiredCredentials),
            (
                50,
                0.3,
                Fault::StaleList(Duration::from_secs(dice.between(1, 300))),
            ),
        ];
        let cancelled = Cancellation::ALL.map(|reason| (25, 0.1, Fault::Cancelled(reason)));
        for (percent, most, fault) in kinds.into_iter().chain(cancelled) {
            let (chosen, rate) = (dice.percent(percent), dice.rate(most));
            if chosen {
                if let Fault::StaleList(age) = &fault {
                    self.staleness = self.staleness.max(*age);
                }
                self.add(None, rate, fault);
            }
        }
    }

    fn add(&mut self, operation: Option<&'static str>, probability: f64, fault: Fault) {
        self.rates.push(Rate {
            operation,
            probability,
            fault,
        });
    }

    /// The same for the wire.
    pub(crate) fn plan(&self) -> FaultPlan {
        self.rates.iter().fold(FaultPlan::new(), |plan, rate| {
            let fault = rate.fault.clone();
            match rate.operation {
                Some(operation) => plan.rate_of(operation, rate.probability, fault),
                None => plan.rate(rate.probability, fault),
            }
        })
    }
}

/// Draws misbehaving builds and apps, meddling people, and crashes.
pub(crate) fn draw(scenario: &mut Scenario) {
    let mut dice = Dice::new(scenario.seed, 4);
    let (begin, end) = (scenario.begin, scenario.quiet - SignedDuration::from_mins(10));
    let mut events = Vec::new();
    let instance = |dice: &mut Dice| format!("app-{}", dice.between(0, 11));
    if dice.percent(65) {
        for _ in 0..dice.between(1, 12) {
            let matching = match dice.between(0, 2) {
                0 => Match::any(),
                1 => Match::any().action("destroy"),
                _ => Match::instance(instance(&mut dice)),
            };
            let behaviour = behaviour(&mut dice);
            events.push((dice.moment(begin, end), Event::Build { matching, behaviour }));
        }
    }
    if dice.percent(60) {
        for _ in 0..dice.between(1, 12) {
            let what = dice.pick(&[
                Meddling::Scale(0),
                Meddling::Scale(3),
                Meddling::DeleteService,
                Meddling::DetachTargetGroup,
                Meddling::StopBuild,
                Meddling::StopBuild,
                Meddling::KillTasks,
            ]);
            let which = dice.next();
            events.push((dice.moment(begin, end), Event::Meddle { what, which }));
        }
    }
    if dice.percent(40) {
        for _ in 0..dice.between(1, 4) {
            let (at, id) = (dice.moment(begin, end), instance(&mut dice));
            let how = dice.pick(&[Spoilt::CrashLoop, Spoilt::Unhealthy, Spoilt::ErrorPage]);
            events.push((at, Event::Spoil { id: id.clone(), how }));
            let healed = (at + dice.seconds(60, 5400)).min(end);
            events.push((healed, Event::Heal { id }));
        }
    }
    if dice.percent(75) {
        for _ in 0..dice.between(1, 6) {
            let replica = dice.index(scenario.replicas.len());
            let after = if dice.percent(20) { 0 } else { dice.between(1, 8) };
            let answered = dice.percent(50);
            let down = if dice.percent(80) {
                dice.seconds(1, 120)
            } else {
                dice.seconds(120, 3600)
            };
            let at = dice.moment(begin, end);
            events.push((
                at,
                Event::Crash {
                    replica,
                    after,
                    answered,
                    down,
                },
            ));
        }
    }
    scenario.events.extend(events);
}

/// Draws what came later: replicas that sleep, clocks that jump, credentials that expire, a table that is empty for a
/// while, records of other binaries. From a stream of its own, as [`Trouble::worsen`].
pub(crate) fn draw_more(scenario: &mut Scenario) {
    let mut dice = Dice::new(scenario.seed, MORE_EVENTS);
    if !dice.percent(60) {
        return;
    }
    let (begin, end) = (scenario.begin, scenario.quiet - SignedDuration::from_mins(45));
    let mut events = Vec::new();
    let some = |dice: &mut Dice, percent, most| {
        let times = dice.between(1, most);
        if dice.percent(percent) { times } else { 0 }
    };
    let replica = |dice: &mut Dice| dice.index(scenario.replicas.len());
    for _ in 0..some(&mut dice, 30, 4) {
        let (replica, length) = (replica(&mut dice), dice.seconds(10, 2400));
        events.push((dice.moment(begin, end), Event::Freeze { replica, length }));
    }
    for _ in 0..some(&mut dice, 30, 3) {
        let (replica, to) = (replica(&mut dice), dice.seconds(-900, 900));
        events.push((dice.moment(begin, end), Event::ClockJumps { replica, to }));
    }
    for _ in 0..some(&mut dice, 30, 3) {
        let length = dice.seconds(10, 2400);
        events.push((dice.moment(begin, end), Event::CredentialsExpire { length }));
    }
    if some(&mut dice, 40, 1) > 0 {
        let (at, length) = (dice.moment(begin, end), dice.seconds(10, 2400));
        events.push((at, Event::TableEmptied));
        // Often it is restored in two parts, so that few rows are missing for a while.
        let rows = usize::try_from(dice.between(0, 8)).unwrap();
        events.push((at + length / 2, Event::TableComesBack { rows }));
        events.push((at + length, Event::TableComesBack { rows: usize::MAX }));
    }
    for _ in 0..some(&mut dice, 30, 3) {
        events.push((dice.moment(begin, end), Event::OtherBinary));
    }
    for _ in 0..some(&mut dice, 50, 8) {
        let what = dice.pick(&[
            Meddling::DeleteTargetGroup,
            Meddling::RetryBuild,
            Meddling::RetryBuild,
            Meddling::ForgetBuild,
            Meddling::ExhaustRates,
        ]);
        let which = dice.next();
        events.push((dice.moment(begin, end), Event::Meddle { what, which }));
    }
    for _ in 0..some(&mut dice, 30, 4) {
        let outlives = Behaviour::OutlivesStop(Duration::from_secs(dice.between(1, 50)));
        for behaviour in [outlives, Behaviour::hang_in(Phase::Build)] {
            let matching = Match::any();
            let at = dice.moment(begin, end);
            events.push((at, Event::Build { matching, behaviour }));
        }
    }
    scenario.events.extend(events);
}
