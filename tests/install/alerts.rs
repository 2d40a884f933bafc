//! Alerts: what Prometheus's own tools say of the rules, that each is tested for firing and for silence, and the whole
//! way from a scrape to a message.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use jiff::SignedDuration;
use lamplighter::model::name::Entropy;
use lamplighter::model::policy::Timing;
use serde_json::Value;

use crate::observed::{Dev, Prometheus, debian, free_port, outcome};
use crate::support::{Program, Scratch, get, repository, tool, until};

const RULES: &str = include_str!("../../deploy/alerts/rules.yaml");

fn promtool(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(debian("promtool", "prometheus"));
    outcome(
        command
            .args(arguments)
            .current_dir(repository().join("deploy/alerts")),
    )
}

#[test]
fn prometheus_has_nothing_to_say_against_the_rules() {
    let arguments = ["check", "rules", "--lint=all", "--lint-fatal"];
    let (well, said) = promtool(&[&arguments[..], &["rules.yaml"]].concat());
    assert!(well && said.contains("SUCCESS: 38 rules found"), "{said}");

    let scratch = Scratch::new("rules");
    let wrong = scratch.write("rules.yaml", &RULES.replace("sum by (", "summ by ("));
    let (well, said) = promtool(&["check", "rules", wrong.to_str().expect("a path of letters")]);
    assert!(!well, "{said}");
}

/// Each alert is changed in three ways: it never fires, fires without waiting, fires for every daemon. Each time a test
/// has to fail; how, is in the script.
#[test]
fn every_alert_is_tested_for_firing_and_for_silence() {
    let tests: Vec<String> = std::fs::read_dir(repository().join("deploy/alerts/tests"))
        .expect("there are tests")
        .map(|entry| {
            let path = entry.expect("a folder can be read").path();
            path.to_str().expect("a path of letters").to_owned()
        })
        .collect();
    let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
    let (well, said) = promtool(&[&["test", "rules"], &tests[..]].concat());
    assert!(well && said.matches("SUCCESS").count() == tests.len(), "{said}");

    let scratch = Scratch::new("mutants");
    std::fs::create_dir_all(scratch.file("work")).expect("a folder is made");
    let mut python = Command::new(tool("python"));
    python.arg(repository().join("tests/install/alert_mutants.py"));
    python.arg(debian("promtool", "prometheus"));
    python
        .arg(repository().join("deploy/alerts"))
        .arg(scratch.file("work"));
    let (well, said) = outcome(&mut python);
    assert!(well, "{said}");
    let expected = format!("of {} alerts", crate::runbooks::alerts().len());
    assert!(
        said.contains(&expected) && said.ends_with(" 0 survived\n"),
        "{said}"
    );
}

/// The minutes at which destroys of one app end that all fail, as the daemon repeats them by default: each takes so long,
/// and the next one begins after the longest delay that jitter makes.
fn failures(build: SignedDuration, until: usize) -> Vec<usize> {
    let retry = Timing::DEFAULT.destroy_retry;
    let mut at = SignedDuration::ZERO;
    let mut minutes = Vec::new();
    for failed in 0.. {
        at += retry.delay(failed, Entropy([255; 16])) + build;
        let minute = usize::try_from(at.as_mins()).expect("time goes on") + 1;
        if minute > until {
            break;
        }
        minutes.push(minute);
    }
    minutes
}

/// However long a build takes, up to the half hour that rules are written for: told at the third failure, and for as long
/// as it goes on.
#[test]
fn destroys_of_one_app_that_fail_for_ever_are_told_for_ever() {
    const DAY: usize = 24 * 60;
    const LABELS: &str = "namespace=\"prod\", job=\"lamplighter\", instance=\"a\"";
    let scratch = Scratch::new("destroys");
    let rules = scratch.write("rules.yaml", RULES).display().to_string();
    for build in [1, 5, 30].map(SignedDuration::from_mins) {
        let failed = failures(build, DAY);
        let counted = |minute: usize| failed.iter().filter(|at| **at <= minute).count();
        let values: Vec<String> = (0..=DAY).map(|minute| counted(minute).to_string()).collect();
        let mut test = format!(
            "rule_files: ['{rules}']\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      \
             - series: 'lamplighter_build_duration_seconds_count{{kind=\"destroy\", outcome=\"failed\", {LABELS}}}'\n        \
             values: '{}'\n    promql_expr_test:\n",
            values.join(" ")
        );
        let third = failed[2];
        let told = (third + 2..DAY).step_by(7).map(|minute| (minute, true));
        for (minute, fires) in [(failed[1] + 1, false), (third - 1, false)]
            .into_iter()
            .chain(told)
        {
            let expected = if fires { "{labels: '{}', value: 1}" } else { "" };
            let _ = writeln!(
                test,
                "      - {{eval_time: {minute}m, expr: 'count(ALERTS{{alertname=\"LamplighterDestroysFailing\", \
                 alertstate=\"firing\"}})', exp_samples: [{expected}]}}"
            );
        }
        let file = scratch.write("test.yaml", &test);
        let (well, said) = promtool(&["test", "rules", file.to_str().expect("a path of letters")]);
        assert!(
            well && said.contains("SUCCESS"),
            "builds of {build}, {failed:?}: {said}"
        );
    }
}

