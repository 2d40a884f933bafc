//! What deciding code may not touch, and what exactly one file may.

use crate::paths::{self, Named};
use crate::tree::{Complaint, Source};

/// Words that make a decision depend on more than its arguments.
const IMPURE: [(&str, &str); 12] = [
    (
        "async",
        "a decision is made at once: let inventory read first, and decide from the view",
    ),
    (
        "await",
        "a decision is made at once: let inventory read first, and decide from the view",
    ),
    (
        "tokio",
        "a decision needs no runtime: let the controller do the waiting",
    ),
    ("HashMap", "its order differs between runs: use BTreeMap"),
    ("HashSet", "its order differs between runs: use BTreeSet"),
    ("SystemTime", "the time is an argument, `now`"),
    ("Clock", "the time is an argument, `now`"),
    ("thread_rng", "randomness is an argument, `view.entropy`"),
    ("OsRng", "randomness is an argument, `view.entropy`"),
    (
        "Mutex",
        "a decision shares nothing: return what should be remembered in the plan",
    ),
    ("env", "settings come in the Policy"),
    ("println", "a decision tells what it decided in the plan"),
];

/// What only the planner must do without: the model makes names from the entropy it is given.
const IMPURE_IN_PLANNER: [(&str, &str); 3] = [
    ("rand", "randomness is an argument, `view.entropy`"),
    ("rand_chacha", "randomness is an argument, `view.entropy`"),
    ("Instant", "the time is an argument, `now`"),
];

/// The crate backoff asks for a clock by type; the one that it is given stands still.
const CLOCK_BY_TYPE: &str = "src/model/backoff.rs";

/// What was found once of a cron expression is found faster the next time, and is the same whoever asks: a test in that
/// file says so.
const FOUND_BEFORE: &str = "src/model/cron.rs";

/// Complaints about a file of the planner or the model.
pub(crate) fn check_deciding(source: &Source) -> Vec<Complaint> {
    let in_planner = source.path.starts_with("src/planner/");
    let more: &[(&str, &str)] = if in_planner { &IMPURE_IN_PLANNER } else { &[] };
    let mut found = Vec::new();
    for token in &source.code.tokens {
        let hit = IMPURE
            .iter()
            .chain(more)
            .find(|(word, _)| *word == token.text)
            .filter(|(word, _)| !(*word == "Clock" && source.path == CLOCK_BY_TYPE))
            .filter(|(word, _)| !(*word == "Mutex" && source.path == FOUND_BEFORE));
        if let Some((word, instead)) = hit {
            found.push(source.complain(
                token.line,
                format!("`{word}` where things are decided or described: {instead}"),
            ));
        }
    }
    found
}

/// The two files that read wall time: ours, and that of the simulated cloud, which is a program of its own.
const READS_WALL_TIME: [&str; 2] = ["src/clock.rs", "simcloud/src/clock.rs"];

/// Calls that read wall time, or a clock that a test cannot stop.
const WALL_TIME: [&str; 6] = [
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "Utc::now",
    "Local::now",
    "OffsetDateTime::now_utc",
];

/// Complaints about a file that reads a clock, its tests included.
pub(crate) fn check_clock(source: &Source) -> Vec<Complaint> {
    let mut found = Vec::new();
    for named in paths::everywhere(source) {
        let text = named.text();
        let reads = WALL_TIME
            .iter()
            .any(|call| text == *call || text.ends_with(&format!("::{call}")));
        if reads && !READS_WALL_TIME.contains(&source.path.as_str()) {
            found.push(source.complain(
                named.line,
                format!("{text} outside src/clock.rs: take `now`, or an `Arc<dyn Clock>`"),
            ));
        }
        if named.is_below("std::time::Instant") && source.path != CLOCK_BY_TYPE {
            found.push(source.complain(
                named.line,
                "std's Instant cannot be paused by a test: use tokio::time::Instant",
            ));
        }
    }
    found
}

/// Complaints about a file that names the crate `backoff`.
pub(crate) fn check_backoff(source: &Source) -> Vec<Complaint> {
    if source.path == "src/model/backoff.rs" {
        return Vec::new();
    }
    let is_the_crate = |named: &&Named| named.path.len() > 1 && named.path[0] == "backoff";
    paths::everywhere(source)
        .iter()
        .filter(is_the_crate)
        .map(|named| {
            source.complain(
                named.line,
                format!(
                    "{} names the crate backoff, which is unmaintained: use model::backoff::Backoff \
                     (docs/adr/0003)",
                    named.text()
                ),
            )
        })
        .collect()
}

