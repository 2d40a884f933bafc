//! Lives of apps by their schedules: nights and wakes, closed times, days off, and owners who leave.

use jiff::SignedDuration;
use lamplighter::model::name::User;
use lamplighter::model::observed::Observed;
use lamplighter::model::row::Desired;
use lamplighter::model::schedule::{Cron, Schedule};
use lamplighter::model::status::Phase;
use serde_json::{Value, json};

use crate::tale::{Tale, builds, row, tell};

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

/// A row that chooses this schedule.
fn with(schedule: &str) -> Value {
    let mut row = row("night");
    row["schedule"] = json!(schedule);
    row
}

/// The configuration is edited while apps run.
fn edit(tale: &mut Tale, name: &str, change: impl FnOnce(&mut Schedule)) {
    change(tale.world.policy.schedules.get_mut(name).unwrap());
}

/// Until when it is to be up, and nobody has stopped it.
fn next(tale: &mut Tale) -> String {
    tale.pass();
    let status = &tale.world.memory.as_ref().unwrap().status;
    let next = status.next_change.as_ref();
    next.map_or("nothing".to_owned(), |next| {
        format!("{} {} {}", next.action, next.at, next.rule)
    })
}

#[test]
fn what_the_evening_suspends_the_next_morning_that_is_no_day_off_wakes_without_a_build() {
    tell("nights", |tale| {
        edit(tale, "naps", |naps| {
            naps.days_off = ["2027-03-29".parse().unwrap()].into();
        });
        tale.note("Monday, the 29th, is a day off, and in the night before it clocks go forward");
        tale.wait_until("2027-03-26T10:00:00Z").write(with("naps"));
        tale.soon(Phase::Ready);
        tale.wait_until("2027-03-26T18:00:00Z").until(Phase::Suspended);
        tale.wait_until("2027-03-29T05:30:00Z").pass();
        tale.wait_until("2027-03-30T05:29:59Z").pass();
        tale.wait_until("2027-03-30T05:30:00Z").until(Phase::Ready);
        tale.note("a clock that goes back does not put it to sleep again");
        tale.set_clock("2027-03-30T05:00:00Z").pass();
        tale.set_clock("2027-03-30T05:40:00Z");
        tale.note("who is asleep by his own wish is not woken");
        tale.change(&json!({"desired": "Suspended", "generation": 2}))
            .soon(Phase::Suspended);
        tale.wait_until("2027-03-31T06:00:00Z").pass();
        let text = builds(&tale.world);
        tale.note(&text);
        assert_eq!(tale.world.service().desired, 0);
    });
}

/// aws-solutions/instance-scheduler-on-aws#122, #225: started by hand in the evening, and up all night or stopped at once.
#[test]
fn who_asks_at_night_is_up_until_the_next_stop_or_the_one_after_or_waits_for_the_morning() {
    tell("asked_at_night", |tale| {
        tale.wait_until("2026-11-23T20:00:00Z").write(with("naps"));
        tale.soon(Phase::Ready);
        assert_eq!(next(tale), "Suspend 2026-11-24T18:00:00Z Curfew");
    });
    tell("kept", |tale| {
        tale.wait_until("2026-11-23T20:00:00Z").write(with("kept"));
        tale.soon(Phase::Ready);
        assert_eq!(next(tale), "Suspend 2026-11-25T18:00:00Z Curfew");
        tale.wait_until("2026-11-24T18:00:00Z").pass();
        tale.wait_until("2026-11-25T18:00:00Z").until(Phase::Suspended);
        assert_eq!(next(tale), "Resume 2026-11-26T06:30:00Z Wake");
        tale.note("asked for while it is open, the next stop counts");
        tale.wait_until("2026-11-26T10:00:00Z")
            .change(&json!({"generation": 2}))
            .soon(Phase::Ready);
        assert_eq!(next(tale), "Suspend 2026-11-26T18:00:00Z Curfew");
    });
    tell("enforced", |tale| {
        tale.wait_until("2026-11-23T20:00:00Z")
            .write(with("guarded"))
            .pass();
        assert_eq!(next(tale), "Start 2026-11-24T06:00:00Z Closed");
        tale.note("an exemption lets it in, and out again when it ends");
        tale.change(&json!({"keepUntil": "2026-11-23T22:00:00Z"}))
            .soon(Phase::Ready);
        assert_eq!(next(tale), "Suspend 2026-11-23T22:00:00Z KeepUntil");
        tale.wait_until("2026-11-23T22:00:00Z").until(Phase::Suspended);
        tale.wait_until("2026-11-24T06:00:00Z").until(Phase::Ready);
        tale.note("once it is let in, neither the clock nor the configuration puts it out");
        tale.set_clock("2026-11-24T05:59:00Z").pass();
        edit(tale, "guarded", |guarded| guarded.closed_for = Some(hours(15)));
        tale.set_clock("2026-11-24T06:30:00Z").pass();
        assert_eq!(next(tale), "Suspend 2026-11-24T18:00:00Z Curfew");
    });
    tell("enforced_and_destroyed", |tale| {
        let mut asked = row("shop");
        asked["schedule"] = json!("strict");
        tale.write(asked).soon(Phase::Ready);
        tale.wait_until("2026-11-20T18:00:00Z").soon(Phase::Destroyed);
        tale.wait_until("2026-11-20T20:00:00Z")
            .change(&json!({"generation": 2}))
            .until_reason("Closed");
        tale.wait_until("2026-11-21T06:00:00Z").soon(Phase::Ready);
    });
}

