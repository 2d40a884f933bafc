//! Schedules that can't mean what they say, days off from files, and who may have apps.

use std::collections::BTreeMap;
use std::path::Path;

use lamplighter::config::{Config, Overrides, load, summary};

use super::{accept, all_told, check};

/// A schedule in lines 1 to 3, and then `more` from line 4 on.
fn schedule(more: &str) -> String {
    format!("[schedules.night]\ntime_zone = \"Europe/Berlin\"\nteardown = \"0 19 * * *\"\n{more}\n")
}

fn check_schedule(cases: &[(&str, &str)]) {
    for (more, expected) in cases {
        check(&[(&schedule(more), expected)]);
    }
}

#[test]
fn a_schedule_opens_again_and_every_teardown_can_be_reached() {
    check_schedule(&[(
        "closed_for = \"24h\"",
        "4:14 schedules.night.closed_for: 1d always reaches the next teardown: it would never open = give less, or fewer times \
         of teardown",
    )]);
    let twice =
        "[schedules.night]\ntime_zone = \"Europe/Berlin\"\nteardown = \"0 19,23 * * *\"\nclosed_for = \"6h\"";
    check(&[(
        twice,
        "4:14 schedules.night.closed_for: 6h reaches the teardown of Thu 2026-01-01 23:00, which comes 4h after another: \
         nothing that may run can reach that one = give less, or leave that time out of teardown",
    )]);
    // A night of 23 hours between two boundaries is one of 24 on the wall.
    accept(&[&schedule("closed_for = \"23h59m\"")]);
}

/// coder/coder#3064: what starts apps and what stops them must not fight.
#[test]
fn a_wake_comes_while_it_is_open_and_between_two_teardowns() {
    check_schedule(&[
        (
            "action = \"suspend\"\nclosed_for = \"12h\"\nwake = \"30 6 * * *\"",
            "6:8 schedules.night.wake: comes at Thu 2026-01-01 06:30, when the schedule is closed until Thu 2026-01-01 07:00 = \
             move it to when the schedule is open, or shorten closed_for",
        ),
        (
            "action = \"suspend\"\nwake = \"0 19 * * MON\"",
            "5:8 schedules.night.wake: comes at the very time of a teardown, Mon 2026-01-05 19:00 = move it to a time between two \
             teardowns, or move teardown",
        ),
        (
            "action = \"suspend\"\nwake = \"* 7 * * *\"",
            "5:8 schedules.night.wake: \"* 7 * * *\" falls due again within 10 minutes, so that an app that was just put to sleep \
             would be woken at once = name one minute: \"0 19 * * *\" is once at 19:00, \"* 19 * * *\" is every minute from \
             19:00 to 19:59",
        ),
        (
            "action = \"suspend\"\nwake = \"0 7 30 2 *\"",
            "5:8 schedules.night.wake: \"0 7 30 2 *\" names a day that never comes = write for example \"0 19 * * 1-5\" for 19:00 \
             from Monday to Friday",
        ),
    ]);
    accept(&[&schedule(
        "action = \"suspend\"\nclosed_for = \"12h\"\nwake = \"0 7 * * *\"\nwarn_before = \"11h\"",
    )]);
}

#[test]
fn what_has_no_effect_is_a_mistake() {
    check_schedule(&[
        (
            "wake = \"0 7 * * *\"",
            "4:8 schedules.night.wake: has no effect: the schedule destroys, so nothing is left to wake = set action = \"suspend\", \
             or leave it out",
        ),
        (
            "destroy_after = 3",
            "4:17 schedules.night.destroy_after: has no effect: the schedule destroys, so nothing is left to destroy = set action \
             = \"suspend\", or leave it out",
        ),
        (
            "manual_start = \"enforce\"",
            "4:16 schedules.night.manual_start: is about requests while the schedule is closed, and it never is = give closed_for \
             or days_off, or leave it out",
        ),
        (
            "manual_start = \"stop\"",
            "4:16 schedules.night.manual_start: \"stop\" is not one of the choices = use \"until-next-stop\" or \"keep\" or \
             \"enforce\"",
        ),
        (
            "action = \"suspend\"\ndestroy_after = 0",
            "5:17 schedules.night.destroy_after: 0 is out of range = give a whole number from 1 to 400",
        ),
    ]);
    accept(&[&schedule("manual_start = \"keep\"\ndays_off = [\"2026-12-25\"]")]);
}