/// Receives what Alertmanager sends, one message at a time.
fn receiver() -> (u16, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(connection) = connection else { break };
            let mut reader = BufReader::new(connection);
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                let lower = line.to_ascii_lowercase();
                if let Some(text) = lower.strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap_or(0);
                }
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = reader.get_mut().write_all(answer);
            if let Ok(message) = serde_json::from_slice(&body)
                && send.send(message).is_err()
            {
                break;
            }
        }
    });
    (port, receive)
}

/// Starts an Alertmanager that sends everything to this port at once; gives its address.
fn alertmanager(scratch: &Scratch, port: u16) -> (Program, String) {
    let config = format!(
        "route: {{receiver: test, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
         receivers:\n  - name: test\n    webhook_configs:\n      - {{url: 'http://127.0.0.1:{port}/', send_resolved: true}}\n"
    );
    let config = scratch.write("alertmanager.yaml", &config);
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(debian("prometheus-alertmanager", "prometheus-alertmanager"));
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.path={}", scratch.file("alerts").display()));
    command.arg(format!("--web.listen-address={address}"));
    // Alone: nobody is to be found, and no other port is opened.
    command.args(["--cluster.listen-address=", "--log.level=warn"]);
    let mut program = Program::start(scratch, "alertmanager", &mut command);
    until("Alertmanager is ready", || {
        program.assert_runs();
        get(&format!("http://{address}/-/ready")).map(drop)
    });
    (program, address)
}

/// The first message that tells this of this alert.
#[track_caller]
fn told(messages: &mpsc::Receiver<Value>, status: &str, alert: &str) -> Value {
    loop {
        let message = messages.recv_timeout(Duration::from_secs(30));
        let message = message.unwrap_or_else(|_| panic!("no message that {alert} is {status}"));
        for one in message["alerts"].as_array().expect("a message has alerts") {
            if one["status"] == status && one["labels"]["alertname"] == alert {
                return one.clone();
            }
        }
    }
}

/// The shipped rules, save that nothing is waited for.
fn impatient() -> String {
    let line = |line: &str| match line.strip_prefix("        for: ") {
        Some(_) => "        for: 1s\n".to_owned(),
        None => format!("{line}\n"),
    };
    RULES.lines().map(line).collect()
}

#[test]
fn an_alert_goes_all_the_way_from_a_scrape_to_a_message_and_so_does_its_end() {
    let scratch = Scratch::new("alerts");
    let (port, messages) = receiver();
    let (_alertmanager, address) = alertmanager(&scratch, port);
    let rules = scratch.write("rules.yaml", &impatient());
    let dev = Dev::start(&scratch);
    let more = format!(
        "rule_files: ['{}']\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['{address}']}}]}}]}}\n",
        rules.display()
    );
    let _prometheus = Prometheus::start(&scratch, &dev.admin, &more);

    dev.cli(&["pause", "--reason", "a test"]);
    let alert = told(&messages, "firing", "LamplighterFleetPaused");
    assert_eq!(alert["labels"]["severity"], "warning");
    assert_eq!(alert["labels"]["job"], "lamplighter");
    let annotation = |name: &str| alert["annotations"][name].as_str().expect("it is told");
    assert!(annotation("runbook_url").ends_with("/runbooks/fleet-paused.md"));
    assert!(
        annotation("description").contains("/lamplighter is paused"),
        "{alert}"
    );
    dev.cli(&["resume"]);
    told(&messages, "resolved", "LamplighterFleetPaused");
}