#[test]
fn what_nobody_asks_for_through_so_many_nights_is_destroyed() {
    tell("nights_unused", |tale| {
        tale.wait_until("2026-11-23T10:00:00Z").write(with("brief"));
        tale.soon(Phase::Ready);
        tale.wait_until("2026-11-23T18:00:00Z").soon(Phase::Suspended);
        tale.wait_until("2026-11-24T06:30:00Z").soon(Phase::Ready);
        tale.note("being woken is no use of it; a request is");
        tale.wait_until("2026-11-24T10:00:00Z")
            .change(&json!({"generation": 2}))
            .soon(Phase::Ready);
        tale.wait_until("2026-11-24T18:00:00Z").soon(Phase::Suspended);
        tale.wait_until("2026-11-25T18:00:00Z").soon(Phase::Suspended);
        tale.wait_until("2026-11-26T17:59:59Z").pass();
        tale.wait_until("2026-11-26T18:00:00Z").until(Phase::Destroyed);
        tale.note("and it is not woken again");
        tale.wait_until("2026-11-27T06:30:00Z").pass();
    });
}

/// Who is exempt for a week is suspended after it, and not destroyed.
#[test]
fn nights_in_which_an_exemption_holds_do_not_count() {
    let brief = |keep_until: &str| {
        let mut tale = Tale::begin();
        let mut kept = with("brief");
        kept["keepUntil"] = json!(keep_until);
        tale.world.policy.keep_max = hours(24 * 14);
        tale.wait_until("2026-11-23T10:00:00Z")
            .write(kept)
            .soon(Phase::Ready);
        tale
    };
    let mut tale = brief("2026-11-30T12:00:00Z");
    tale.wait_until("2026-11-30T11:00:00Z").soon(Phase::Ready);
    // It holds beyond the wake of that Monday, which gives a whole day; the second boundary after that one destroys.
    assert_eq!(next(&mut tale), "Suspend 2026-11-30T18:00:00Z Curfew");
    tale.wait_until("2026-11-30T18:00:00Z").soon(Phase::Suspended);
    tale.note("the row does not say it any more");
    tale.change(&json!({"keepUntil": null})).soon(Phase::Suspended);
    tale.wait_until("2026-12-01T18:00:00Z").soon(Phase::Suspended);
    tale.wait_until("2026-12-02T06:30:00Z").soon(Phase::Ready);
    assert_eq!(next(&mut tale), "Destroy 2026-12-02T18:00:00Z NightsUnused");
    tale.wait_until("2026-12-02T18:00:00Z").soon(Phase::Destroyed);

    // One that is ended early counts until then. Without a request, since those count themselves.
    let mut tale = brief("2026-11-29T12:00:00Z");
    tale.wait_until("2026-11-25T12:00:00Z")
        .change(&json!({"keepUntil": null}))
        .soon(Phase::Ready);
    assert_eq!(next(&mut tale), "Suspend 2026-11-25T18:00:00Z Curfew");
    tale.wait_until("2026-11-25T18:00:00Z").soon(Phase::Suspended);
    tale.wait_until("2026-11-26T18:00:00Z").soon(Phase::Suspended);
    tale.wait_until("2026-11-27T07:00:00Z").soon(Phase::Ready);
    assert_eq!(next(&mut tale), "Destroy 2026-11-27T18:00:00Z NightsUnused");

    // One that was given through the API, and of which the ledger says nothing any more.
    let mut tale = Tale::begin();
    tale.wait_until("2026-11-23T10:00:00Z")
        .write(with("brief"))
        .soon(Phase::Ready);
    let app = tale.world.id.to_string();
    tale.keep(&app, "2026-11-25T20:00:00Z", "a demo")
        .soon(Phase::Ready);
    tale.wait_until("2026-11-25T20:00:00Z").soon(Phase::Suspended);
    tale.world.keeps = Observed::Absent;
    tale.wait_until("2026-11-27T17:00:00Z").soon(Phase::Ready);
    assert_eq!(next(&mut tale), "Suspend 2026-11-27T18:00:00Z Curfew");
}

