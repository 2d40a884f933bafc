//! The example configuration that operators start from, with its own intervals.

use std::time::Duration;

use crate::peer::{PARAMETERS, Peer, wants};
use crate::support::{Signal, get};

#[test]
fn with_the_shipped_example_a_row_becomes_ready_and_after_its_deletion_nothing_is_left() {
    let peer = Peer::start("shipped");
    let config = peer.example();
    peer.create_tables(&config);
    let mut daemon = peer.run(&config);
    let tables = peer.tables();
    // The example has tokens; nobody holds one.
    assert_eq!(
        get(&format!("{}/api/v1/apps", daemon.public))
            .expect("it answers")
            .status,
        401
    );

    tables.put_with("one", &wants("ann", "Running"), &PARAMETERS);
    let status = tables.until("one", "Ready");
    let url = status["url"].as_str().expect("what is Ready has a URL");
    assert_eq!(get(url).expect("the app is reached").status, 200);
    assert_eq!(
        tables.claims().len(),
        3,
        "a slot, a host and a name: {:?}",
        tables.claims()
    );

    tables.delete("one");
    // An absence is believed after a minute, and a sweep, which comes once in a minute, has to agree.
    tables.until_within(Duration::from_mins(4), "one", "Destroyed");
    peer.assert_nothing_is_left();
    let metrics = get(&format!("{}/metrics", daemon.admin))
        .expect("it answers")
        .body;
    assert!(metrics.contains("lamplighter_"), "{metrics}");
    let (ended, _) = daemon.program.stop(Signal::Terminate);
    assert_eq!(ended.code(), Some(0), "{}", daemon.program.logged());
    assert_sober(&daemon.program.logged());
    // They expire after 30 days: a late build must find them taken, not missing.
    let gates = tables.gates();
    assert!(gates.len() == 2 && gates.iter().all(Option::is_some), "{gates:?}");
}

/// Each line is an object with a time, a level and a message; nothing went wrong on the way.
fn assert_sober(logged: &str) {
    for line in logged.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line is an object");
        assert_eq!(line["level"], "INFO", "{line}");
        assert!(
            line["timestamp"].is_string() && line["message"].is_string(),
            "{line}"
        );
    }
    let lines = logged.lines().count();
    assert!(lines <= 20, "{lines} lines for the life of one app:\n{logged}");
}
