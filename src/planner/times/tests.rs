//! Days, nights and wakes, held against a watch over every minute.
//!
//! The oracle knows nothing of croner, of jiff's ambiguities or of the code beside it. It looks at a clock on the wall
//! minute by minute, rings where the clock first shows a time or a later one, and puts an app up and down as it goes.

use std::collections::BTreeSet;

use jiff::civil::Date;
use proptest::prelude::*;

use super::*;
use crate::model::schedule::Cron;

/// A time of the day on some days of the week, counted from Sunday, 0.
#[derive(Clone, Debug)]
pub(in crate::planner) struct Bell {
    minute: i64,
    hours: Vec<i64>,
    weekdays: Vec<i64>,
}

impl Bell {
    fn rings(&self, shown: i64) -> bool {
        let (day, minute) = (shown.div_euclid(1440), shown.rem_euclid(1440));
        // 1970 began on a Thursday.
        self.weekdays.contains(&(day + 4).rem_euclid(7))
            && self.hours.contains(&(minute / 60))
            && self.minute == minute % 60
    }

    fn cron(&self) -> Cron {
        let list = |numbers: &[i64]| numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let text = format!(
            "{} {} * * {}",
            self.minute,
            list(&self.hours),
            list(&self.weekdays)
        );
        Cron::parse(&text).expect("a bell is a good cron")
    }
}

/// What a watcher sees in one minute.
#[derive(Clone, Copy, Debug)]
struct Minute {
    at: i64,
    ends: bool,
    wakes: bool,
    closed: bool,
}

/// All that differs between schedules. Times are minutes, days are counted since 1970.
#[derive(Clone, Debug)]
pub(in crate::planner) struct Case {
    pub(in crate::planner) zone: &'static str,
    pub(in crate::planner) teardown: Bell,
    pub(in crate::planner) wake: Option<Bell>,
    pub(in crate::planner) closed_for: Option<i64>,
    pub(in crate::planner) days_off: BTreeSet<i64>,
    pub(in crate::planner) manual_start: ManualStart,
    pub(in crate::planner) destroy_after: Option<u32>,
    pub(in crate::planner) requested_at: i64,
    /// After the request.
    pub(in crate::planner) kept_for: Option<i64>,
    pub(in crate::planner) now_after: i64,
}

const DAY: i64 = 1440;

impl Case {
    pub(in crate::planner) fn zone(&self) -> TimeZone {
        TimeZone::get(self.zone).expect("it is in the database")
    }

    pub(in crate::planner) fn schedule(&self) -> Schedule {
        Schedule {
            action: CurfewAction::Suspend,
            closed_for: self.closed_for.map(SignedDuration::from_mins),
            wake: self.wake.as_ref().map(Bell::cron),
            destroy_after: self.destroy_after,
            days_off: self.days_off.iter().map(|day| date(*day)).collect(),
            manual_start: self.manual_start,
            ..Schedule::new("day", self.zone(), self.teardown.cron())
        }
    }

    pub(in crate::planner) fn now(&self) -> i64 {
        self.requested_at + self.now_after
    }

    pub(in crate::planner) fn kept(&self) -> i64 {
        self.kept_for.map_or(i64::MIN, |long| self.requested_at + long)
    }

    /// From eleven days before the request to eleven after now.
    fn watch(&self) -> Vec<Minute> {
        let zone = self.zone();
        let (from, to) = (self.requested_at - 11 * DAY, self.now() + 11 * DAY);
        let offset = |minute: i64| i64::from(zone.to_offset(time(minute)).seconds()) / 60;
        let mut shown = from + offset(from);
        let mut opens = i64::MIN;
        let mut seen = Vec::new();
        let mut hour = (i64::MIN, 0);
        for at in from + 1..to {
            // No clock of these years changes but at a quarter of an hour.
            if hour.0 != at.div_euclid(15) {
                hour = (at.div_euclid(15), offset(at));
            }
            let wall = at + hour.1;
            let (mut ends, mut wakes) = (false, false);
            while shown < wall {
                shown += 1;
                ends |= self.teardown.rings(shown);
                wakes |= self.wake.as_ref().is_some_and(|wake| wake.rings(shown));
            }
            let off = self.days_off.contains(&wall.div_euclid(DAY));
            if ends && let Some(long) = self.closed_for {
                opens = wall + long;
            }
            seen.push(Minute {
                at,
                ends,
                wakes: wakes && !off,
                closed: off || shown < opens,
            });
        }
        seen
    }
}

