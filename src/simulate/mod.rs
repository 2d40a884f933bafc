//! `lamplighter simulate`: what schedules will do to apps over the days to come, and what another configuration would
//! do differently. Time is virtual, and nothing is changed or asked of anybody.
//!
//! What time does is told by `planner::forecast`, which runs the daemon's own rules. Here are only the apps that are
//! asked about (`apps`), their calendar (`calendar`), and ways to show it: `text`, `json`, `svg`; `compare` holds two
//! configurations against each other, `difference` shows that.

pub mod apps;
mod calendar;
mod compare;
mod difference;
mod json;
mod parts;
mod svg;
mod text;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use apps::{App, Apps};
pub use compare::{Comparison, compare};
pub use difference::{json as difference_json, people as difference_text};
pub use json::json;
pub use svg::{APPS_MAX as PICTURE_APPS_MAX, svg};
pub use text::people;

use crate::model::name::AppId;
use crate::model::policy::Policy;
use crate::model::row::Problem;
use crate::model::schedule::{Schedule, later};
use crate::planner::forecast::{Change, Course, Now, Outlook, forecast};

/// Days are simulated together for so long, so that what a schedule finds for one app is there for the next.
const STRIDE: SignedDuration = SignedDuration::from_hours(24 * 28);

/// The most days that can be simulated.
pub const DAYS_MAX: u16 = 400;

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first instant, which is taken for now.
    pub from: Timestamp,
    /// Its end, which does not belong to it.
    pub to: Timestamp,
}

impl Span {
    /// So many times 24 hours.
    pub fn of_days(from: Timestamp, days: u16) -> Self {
        let to = later(from, SignedDuration::from_hours(24 * i64::from(days)));
        Self { from, to }
    }
}

/// What becomes of apps under one configuration.
#[derive(Debug)]
pub struct Simulation<'p> {
    /// When.
    pub span: Span,
    /// Those that something was ever accepted of, in the order of their ids.
    pub lives: Vec<Life<'p>>,
    /// Those whose rows cannot be carried out as they stand.
    pub invalid: Vec<Invalid>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// What becomes of one app.
#[derive(Debug)]
pub struct Life<'p> {
    /// The app.
    pub id: AppId,
    /// Its owner, as its row says.
    pub user: String,
    /// Its catalogue entry.
    pub entry: String,
    /// Whose days it has.
    pub schedule: Option<&'p Schedule>,
    /// The zone of its days: its own, else its schedule's, else UTC.
    pub zone: TimeZone,
    /// Until when it is exempt from the end of its day.
    pub keep_until: Option<Timestamp>,
    /// What it is at the beginning.
    pub first: Now,
    /// What time does to it, in order.
    pub changes: Vec<Change>,
    /// Remarks on its row.
    pub notes: Vec<String>,
}

impl Life<'_> {
    /// The name of its schedule, or a dash.
    pub fn schedule_name(&self) -> &str {
        self.schedule.map_or("-", |schedule| schedule.name.as_str())
    }

    /// The name of its zone.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }
}

/// A row that cannot be carried out as it stands.
#[derive(Debug)]
pub struct Invalid {
    /// The app.
    pub id: AppId,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Whether something that was accepted before stays in force, and so is among the lives.
    pub runs_on: bool,
}

/// Lets time pass over `apps`.
pub fn simulate<'p>(apps: &Apps, policy: &'p Policy, span: Span) -> Simulation<'p> {
    let mut invalid = Vec::new();
    let mut lives: Vec<(Life<'p>, Course<'p>)> = Vec::new();
    for app in &apps.apps {
        let Outlook {
            problems,
            notes,
            course,
        } = forecast(
            &app.row,
            app.memory.as_ref(),
            app.keeps.as_ref(),
            policy,
            span.from,
        );
        if !problems.is_empty() {
            invalid.push(Invalid {
                id: app.row.id.clone(),
                problems,
                runs_on: course.is_some(),
            });
        }
        lives.extend(course.map(|course| (life(app, &course, notes), course)));
    }
    let mut end = span.from;
    while end < span.to {
        end = later(end, STRIDE).min(span.to);
        for (life, course) in &mut lives {
            life.changes
                .extend(std::iter::from_fn(|| course.next_before(end)));
        }
    }
    Simulation {
        span,
        lives: lives.into_iter().map(|(life, _)| life).collect(),
        invalid,
        notes: apps.notes.clone(),
    }
}

fn life<'p>(app: &App, course: &Course<'p>, notes: Vec<String>) -> Life<'p> {
    let schedule = course.schedule;
    let zone = course.zone.clone();
    let zone = zone.or_else(|| schedule.map(|schedule| schedule.time_zone.clone()));
    let shown = |name: Option<String>| name.unwrap_or_else(|| "-".to_owned());
    Life {
        id: app.row.id.clone(),
        user: shown(app.row.user.as_ref().map(ToString::to_string)),
        entry: shown(app.row.app.as_ref().map(ToString::to_string)),
        schedule,
        zone: zone.unwrap_or(TimeZone::UTC),
        keep_until: course.keep_until,
        first: course.now(),
        changes: Vec::new(),
        notes,
    }
}
