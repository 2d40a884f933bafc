//! Bugs that only whole lives find.

use crate::found_by::fails_with;

#[test]
fn what_neither_a_seed_nor_a_plan_finds_a_whole_life_does() {
    fails_with(
        "HoldIgnored",
        "hold::when_the_table_is_emptied_nothing_is_torn_down_and_rows_that_come_back_end_the_hold",
    );
    fails_with(
        "CapacityIsFailure",
        "failure::while_codebuild_takes_no_more_builds_everybody_waits_in_line_and_it_counts_against_nobody",
    );
    fails_with(
        "HostRenamed",
        "failure::a_build_that_fails_says_where_and_why_and_is_tried_again_later",
    );
}
