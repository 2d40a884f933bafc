//! What became of a day: which apps were due to stop and which are gone, which were exempt, what is left over, and
//! what all that costs. Told from rows, memories and history; nothing is decided here.
//!
//! `life` reads one app's history, `day` adds the apps up, `money` counts hours, and `text` is the report for people,
//! made in this one place for the API, the CLI and the log.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use crate::model::cost::Cost;
use crate::model::history::Event;
use crate::model::memory::Memory;
use crate::model::name::AppId;
use crate::model::orphan::Orphan;
use crate::model::row::{Desired, Row};
use crate::model::schedule::CurfewAction;
use crate::model::schedule::later;
use crate::model::status::{Phase, Source};

mod day;
mod life;
mod money;
mod text;

pub use day::{LOOKED_FOR, anew, of};
pub use money::{Running, builds, hourly, hourly_of_orphan, saves, standing};

/// After so long nobody writes history of a day that is over: no clock of a replica is believed to be more wrong.
const CLOCKS_MAX: SignedDuration = SignedDuration::from_hours(1);

/// The report of one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which day.
    pub day: Date,
    /// Whose day it is: a day has 23 to 25 hours where clocks change.
    pub time_zone: String,
    /// When it began.
    pub from: Timestamp,
    /// When it was over, or will be.
    pub to: Timestamp,
    /// When this was told.
    pub as_of: Timestamp,
    /// Every stop that was due on that day, in the order in which they were.
    pub due: Vec<Due>,
    /// Every app that ran beyond the end of its day because it was exempt.
    pub exempt: Vec<Exempt>,
    /// What is there now although it should not be, whichever day it was due.
    pub left: Vec<Left>,
    /// What it cost.
    pub money: Money,
    /// The next boundaries.
    pub next: Vec<Boundary>,
    /// All this for people.
    pub text: String,
}

impl Report {
    /// Whether what it says of its day stays so: that is over for everybody, and what was due then has come to an end or is not
    /// looked for any more.
    pub fn is_final(&self) -> bool {
        let is_over = later(self.to, CLOCKS_MAX) <= self.as_of;
        let open = self.due.iter().any(|due| due.outcome == Outcome::Left);
        is_over && (!open || later(self.to, LOOKED_FOR) <= self.as_of)
    }
}

/// Which app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Which {
    /// Its id.
    pub id: String,
    /// Its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its catalogue entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The host name it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
}

/// A stop that was due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Due {
    /// The app.
    #[serde(flatten)]
    pub which: Which,
    /// When it was due.
    pub due: Timestamp,
    /// By which rule.
    pub rule: String,
    /// What became of it.
    pub outcome: Outcome,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How many seconds after it was due; of what is left, until now.
    pub delay_seconds: i64,
    /// Whether that is more than `report.late_after`.
    pub late: bool,
    /// Of what is left, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// Nothing is left of the app.
    Gone,
    /// Its tasks have stopped.
    Suspended,
    /// It was asked for again, or woken, before that.
    WantedAgain,
    /// It is still there.
    Left,
}

/// An app that ran beyond the end of its day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exempt {
    /// The app.
    #[serde(flatten)]
    pub which: Which,
    /// The end of its day.
    pub since: Timestamp,
    /// Until when it is exempt, or was.
    pub until: Timestamp,
    /// Where that came from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Who gave it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in their words, or what was told when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Something that is there and should not be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// The app.
    #[serde(flatten)]
    pub which: Which,
    /// In what way.
    pub kind: LeftKind,
    /// Since when it should be gone, or since when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Why it is there.
    pub reason: String,
    /// What it costs an hour, if its catalogue entry says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_hour: Option<Cost>,
}

/// Why something is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LeftKind {
    /// It was due, and is not gone.
    Due,
    /// Its row wants it destroyed, or is gone, and it is not gone.
    Unwanted,
    /// AWS shows it, and nothing asks for it.
    Orphan,
}

/// What the day cost, as far as catalogue entries say what an hour of theirs costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Money {
    /// The currency of every amount.
    pub currency: String,
    /// Hours in which apps ran that were wanted.
    pub wanted: Hours,
    /// Hours in which they ran because they were exempt.
    pub exempt: Hours,
    /// Hours in which they ran although they were due.
    pub overdue: Hours,
    /// Hours in which orphans ran, as far as it is known since when.
    #[serde(default)]
    pub orphans: Orphaned,
    /// Hours in which they did not run because a stop had come.
    pub saved: Hours,
    /// What all that is left costs an hour, now.
    pub left_per_hour: Cost,
    /// Minutes of builds in this calendar month, in UTC.
    pub builds: Builds,
}

