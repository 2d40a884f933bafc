//! What becomes of each call of a daemon that meets the world without an SDK between: by rate, or at one exact call.
//! Every call of every daemon passes here, is counted, and if it changes something is written down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use lamplighter::cloud::{Error, Result};
use simcloud::{Cancellation, Fault};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::VirtualClock;
use crate::dice::Dice;
use crate::plans::Place;
use crate::trouble::Rate;

/// A call, as AWS names it.
pub(crate) type Operation = &'static str;

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    /// It never arrives, and the caller is told that something went wrong.
    Lost,
    /// It takes effect, and the caller is told that something went wrong.
    AnswerLost,
    /// It takes effect, its answer is lost, and the SDK sends it again: the caller hears the second answer.
    Again,
    /// The caller is told that something went wrong; it takes effect that much later.
    Late(Duration),
    /// It takes effect twice; the caller hears the first answer.
    Twice,
    /// Refused for asking too much.
    Throttled,
    /// Refused because the account has enough of it.
    Limit,
    /// Refused because the credentials have expired.
    Denied,
    /// Refused for what it asks, and nobody knows why: a transaction that is cancelled, a service gone mad.
    Rejected,
    /// Never answered. The SDK gives up after half a minute.
    Hangs { applied: bool },
    /// It shows the world as it was up to that long ago.
    Stale(Duration),
    /// It finds nothing of what it names, though it is there.
    Nothing,
    /// The whole replica sleeps that long before this call, be it that its host did; then it goes on as if nothing
    /// had been.
    Freezes(Duration),
    /// The daemon dies before it is sent, or after it took effect and before it hears so, and is down that long.
    Dies { answered: bool, down: Duration },
}

/// After how long the SDK gives up: `operation_timeout` of the real clients.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether an operation changes something.
pub(crate) fn changes(operation: Operation) -> bool {
    matches!(
        operation,
        "dynamodb.TransactWriteItems"
            | "dynamodb.UpdateItem"
            | "codebuild.StartBuild"
            | "codebuild.StopBuild"
            | "ecs.UpdateService"
            | "ecs.DeleteService"
    )
}

/// Whether the answer of an operation may be old.
pub(crate) fn may_be_stale(operation: Operation) -> bool {
    matches!(
        operation,
        "ecs.DescribeServices" | "ecs.ListServices" | "codebuild.ListBuildsForProject"
    )
}

/// Whether an operation reads by name, and says of each name whether it found it.
pub(crate) fn reads_by_name(operation: Operation) -> bool {
    matches!(operation, "ecs.DescribeServices" | "codebuild.BatchGetBuilds")
}

/// How long a daemon is down whose death nobody planned.
pub(crate) const SHORTLY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Sky {
    rates: Vec<Rate>,
    placed: BTreeMap<u64, Fate>,
    dice: Option<Dice>,
    recorded: Vec<Operation>,
    changes: u64,
    faults: u64,
    log: Vec<String>,
    scalings: Vec<Scaling>,
    /// Until then the credentials of all daemons are expired.
    denied_until: Option<Timestamp>,
    /// Until then some daemon sleeps, or none may look.
    blind_until: Option<Timestamp>,
}

/// A new count of tasks that reached a service.
#[derive(Debug)]
struct Scaling {
    service: String,
    sent: Timestamp,
    arrived: Timestamp,
}

/// The weather of one run.
#[derive(Debug)]
pub(crate) struct Weather {
    clock: VirtualClock,
    sky: Mutex<Sky>,
    /// Told whenever something was changed.
    pub(crate) changed: Notify,
}

impl Weather {
    pub(crate) fn new(clock: VirtualClock, seed: u64, rates: Vec<Rate>) -> Self {
        let sky = Sky {
            rates,
            dice: Some(Dice::new(seed, 9)),
            ..Sky::default()
        };
        Self {
            clock,
            sky: Mutex::new(sky),
            changed: Notify::new(),
        }
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.sky.lock().unwrap()
    }

    /// These calls meet their fates.
    pub(crate) fn place(&self, places: &[Place]) {
        let places = places.iter().map(|place| (place.nth, place.fate.clone()));
        self.sky().placed.extend(places);
    }

    /// Every call so far, in order.
    pub(crate) fn recorded(&self) -> Vec<Operation> {
        self.sky().recorded.clone()
    }

    /// From here on nothing goes wrong.
    pub(crate) fn clear(&self) {
        let mut sky = self.sky();
        sky.rates.clear();
        sky.placed.clear();
    }

    pub(crate) fn calls(&self) -> u64 {
        self.sky().recorded.len() as u64
    }

    pub(crate) fn changes(&self) -> u64 {
        self.sky().changes
    }

