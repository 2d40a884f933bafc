//! What Prometheus's own linter says of what it scrapes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::observed::{Dev, debian};
use crate::support::{Scratch, get};

#[track_caller]
fn linted(metrics: &str) -> (bool, String) {
    let mut command = Command::new(debian("promtool", "prometheus"));
    command.args(["check", "metrics"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool starts");
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(metrics.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn prometheus_has_nothing_to_say_against_the_metrics() {
    let scratch = Scratch::new("metrics");
    let dev = Dev::start(&scratch);
    let metrics = get(&format!("{}/metrics", dev.admin)).expect("it answers").body;
    assert!(metrics.lines().count() > 500, "{metrics}");
    assert_eq!(linted(&metrics), (true, String::new()));
    // The linter can say no.
    let (well, said) = linted(&metrics.replace("lamplighter_panics_total", "lamplighter_panics"));
    assert!(!well && said.contains("lamplighter_panics"), "{said}");
}
