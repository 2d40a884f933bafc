//! An app's life with everything that may happen in it, in front of an AWS that is not ours.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::peer::{PARAMETERS, Peer, wants};
use crate::support::{Signal, get, until};

#[test]
fn drift_is_healed_and_an_app_is_suspended_resumed_repaired_and_put_out() {
    let peer = Peer::start("life");
    let config = peer.quick_example();
    peer.create_tables(&config);
    let daemon = peer.run(&config);
    let tables = peer.tables();
    tables.put_with("one", &wants("ann", "Running"), &PARAMETERS);
    let ready = tables.until("one", "Ready");
    let name = ready["resourceName"].as_str().expect("it has a name");
    let url = ready["url"].as_str().expect("what is Ready has a URL");

    // Somebody at the console.
    for count in ["3", "0"] {
        let update = [
            "ecs",
            "update-service",
            "--cluster",
            "child-apps",
            "--service",
            name,
        ];
        peer.aws(&[&update[..], &["--desired-count", count]].concat());
        peer.until_counts(name, 1);
    }

    tables.put_with("two", &wants("ann", "Running"), &PARAMETERS);
    let refused = tables.until("two", "Refused");
    assert_eq!(refused["reason"], "SlotTaken");
    let message = refused["message"].as_str().expect("a refusal says why");
    assert!(
        message.contains("\"one\"") && message.contains("delete its row"),
        "{message}"
    );
    tables.delete("two");

    tables.put_with("one", &wants("ann", "Suspended"), &PARAMETERS);
    let suspended = tables.until("one", "Suspended");
    assert!(suspended["url"].is_null(), "{suspended}");
    peer.until_counts(name, 0);
    tables.put_with("one", &wants("ann", "Running"), &PARAMETERS);
    tables.until("one", "Ready");
    peer.until_counts(name, 1);
    assert_eq!(peer.builds(), [apply()], "one build in all");

    let delete = [
        "ecs",
        "delete-service",
        "--cluster",
        "child-apps",
        "--service",
        name,
        "--force",
    ];
    peer.aws(&delete);
    until("it is made again", || {
        let seen = peer.service(name);
        if seen.status == "ACTIVE" {
            Ok(())
        } else {
            Err(seen.status)
        }
    });
    tables.until("one", "Ready");
    assert_eq!(get(url).expect("the app is reached").status, 200);
    assert_eq!(peer.builds(), [apply(), apply()]);

    tables.delete("one");
    tables.until("one", "Destroyed");
    peer.assert_nothing_is_left();
    assert!(
        peer.builds()
            .contains(&("destroy".to_owned(), "SUCCEEDED".to_owned()))
    );
    assert!(
        !daemon.program.logged().contains("ERROR"),
        "{}",
        daemon.program.logged()
    );
}

#[test]
fn what_has_expired_is_destroyed_and_its_names_go_with_its_row() {
    let peer = Peer::start("expiry");
    let config = peer.quick_example();
    peer.create_tables(&config);
    let _daemon = peer.run(&config);
    let tables = peer.tables();
    let expires = Timestamp::now() + SignedDuration::from_secs(20);
    let expires_at = expires.to_string();
    let wants = [&wants("ann", "Running")[..], &[("expiresAt", &expires_at)]].concat();
    tables.put_with("one", &wants, &PARAMETERS);

    let ready = tables.until("one", "Ready");
    assert_eq!(
        ready["nextChange"],
        json!({ "at": expires_at, "action": "Destroy", "rule": "ExpiresAt" })
    );
    let name = ready["resourceName"].as_str().expect("it has a name");
    let host = ready["hostName"].as_str().expect("it has a host name");
    let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
    let tags = [
        tag("lamplighter:instance-id", "one"),
        tag("lamplighter:host-name", host),
    ];
    assert_eq!(peer.service(name).tags, json!(tags));

    tables.until("one", "Destroyed");
    assert!(Timestamp::now() >= expires, "not before its time");
    assert_eq!(
        tables.claims(),
        [format!("host#{host}"), format!("name#{name}")],
        "the slot is free"
    );
    tables.delete("one");
    until("its names are free", || {
        let claims = tables.claims();
        if claims.is_empty() {
            Ok(())
        } else {
            Err(format!("{claims:?}"))
        }
    });
    peer.assert_nothing_is_left();
}

/// MiniStack ignores idempotency tokens, so that a repeated StartBuild makes a second build: only the gate
/// keeps the two apart.
#[test]
fn a_daemon_that_is_killed_while_it_starts_a_build_has_one_build_past_the_gate() {
    let peer = Peer::start("killed");
    let config = peer.quick_example();
    peer.create_tables(&config);
    for round in 0..4 {
        let mut daemon = peer.run(&config);
        let id = format!("round-{round}");
        peer.tables().put_with(&id, &wants(&id, "Running"), &PARAMETERS);
        until("it was decided to build", || {
            let status = peer.tables().status(&id);
            if status["phase"] == "Deploying" {
                Ok(())
            } else {
                Err(status.to_string())
            }
        });
        std::thread::sleep(std::time::Duration::from_millis(20 * round));
        daemon.program.stop(Signal::Kill);
    }
    let _daemon = peer.run(&config);
    for round in 0..4 {
        peer.tables().until(&format!("round-{round}"), "Ready");
    }
    let passed = peer
        .builds()
        .into_iter()
        .filter(|(_, ended)| ended != "FAILED")
        .collect::<Vec<_>>();
    assert_eq!(passed, [apply(), apply(), apply(), apply()]);
}

fn apply() -> (String, String) {
    ("apply".to_owned(), "SUCCEEDED".to_owned())
}
