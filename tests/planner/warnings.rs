//! Stops that are told beforehand: once for each deadline, where the deadline is, and of what is up.

use jiff::SignedDuration;
use lamplighter::model::status::Phase;
use lamplighter::model::warned::{Delivery, Notice};
use serde_json::json;

use crate::tale::{Tale, row, tell};

/// Both plain schedules warn a quarter of an hour before.
fn warns(tale: &mut Tale) {
    for name in ["office", "nap"] {
        let schedule = tale.world.policy.schedules.get_mut(name).unwrap();
        schedule.warn_before = Some(SignedDuration::from_mins(15));
    }
}

/// The rule and the time of the stop that this pass warns of.
fn warned(tale: &mut Tale) -> Option<String> {
    let before = tale
        .world
        .memory
        .as_ref()
        .and_then(|memory| memory.warned.clone());
    tale.pass();
    let after = tale.world.memory.as_ref().unwrap().warned.clone();
    let new = after.filter(|after| before.is_none_or(|before| before.deadline != after.deadline));
    new.map(|new| format!("{} {} {}", new.action, new.deadline, new.rule))
}

fn delivery(tale: &Tale) -> Option<Delivery> {
    tale.world
        .memory
        .as_ref()
        .unwrap()
        .warned
        .as_ref()
        .unwrap()
        .webhook
}

#[test]
fn a_stop_is_told_once_and_at_its_own_pace() {
    tell("warned", |tale| {
        warns(tale);
        tale.write(row("shop")).soon(Phase::Ready);
        tale.run(SignedDuration::from_hours(8));
        assert_eq!(warned(tale), None, "it was told at 17:45");
    });
}

#[test]
fn a_deadline_that_moves_is_told_where_it_went() {
    tell("warned_again", |tale| {
        warns(tale);
        tale.write(row("shop")).soon(Phase::Ready);
        tale.wait_until("2026-11-20T17:45:00Z");
        assert_eq!(
            warned(tale).as_deref(),
            Some("Destroy 2026-11-20T18:00:00Z Curfew")
        );
        tale.keep("a1", "2026-11-20T21:00:00Z", "a demo");
        assert_eq!(warned(tale), None);
        tale.wait_until("2026-11-20T20:44:59Z");
        assert_eq!(warned(tale), None);
        tale.wait_until("2026-11-20T20:45:00Z");
        assert_eq!(
            warned(tale).as_deref(),
            Some("Destroy 2026-11-20T21:00:00Z KeepUntil")
        );
        assert_eq!(warned(tale), None);
        tale.wait_until("2026-11-20T21:00:00Z")
            .until_reason("DestroyIntended");
    });
}

#[test]
fn a_stop_that_moved_before_it_was_told_is_not_told() {
    let mut tale = Tale::begin();
    warns(&mut tale);
    tale.write(row("shop")).soon(Phase::Ready);
    tale.keep("a1", "2026-11-20T21:00:00Z", "a demo").pass();
    tale.wait_until("2026-11-20T17:50:00Z");
    assert_eq!(warned(&mut tale), None);
}

#[test]
fn every_stop_by_time_is_told_and_one_that_is_late_is_told_late() {
    let mut tale = Tale::begin();
    warns(&mut tale);
    let mut brief = row("shop");
    brief["expiresAt"] = json!("2026-11-20T16:00:00Z");
    tale.write(brief).soon(Phase::Ready);
    tale.wait_until("2026-11-20T15:58:00Z");
    assert_eq!(
        warned(&mut tale).as_deref(),
        Some("Destroy 2026-11-20T16:00:00Z ExpiresAt")
    );
    let mut tale = Tale::begin();
    warns(&mut tale);
    tale.write(row("night")).soon(Phase::Ready);
    tale.wait_until("2026-11-20T17:45:00Z");
    assert_eq!(
        warned(&mut tale).as_deref(),
        Some("Suspend 2026-11-20T18:00:00Z Curfew")
    );
}

#[test]
fn the_end_of_its_lifetime_and_of_its_nights_unused_are_told_too() {
    let mut tale = Tale::begin();
    warns(&mut tale);
    let mut brief = row("brief");
    brief["keepUntil"] = json!("2026-11-22T18:00:00Z");
    let asked = tale.world.now();
    tale.write(brief).soon(Phase::Ready);
    let end = asked + SignedDuration::from_hours(24);
    tale.wait_until(&(end - SignedDuration::from_mins(14)).to_string());
    assert_eq!(
        warned(&mut tale),
        Some(format!("Destroy {end} MaxLifetime")),
        "whatever its exemption"
    );
    let mut tale = Tale::begin();
    let naps = tale.world.policy.schedules.get_mut("naps").unwrap();
    naps.warn_before = Some(SignedDuration::from_mins(15));
    naps.destroy_after = Some(3);
    let mut unused = row("shop");
    unused["schedule"] = json!("naps");
    tale.write(unused).soon(Phase::Ready);
    tale.wait_until("2026-11-20T18:00:00Z").soon(Phase::Suspended);
    // A weekend asleep, and on Monday it is woken for a last day.
    tale.wait_until("2026-11-23T06:30:00Z").soon(Phase::Ready);
    tale.wait_until("2026-11-23T17:46:00Z");
    assert_eq!(
        warned(&mut tale).as_deref(),
        Some("Destroy 2026-11-23T18:00:00Z NightsUnused")
    );
}

