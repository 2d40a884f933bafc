//! Boundaries of schedules, held against a walk over every minute of a zone's clock.
//!
//! The oracle knows nothing of croner or of jiff's ambiguities. It watches a clock on the wall: a boundary
//! falls on the minute at which the clock first shows its time, or a later one where that time was skipped.
//! A clock that goes back shows nothing new until it has caught up with itself.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lamplighter::model::schedule::{Cron, Schedule};
use proptest::prelude::*;

/// A cron expression as sets of numbers, which the oracle matches, and as text, which croner reads.
#[derive(Clone, Debug)]
struct Fields {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    /// Days of the month; 99 stands for the last one. Empty: any.
    days: BTreeSet<i8>,
    /// Months. Empty: any.
    months: BTreeSet<i8>,
    /// Days of the week from Sunday, 0. Empty: any.
    weekdays: BTreeSet<i8>,
    text: String,
}

const LAST: i8 = 99;

impl Fields {
    fn on(&self, date: Date) -> bool {
        let day = self.days.contains(&date.day())
            || (self.days.contains(&LAST) && date.day() == date.days_in_month());
        let weekday = self.weekdays.contains(&date.weekday().to_sunday_zero_offset());
        // As cron has always had it: where both days are restricted, either will do.
        let on_the_day = match (self.days.is_empty(), self.weekdays.is_empty()) {
            (true, true) => true,
            (false, true) => day,
            (true, false) => weekday,
            (false, false) => day || weekday,
        };
        on_the_day && (self.months.is_empty() || self.months.contains(&date.month()))
    }

    /// Whether the clock's day `date` has a boundary at this minute of it.
    fn at(&self, minute_of_day: i64) -> bool {
        let part = |n: i64| i8::try_from(n).unwrap();
        self.hours.contains(&part(minute_of_day / 60)) && self.minutes.contains(&part(minute_of_day % 60))
    }

    fn schedule(&self, zone: &TimeZone) -> Schedule {
        schedule(&self.text, zone)
    }
}

