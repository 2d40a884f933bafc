//! A forecast, held against looks at any instants, each with what the one before remembered.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::times::tests::{Case, case, time};
use super::*;
use crate::model::name::{AppId, AppName};
use crate::model::row::RawValue;

const DAY: i64 = 1440;

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
    let view = first_look(row, Some(&memory));
    let mut draft = Draft {
        view: &view,
        policy,
        now: at,
        memory,
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
        let mut course = forecast(&row, None, &policy, from).course.unwrap();
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
        action: crate::model::schedule::CurfewAction::Suspend,
        warn_before: Some(jiff::SignedDuration::from_mins(30)),
        ..Schedule::new(
            "day",
            TimeZone::UTC,
            crate::model::schedule::Cron::parse("0 19 * * *").unwrap(),
        )
    };
    let policy = policy(schedule);
    let warned = |asked: &str, from: &str| {
        let row = row(&[("requestedAt", asked.to_owned())]);
        let mut course = forecast(&row, None, &policy, from.parse().unwrap())
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
        action: crate::model::schedule::CurfewAction::Suspend,
        wake: Some(crate::model::schedule::Cron::parse("30 7 * * *").unwrap()),
        ..Schedule::new(
            "day",
            TimeZone::UTC,
            crate::model::schedule::Cron::parse("0 19 * * *").unwrap(),
        )
    };
    let policy = policy(schedule);
    let row = row(&[("requestedAt", "2026-11-20T10:00:00Z".to_owned())]);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let memory = Memory::new(AppId::from_key("a").unwrap());
    let (_, mut memory) = look(&row, memory, &policy, at("2026-11-20T12:00:00Z"));
    // By a schedule that has changed since, its day ended at 11:00.
    memory.stop = Some(Stop {
        due: at("2026-11-20T11:00:00Z"),
        rule: times::CURFEW.to_owned(),
        at_most: Desired::Suspended,
        by: None,
    });
    let course = |memory| {
        forecast(&row, memory, &policy, at("2026-11-20T12:00:00Z"))
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