/// As history tells a deadline once, the webhook does: what moved away and is back is sent if the receiver does not have it.
#[test]
fn a_deadline_that_moved_away_and_is_back_is_sent_only_to_who_does_not_have_it() {
    for arrived in [false, true] {
        let mut tale = Tale::begin();
        warns(&mut tale);
        tale.world.policy.webhook = true;
        tale.write(row("shop")).soon(Phase::Ready);
        tale.wait_until("2026-11-20T17:50:00Z");
        assert!(warned(&mut tale).is_some());
        assert_eq!(delivery(&tale), Some(Delivery::Pending));
        let app = tale.world.id.to_string();
        tale.keep(&app, "2026-11-20T22:00:00Z", "a demo").pass();
        assert_eq!(delivery(&tale), Some(Delivery::Withdrawn));
        if arrived {
            // The attempt was under way, and its answer comes now.
            tale.world.notice = Some(Notice {
                deadline: "2026-11-20T18:00:00Z".parse().unwrap(),
                came: Delivery::Delivered,
            });
            tale.pass();
            assert_eq!(delivery(&tale), Some(Delivery::Delivered));
            tale.world.notice = None;
        }
        tale.unkeep(&app);
        assert_eq!(warned(&mut tale), None, "history has it");
        let expected = if arrived {
            Delivery::Delivered
        } else {
            Delivery::Pending
        };
        assert_eq!(delivery(&tale), Some(expected));
    }
}

#[test]
fn what_is_not_up_is_not_warned_of_nor_what_an_operator_holds() {
    let mut tale = Tale::begin();
    warns(&mut tale);
    let mut asleep = row("shop");
    asleep["desired"] = json!("Suspended");
    tale.write(asleep).pass();
    tale.wait_until("2026-11-20T17:50:00Z");
    assert_eq!(warned(&mut tale), None);
    let mut tale = Tale::begin();
    warns(&mut tale);
    tale.write(row("shop")).soon(Phase::Ready);
    tale.wait_until("2026-11-20T17:50:00Z").pause();
    assert_eq!(warned(&mut tale), None);
    tale.resume();
    assert!(
        warned(&mut tale).is_some(),
        "it is told when nothing holds it any more"
    );
}

#[test]
fn a_clock_that_goes_back_tells_nothing_twice() {
    let mut tale = Tale::begin();
    warns(&mut tale);
    tale.write(row("shop")).soon(Phase::Ready);
    tale.wait_until("2026-11-20T17:46:00Z");
    assert!(warned(&mut tale).is_some());
    tale.set_clock("2026-11-20T17:30:00Z");
    assert_eq!(warned(&mut tale), None);
    tale.set_clock("2026-11-20T17:50:00Z");
    assert_eq!(warned(&mut tale), None);
}

#[test]
fn what_became_of_a_delivery_is_noted_and_one_that_is_moot_is_withdrawn() {
    let begin = || {
        let mut tale = Tale::begin();
        warns(&mut tale);
        tale.world.policy.webhook = true;
        tale.write(row("shop")).soon(Phase::Ready);
        tale.wait_until("2026-11-20T17:45:00Z").pass();
        assert_eq!(delivery(&tale), Some(Delivery::Pending));
        tale
    };
    let notice = |deadline: &str| Notice {
        deadline: deadline.parse().unwrap(),
        came: Delivery::Delivered,
    };
    let mut tale = begin();
    tale.world.notice = Some(notice("2026-11-19T18:00:00Z"));
    tale.pass();
    assert_eq!(delivery(&tale), Some(Delivery::Pending), "of another stop");
    tale.world.notice = Some(notice("2026-11-20T18:00:00Z"));
    tale.pass();
    assert_eq!(delivery(&tale), Some(Delivery::Delivered));

    let mut tale = begin();
    tale.keep("a1", "2026-11-20T21:00:00Z", "a demo").pass();
    assert_eq!(delivery(&tale), Some(Delivery::Withdrawn));

    let mut tale = begin();
    tale.wait_until("2026-11-20T18:00:00Z")
        .until_reason("DestroyIntended");
    assert_eq!(
        delivery(&tale),
        Some(Delivery::Withdrawn),
        "it is no warning any more"
    );
}