fn schedule(cron: &str, zone: &TimeZone) -> Schedule {
    Schedule::new("day", zone.clone(), Cron::parse(cron).unwrap())
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Every boundary in `from..=to`, by watching the clock from three days before on. Minutes are counted since
/// 1970, in UTC and as the clock shows them.
fn walk(fields: &Fields, zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let offset = |minute: i64| {
        let at = Timestamp::from_second(minute * 60).unwrap();
        i64::from(zone.to_offset(at).seconds()) / 60
    };
    let mut hour = from.as_second().div_euclid(3600) - 72;
    let mut shown = hour * 60 - 1 + offset(hour * 60 - 1);
    let mut today = (i64::MIN, false);
    let mut found = Vec::new();
    while hour * 3600 <= to.as_second() {
        let starts = offset(hour * 60);
        let steady = offset(hour * 60 + 59) == starts;
        for minute in hour * 60..hour * 60 + 60 {
            let local = minute + if steady { starts } else { offset(minute) };
            let mut fires = false;
            while shown < local {
                shown += 1;
                let day = shown.div_euclid(1440);
                if today.0 != day {
                    let date = jiff::civil::date(1970, 1, 1).checked_add(DAY * i32::try_from(day).unwrap());
                    today = (day, fields.on(date.unwrap()));
                }
                fires |= today.1 && fields.at(shown.rem_euclid(1440));
            }
            let at = Timestamp::from_second(minute * 60).unwrap();
            if fires && at >= from && at <= to {
                found.push(at);
            }
        }
        hour += 1;
    }
    found
}

/// Holds both directions against the walk, `reach` around `now`.
fn check(fields: &Fields, zone: &TimeZone, now: Timestamp, reach: SignedDuration) -> Result<(), String> {
    let (from, to) = (now.checked_sub(reach).unwrap(), now.checked_add(reach).unwrap());
    let all = walk(fields, zone, from, to);
    let schedule = fields.schedule(zone);
    let mut wrong = String::new();
    let latest = schedule.latest_boundary(now, None);
    let expected = all.iter().rev().find(|at| **at <= now).copied();
    // What the walk did not reach must lie beyond it.
    if expected != latest && (expected.is_some() || latest.is_some_and(|at| at >= from)) {
        let _ = writeln!(wrong, "latest: {latest:?}, the clock says {expected:?}");
    }
    let next = schedule.next_boundary(now, None);
    let expected = all.iter().find(|at| **at > now).copied();
    if expected != next && (expected.is_some() || next.is_some_and(|at| at <= to)) {
        let _ = writeln!(wrong, "next: {next:?}, the clock says {expected:?}");
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let name = zone.iana_name().unwrap_or("?");
    Err(format!("{:?} in {name} at {now}: {wrong}", fields.text))
}

/// Zones with whole, half and quarter hours, with changes of a half hour, two hours, twice and four times a
/// year, and on either side of the date line.
const ZONES: [&str; 24] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Havana",
    "America/Scoresbysund",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Beirut",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Marquesas",
];

fn list(numbers: &BTreeSet<i8>) -> String {
    let texts: Vec<String> = numbers
        .iter()
        .map(|n| if *n == LAST { "L".to_owned() } else { n.to_string() })
        .collect();
    if texts.is_empty() {
        "*".to_owned()
    } else {
        texts.join(",")
    }
}

fn of(numbers: impl IntoIterator<Item = i8>) -> BTreeSet<i8> {
    numbers.into_iter().collect()
}

/// Minutes and hours: mostly one time, as curfews are, but also lists, steps and every minute.
fn times() -> impl Strategy<Value = (BTreeSet<i8>, BTreeSet<i8>, String)> {
    prop_oneof![
        6 => (0_i8..60, 0_i8..24).prop_map(|(m, h)| (of([m]), of([h]), format!("{m} {h}"))),
        // The hours in which clocks change.
        4 => (0_i8..60, 0_i8..4).prop_map(|(m, h)| (of([m]), of([h]), format!("{m} {h}"))),
        2 => (proptest::collection::btree_set(0_i8..60, 1..4), proptest::collection::btree_set(0_i8..24, 1..4))
            .prop_map(|(m, h)| { let text = format!("{} {}", list(&m), list(&h)); (m, h, text) }),
        1 => (1_i8..30).prop_map(|step| {
            (of((0..60).step_by(usize::try_from(step).unwrap())), of(0..24), format!("*/{step} *"))
        }),
        1 => (0_i8..60).prop_map(|m| (of([m]), of(0..24), format!("{m} *"))),
        1 => (0_i8..4, 1_i8..4).prop_map(|(from, more)| (of([30]), of(from..=from + more), format!("30 {from}-{}", from + more))),
    ]
}

/// Days: every day, days of the week with wrapping ranges, days of the month with the last, months, and both.
fn days() -> impl Strategy<Value = (BTreeSet<i8>, BTreeSet<i8>, BTreeSet<i8>, String)> {
    let any = || BTreeSet::new();
    let weekdays = || {
        prop_oneof![
            Just((of(1..=5), "1-5".to_owned())),
            Just((of(1..=5), "MON-FRI".to_owned())),
            Just((of([0, 1, 5, 6]), "5-7,1".to_owned())),
            Just((of([0, 1, 5, 6]), "FRI,SAT,0-1".to_owned())),
            Just((of([0]), "7".to_owned())),
            Just((of([0, 6]), "SAT,SUN".to_owned())),
            proptest::collection::btree_set(0_i8..7, 1..4).prop_map(|set| {
                let text = list(&set);
                (set, text)
            }),
        ]
    };
    let of_month = || {
        prop_oneof![
            proptest::collection::btree_set(1_i8..=31, 1..4),
            Just(of([LAST])),
            Just(of([1])),
            Just(of([1, 15, LAST])),
        ]
    };
    prop_oneof![
        4 => Just((any(), any(), any(), "* * *".to_owned())),
        4 => weekdays().prop_map(move |(set, text)| (any(), any(), set, format!("* * {text}"))),
        2 => of_month().prop_map(move |set| { let text = format!("{} * *", list(&set)); (set, any(), any(), text) }),
        1 => (of_month(), weekdays()).prop_map(move |(set, (week, text))| {
            let text = format!("{} * {text}", list(&set));
            (set, any(), week, text)
        }),
        1 => (of_month(), proptest::collection::btree_set(1_i8..=12, 1..3)).prop_map(move |(set, months)| {
            let text = format!("{} {} *", list(&set), list(&months));
            (set, months, any(), text)
        }),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    (times(), days()).prop_map(|((minutes, hours, time), (days, months, weekdays, day))| Fields {
        minutes,
        hours,
        days,
        months,
        weekdays,
        text: format!("{time} {day}"),
    })
}

/// A zone and an instant in 2024–2028: anywhere, or within hours of a change of the zone's clock.
fn moments() -> impl Strategy<Value = (TimeZone, Timestamp)> {
    let from = "2024-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
    let to = "2028-12-31T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
    let fraction =
        prop_oneof![3 => Just(0_i32), 1 => Just(1), 1 => Just(999_999_999), 1 => 0..1_000_000_000_i32];
    let whole = prop_oneof![2 => Just(true), 1 => Just(false)];
    (
        proptest::sample::select(&ZONES[..]),
        from..to,
        any::<bool>(),
        -4 * 3600_i64..4 * 3600,
        fraction,
        whole,
    )
        .prop_map(|(name, second, near_a_change, off, nanos, whole_minute)| {
            let zone = TimeZone::get(name).unwrap();
            let anywhere = Timestamp::from_second(second).unwrap();
            let change = zone.following(anywhere).next().map(|change| change.timestamp());
            let second = match change {
                Some(change) if near_a_change => change.as_second() + off,
                Some(_) | None => second,
            };
            let second = if whole_minute {
                second.div_euclid(60) * 60
            } else {
                second
            };
            (zone, Timestamp::new(second, nanos).unwrap())
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn boundaries_are_where_a_clock_on_the_wall_first_shows_them((zone, now) in moments(), fields in fields()) {
        let reach = if fields.days.is_empty() { DAY * 8 } else { DAY * 33 };
        check(&fields, &zone, now, reach).map_err(TestCaseError::fail)?;
    }

    /// Nothing is due before it was announced: the boundary that was next is the latest one from its time on.
    #[test]
    fn the_next_boundary_becomes_the_latest_when_its_time_has_come((zone, now) in moments(), fields in fields()) {
        let schedule = fields.schedule(&zone);
        if let Some(next) = schedule.next_boundary(now, None) {
            prop_assert!(next > now);
            prop_assert_eq!(schedule.latest_boundary(next, None), Some(next));
            let before = next.checked_sub(SignedDuration::from_nanos(1)).unwrap();
            prop_assert_eq!(schedule.next_boundary(before, None), Some(next));
            prop_assert_eq!(schedule.latest_boundary(before, None), schedule.latest_boundary(now, None));
        }
    }
}

/// A walk over a whole year in each zone: no boundary is dropped and none comes twice.
#[test]
fn a_year_of_boundaries_is_complete_in_every_zone() {
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        for (text, minutes, hours) in [
            ("30 2 * * *", of([30]), of([2])),
            ("0 0 * * *", of([0]), of([0])),
            ("15,45 1-3 * * *", of([15, 45]), of(1..=3)),
        ] {
            let fields = Fields {
                minutes,
                hours,
                days: of([]),
                months: of([]),
                weekdays: of([]),
                text: text.to_owned(),
            };
            let from = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
            let to = from.checked_add(DAY * 366).unwrap();
            let schedule = fields.schedule(&zone);
            let mut found = Vec::new();
            let mut at = from.checked_sub(SignedDuration::from_nanos(1)).unwrap();
            while let Some(next) = schedule.next_boundary(at, None).filter(|next| *next <= to) {
                found.push(next);
                at = next;
            }
            assert_eq!(found, walk(&fields, &zone, from, to), "{text} in {name}");
        }
    }
}

/// 29 February and other dates that come once in years, held against a walk of nine years.
#[test]
fn rare_dates_are_found_however_far_away() {
    for (name, now) in [
        ("Europe/Berlin", "2025-07-01T12:00:00Z"),
        ("Pacific/Apia", "2024-03-01T00:00:00Z"),
    ] {
        let zone = TimeZone::get(name).unwrap();
        let fields = Fields {
            minutes: of([0]),
            hours: of([19]),
            days: of([29]),
            months: of([2]),
            weekdays: of([]),
            text: "0 19 29 2 *".to_owned(),
        };
        check(&fields, &zone, now.parse().unwrap(), DAY * 1500).unwrap();
    }
}