/// What the app may be in each minute from the request on.
fn levels(case: &Case, seen: &[Minute]) -> Vec<(i64, Desired)> {
    let mut minutes = seen
        .iter()
        .skip_while(|minute| minute.at < case.requested_at)
        .peekable();
    let asked_in_closed = minutes
        .peek()
        .expect("the watch goes on after the request")
        .closed;
    let mut waits = asked_in_closed && case.manual_start == ManualStart::Enforce;
    let mut spared = asked_in_closed && case.manual_start == ManualStart::Keep;
    let (mut passed, mut nights, mut ended) = (0, 0, false);
    let mut levels = Vec::new();
    for minute in minutes {
        let opens_now = waits && !minute.closed;
        if opens_now {
            waits = false;
        } else if minute.ends && minute.at > case.requested_at && !waits {
            if spared {
                spared = false;
            } else {
                passed += 1;
                ended = true;
                // Only those count that come after every exemption.
                nights += u32::from(minute.at > case.kept());
            }
        } else if minute.wakes && passed > 0 {
            ended = false;
        }
        let exempt = minute.at < case.kept();
        let level = if case.destroy_after.is_some_and(|most| nights > most) {
            Desired::Destroyed
        } else if (ended || waits) && !exempt {
            Desired::Suspended
        } else {
            Desired::Running
        };
        levels.push((minute.at, level));
    }
    levels
}

pub(in crate::planner) fn time(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).expect("it is in our days")
}

pub(in crate::planner) fn minute(at: Timestamp) -> i64 {
    assert_eq!(at.as_nanosecond().rem_euclid(60_000_000_000), 0, "{at}");
    at.as_second() / 60
}

fn date(day: i64) -> Date {
    let days = SignedDuration::from_hours(24 * day);
    jiff::civil::date(1970, 1, 1)
        .checked_add(days)
        .expect("it is in our days")
}

/// Zones with whole, half and quarter hours, and with changes of half an hour, two hours and at midnight.
const ZONES: [&str; 16] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Havana",
    "America/Scoresbysund",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
];

fn weekdays() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![
        3 => Just((0..7).collect::<Vec<_>>()),
        2 => Just((1..6).collect::<Vec<_>>()),
        1 => proptest::collection::btree_set(0_i64..7, 1..4).prop_map(|days| days.into_iter().collect()),
    ]
}

/// Evens for one bell, odds for the other, so that they mostly do not ring at once.
fn bell(odd: i64) -> impl Strategy<Value = Bell> {
    let hours = prop_oneof![
        3 => (0_i64..24).prop_map(|hour| vec![hour]),
        // When clocks change.
        1 => (0_i64..4).prop_map(|hour| vec![hour]),
        1 => (0_i64..12, 12_i64..24).prop_map(|(one, two)| vec![one, two]),
    ];
    (0_i64..30, hours, weekdays()).prop_map(move |(half, hours, weekdays)| Bell {
        minute: half * 2 + odd,
        hours,
        weekdays,
    })
}

/// A minute in 2024 to 2028, half of them within two days of a change of the zone's clock.
fn moment() -> impl Strategy<Value = (&'static str, i64)> {
    let years = 1_704_067_200_i64 / 60..1_861_920_000 / 60;
    (
        proptest::sample::select(&ZONES[..]),
        years,
        any::<bool>(),
        -2 * DAY..2 * DAY,
    )
        .prop_map(|(zone, anywhere, near, off)| {
            let change = TimeZone::get(zone)
                .expect("it is in the database")
                .following(time(anywhere))
                .next()
                .map(|next| next.timestamp());
            match change {
                Some(change) if near => (zone, change.as_second() / 60 + off),
                Some(_) | None => (zone, anywhere),
            }
        })
}