/// Hours, and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hours {
    /// How many, to a hundredth.
    pub hours: f64,
    /// What they cost.
    pub cost: Cost,
}

/// Hours in which orphans ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphaned {
    /// All of them, and what those cost of which that is known.
    #[serde(flatten)]
    pub hours: Hours,
    /// How many of them are of orphans of which nobody knows what an hour costs.
    pub unpriced_hours: f64,
}

/// Minutes of builds in a month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Builds {
    /// Which month, as `2026-11`.
    pub month: String,
    /// How many minutes builds have taken, each rounded up, as AWS bills them.
    pub minutes: u64,
    /// How many are paid for already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<u32>,
    /// What those beyond that cost.
    pub cost: Cost,
}

/// When a schedule's next boundary is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Boundary {
    /// The schedule.
    pub schedule: String,
    /// What it does.
    pub action: CurfewAction,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// One app, as it is told of.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a AppId,
    /// Its row; `None` when it is gone.
    pub row: Option<&'a Row>,
    /// What is remembered of it.
    pub memory: Option<&'a Memory>,
}

/// All that a report is made from.
#[derive(Debug)]
pub struct Known<'a> {
    /// Every app, each with its history of the day and of [`LOOKED_FOR`] after it, oldest first, and before that the
    /// line that tells how it was when the day began.
    pub apps: Vec<(Subject<'a>, Vec<Event>)>,
    /// What AWS shows and nothing asks for.
    pub orphans: Vec<Orphan>,
}

/// A day on somebody's calendar.
#[derive(Clone, Debug)]
pub struct Day {
    /// The date.
    pub date: Date,
    /// Whose.
    pub zone: TimeZone,
    /// When it begins.
    pub from: Timestamp,
    /// When the next one does.
    pub to: Timestamp,
}

impl Day {
    /// That day in `zone`. `None`: it is beyond the calendar.
    pub fn new(date: Date, zone: &TimeZone) -> Option<Self> {
        let midnight = |date: Date| date.to_zoned(zone.clone()).ok().map(|at| at.timestamp());
        Some(Self {
            date,
            zone: zone.clone(),
            from: midnight(date)?,
            to: midnight(date.checked_add(1.day()).ok()?)?,
        })
    }

    /// The day before the one that `at` is in.
    pub fn before(at: Timestamp, zone: &TimeZone) -> Option<Self> {
        let date = at.to_zoned(zone.clone()).date().yesterday().ok()?;
        Self::new(date, zone)
    }

    fn has(&self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }
}

impl Which {
    fn of(subject: Subject<'_>) -> Self {
        let accepted = subject.memory.and_then(|memory| memory.accepted.as_ref());
        let identity = accepted.map(|accepted| &accepted.blueprint.identity);
        let row = subject.row;
        let user = identity.map(|identity| &identity.user);
        let app = identity.map(|identity| &identity.app);
        Self {
            id: subject.id.to_string(),
            user: user.or_else(|| row?.user.as_ref()).map(ToString::to_string),
            app: app.or_else(|| row?.app.as_ref()).map(ToString::to_string),
            host_name: subject.memory.and_then(|memory| memory.status.host_name.clone()),
        }
    }
}

/// Since when an app should be gone, or suspended, and is not: by a stop that has begun, because its row asks for its end
/// or is gone, or since something of it survived. `None`: nothing is there that should not be.
pub fn due_since(memory: &Memory) -> Option<Timestamp> {
    let by_time = memory
        .stop
        .as_ref()
        .filter(|stop| is_beyond(memory, stop.at_most));
    let by_time = by_time.map(|stop| stop.due);
    let survived = memory.leftover.as_ref().map(|leftover| leftover.since);
    let unwanted = is_beyond(memory, Desired::Destroyed).then(|| {
        let gone = memory.row_gone.as_ref().filter(|gone| gone.confirmed);
        let asked = memory.accepted.as_ref();
        let asked = asked.filter(|accepted| accepted.desired == Desired::Destroyed);
        gone.map(|gone| gone.since)
            .or(asked.map(|accepted| accepted.request.at))
    });
    let due = [by_time, survived, unwanted.flatten()];
    due.into_iter().flatten().min()
}

/// Whether something of an app is there that `at_most` does not allow.
fn is_beyond(memory: &Memory, at_most: Desired) -> bool {
    let there = memory.deployment.is_some() || memory.in_flight().is_some();
    match at_most {
        Desired::Running => false,
        Desired::Suspended => there && memory.status.phase != Phase::Suspended,
        Desired::Destroyed => there,
    }
}

/// So many seconds, which is how JSON has it.
fn seconds(delay: SignedDuration) -> i64 {
    delay.as_secs()
}