    pub(crate) fn faults(&self) -> u64 {
        self.sky().faults
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.sky().log.clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Something took effect.
    pub(crate) fn note(&self, operation: Operation, what: &str) {
        let now = self.clock.now();
        let mut sky = self.sky();
        sky.changes += 1;
        sky.log.push(format!("{now} {operation} {what}"));
        drop(sky);
        self.changed.notify_one();
    }

    /// The replica on that line sleeps from now on.
    fn freeze(&self, line: &Line, wait: Duration) {
        line.freeze(wait);
        self.blind_for(wait);
    }

    /// The credentials of all daemons are expired for that long.
    pub(crate) fn deny(&self, wait: Duration) {
        self.sky().denied_until = Some(self.clock.now() + wait);
        self.blind_for(wait);
    }

    fn blind_for(&self, wait: Duration) {
        let until = self.clock.now() + wait;
        let mut sky = self.sky();
        sky.blind_until = sky.blind_until.max(Some(until));
    }

    /// Until when some daemon cannot look, through no fault of its own.
    pub(crate) fn blind_until(&self) -> Option<Timestamp> {
        self.sky().blind_until
    }

    /// A new count reached a service.
    pub(crate) fn note_scaling(&self, service: &str, sent: Timestamp) {
        let (service, arrived) = (service.to_owned(), self.clock.now());
        self.sky().scalings.push(Scaling {
            service,
            sent,
            arrived,
        });
    }

    /// When the call was sent that set a service's count at that time.
    pub(crate) fn scaling_sent(&self, service: &str, at: Timestamp) -> Option<Timestamp> {
        let sky = self.sky();
        let arrived = |scaling: &&Scaling| scaling.service == service && scaling.arrived <= at;
        sky.scalings
            .iter()
            .rev()
            .find(arrived)
            .map(|scaling| scaling.sent)
    }

    /// How long the call takes on the way, and what becomes of it.
    fn draw(&self, operation: Operation, line: &Line) -> (Duration, Option<Fate>) {
        let mut sky = self.sky();
        sky.recorded.push(operation);
        let nth = sky.recorded.len() as u64;
        let mut latency = Duration::ZERO;
        let mut fate = sky.placed.remove(&nth);
        let Sky { rates, dice, .. } = &mut *sky;
        for rate in rates.iter() {
            let meant = rate.operation.is_none_or(|meant| meant == operation);
            let dice = dice.as_mut().expect("set with the rates");
            // Drawn even where it has no effect, so that the stream does not depend on the kind of call.
            if !dice.chance(rate.probability) || !meant {
                continue;
            }
            if let Fault::Latency(more) = rate.fault {
                latency += more;
            } else if fate.is_none() {
                fate = fate_of(&rate.fault, operation, nth);
            }
        }
        if changes(operation) && line.trips() {
            let answered = line.dies_after_the_answer();
            // How long it is down was planned with its death.
            fate = Some(Fate::Dies {
                answered,
                down: SHORTLY,
            });
        }
        let now = self.clock.now();
        if !operation.starts_with("app.") && sky.denied_until.is_some_and(|until| now < until) {
            fate = Some(Fate::Denied);
        }
        if let Some(fate) = &fate {
            sky.faults += 1;
            let line = format!("{} {operation} meets {fate:?}", self.clock.now());
            sky.log.push(line);
        }
        (latency, fate)
    }

    /// Takes a call to the world and its answer back, as its fate will have it. `act` may be carried out any number
    /// of times, also long after this has returned.
    pub(crate) async fn cross<T, F, A>(&self, operation: Operation, line: &Line, act: A) -> Result<Answer<T>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        A: Fn() -> F + Send + 'static,
    {
        let (latency, fate) = self.draw(operation, line);
        if let Some(Fate::Freezes(wait)) = fate {
            self.freeze(line, wait);
        }
        line.wakes().await;
        if !latency.is_zero() {
            tokio::time::sleep(latency / 2).await;
        }
        let answer = match fate {
            None | Some(Fate::Freezes(_)) => Ok(Answer::Fresh(act().await)),
            Some(Fate::Stale(age)) => Ok(Answer::Old(age, act().await)),
            Some(Fate::Nothing) => Ok(Answer::Nothing(act().await)),
            Some(Fate::Lost) => Err(unavailable(operation)),
            Some(Fate::AnswerLost) => {
                act().await;
                Err(unavailable(operation))
            }
            Some(Fate::Late(wait)) => {
                // A task of its own: the call is on its way, whatever becomes of the daemon.
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    act().await;
                });
                Err(unavailable(operation))
            }
            Some(Fate::Again) => {
                act().await;
                Ok(Answer::Fresh(act().await))
            }
            Some(Fate::Twice) => {
                let first = act().await;
                act().await;
                Ok(Answer::Fresh(first))
            }
            Some(Fate::Throttled) => Err(Error::Throttled {
                call: operation,
                cause: "Rate exceeded".into(),
            }),
            Some(Fate::Limit) => Err(Error::LimitReached {
                call: operation,
                message: "Cannot have more than 5 builds in queue for the account".to_owned(),
            }),
            Some(Fate::Denied) => Err(Error::Denied {
                call: operation,
                message: "The security token included in the request is expired".to_owned(),
            }),
            Some(Fate::Rejected) => Err(Error::Rejected {
                call: operation,
                code: "ValidationError".to_owned(),
                message: "for reasons of its own".to_owned(),
            }),
            Some(Fate::Hangs { applied }) => {
                if applied {
                    act().await;
                }
                tokio::time::sleep(PATIENCE).await;
                Err(unavailable(operation))
            }
            Some(Fate::Dies { answered, down }) => {
                if answered {
                    act().await;
                }
                line.down_for(down);
                line.tripped.notify_one();
                std::future::pending().await
            }
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency / 2).await;
        }
        answer
    }
}