/// What suspends an app and what destroys it later are one absence, which began with the first of them.
#[test]
fn stops_that_follow_each_other_are_one_absence_and_a_wake_ends_it() {
    let mut tale = Tale::begin();
    let away = |tale: &Tale| {
        let stop = tale.world.memory.as_ref().unwrap().stop.clone().unwrap();
        (
            stop.rule,
            stop.due.to_string(),
            stop.away_since.map(|at| at.to_string()),
        )
    };
    let is = |rule: &str, due: &str, since: Option<&str>| {
        (rule.to_owned(), due.to_owned(), since.map(str::to_owned))
    };
    // On a Friday, so that two boundaries come before the next wake.
    edit(&mut tale, "brief", |brief| brief.destroy_after = Some(1));
    tale.wait_until("2026-11-27T10:00:00Z")
        .write(with("brief"))
        .soon(Phase::Ready);
    tale.wait_until("2026-11-27T18:00:00Z").soon(Phase::Suspended);
    assert_eq!(away(&tale), is("Curfew", "2026-11-27T18:00:00Z", None));
    tale.wait_until("2026-11-28T18:00:00Z").soon(Phase::Destroyed);
    assert_eq!(
        away(&tale),
        is(
            "NightsUnused",
            "2026-11-28T18:00:00Z",
            Some("2026-11-27T18:00:00Z")
        )
    );
    // Woken in between, the second is an absence of its own.
    tale.change(&json!({"generation": 2, "requestedAt": "2026-11-29T10:00:00Z"}));
    tale.wait_until("2026-11-29T10:00:00Z").soon(Phase::Ready);
    tale.wait_until("2026-11-29T18:00:00Z").soon(Phase::Suspended);
    tale.wait_until("2026-11-30T06:30:00Z").soon(Phase::Ready);
    tale.wait_until("2026-11-30T18:00:00Z").soon(Phase::Destroyed);
    assert_eq!(away(&tale), is("NightsUnused", "2026-11-30T18:00:00Z", None));
}

/// coder/coder#10597, #13790: the apps of somebody who has left stop, and do not start again.
#[test]
fn the_apps_of_an_owner_who_has_left_are_destroyed_and_not_started() {
    tell("owner_left", |tale| {
        let mut kept = row("shop");
        kept["keepUntil"] = json!("2026-11-22T18:00:00Z");
        tale.write(kept).soon(Phase::Ready);
        tale.note("the row is wrong otherwise, and is believed in this");
        tale.change(&json!({"ownerActive": false, "colour": "red"}))
            .until(Phase::Refused);
        tale.change(&json!({"colour": null, "generation": 2})).pass();
        tale.note("back again, it takes a new request");
        tale.change(&json!({"ownerActive": true})).pass();
        tale.change(&json!({"generation": 3})).soon(Phase::Ready);
    });
    tell("owner_denied", |tale| {
        tale.write(row("night")).soon(Phase::Ready);
        tale.note("the configuration denies ann");
        tale.world.policy.users.deny = [User::parse("ann").unwrap()].into();
        tale.until(Phase::Refused);
        tale.note("the configuration allows only bob");
        tale.world.policy.users.deny.clear();
        tale.world.policy.users.allow = Some([User::parse("bob").unwrap()].into());
        tale.change(&json!({"generation": 2})).pass();
        tale.note("a row that asks for nothing is not refused");
        tale.change(&json!({"desired": "Destroyed", "generation": 3}))
            .pass();
        tale.note("the configuration allows everybody");
        tale.world.policy.users.allow = None;
        tale.change(&json!({"desired": "Running", "generation": 4}))
            .soon(Phase::Ready);
    });
}

