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
use super::{desire, intake, keep, owner};
use crate::model::keep::Ledger;
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
    kept_until: Option<Timestamp>,
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
/// row were seen for the first time; without `keeps`, the exemptions of its owner's apps, as if none were given.
pub fn forecast<'p>(
    row: &Row,
    memory: Option<&Memory>,
    keeps: Option<&Ledger>,
    policy: &'p Policy,
    from: Timestamp,
) -> Outlook<'p> {
    let view = first_look(row, memory, keeps);
    let mut draft = Draft {
        view: &view,
        policy,
        now: from,
        memory: memory.cloned().unwrap_or_else(|| Memory::new(row.id.clone())),
        ledger: None,
        release: Vec::new(),
        forget: false,
    };
    let read = intake::read_row(&mut draft);
    let inactive = owner::inactive(&draft).is_some();
    let accepted = draft.memory.accepted.take();
    let given = accepted
        .as_ref()
        .and_then(|accepted| keep::given(&draft, accepted));
    let course = accepted.map(|accepted| {
        let given = given.as_ref().map(|given| given.until);
        let ask = desire::ask_of(policy, &accepted, None, given);
        let mut course = Course {
            schedule: ask.schedule,
            zone: desire::zone_of(&accepted),
            keep_until: ask.keep_until,
            ask,
            desired: accepted.desired,
            inactive,
            stop: draft.memory.stop.take(),
            woken_at: draft.memory.woken_at,
            kept_until: draft.memory.kept_until,
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
            kept_until: &mut self.kept_until,
        };
        let Level {
            at_most: level,
            rule,
            times,
        } = level::at(ask, self.desired, remembered, None, at);
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
        // What is not up is not warned of; see `warn`.
        let is_up = self.now.level == Desired::Running;
        let stop = self.next.filter(|next| is_up && next.level < self.now.level);
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

/// A look that shows the row, what is remembered of it, and its owner's exemptions.
fn first_look(row: &Row, memory: Option<&Memory>, keeps: Option<&Ledger>) -> AppView {
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
        keeps: keeps.cloned().into(),
        notice: None,
        paused: Observed::Absent,
        deletions: Deletions::Unjudged,
        approvals: Observed::Unknown,
        admission: Admission::Unasked,
        entropy: Entropy([0; 16]),
    }
}

/// A forecast, held against looks at any instants, each with what the one before remembered.
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::times::tests::{Case, case, time};
    use super::*;
    use crate::model::name::{AppId, AppName};
    use crate::model::row::RawValue;
    use crate::model::schedule::{Cron, CurfewAction};

    const DAY: i64 = 1440;

    fn suspends_at_seven() -> Schedule {
        Schedule {
            action: CurfewAction::Suspend,
            ..Schedule::new("day", TimeZone::UTC, Cron::parse("0 19 * * *").unwrap())
        }
    }

    /// A catalogue of one app, which has the schedule of a case.
    fn policy(schedule: Schedule) -> Policy {
        let text = "[apps.shop]\nproject = \"child\"\ncluster = \"c\"\ndomain = \"example.com\"\n";
        let mut policy = crate::config::Config::from_toml(text).unwrap().policy;
        let entry = policy.catalogue.get_mut(&AppName::new("shop")).unwrap();
        entry.schedule = Some(schedule.name.clone());
        policy.keep_max = jiff::SignedDuration::from_hours(24 * 90);
        policy.schedules.insert(schedule.name.clone(), schedule);
        policy
    }

    fn row(attributes: &[(&str, String)]) -> Row {
        let usual = [("user", "ann"), ("app", "shop"), ("desired", "Running")];
        let usual = usual.map(|(name, value)| (name.to_owned(), RawValue::Text(value.to_owned())));
        let own = attributes.iter().cloned();
        let own = own.map(|(name, value)| (name.to_owned(), RawValue::Text(value)));
        let raw: BTreeMap<_, _> = usual.into_iter().chain(own).collect();
        Row::read(AppId::from_key("a").unwrap(), raw)
    }

    /// What a daemon that looks at `at` wants, and remembers from then on.
    fn look(row: &Row, memory: Memory, policy: &Policy, at: Timestamp) -> (desire::Wish, Memory) {
        let view = first_look(row, Some(&memory), None);
        let mut draft = Draft {
            view: &view,
            policy,
            now: at,
            memory,
            ledger: None,
            release: Vec::new(),
            forget: false,
        };
        intake::read_row(&mut draft);
        let wish = desire::wish(&mut draft);
        (wish, draft.memory)
    }

    #[derive(Debug)]
    struct Life {
        case: Case,
        /// Minutes after the request.
        begins: i64,
        looks: Vec<i64>,
        expires: Option<i64>,
        desired: &'static str,
    }

    fn life() -> impl Strategy<Value = Life> {
        (
            case(),
            prop_oneof![Just(0), 0..5 * DAY],
            proptest::collection::vec(0..12 * DAY, 40),
            proptest::option::weighted(0.2, 0..12 * DAY),
            prop_oneof![9 => Just("Running"), 1 => Just("Suspended")],
        )
            .prop_map(|(case, begins, looks, expires, desired)| Life {
                case,
                begins,
                looks,
                expires,
                desired,
            })
    }

    fn changes(course: &mut Course<'_>, end: Timestamp) -> Vec<Change> {
        std::iter::from_fn(|| course.next_before(end)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whenever_a_daemon_looks_it_finds_what_was_forecast(life in life()) {
            let Life { case, begins, looks, expires, desired } = &life;
            let schedule = case.schedule();
            let asked = case.requested_at;
            let policy = policy(schedule);
            let mut attributes = vec![("requestedAt", time(asked).to_string()), ("desired", (*desired).to_owned())];
            attributes.extend(case.kept_for.map(|_| ("keepUntil", time(case.kept()).to_string())));
            attributes.extend(expires.map(|after| ("expiresAt", time(asked + after).to_string())));
            let row = row(&attributes);
            let from = time(asked + begins);
            let mut course = forecast(&row, None, None, &policy, from).course.unwrap();
            let first = course.now();
            let told = changes(&mut course, time(asked + begins + 16 * DAY));
            let told: Vec<_> = told.into_iter().filter(|change| change.act != Act::Warn).collect();

            let mut looks: Vec<Timestamp> = looks.iter().map(|after| time(asked + begins + after)).collect();
            let instants = told.iter().filter(|change| change.at < time(asked + begins + 12 * DAY)).map(|change| change.at);
            looks.extend(instants.clone().flat_map(|at| [at, later(at, jiff::SignedDuration::from_nanos(-1))]));
            looks.push(from);
            looks.sort();
            let mut memory = Memory::new(AppId::from_key("a").unwrap());
            for at in looks {
                let wish;
                (wish, memory) = look(&row, memory, &policy, at);
                let past = told.iter().rev().find(|change| change.at <= at);
                let level = past.map_or(first.level, |change| match change.act {
                    Act::Start | Act::Resume => Desired::Running,
                    Act::Suspend => Desired::Suspended,
                    Act::Destroy => Desired::Destroyed,
                    Act::Warn => unreachable!("warnings were left out"),
                });
                prop_assert_eq!(wish.level, level, "at {}, told {:#?}", at, told);
                let next = told.iter().find(|change| change.at > at);
                let next = next.map(|change| (change.at, format!("{:?}", change.act), change.rule.to_owned()));
                let promised = wish.next.map(|next| (next.at, next.action, next.rule));
                if promised.as_ref().is_none_or(|(at, ..)| *at < time(asked + begins + 16 * DAY)) {
                    prop_assert_eq!(promised, next, "at {}, told {:#?}", at, told);
                }
            }
        }
    }

    #[test]
    fn a_warning_comes_as_long_before_a_stop_as_the_schedule_says_and_not_before_it_is_up() {
        let schedule = Schedule {
            warn_before: Some(jiff::SignedDuration::from_mins(30)),
            ..suspends_at_seven()
        };
        let policy = policy(schedule);
        let warned = |asked: &str, from: &str| {
            let row = row(&[("requestedAt", asked.to_owned())]);
            let mut course = forecast(&row, None, None, &policy, from.parse().unwrap())
                .course
                .unwrap();
            let first = course
                .next_before("2026-11-30T00:00:00Z".parse().unwrap())
                .unwrap();
            format!("{:?} {} {}", first.act, first.at, first.rule)
        };
        let day = |time: &str| format!("2026-11-20T{time}Z");
        assert_eq!(
            warned(&day("10:00:00"), &day("12:00:00")),
            "Warn 2026-11-20T18:30:00Z Curfew"
        );
        assert_eq!(
            warned(&day("18:50:00"), &day("18:50:00")),
            "Warn 2026-11-20T18:50:00Z Curfew"
        );
        // That one was given before the forecast begins.
        assert_eq!(
            warned(&day("10:00:00"), &day("18:50:00")),
            "Suspend 2026-11-20T19:00:00Z Curfew"
        );
    }

    /// One that was taken over from another schedule has its day by the new one, and what is remembered counts.
    #[test]
    fn what_is_remembered_counts() {
        let schedule = Schedule {
            wake: Some(Cron::parse("30 7 * * *").unwrap()),
            ..suspends_at_seven()
        };
        let policy = policy(schedule);
        let row = row(&[("requestedAt", "2026-11-20T10:00:00Z".to_owned())]);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let memory = Memory::new(AppId::from_key("a").unwrap());
        let (_, mut memory) = look(&row, memory, &policy, at("2026-11-20T12:00:00Z"));
        // By a schedule that has changed since, its day ended at 11:00.
        memory.stop = Some(Stop {
            away_since: None,
            due: at("2026-11-20T11:00:00Z"),
            rule: times::CURFEW.to_owned(),
            at_most: Desired::Suspended,
            by: None,
        });
        let course = |memory| {
            forecast(&row, memory, None, &policy, at("2026-11-20T12:00:00Z"))
                .course
                .unwrap()
        };
        assert_eq!(course(None).now().level, Desired::Running);
        let mut remembered = course(Some(&memory));
        assert_eq!(
            (remembered.now().level, remembered.now().rule),
            (Desired::Suspended, times::CURFEW)
        );
        let next = remembered.next_before(at("2026-11-22T00:00:00Z")).unwrap();
        assert_eq!((next.at, next.act), (at("2026-11-21T07:30:00Z"), Act::Resume));
    }
}
