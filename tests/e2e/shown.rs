//! What docs/time.md and docs/webhooks.md show of an app's days: a real daemon is asked, on a clock that the test puts
//! forward, and the documents say the same but for seconds and made-up names.

use clap::Parser as _;
use lamplighter::client::{Client, run};
use lamplighter::model::status::Phase;
use serde_json::Value;

use crate::documented::{documented_but_for, root};
use crate::lab::{Lab, Setup, wants};
use crate::warn::{Receiver, hears, watch};

const DESK: &str = r#"
[schedules.desk]
time_zone = "Europe/Berlin"
teardown = "0 19 * * *"
action = "suspend"
closed_for = "12h"
wake = "30 7 * * MON-FRI"
destroy_after = 5
warn_before = "30m"
"#;

#[derive(clap::Parser)]
struct Cli {
    #[command(subcommand)]
    client: Client,
}

/// What a command line prints.
async fn typed(lab: &Lab, line: &[&str]) -> String {
    let server = lab.api();
    let to = ["--server", server.as_str()];
    let words = line.iter().chain(&to);
    let Cli { client } = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
    let mut out = Vec::new();
    run(client.command, &client.options, &mut out).await.unwrap();
    let (_, port) = lab.url.rsplit_once(':').unwrap();
    String::from_utf8(out).unwrap().replace(port, "8080")
}

/// Compares what a command line prints with the document.
async fn shows(lab: &Lab, line: &[&str]) {
    let words: Vec<String> = line
        .iter()
        .map(|word| {
            if word.contains(' ') {
                format!("\"{word}\"")
            } else {
                (*word).to_owned()
            }
        })
        .collect();
    documented_but_for(blurred, "docs/time.md", &words.join(" "), &typed(lab, line).await);
}

/// Without seconds, ports, places in the news, and the width of columns.
fn blurred(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().starts_with("id: "));
    let words = |line: &str| {
        line.split_whitespace()
            .map(without_seconds)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let lines = lines.map(words).map(|line| without_ports(&line));
    lines.collect::<Vec<_>>().join("\n")
}

fn without_seconds(word: &str) -> String {
    let is_time = |at: &usize| {
        let time = word.as_bytes().get(*at..*at + 8);
        time.is_some_and(|time| {
            (0..8).all(|n| {
                if n % 3 == 2 {
                    time[n] == b':'
                } else {
                    time[n].is_ascii_digit()
                }
            })
        })
    };
    let Some(at) = (0..word.len()).find(is_time) else {
        return word.to_owned();
    };
    let rest = &word[at + 8..];
    let fraction = rest
        .strip_prefix('.')
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let rest = fraction
        .filter(|after| after.len() + 1 < rest.len())
        .unwrap_or(rest);
    format!("{}SS{}", &word[..at + 6], without_seconds(rest))
}

fn without_ports(line: &str) -> String {
    let mut parts = line.split("localhost:");
    let first = parts.next().unwrap_or_default().to_owned();
    let after = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    after.fold(first, |line, part| format!("{line}localhost:{part}"))
}

async fn lab() -> (Lab, Receiver) {
    let receiver = Receiver::new().await;
    let mut lab = Lab::with(Setup {
        config: DESK.to_owned(),
        ..Setup::default()
    })
    .await;
    receiver.is_told_by(&mut lab);
    lab.start().await;
    (lab, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_show_what_a_daemon_says_of_exemptions_warnings_nights_and_owners() {
    let (lab, receiver) = Box::pin(lab()).await;
    let (mut watching, mut news) = (watch(&lab, "ann-wiki").await, String::new());
    for (id, user) in [("ann-wiki", "ann"), ("ben-wiki", "ben")] {
        let host = format!("{id}.localhost");
        let row = [
            &wants(user, "wiki", "Running")[..],
            &[("schedule", "desk"), ("hostName", &host)],
        ]
        .concat();
        lab.put(id, &row).await;
    }
    for id in ["ann-wiki", "ben-wiki"] {
        lab.until(id, Phase::Ready).await;
    }

    let keep = [
        "lamplighter",
        "apps",
        "keep",
        "ann-wiki",
        "--for",
        "100h",
        "--reason",
        "a demo",
    ];
    shows(&lab, &keep).await;
    let exempt = |status: &lamplighter::model::status::Status| status.exemption.is_some();
    lab.until_status("ann-wiki", "exempt", exempt).await;
    shows(&lab, &["lamplighter", "when", "ann-wiki"]).await;
    shows(&lab, &["lamplighter", "apps", "unkeep", "ann-wiki"]).await;

    lab.clock.set("2027-02-10T17:30:01Z".parse().unwrap());
    let stop = "\"at\":\"2027-02-10T18:00:00Z\",\"rule\":\"Curfew\"}\nid: ";
    hears(&mut watching, &mut news, stop).await;
    lab.eventually("both are told", async || receiver.heard().len() >= 2)
        .await;
    shows(
        &lab,
        &["lamplighter", "apps", "events", "ann-wiki", "--limit", "1"],
    )
    .await;
    let told = news[news.find("event: stop-soon").unwrap()..]
        .split("\n\n")
        .next()
        .unwrap();
    documented_but_for(
        blurred,
        "docs/time.md",
        "curl -N localhost:8080/api/v1/watch?app=ann-wiki",
        told,
    );
    message(&receiver);

    lab.clock.set("2027-02-10T18:00:01Z".parse().unwrap());
    for id in ["ann-wiki", "ben-wiki"] {
        lab.until(id, Phase::Suspended).await;
    }
    shows(&lab, &["lamplighter", "apps", "list", "--phase", "Suspended"]).await;
    lab.clock.set("2027-02-11T06:30:01Z".parse().unwrap());
    for id in ["ann-wiki", "ben-wiki"] {
        lab.until(id, Phase::Ready).await;
    }
    shows(&lab, &["lamplighter", "apps", "list", "--phase", "Ready"]).await;

    let gone = [
        &wants("ben", "wiki", "Running")[..],
        &[
            ("schedule", "desk"),
            ("hostName", "ben-wiki.localhost"),
            ("ownerActive", "false"),
        ],
    ]
    .concat();
    lab.put("ben-wiki", &gone).await;
    lab.until("ben-wiki", Phase::Refused).await;
    shows(&lab, &["lamplighter", "when", "ben-wiki"]).await;
    shows(&lab, &["lamplighter", "apps", "list", "--user", "ben"]).await;
    lab.assert_sound();
    lab.stop().await;
}

/// What docs/webhooks.md shows is what the receiver has of the same app and stop, but for its address.
fn message(receiver: &Receiver) {
    let document = std::fs::read_to_string(root().join("docs/webhooks.md")).unwrap();
    let block = document
        .split_once("```json\n")
        .unwrap()
        .1
        .split_once("```")
        .unwrap()
        .0;
    let shown: Value = serde_json::from_str(block).unwrap();
    let heard = receiver.heard();
    let (_, body) = heard
        .iter()
        .find(|(_, body)| body["data"]["id"] == "ann-wiki")
        .unwrap();
    let told = |value: &Value| blurred(&value.to_string());
    assert_eq!(told(&shown), told(body), "docs/webhooks.md shows another message");
}
