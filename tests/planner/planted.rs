//! Bugs planted in the planner (`src/planted.rs`) that the simulation can't see, because some other guard keeps them
//! harmless there: each is found by a plan that was reviewed. All others: `tests/simulation/planted.rs`.

use std::process::Command;

/// The bug, and a test that fails with it.
const FOUND_BY: [(&str, &str); 0] = [];

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
