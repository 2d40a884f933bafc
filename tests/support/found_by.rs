//! Bugs planted in the daemon (`src/planted.rs`), and tests that fail with them. What the simulation's seeds find is
//! in `tests/simulation/planted.rs`; each other bug stands in the test binary that finds it.

use std::process::Command;

/// Runs a test of this binary twice: as the daemon is, and with the bug planted. Only the first may pass.
pub(crate) fn fails_with(bug: &str, test: &str) {
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