/// What came back of a call.
pub(crate) enum Answer<T> {
    Fresh(T),
    /// The present, of which the caller is to see a state up to that long ago.
    Old(Duration, T),
    /// The present, of which the caller is to see nothing, if it asked by name.
    Nothing(T),
}

impl<T> Answer<Option<T>> {
    /// Of something, if there is something.
    pub(crate) fn lift(self) -> Option<Answer<T>> {
        Some(match self {
            Self::Fresh(answer) => Answer::Fresh(answer?),
            Self::Old(age, answer) => Answer::Old(age, answer?),
            Self::Nothing(answer) => Answer::Nothing(answer?),
        })
    }
}

impl<T> Answer<T> {
    pub(crate) fn into_inner(self) -> T {
        match self {
            Self::Fresh(answer) | Self::Old(_, answer) | Self::Nothing(answer) => answer,
        }
    }
}

fn unavailable(operation: Operation) -> Error {
    Error::Unavailable {
        call: operation,
        cause: "the connection was lost".into(),
    }
}

/// What a fault of the wire means to a caller who has no wire. Those that the SDK absorbs mean nothing.
fn fate_of(fault: &Fault, operation: Operation, nth: u64) -> Option<Fate> {
    match fault {
        Fault::Throttle => Some(Fate::Throttled),
        Fault::InternalError(_) | Fault::LoseRequest => Some(Fate::Lost),
        Fault::TransactionConflict if operation.starts_with("dynamodb") && changes(operation) => {
            Some(Fate::Lost)
        }
        // The SDK sends it again, and hears what becomes of that: a conditional write finds its own lost first try. Half
        // of the time that was its last try. AWS knows a transaction again by its token, and the tables in memory do not.
        Fault::LoseResponse if nth.is_multiple_of(2) && operation != "dynamodb.TransactWriteItems" => {
            Some(Fate::Again)
        }
        Fault::LoseResponse | Fault::TruncatedBody | Fault::ResetMidBody => Some(Fate::AnswerLost),
        Fault::NothingFound if reads_by_name(operation) => Some(Fate::Nothing),
        Fault::ExpiredCredentials if !operation.starts_with("app.") => Some(Fate::Denied),
        Fault::Cancelled(Cancellation::ThrottlingError | Cancellation::ProvisionedThroughputExceeded)
            if operation == "dynamodb.TransactWriteItems" =>
        {
            Some(Fate::Throttled)
        }
        Fault::Cancelled(_) if operation == "dynamodb.TransactWriteItems" => Some(Fate::Rejected),
        Fault::DeliverLate(wait) => Some(Fate::Late(*wait)),
        Fault::Duplicate => Some(Fate::Twice),
        Fault::Hang => Some(Fate::Hangs { applied: false }),
        Fault::HangAfterApplying => Some(Fate::Hangs { applied: true }),
        Fault::StaleList(age) if may_be_stale(operation) => Some(Fate::Stale(*age)),
        Fault::AccountLimitExceeded if operation == "codebuild.StartBuild" => Some(Fate::Limit),
        _ => None,
    }
}

/// The line of one daemon, which can be made to die at one of its calls.
#[derive(Debug, Default)]
pub(crate) struct Line {
    left: AtomicU64,
    answered: AtomicU64,
    down: Mutex<Option<Duration>>,
    frozen_until: Mutex<Option<Instant>>,
    pub(crate) tripped: Notify,
}

impl Line {
    /// The daemon dies at its `after`-th call from now that changes something; zero: at none.
    pub(crate) fn trip(&self, after: u64, answered: bool) {
        self.left.store(after, Ordering::SeqCst);
        self.answered.store(u64::from(answered), Ordering::SeqCst);
    }

    /// Counts a call that changes something. Whether it is the one.
    pub(crate) fn trips(&self) -> bool {
        let left = self.left.load(Ordering::SeqCst);
        self.left.store(left.saturating_sub(1), Ordering::SeqCst);
        left == 1
    }

    fn down_for(&self, down: Duration) {
        *self.down.lock().unwrap() = Some(down);
    }

    /// How long it is down after it came to the call it died at.
    pub(crate) fn down(&self) -> Duration {
        self.down.lock().unwrap().unwrap_or(SHORTLY)
    }

    /// The replica sleeps from now on.
    pub(crate) fn freeze(&self, wait: Duration) {
        *self.frozen_until.lock().unwrap() = Some(Instant::now() + wait);
    }

    /// Returns at once, unless the replica sleeps: then all its calls wait until it wakes.
    pub(crate) async fn wakes(&self) {
        let until = *self.frozen_until.lock().unwrap();
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    pub(crate) fn dies_after_the_answer(&self) -> bool {
        self.answered.load(Ordering::SeqCst) == 1
    }
}
