//! Bugs planted in the planner (`src/planted.rs`) that the simulation can't see, because some other guard keeps them
//! harmless there: each is found by a plan that was reviewed. All others: `tests/simulation/planted.rs`.

use std::process::Command;

/// The bug, and a test that fails with it.
const FOUND_BY: [(&str, &str); 5] = [
    (
        "WakeIgnored",
        "days::what_the_evening_suspends_the_next_morning_that_is_no_day_off_wakes_without_a_build",
    ),
    (
        "DaysOffIgnored",
        "days::what_the_evening_suspends_the_next_morning_that_is_no_day_off_wakes_without_a_build",
    ),
    (
        "ClosingIgnored",
        "days::who_asks_at_night_is_up_until_the_next_stop_or_the_one_after_or_waits_for_the_morning",
    ),
    (
        "NightsNotCounted",
        "days::what_nobody_asks_for_through_so_many_nights_is_destroyed",
    ),
    (
        "OwnerIgnored",
        "days::the_apps_of_an_owner_who_has_left_are_destroyed_and_not_started",
    ),
];

#[test]
fn what_no_seed_finds_a_reviewed_plan_does() {
    for (bug, test) in FOUND_BY {
        for (planted, passes) in [(None, true), (Some(bug), false)] {
            let mut run = Command::new(std::env::current_exe().unwrap());
            run.args(["--exact", test]).env("INSTA_UPDATE", "no");
            run.env_remove("PLANTED_BUG");
            run.envs(planted.map(|bug| ("PLANTED_BUG", bug)));
            let answer = run.output().unwrap();
            let said = String::from_utf8_lossy(&answer.stdout);
            assert!(said.contains("running 1 test"), "there is no test {test}");
            assert_eq!(
                answer.status.success(),
                passes,
                "{test} with {planted:?} planted: {said}"
            );
        }
    }
}