#[test]
fn a_warning_comes_after_the_day_has_begun() {
    check_schedule(&[
        (
            "warn_before = \"24h\"",
            "4:15 schedules.night.warn_before: 1d is not shorter than the 1d between the teardown of Fri 2026-01-02 19:00 and the \
             one before = give less than 1d",
        ),
        (
            "action = \"suspend\"\nwake = \"0 18 * * *\"\nwarn_before = \"90m\"",
            "6:15 schedules.night.warn_before: 90m is not shorter than the 1h between the wake at Thu 2026-01-01 18:00 and the next \
             teardown = give less than 1h",
        ),
    ]);
}

#[test]
fn days_off_are_dates_that_exist() {
    let remedy = "write it as 2026-12-24, or 2026-12-24..2027-01-01 with both ends in it";
    for (day, problem) in [
        ("2026-02-29", "is not a date that exists"),
        ("24.12.2026", "is not a date that exists"),
        (
            "2026-12-24..2026-12-20",
            "ends before it begins, or after more than 400 days",
        ),
    ] {
        check_schedule(&[(
            &format!("days_off = [\"{day}\"]"),
            &format!("4:13 schedules.night.days_off[0]: \"{day}\" {problem} = {remedy}"),
        )]);
    }
    check_schedule(&[(
        "days_off_file = \"https://example.com/x.ics\"",
        "4:17 schedules.night.days_off_file: \"https://example.com/x.ics\" is a URL = download it and name the file; the daemon \
         fetches nothing",
    )]);
    let missing = &super::mistakes_of(&schedule("days_off_file = \"no/such.ics\""))[0];
    assert!(
        missing.starts_with("4:17 schedules.night.days_off_file: \"no/such.ics\" cannot be read"),
        "{missing}"
    );
}

