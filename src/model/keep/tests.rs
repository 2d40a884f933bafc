//! Exemptions by themselves: what they cost, what cuts them, and that no week is granted more than it has.

use proptest::prelude::*;

use super::*;

static UTC: TimeZone = TimeZone::UTC;

fn app(n: u8) -> AppId {
    AppId::from_key(format!("a{n}")).expect("a value of this test")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a value of this test")
}

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

fn bounds(per_week: Option<i64>) -> Bounds<'static> {
    Bounds {
        most: hours(72),
        per_week: per_week.map(hours),
        zone: &UTC,
    }
}

fn given(until: &str, now: &str) -> Given {
    Given {
        until: at(until),
        asked: at(until),
        at: at(now),
        by: None,
        reason: None,
        key: None,
    }
}

// A Friday; its day ends at 19:00.
const NOON: &str = "2026-11-20T12:00:00Z";
const EVENING: &str = "2026-11-20T19:00:00Z";

#[test]
fn hours_count_from_the_end_of_the_day_and_the_same_request_counts_once() {
    let bounds = bounds(Some(10));
    let ask = || given("2026-11-20T22:00:00Z", NOON);
    let once = Ledger::default().give(&app(1), ask(), at(EVENING), &bounds, at(NOON));
    assert_eq!((once.until, once.cut), (at("2026-11-20T22:00:00Z"), None));
    assert_eq!(once.ledger.used(at(NOON), bounds.zone), hours(3));
    let twice = once.ledger.give(&app(1), ask(), at(EVENING), &bounds, at(NOON));
    assert_eq!(twice, once);
    let shorter = given("2026-11-20T21:00:00Z", NOON);
    let shorter = once.ledger.give(&app(1), shorter, at(EVENING), &bounds, at(NOON));
    assert_eq!(shorter.ledger, once.ledger, "the later one counts");
    // Both the row's and the given one: the app's hours count once.
    let both = once.ledger.by_row(
        &app(1),
        Some(at("2026-11-20T23:00:00Z")),
        at(EVENING),
        &bounds,
        at(NOON),
    );
    assert_eq!(both.ledger.used(at(NOON), bounds.zone), hours(4));
}

#[test]
fn a_key_makes_a_relative_request_the_same_one_later() {
    let bounds = bounds(Some(10));
    let keyed = |until, now| Given {
        key: Some("k".to_owned()),
        ..given(until, now)
    };
    let first = keyed("2026-11-20T22:00:00Z", NOON);
    let once = Ledger::default().give(&app(1), first, at(EVENING), &bounds, at(NOON));
    let later = at("2026-11-20T12:05:00Z");
    let again = keyed("2026-11-20T22:05:00Z", "2026-11-20T12:05:00Z");
    let again = once.ledger.give(&app(1), again, at(EVENING), &bounds, later);
    assert_eq!((again.ledger, again.until), (once.ledger, once.until));
}

#[test]
fn what_exceeds_is_cut_and_says_by_what() {
    let week = given("2026-11-21T19:00:00Z", NOON);
    let granted = Ledger::default().give(&app(1), week, at(EVENING), &bounds(Some(10)), at(NOON));
    assert_eq!(
        (granted.until, granted.cut),
        (at("2026-11-21T05:00:00Z"), Some(Cut::WeekUsedUp))
    );
    let far = given("2026-12-20T19:00:00Z", NOON);
    let granted = Ledger::default().give(&app(1), far, at(EVENING), &bounds(None), at(NOON));
    assert_eq!(
        (granted.until, granted.cut),
        (at("2026-11-23T12:00:00Z"), Some(Cut::TooFar))
    );
    // Another app of the same user finds what is left, which is nothing.
    let full = Ledger::default().give(
        &app(1),
        given("2026-11-21T19:00:00Z", NOON),
        at(EVENING),
        &bounds(Some(10)),
        at(NOON),
    );
    let other = given("2026-11-20T20:00:00Z", NOON);
    let other = full
        .ledger
        .give(&app(2), other, at(EVENING), &bounds(Some(10)), at(NOON));
    assert_eq!((other.ledger, other.cut), (full.ledger, Some(Cut::WeekUsedUp)));
}

#[test]
fn each_week_has_its_own_hours_from_monday_on_in_its_zone() {
    let berlin = TimeZone::get("Europe/Berlin").expect("a value of this test");
    let sunday = "2026-11-22T20:00:00Z";
    for (zone, monday) in [
        (&TimeZone::UTC, "2026-11-23T00:00:00Z"),
        (&berlin, "2026-11-22T23:00:00Z"),
    ] {
        let bounds = Bounds {
            per_week: Some(hours(5)),
            zone,
            ..bounds(None)
        };
        let over = given("2026-11-23T12:00:00Z", sunday);
        let granted = Ledger::default().give(&app(1), over, at(sunday), &bounds, at(sunday));
        // Up to Monday no more than five, from then on five more.
        assert_eq!(granted.until, at(monday) + hours(5), "{zone:?}");
        assert!(granted.ledger.used(at(sunday), zone) < hours(5));
    }
    // The Sunday on which clocks go back has 25 hours.
    let week = week_of(at("2026-10-25T12:00:00Z"), &berlin);
    assert_eq!(week.until.duration_since(week.from), hours(7 * 24 + 1));
}

