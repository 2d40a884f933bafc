//! Bugs that the simulation can't see, because some other guard keeps them harmless there: each is found by a plan
//! that was reviewed.

use crate::found_by::fails_with;

/// The bug, and a test that fails with it.
const FOUND_BY: [(&str, &str); 14] = [
    (
        "TokenExpiryIgnored",
        "tales::answers_that_are_lost_and_calls_that_come_late_start_one_build",
    ),
    (
        "DrainingIgnored",
        "tales::a_change_of_mind_behind_the_gate_waits_for_the_build",
    ),
    (
        "AbsenceBelievedAtOnce",
        "tales::a_change_of_mind_behind_the_gate_waits_for_the_build",
    ),
    ("BackoffForgotten", "tales::builds_that_misbehave_are_found_out"),
    (
        "FutureBelieved",
        "tales::a_request_dated_in_the_future_does_not_dodge_the_end_of_the_day",
    ),
    (
        "StopUndone",
        "tales::a_daemon_that_was_down_at_the_boundary_does_it_on_return",
    ),
    (
        "DeletionUnconfirmed",
        "tales::a_row_that_is_gone_is_confirmed_first",
    ),
    (
        "RefusalForgotten",
        "tales::what_belongs_to_others_is_refused_with_its_holder_and_the_ways_out",
    ),
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
        "ExemptNightsCounted",
        "days::nights_in_which_an_exemption_holds_do_not_count",
    ),
    (
        "OwnerIgnored",
        "days::the_apps_of_an_owner_who_has_left_are_destroyed_and_not_started",
    ),
];

#[test]
fn what_no_seed_finds_a_reviewed_plan_does() {
    for (bug, test) in FOUND_BY {
        fails_with(bug, test);
    }
}
