//! `--data`: what is kept over a restart, a clean one or not.

use serde_json::Value;

use crate::support::{Scratch, Signal, Tables, get, until};
use crate::{Dev, REGION};

const APPS: [&str; 3] = ["demo-ann", "demo-ben", "demo-cleo"];

/// What must be the same afterwards.
fn names(tables: &Tables) -> Vec<Value> {
    APPS.iter()
        .map(|id| {
            let status = tables.until(id, "Ready");
            assert_eq!(
                get(status["url"].as_str().expect("a URL"))
                    .expect("it answers")
                    .status,
                200
            );
            status["hostName"].clone()
        })
        .collect()
}

fn check(end: Signal) {
    let scratch = Scratch::new(&format!("data-{end:?}"));
    let data = scratch.file("data");
    let data = data.to_str().expect("a path of letters");
    let arguments = ["--speed", "200", "--data", data];

    let mut dev = Dev::start(&scratch, &[&arguments[..], &["--example"]].concat());
    dev.program.prints("All three are ready.");
    let (before, builds) = (names(&dev.tables()), dev.builds());
    assert_eq!(builds.len(), 3);
    dev.program.stop(end);

    // The ports are others now, and with them the URLs; the host names are not.
    let dev = Dev::start(&scratch, &arguments);
    until("every app is looked at since the restart", || {
        let port = dev.aws.rsplit(':').next().expect("a port");
        let old = APPS
            .iter()
            .find(|id| !dev.tables().status(id)["url"].to_string().contains(port));
        old.map_or(Ok(()), |id| Err(dev.tables().status(id).to_string()))
    });
    assert_eq!(names(&dev.tables()), before);
    assert_eq!(dev.builds(), builds, "no build was needed");
    assert_eq!(
        Tables::at(&dev.aws, REGION).claims().len(),
        9,
        "a slot, a host and a name for each"
    );
    dev.ends_well(Signal::Terminate);
}

#[test]
fn apps_are_kept_over_a_restart() {
    check(Signal::Terminate);
}

#[test]
fn apps_are_kept_over_a_kill() {
    check(Signal::Kill);
}

#[test]
fn a_kill_in_the_middle_of_a_build_costs_no_app() {
    let scratch = Scratch::new("data-midway");
    let data = scratch.file("data");
    let data = data.to_str().expect("a path of letters");
    let arguments = ["--speed", "50", "--data", data];
    for (round, pause_millis) in [0, 150, 300, 600, 1000, 2000].into_iter().enumerate() {
        let id = format!("round-{round}");
        let mut dev = Dev::start(&scratch, &arguments);
        dev.tables()
            .put(&id, &[("user", &id), ("app", "notes"), ("desired", "Running")]);
        std::thread::sleep(std::time::Duration::from_millis(pause_millis));
        dev.program.stop(Signal::Kill);
    }
    let dev = Dev::start(&scratch, &arguments);
    for round in 0..6 {
        dev.tables().until(&format!("round-{round}"), "Ready");
    }
    dev.ends_well(Signal::Terminate);
}