#[test]
fn a_row_chooses_among_the_schedules_that_its_app_may_have() {
    tell("another_schedule", |tale| {
        let mut asked = row("only");
        asked["schedule"] = json!("naps");
        tale.write(asked).pass();
        tale.change(&json!({"schedule": "nap s"})).pass();
        tale.change(&json!({"schedule": "late"})).soon(Phase::Ready);
        assert_eq!(next(tale), "Destroy 2026-11-20T21:00:00Z Curfew");
        tale.note("the configuration has it no more: the usual one counts, and the row is told");
        tale.world.policy.schedules.remove("late");
        tale.pass();
        tale.wait_until("2026-11-20T18:00:00Z").until(Phase::Destroyed);
        tale.change(&json!({"schedule": null})).soon(Phase::Ready);
    });
}

/// coder/coder#9775, #11455, #5146: an edited schedule reaches what runs.
#[test]
fn an_edited_schedule_reaches_what_runs_at_once() {
    tell("edited", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        assert_eq!(next(tale), "Destroy 2026-11-20T18:00:00Z Curfew");
        edit(tale, "office", |office| {
            office.teardown = Cron::parse("0 17 * * *").unwrap();
        });
        tale.note("the day ends at 17:00 now");
        assert_eq!(next(tale), "Destroy 2026-11-20T16:00:00Z Curfew");
        tale.note("and at 11:30, half an hour ago by then");
        tale.wait_until("2026-11-20T11:00:00Z");
        edit(tale, "office", |office| {
            office.teardown = Cron::parse("30 11 * * *").unwrap();
        });
        tale.until_reason("DestroyIntended");
    });
}

#[test]
fn a_sleeper_wakes_by_the_schedule_as_it_is_now() {
    let mut tale = Tale::begin();
    tale.wait_until("2026-11-23T10:00:00Z")
        .write(with("naps"))
        .soon(Phase::Ready);
    tale.wait_until("2026-11-23T18:00:00Z").soon(Phase::Suspended);
    assert_eq!(next(&mut tale), "Resume 2026-11-24T06:30:00Z Wake");
    // Its days end on Fridays only from now on: it is asleep all the same, and is woken all the same.
    edit(&mut tale, "naps", |naps| {
        naps.teardown = Cron::parse("0 19 * * FRI").unwrap();
    });
    assert_eq!(next(&mut tale), "Resume 2026-11-24T06:30:00Z Wake");
    tale.wait_until("2026-11-24T06:30:00Z").soon(Phase::Ready);
    assert_eq!(next(&mut tale), "Suspend 2026-11-27T18:00:00Z Curfew");
    // Without a wake in the schedule it stays up, since its day has begun.
    edit(&mut tale, "naps", |naps| naps.wake = None);
    assert_eq!(next(&mut tale), "Suspend 2026-11-27T18:00:00Z Curfew");
}

#[test]
fn an_exemption_beyond_a_wake_gives_a_whole_day() {
    let mut tale = Tale::begin();
    let mut kept = with("naps");
    kept["keepUntil"] = json!("2026-11-24T11:00:00Z");
    tale.wait_until("2026-11-23T10:00:00Z")
        .write(kept)
        .soon(Phase::Ready);
    assert_eq!(next(&mut tale), "Suspend 2026-11-24T18:00:00Z Curfew");
    tale.wait_until("2026-11-24T11:00:01Z");
    assert_eq!(next(&mut tale), "Suspend 2026-11-24T18:00:00Z Curfew");
}

/// What a clock far in the future has written down does not keep an app up for years.
#[test]
fn a_clock_that_was_years_ahead_is_not_believed_once_it_is_right() {
    let mut tale = Tale::begin();
    tale.wait_until("2026-11-23T10:00:00Z")
        .write(with("naps"))
        .soon(Phase::Ready);
    tale.set_clock("2030-01-02T10:00:00Z").soon(Phase::Ready);
    tale.set_clock("2026-11-23T11:00:00Z");
    assert_eq!(next(&mut tale), "Suspend 2026-11-23T18:00:00Z Curfew");
    tale.wait_until("2026-11-23T18:00:00Z").soon(Phase::Suspended);
}

