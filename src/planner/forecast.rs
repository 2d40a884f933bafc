//! What time will do to one app, if nobody asks for anything until then: the rules of `level`, run over instants to
//! come. It jumps from one change to the next and never looks between them.
//!
//! It tells what is *wanted*: nothing fails here, builds take no time, and no other app is in the way.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::draft::Draft;
use super::level::{self, Level, Remembered};
use super::plan::AppView;
use super::times::{self, Ask, Coming, is_a_nap};
use super::{desire, intake, owner};
use crate::model::memory::{Memory, Stop};
use crate::model::name::Entropy;
use crate::model::observed::Observed;
use crate::model::policy::{Admission, Deletions, Policy};
use crate::model::row::{Desired, Problem, Row};
use crate::model::schedule::{Schedule, later};

/// What may be expected of one app.
#[derive(Debug)]
pub struct Outlook<'p> {
    /// Why its row, as it stands, cannot be carried out.
    pub problems: Vec<Problem>,
    /// Remarks on its row, such as a clamped exemption.
    pub notes: Vec<String>,
    /// What becomes of it; `None`: nothing was ever accepted.
    pub course: Option<Course<'p>>,
}

/// What becomes of one app from one instant on. It ends where time has nothing more to change.
#[derive(Debug)]
pub struct Course<'p> {
    /// Whose days it has.
    pub schedule: Option<&'p Schedule>,
    /// Its own zone.
    pub zone: Option<TimeZone>,
    /// Until when it is exempt from the end of its day.
    pub keep_until: Option<Timestamp>,
    ask: Ask<'p>,
    desired: Desired,
    inactive: bool,
    stop: Option<Stop>,
    woken_at: Option<Timestamp>,
    now: Now,
    /// When to look again.
    look: Option<Timestamp>,
    /// The next change of its level.
    next: Option<Coming>,
    /// The warning that is due before that, and which rule it is of.
    warning: Option<(Timestamp, &'static str)>,
}

/// What an app may be at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// What it may be at most.
    pub level: Desired,
    /// The rule that says so.
    pub rule: &'static str,
    /// Until when it is held because its schedule is closed, if it is.
    pub held: Option<Timestamp>,
    /// Since when it may be that; of what it was at the beginning, since its request.
    pub since: Timestamp,
}

/// Something that time does to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What.
    pub act: Act,
    /// The rule behind it.
    pub rule: &'static str,
    /// Whether it is held from then on.
    pub held: bool,
}

/// What time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Its owner is told that it will be stopped.
    Warn,
    /// What was held may begin.
    Start,
    /// What was asleep wakes.
    Resume,
    /// Its tasks stop.
    Suspend,
    /// Nothing is left.
    Destroy,
}

/// What may be expected of the app of `row` from `from` on, which is taken for now. Without a memory it is as if the
/// row were seen for the first time.
pub fn forecast<'p>(row: &Row, memory: Option<&Memory>, policy: &'p Policy, from: Timestamp) -> Outlook<'p> {
    let view = first_look(row, memory);
    let mut draft = Draft {
        view: &view,
        policy,
        now: from,
        memory: memory.cloned().unwrap_or_else(|| Memory::new(row.id.clone())),
        release: Vec::new(),
        forget: false,
    };
    let read = intake::read_row(&mut draft);
    let inactive = owner::inactive(&draft).is_some();
    let course = draft.memory.accepted.take().map(|accepted| {
        let ask = desire::ask_of(policy, &accepted, None);
        let mut course = Course {
            schedule: ask.schedule,
            zone: desire::zone_of(&accepted),
            keep_until: accepted.keep_until,
            ask,
            desired: accepted.desired,
            inactive,
            stop: draft.memory.stop.take(),
            woken_at: draft.memory.woken_at,
            now: Now {
                level: accepted.desired,
                rule: level::ROW,
                held: None,
                since: accepted.request.at,
            },
            look: None,
            next: None,
            warning: None,
        };
        course.look_at(from);
        course.now.since = accepted.request.at;
        course.warn_from(from);
        course
    });
    Outlook {
        problems: read.refusal.map_or_else(Vec::new, |refusal| refusal.problems),
        notes: read.notes,
        course,
    }
}