/// The path of a file starts where the configuration lies, not where the daemon was started.
#[test]
fn a_file_of_days_off_is_read_from_the_folder_of_the_configuration() {
    let folder = std::env::temp_dir().join(format!("lamplighter-days-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let calendar = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\nBEGIN:VEVENT\r\nUID:1@x\r\nSUMMARY:New year\r\n\
                    DTSTART;VALUE=DATE:20270101\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    std::fs::write(folder.join("days.ics"), calendar).expect("a file");
    let text = schedule("days_off = [\"2026-12-24..2026-12-26\"]\ndays_off_file = \"days.ics\"");
    let file = folder.join("lamplighter.toml");
    std::fs::write(&file, text).expect("a file");
    let config = load(&file, &Overrides::default(), &BTreeMap::new());
    let config = config
        .map_err(|mistakes| all_told(&mistakes))
        .expect("it is good");
    let days = &config.policy.schedules["night"].days_off;
    let days: Vec<String> = days.iter().map(ToString::to_string).collect();
    assert_eq!(days, ["2026-12-24", "2026-12-25", "2026-12-26", "2027-01-01"]);
    std::fs::write(folder.join("days.ics"), "tomorrow\n").expect("a file");
    let mistakes = load(&file, &Overrides::default(), &BTreeMap::new()).expect_err("no date");
    assert_eq!(
        all_told(&mistakes),
        [
            "5:17 schedules.night.days_off_file: \"days.ics\" has in line 1 \"tomorrow\", which is not a date that exists = write it as \
          2026-12-24, or 2026-12-24..2027-01-01 with both ends in it"
        ]
    );
    std::fs::remove_dir_all(Path::new(&folder)).expect("the folder goes");
}

fn app(more: &str) -> String {
    format!(
        "{}[apps.shop]\nproject = \"child-app\"\ncluster = \"c\"\ndomain = \"d\"\nschedule = \"night\"\n{more}\n",
        schedule("")
    )
}

#[test]
fn schedules_that_rows_may_choose_exist() {
    check(&[
        (
            &app("schedules = [\"nigth\"]"),
            "10:13 apps.shop.schedules: \"nigth\" is not a schedule = did you mean \"night\"?",
        ),
        (
            &app("schedules = [\"weekend\"]"),
            "10:13 apps.shop.schedules: \"weekend\" is not a schedule = add [schedules.weekend], or leave schedules out",
        ),
    ]);
    let choices = |more| {
        let config = Config::from_toml(&app(more)).expect("it is good");
        let entry = config.policy.catalogue.into_values().next().expect("an app");
        ["night", "other"].map(|name| entry.allows(&name.to_owned()))
    };
    assert_eq!(choices(""), [true, true]);
    assert_eq!(choices("schedules = []"), [true, false]);
}

#[test]
fn lists_of_users_name_somebody_and_nobody_twice() {
    check(&[
        (
            "[users]\nallow = []",
            "2:9 users.allow: lets nobody have an app = name those who may, or leave it out to let everybody",
        ),
        (
            "[users]\nallow = [\"ann\", \"bob\"]\ndeny = [\"bob\"]",
            "2:9 users.allow: names \"bob\", who is in deny too = keep one of the two; deny would win",
        ),
        (
            "[users]\ndeny = [\"\"]",
            "2:9 users.deny[0]: \"\" is empty = write it as rows have it in user",
        ),
    ]);
}

#[test]
fn the_summary_tells_all_of_a_schedule_and_whom_the_lists_hit() {
    let text = "[users]\ndeny = [\"ann\"]\nallow = [\"bob\", \"cid\"]\n[schedules.night]\ntime_zone = \"Europe/Berlin\"\nteardown = \"0 19 * * *\"\n\
                action = \"suspend\"\nclosed_for = \"12h\"\nwake = \"30 7 * * MON-FRI\"\ndestroy_after = 5\nwarn_before = \"30m\"\n\
                days_off = [\"2026-12-24..2026-12-26\"]\nmanual_start = \"enforce\"\n\
                [apps.shop]\nproject = \"pp\"\ncluster = \"c\"\ndomain = \"d\"\nschedule = \"night\"\nschedules = []\n";
    let told = |now: &str| {
        let config = Config::from_toml(text).expect("it is good");
        summary(&config, now.parse().expect("a time"))
    };
    let before = told("2026-12-23T20:00:00Z");
    for line in [
        "schedule   night: suspends at \"0 19 * * *\" Europe/Berlin, next Thu 2026-12-24 19:00:00 +01:00 (2026-12-24T18:00:00Z), then \
         closed for 12h, wakes at \"30 7 * * MON-FRI\" (next Mon 2026-12-28 07:30:00 +01:00), destroys after 5 nights more without a \
         request, warns 30m before, 3 days off (next 2026-12-24), who asks while it is closed waits until it opens\n",
        "note       schedule night destroys what it wakes: being woken and being visited are no requests, and after destroy_after = \
         5 without one an app is gone\n",
        "app        shop: project pp, cluster c, https://{host_name}, schedule night, of which rows have no choice\n",
        "note       users.deny names one user: whatever apps they have are destroyed at once, exempt or not\n",
        "note       users.allow names 2 users: whatever apps anybody else has are destroyed at once, exempt or not\n",
    ] {
        assert!(before.contains(line), "{line}\nis not in\n{before}");
    }
    let after = told("2027-01-04T10:00:00Z");
    assert!(
        after.contains("note       schedule night has no day off to come: the last one was 2026-12-26\n"),
        "{after}"
    );
}