#[test]
fn a_zone_that_left_the_database_leaves_the_day_to_the_schedules_and_says_so() {
    let mut tale = Tale::begin();
    tale.write(row("shop")).soon(Phase::Ready);
    let memory = tale.world.memory.as_mut().unwrap();
    memory.accepted.as_mut().unwrap().time_zone = Some("Mars/Olympus".to_owned());
    tale.change(&json!({"timeZone": "Mars/Olympus"}));
    assert_eq!(next(&mut tale), "Destroy 2026-11-20T18:00:00Z Curfew");
    let status = &tale.world.memory.as_ref().unwrap().status;
    let told = status.conditions.iter().find(|told| told.reason == "InvalidRow");
    assert_eq!(
        told.unwrap().message,
        "timeZone \"Mars/Olympus\" is not a known time zone: use an IANA name such as Europe/Berlin; what was accepted \
         before stays in force; Zone \"Mars/Olympus\" is not known any more, so the day ends by Europe/Berlin, the zone \
         of schedule office."
    );
}

/// cloud-custodian/cloud-custodian#1074: a tick that nobody ran is no day that is missed, and none that is lived twice.
#[test]
fn nights_that_nobody_saw_are_reckoned_as_if_somebody_had() {
    for (back_at, then) in [
        ("2026-11-24T05:00:00Z", "Resume 2026-11-24T06:30:00Z Wake"),
        ("2026-11-24T06:30:00Z", "Suspend 2026-11-24T18:00:00Z Curfew"),
        ("2026-11-24T19:00:00Z", "Resume 2026-11-25T06:30:00Z Wake"),
        // A weekend, and the day before it.
        ("2026-11-28T12:00:00Z", "Resume 2026-11-30T06:30:00Z Wake"),
    ] {
        let mut tale = Tale::begin();
        tale.wait_until("2026-11-23T10:00:00Z")
            .write(with("naps"))
            .soon(Phase::Ready);
        tale.wait_until(back_at);
        assert_eq!(next(&mut tale), then, "{back_at}");
        let text = builds(&tale.world);
        assert!(text.starts_with("1 deploy builds and 0 destroy"), "{text}");
    }
}

#[test]
fn a_leap_day_and_the_end_of_a_year_are_days_like_any_other() {
    for (asked, end, woken) in [
        (
            "2028-02-29T10:00:00Z",
            "2028-02-29T18:00:00Z",
            "2028-03-01T06:30:00Z",
        ),
        (
            "2026-12-31T10:00:00Z",
            "2026-12-31T18:00:00Z",
            "2027-01-01T06:30:00Z",
        ),
    ] {
        let mut tale = Tale::begin();
        tale.wait_until(asked).write(with("naps")).soon(Phase::Ready);
        assert_eq!(next(&mut tale), format!("Suspend {end} Curfew"));
        tale.wait_until(end).soon(Phase::Suspended);
        assert_eq!(next(&mut tale), format!("Resume {woken} Wake"));
    }
}

/// An app across the date line and one with a quarter of an hour end their days by their own clocks.
#[test]
fn a_row_brings_its_own_zone() {
    for (zone, end) in [
        ("Pacific/Kiritimati", "2026-11-21T05:00:00Z"),
        ("Asia/Kathmandu", "2026-11-20T13:15:00Z"),
        ("Pacific/Marquesas", "2026-11-21T04:30:00Z"),
    ] {
        let mut tale = Tale::begin();
        let mut asked = row("shop");
        asked["timeZone"] = json!(zone);
        tale.write(asked).soon(Phase::Ready);
        assert_eq!(next(&mut tale), format!("Destroy {end} Curfew"), "{zone}");
    }
}

#[test]
fn a_record_of_before_rows_could_choose_reads_the_same() {
    let mut tale = Tale::begin();
    tale.write(row("shop")).soon(Phase::Ready);
    let memory = tale.world.memory.as_ref().unwrap();
    let text = serde_json::to_string(memory).unwrap();
    for new in ["ownSchedule", "wokenAt", "ownerActive"] {
        assert!(!text.contains(new), "{new} in {text}");
    }
    assert_eq!(memory.accepted.as_ref().unwrap().desired, Desired::Running);
}