#[test]
fn what_is_ended_early_gives_back_what_was_left() {
    let bounds = bounds(Some(10));
    let ask = given("2026-11-21T03:00:00Z", NOON);
    let kept = Ledger::default().give(&app(1), ask, at(EVENING), &bounds, at(NOON));
    let ended = kept
        .ledger
        .end(&app(1), at("2026-11-20T21:00:00Z"))
        .expect("a value of this test");
    assert_eq!(ended.used(at(NOON), bounds.zone), hours(2));
    assert_eq!(ended.given(&app(1)), None);
    assert_eq!(ended.end(&app(1), at("2026-11-20T21:00:00Z")), None, "it is over");
    // Before its hours began, it cost nothing.
    let ended = kept
        .ledger
        .end(&app(1), at("2026-11-20T13:00:00Z"))
        .expect("a value of this test");
    assert_eq!(ended.used(at(NOON), bounds.zone), SignedDuration::ZERO);
    // A row that keeps it longer goes on.
    let both = kept.ledger.by_row(
        &app(1),
        Some(at("2026-11-20T23:00:00Z")),
        at(EVENING),
        &bounds,
        at(NOON),
    );
    let ended = both
        .ledger
        .end(&app(1), at("2026-11-20T21:00:00Z"))
        .expect("a value of this test");
    assert_eq!(ended.used(at(NOON), bounds.zone), hours(4));
}

#[test]
fn an_exemption_that_was_cut_is_not_granted_anew_when_it_lapses() {
    let bounds = bounds(Some(2));
    let wanted = Some(at("2026-11-20T23:00:00Z"));
    let granted = Ledger::default().by_row(&app(1), wanted, at(EVENING), &bounds, at(NOON));
    let lapse = at("2026-11-20T21:00:00Z");
    assert_eq!(granted.until, lapse);
    let again = granted
        .ledger
        .by_row(&app(1), wanted, at(EVENING), &bounds, lapse);
    assert_eq!((again.ledger, again.until), (granted.ledger, lapse));
}

#[test]
fn what_counts_no_more_is_not_stored() {
    let bounds = bounds(Some(10));
    let ask = given("2026-11-20T22:00:00Z", NOON);
    let kept = Ledger::default()
        .give(&app(1), ask, at(EVENING), &bounds, at(NOON))
        .ledger;
    let sunday = kept.clone().to_store(&bounds, at("2026-11-22T22:00:00Z"));
    assert_eq!(
        (sunday.version, sunday.apps.len()),
        (1, 1),
        "its hours count until Monday"
    );
    let monday = kept.to_store(&bounds, at("2026-11-23T08:00:00Z"));
    assert_eq!((monday.apps.len(), monday.past.len()), (0, 0));
}

#[test]
fn the_number_of_exemptions_is_bounded() {
    let bounds = bounds(Some(100));
    let mut ledger = Ledger::default();
    for n in 0..=u8::try_from(APPS_MAX).expect("a value of this test") {
        let ask = given("2026-11-20T19:01:00Z", NOON);
        ledger = ledger.give(&app(n), ask, at(EVENING), &bounds, at(NOON)).ledger;
    }
    assert_eq!(ledger.apps.len(), APPS_MAX);
}

#[derive(Clone, Debug)]
enum Do {
    Give(u8, i64),
    Row(u8, Option<i64>),
    End(u8),
    Pass(i64),
}

proptest! {
    /// However apps ask, and whenever: no hour is granted beyond what the week has.
    #[test]
    fn no_week_is_granted_more_than_it_has(
        limit in 0..40_i64,
        zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("Pacific/Auckland")],
        calls in proptest::collection::vec(prop_oneof![
            (0..3_u8, 0..6000_i64).prop_map(|(n, m)| Do::Give(n, m)),
            (0..3_u8, proptest::option::of(0..6000_i64)).prop_map(|(n, m)| Do::Row(n, m)),
            (0..3_u8).prop_map(Do::End),
            (1..3000_i64).prop_map(Do::Pass),
        ], 1..60),
    ) {
        let zone = TimeZone::get(zone).expect("a value of this test");
        let bounds = Bounds { most: hours(72), per_week: Some(hours(limit)), zone: &zone };
        let minutes = SignedDuration::from_mins;
        let (mut ledger, mut now) = (Ledger::default(), at("2026-10-16T12:00:00Z"));
        for call in calls {
            // Each app's day ends at 19:00.
            let midnight = Timestamp::from_second(now.as_second() / 86_400 * 86_400).expect("a value of this test");
            let first = midnight + hours(19);
            let first = if first > now { first } else { first + hours(24) };
            let granted = match call {
                Do::Give(n, ahead) => {
                    let asked = now + minutes(ahead);
                    let ask = Given { until: asked, asked, at: now, by: None, reason: None, key: None };
                    Some(ledger.give(&app(n), ask, first, &bounds, now).ledger)
                }
                Do::Row(n, ahead) => {
                    let asked = ahead.map(|ahead| now + minutes(ahead + 1));
                    Some(ledger.by_row(&app(n), asked, first, &bounds, now).ledger)
                }
                Do::End(n) => ledger.end(&app(n), now),
                Do::Pass(ahead) => {
                    now += minutes(ahead);
                    None
                }
            };
            ledger = granted.map_or(ledger, |ledger| ledger.to_store(&bounds, now));
            for week in 0..3 {
                let used = ledger.used(now + hours(week * 7 * 24), &zone);
                prop_assert!(used <= hours(limit), "{used:?} of {limit} hours: {ledger:?}");
            }
        }
    }
}
