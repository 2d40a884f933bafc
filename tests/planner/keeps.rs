//! Exemptions from the end of the day: those of rows, those given through the API, and the hours of a week.

use jiff::SignedDuration;
use lamplighter::model::status::Phase;
use serde_json::json;

use crate::tale::{Tale, row, tell};
use crate::world::Sense;

/// A week has so many hours.
fn per_week(tale: &mut Tale, hours: i64) {
    tale.note(&format!("a user has {hours} hours a week"));
    tale.world.policy.keep_per_week = Some(SignedDuration::from_hours(hours));
}

fn next(tale: &Tale) -> String {
    let status = &tale.world.memory.as_ref().unwrap().status;
    let next = status.next_change.as_ref();
    next.map_or("nothing".to_owned(), |next| {
        format!("{} {} {}", next.action, next.at, next.rule)
    })
}

fn exemption(tale: &Tale) -> String {
    let status = &tale.world.memory.as_ref().unwrap().status;
    status.exemption.as_ref().map_or("none".to_owned(), |exempt| {
        let by = exempt.by.as_deref().unwrap_or("-");
        let reason = exempt.reason.as_deref().unwrap_or("-");
        format!("{} {:?} {by} {reason}", exempt.until, exempt.source)
    })
}

#[test]
fn what_is_given_puts_off_the_end_of_the_day_and_returns_by_itself() {
    tell("given", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.keep("a1", "2026-11-20T21:00:00Z", "a demo").pass();
        assert_eq!(next(tale), "Destroy 2026-11-20T21:00:00Z KeepUntil");
        assert_eq!(exemption(tale), "2026-11-20T21:00:00Z Api the desk a demo");
        tale.note("a portal that writes the whole row again erases nothing");
        tale.write(row("shop")).pass();
        assert_eq!(next(tale), "Destroy 2026-11-20T21:00:00Z KeepUntil");
        tale.wait_until("2026-11-20T20:59:59Z").pass();
        tale.wait_until("2026-11-20T21:00:00Z").until(Phase::Destroyed);
        assert_eq!(exemption(tale), "none");
    });
}

#[test]
fn ended_before_its_time_the_app_is_due_at_the_end_of_its_day() {
    tell("unkept", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.keep("a1", "2026-11-20T21:00:00Z", "a demo").pass();
        tale.wait_until("2026-11-20T19:00:00Z").pass();
        tale.unkeep("a1").until(Phase::Destroyed);
        tale.note("and what is given to an app that was stopped starts nothing");
        tale.keep("a1", "2026-11-21T21:00:00Z", "too late").pass();
        assert_eq!(exemption(tale), "none");
    });
}

#[test]
fn the_later_of_the_rows_and_the_given_one_counts_and_none_beats_a_hard_end() {
    let mut tale = Tale::begin();
    let mut brief = row("brief");
    brief["keepUntil"] = json!("2026-11-20T20:00:00Z");
    brief["keepReason"] = json!("mine");
    tale.write(brief.clone()).soon(Phase::Ready);
    assert_eq!(exemption(&tale), "2026-11-20T20:00:00Z Row - mine");
    tale.keep("a1", "2026-11-20T19:00:00Z", "shorter").pass();
    assert_eq!(exemption(&tale), "2026-11-20T20:00:00Z Row - mine");
    tale.keep("a1", "2026-11-22T19:00:00Z", "longer").pass();
    assert_eq!(exemption(&tale), "2026-11-22T19:00:00Z Api the desk longer");
    assert_eq!(next(&tale), "Destroy 2026-11-21T10:00:00Z MaxLifetime");
    brief["expiresAt"] = json!("2026-11-20T12:00:00Z");
    tale.write(brief).pass();
    assert_eq!(next(&tale), "Destroy 2026-11-20T12:00:00Z ExpiresAt");
}

#[test]
fn a_rows_exemption_is_noted_once_and_cut_to_what_the_week_has() {
    tell("week", |tale| {
        per_week(tale, 4);
        let mut kept = row("shop");
        kept["keepUntil"] = json!("2026-11-21T12:00:00Z");
        tale.write(kept).soon(Phase::Ready);
        tale.pass().pass();
        assert_eq!(next(tale), "Destroy 2026-11-20T22:00:00Z KeepUntil");
        let lines = tale.world.lines.clone();
        assert_eq!(lines.len(), 1, "{lines:?}");
        tale.note(&lines[0]);
        tale.note("another exemption of the same week finds nothing left");
        tale.keep("a9", "2026-11-20T23:00:00Z", "me too");
        tale.wait_until("2026-11-20T22:00:00Z").until(Phase::Destroyed);
        assert_eq!(tale.world.lines.len(), 1, "{:?}", tale.world.lines);
    });
}

#[test]
fn a_row_that_keeps_its_app_no_longer_gives_the_hours_back() {
    let mut tale = Tale::begin();
    per_week(&mut tale, 4);
    let mut kept = row("shop");
    kept["keepUntil"] = json!("2026-11-20T21:00:00Z");
    tale.write(kept).soon(Phase::Ready);
    tale.pass();
    let used = |tale: &Tale| {
        let ledger = tale.world.keeps.present().unwrap();
        ledger.used(tale.world.real, &jiff::tz::TimeZone::UTC)
    };
    assert_eq!(used(&tale), SignedDuration::from_hours(3));
    tale.write(row("shop")).pass();
    assert_eq!(used(&tale), SignedDuration::ZERO);
    assert_eq!(next(&tale), "Destroy 2026-11-20T18:00:00Z Curfew");
    assert_eq!(tale.world.lines.len(), 2, "{:?}", tale.world.lines);
}

#[test]
fn with_nothing_left_the_day_ends_at_its_end_also_an_instant_later() {
    let mut tale = Tale::begin();
    per_week(&mut tale, 3);
    tale.write(row("shop")).soon(Phase::Ready);
    tale.keep("a9", "2026-11-20T21:00:00Z", "all of it");
    let mut kept = row("shop");
    kept["keepUntil"] = json!("2026-11-22T12:00:00Z");
    tale.write(kept).pass();
    assert_eq!(next(&tale), "Destroy 2026-11-20T18:00:00Z Curfew");
    tale.wait_until("2026-11-20T18:00:01Z").until(Phase::Destroyed);
}

#[test]
fn exemptions_that_cannot_be_read_stop_nothing() {
    let mut tale = Tale::begin();
    tale.write(row("shop")).soon(Phase::Ready);
    tale.keep("a1", "2026-11-20T21:00:00Z", "a demo").pass();
    tale.blind(&[Sense::Keeps]);
    tale.wait_until("2026-11-20T18:30:00Z").pass();
    assert!(tale.world.memory.as_ref().unwrap().stop.is_none());
    tale.blind(&[]).pass();
    assert_eq!(next(&tale), "Destroy 2026-11-20T21:00:00Z KeepUntil");
}