impl Course<'_> {
    /// What it may be now: at the beginning, or after the last change that was told.
    pub fn now(&self) -> Now {
        self.now
    }

    /// The next change before `end`, if there is one.
    pub fn next_before(&mut self, end: Timestamp) -> Option<Change> {
        loop {
            let look = self.look.filter(|at| *at < end);
            if let Some((at, rule)) = self.warning
                && at < end
                && look.is_none_or(|look| at <= look)
            {
                self.warning = None;
                return Some(Change {
                    at,
                    act: Act::Warn,
                    rule,
                    held: false,
                });
            }
            let at = look?;
            let (before, next) = (self.now, self.next);
            self.look_at(at);
            self.warn_from(at);
            if self.now.level != before.level {
                let rule = next.filter(|next| next.at == at).map(|next| next.rule);
                return Some(Change {
                    at,
                    act: act(before, self.now),
                    rule: rule.unwrap_or(self.now.rule),
                    held: self.now.held.is_some(),
                });
            }
        }
    }

    fn look_at(&mut self, at: Timestamp) {
        let before = self.now;
        let ask = Ask {
            zone: self.zone.as_ref(),
            ..self.ask
        };
        let remembered = Remembered {
            stop: &mut self.stop,
            woken_at: &mut self.woken_at,
        };
        let Level { level, rule, times } = level::at(ask, self.desired, remembered, None, at);
        let asleep = self.stop.as_ref().is_some_and(is_a_nap);
        let held = times.held.filter(|_| rule == times::CLOSED || asleep);
        self.now = Now {
            level,
            rule,
            held: held.map(|held| held.until),
            since: if level == before.level { before.since } else { at },
        };
        if self.inactive && self.desired > Desired::Destroyed {
            (self.now.level, self.now.rule, self.now.held) =
                (Desired::Destroyed, owner::OWNER_INACTIVE, None);
        }
        let over = self.now.level == Desired::Destroyed && self.now.held.is_none();
        let instants = times.coming.iter().map(|coming| coming.at);
        let instants = instants.chain(times.held.map(|held| held.until));
        self.look = instants.filter(|next| *next > at && !over).min();
        let starts = self.desired == Desired::Running;
        let state = (self.now.level, self.now.rule);
        self.next = level::next(&times, state, self.stop.as_ref(), starts);
        let stop = self.next.filter(|next| next.level < self.now.level);
        self.warning = stop.and_then(|stop| Some((self.warned_at(stop.at)?, stop.rule)));
    }

    /// When its owner is told of a stop: as long before as the schedule says, and not before it was up.
    fn warned_at(&self, stop: Timestamp) -> Option<Timestamp> {
        let before = self.schedule?.warn_before?;
        Some(later(stop, -before).max(self.now.since))
    }

    /// A warning before `from` was given before.
    fn warn_from(&mut self, from: Timestamp) {
        self.warning = self.warning.filter(|(at, _)| *at >= from);
    }
}

fn act(before: Now, after: Now) -> Act {
    match after.level {
        Desired::Running if before.held.is_some() => Act::Start,
        Desired::Running => Act::Resume,
        Desired::Suspended => Act::Suspend,
        Desired::Destroyed => Act::Destroy,
    }
}

/// A look that shows the row and nothing else.
fn first_look(row: &Row, memory: Option<&Memory>) -> AppView {
    AppView {
        id: row.id.clone(),
        row: Observed::Present(row.clone()),
        memory: memory.map_or(Observed::Absent, |memory| Observed::Present(memory.clone())),
        gate: Observed::Unknown,
        build: Observed::Unknown,
        listing: Observed::Unknown,
        service: Observed::Unknown,
        tagged: Observed::Unknown,
        target_group: Observed::Unknown,
        probe: Observed::Unknown,
        stopped_task: Observed::Unknown,
        claims: Observed::Unknown,
        rivals: std::collections::BTreeMap::new(),
        traces: Observed::Unknown,
        reap: false,
        paused: Observed::Absent,
        deletions: Deletions::Unjudged,
        approvals: Observed::Unknown,
        admission: Admission::Unasked,
        entropy: Entropy([0; 16]),
    }
}

#[cfg(test)]
mod tests;