/// Complaints about a file outside `src/cloud/` that names the SDK, or how values become its items.
pub(crate) fn check_sdk(source: &Source) -> Vec<Complaint> {
    if source.path.starts_with("src/cloud/") {
        return Vec::new();
    }
    let is_sdk = |named: &&Named| named.path[0].starts_with("aws_") || named.path[0] == "serde_dynamo";
    paths::everywhere(source)
        .iter()
        .filter(is_sdk)
        .map(|named| {
            source.complain(
                named.line,
                format!(
                    "{} is the SDK's: keep it in src/cloud/, and speak of it in words of src/model/",
                    named.text()
                ),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Check = fn(&Source) -> Vec<Complaint>;

    fn bad(rule: Check, path: &str, code: &str, says: &str) {
        let found = rule(&Source::new(path, code));
        assert!(
            found.iter().any(|complaint| complaint.text.contains(says)),
            "{code}: {found:?}"
        );
    }

    fn good(rule: Check, path: &str, code: &str) {
        let found = rule(&Source::new(path, code));
        assert!(found.is_empty(), "{code}: {found:?}");
    }

    #[test]
    fn deciding_code_neither_waits_nor_asks_a_clock_nor_throws_dice() {
        let check: Check = check_deciding;
        bad(check, "src/planner/a.rs", "async fn f() {}", "`async`");
        bad(check, "src/planner/a.rs", "fn f() { x.await; }", "`await`");
        bad(
            check,
            "src/planner/a.rs",
            "use std::collections::HashMap;",
            "use BTreeMap",
        );
        bad(
            check,
            "src/planner/a.rs",
            "fn f() { rand::random() }",
            "view.entropy",
        );
        bad(
            check,
            "src/planner/a.rs",
            "use std::time::Instant;",
            "an argument, `now`",
        );
        bad(check, "src/model/a.rs", "use tokio::sync::Mutex;", "no runtime");
        bad(
            check,
            "src/model/a.rs",
            "fn f(c: &dyn Clock) {}",
            "an argument, `now`",
        );
        good(check, "src/model/name.rs", "use rand_chacha::ChaCha8Rng;");
        good(
            check,
            "src/planner/a.rs",
            "// never awaits: no async, no HashMap\nfn f() {}",
        );
    }

    #[test]
    fn wall_time_is_read_by_the_clocks_only() {
        let check: Check = check_clock;
        bad(
            check,
            "src/api/a.rs",
            "fn f() { Timestamp::now() }",
            "outside src/clock.rs",
        );
        bad(
            check,
            "src/api/a.rs",
            "fn f() { std::time::SystemTime::now() }",
            "outside src/clock.rs",
        );
        bad(
            check,
            "src/api/a.rs",
            "#[cfg(test)] mod tests { fn f() { jiff::Zoned::now() } }",
            "outside src/clock.rs",
        );
        bad(
            check,
            "src/api/a.rs",
            "use std::time::Instant;",
            "use tokio::time::Instant",
        );
        good(check, "src/clock.rs", "fn f() { Timestamp::now() }");
        good(check, "simcloud/src/clock.rs", "fn f() { Timestamp::now() }");
        good(
            check,
            "src/api/a.rs",
            "use tokio::time::Instant; fn f() { Instant::now() }",
        );
    }

    #[test]
    fn the_crate_backoff_stays_in_its_file() {
        let check: Check = check_backoff;
        bad(
            check,
            "src/controller/queue.rs",
            "use backoff::ExponentialBackoff;",
            "docs/adr/0003",
        );
        good(
            check,
            "src/model/backoff.rs",
            "use backoff::backoff::Backoff as _;",
        );
        good(
            check,
            "src/controller/queue.rs",
            "use crate::model::backoff::Backoff;",
        );
    }

    #[test]
    fn the_sdk_stays_at_the_edge() {
        let check: Check = check_sdk;
        bad(
            check,
            "src/executor.rs",
            "fn f(c: aws_sdk_codebuild::Client) {}",
            "is the SDK's",
        );
        bad(
            check,
            "src/model/row.rs",
            "use serde_dynamo::from_item;",
            "is the SDK's",
        );
        good(check, "src/cloud/codebuild.rs", "use aws_sdk_codebuild::Client;");
    }
}