pub(in crate::planner) fn case() -> impl Strategy<Value = Case> {
    let modes = [
        ManualStart::UntilNextStop,
        ManualStart::Keep,
        ManualStart::Enforce,
    ];
    let closed_for =
        prop_oneof![1 => Just(None), 2 => (1_i64..900).prop_map(Some), 1 => (900_i64..5000).prop_map(Some)];
    let rest = (
        closed_for,
        proptest::collection::btree_set(-6_i64..12, 0..5),
        proptest::sample::select(modes.to_vec()),
        proptest::option::weighted(0.4, 1_u32..5),
        proptest::option::weighted(0.4, 1..6 * DAY),
        prop_oneof![0..DAY, 0..9 * DAY],
    );
    (moment(), bell(0), proptest::option::weighted(0.7, bell(1)), rest).prop_map(
        |(
            (zone, requested_at),
            teardown,
            wake,
            (closed_for, off, manual_start, destroy_after, kept_for, now_after),
        )| {
            let today = requested_at.div_euclid(DAY);
            Case {
                zone,
                teardown,
                wake,
                closed_for,
                days_off: off.into_iter().map(|day| today + day).collect(),
                manual_start,
                destroy_after,
                requested_at,
                kept_for,
                now_after,
            }
        },
    )
}

fn level(times: &Times) -> Desired {
    let due = times.due.as_ref().map(|stop| stop.at_most);
    let held = times.held.map(|held| held.at_most);
    due.into_iter().chain(held).min().unwrap_or(Desired::Running)
}

fn of(case: &Case, schedule: &Schedule, now: Timestamp) -> Times {
    let ask = Ask {
        requested_at: time(case.requested_at),
        schedule: Some(schedule),
        zone: None,
        keep_until: case.kept_for.map(|_| time(case.kept())),
        expires_at: None,
        max_lifetime: None,
        woken_at: None,
        kept_until: None,
        asleep_since: None,
    };
    Times::of(&ask, now)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_closed_and_it_wakes_as_a_watcher_sees_it(case in case(), seconds in 0_i64..60) {
        let seen = case.watch();
        let schedule = case.schedule();
        let now = later(time(case.now()), SignedDuration::from_secs(seconds));
        let here = seen.iter().position(|minute| minute.at == case.now()).expect("now is watched");
        let opens = seen[here..].iter().find(|minute| !minute.closed).map(|minute| minute.at);
        let opens = opens.filter(|at| *at > case.now());
        let told = schedule.closed_until(now, None).map(minute);
        // Beyond the watch anything may be.
        prop_assert!(told == opens || opens.is_none() && seen[here].closed, "closed until {told:?}, seen {opens:?}");
        let latest = seen[..=here].iter().rev().find(|minute| minute.wakes).map(|minute| minute.at);
        let told = schedule.latest_wake(now, None).map(minute).filter(|at| *at >= seen[0].at);
        prop_assert_eq!(told, latest, "the latest wake");
        let next = seen[here + 1..].iter().find(|minute| minute.wakes).map(|minute| minute.at);
        let told = schedule.next_wake(now, None).map(minute).filter(|at| *at <= seen.last().expect("now is watched").at);
        prop_assert_eq!(told, next, "the next wake");
    }

    #[test]
    fn an_app_is_up_and_down_as_a_watcher_puts_it(case in case()) {
        let seen = case.watch();
        // What rings at once has no order; configurations of that kind are refused.
        prop_assume!(!seen.iter().any(|minute| minute.ends && minute.wakes));
        let schedule = case.schedule();
        let levels = levels(&case, &seen);
        let here = levels.iter().position(|(at, _)| *at == case.now()).expect("now is watched");
        let now = levels[here].1;
        let times = of(&case, &schedule, time(case.now()));
        prop_assert_eq!(level(&times), now, "{:?}", times);
        // What comes next is announced to the minute.
        let lower = levels[here..].iter().find(|(_, level)| *level < now).map(|(at, _)| *at);
        let told = times.coming.iter().filter(|coming| coming.level < now).map(|coming| minute(coming.at)).min();
        let told = told.filter(|at| *at <= seen.last().expect("now is watched").at);
        let higher = levels[here..].iter().find(|(_, level)| *level > now).map(|(at, _)| *at);
        let risen = times.coming.iter().filter(|coming| coming.rule == WAKE).map(|coming| minute(coming.at)).min();
        let risen = risen.or(times.held.map(|held| minute(held.until)));
        if now == Desired::Running {
            prop_assert_eq!(told, lower, "the next stop: {:?}", times);
        } else if now == Desired::Suspended && higher.is_some_and(|up| lower.is_none_or(|down| up < down)) {
            prop_assert_eq!(risen, higher, "the next start: {:?}", times);
        }
    }
}
