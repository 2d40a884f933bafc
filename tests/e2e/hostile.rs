//! Values that would do harm if anything ran them, split lines at them or showed them as they are: a build
//! gets them to the letter, and nobody else sees them raw.

use std::io::Write;
use std::sync::{Arc, Mutex};

use lamplighter::client::{self, AppsCommand, ClientCommand, ClientOptions, Format};
use lamplighter::model::status::Phase;
use tracing_subscriber::EnvFilter;

use crate::lab::wire::{Answer, get, m, s};
use crate::lab::{Lab, Setup};

/// An app that takes any note, and an owner's name that is as bad as a name may be.
const APP: &str = r#"
[apps.free]
project = "child-app"
cluster = "apps"
domain = "localhost"
url = "http://{host_name}:1"
parameters = { NOTE = { max_bytes = 1024 } }
"#;

const USER: &str = "\"><img src=x onerror=alert(1)> $(reboot) `id` \u{202e}evil";

const NOTES: [(&str, &str); 7] = [
    (
        "shell",
        "$(touch /tmp/pwned); `id`; '\"'; rm -rf / & || $IFS%0a\\",
    ),
    (
        "lines",
        "a\r\nX-Evil: 1\r\n\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}\n2027-02-10 forged",
    ),
    ("path", "../../../../etc/passwd"),
    ("html", "<script>alert(1)</script><!-- ]]> &amp;"),
    (
        "unicode",
        "ünï \u{202e}\u{200b}\u{feff} 💥 e\u{301} \u{7f}\u{1b}[2J\u{1b}]0;title\u{7}",
    ),
    ("json", "\",\"admin\":true,\"x\":\""),
    ("template", "{{7*7}} ${jndi:ldap://x} %s%n {host_name}"),
];

/// Everything that is logged, as an operator's terminal would get it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A JSON answer that no browser takes for a page and no client for more than one line.
fn assert_is_plain_json(answer: &Answer) {
    let header = |name: &str| answer.headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert!(header("content-type").contains("json"), "{:?}", answer.headers);
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_has_none(&answer.body, |c| c.is_ascii_control() && c != '\u{7f}');
    answer.json();
}

async fn cli(lab: &Lab, command: AppsCommand, output: Format) -> String {
    let options = ClientOptions {
        server: lab.api(),
        output,
        ..ClientOptions::default()
    };
    let mut out = Vec::new();
    client::run(ClientCommand::Apps(command), &options, &mut out)
        .await
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn assert_is_harmless_on_a_terminal(text: &str) {
    assert_has_none(text, |c| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}')
    });
}

#[track_caller]
fn assert_has_none(text: &str, bad: impl Fn(char) -> bool) {
    if let Some(at) = text.find(bad) {
        let around: String = text[..at]
            .chars()
            .rev()
            .take(60)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        panic!("{:?} after {around:?}", text[at..].chars().next());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_values_reach_the_build_to_the_letter_and_nobody_else_raw() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("info"))
        .with_ansi(false);
    subscriber.with_writer(move || writer.clone()).init();
    let lab = Lab::with(Setup {
        config: APP.to_owned(),
        ..Setup::default()
    })
    .await;
    lab.start().await;
    for (id, note) in NOTES {
        let row = [
            ("user", s(format!("{USER} {id}"))),
            ("app", s("free")),
            ("desired", s("Running")),
            ("parameters", m([("NOTE", note)])),
            ("requestedBy", s(USER)),
        ];
        lab.put_raw(id, row).await;
    }
    // The text of each note again, where it makes a row invalid.
    for (id, note) in NOTES {
        let row = [
            ("user", s(note)),
            ("app", s(note)),
            ("desired", s(note)),
            (note, s(note)),
        ];
        lab.put_raw(&format!("bad-{id}"), row).await;
    }
    for (id, note) in NOTES {
        lab.eventually("it is applied", async || lab.passed(id, "apply").len() == 1)
            .await;
        let environment = &lab.passed(id, "apply")[0].environment;
        assert_eq!(environment["NOTE"], note);
        assert_eq!(environment["USER_ID"], format!("{USER} {id}"));
        lab.until(&format!("bad-{id}"), Phase::Refused).await;
    }
    lab.delete("lines").await;
    lab.until("lines", Phase::Destroyed).await;
    assert_eq!(lab.passed("lines", "destroy")[0].environment["NOTE"], NOTES[1].1);

    let api = lab.api();
    assert_is_plain_json(&get(&format!("{api}/api/v1/apps")).await);
    assert_is_plain_json(&get(&format!("{api}/api/v1/holds")).await);
    assert_is_plain_json(&get(&format!("{api}/api/v1/apps/%3Cscript%3E%0d%0aX-Evil:%201")).await);
    for (id, note) in NOTES.into_iter().filter(|(id, _)| *id != "lines") {
        let shown = get(&format!("{api}/api/v1/apps/{id}")).await;
        assert_is_plain_json(&shown);
        assert_eq!(shown.json()["parameters"]["NOTE"], note);
        assert_is_plain_json(&get(&format!("{api}/api/v1/apps/{id}/events")).await);
        let id = id.to_owned();
        for output in [Format::Table, Format::Json] {
            let get = AppsCommand::Get { id: id.clone() };
            assert_is_harmless_on_a_terminal(&cli(&lab, get, output).await);
        }
    }
    assert_is_harmless_on_a_terminal(
        &cli(
            &lab,
            AppsCommand::List {
                phase: None,
                user: None,
            },
            Format::Table,
        )
        .await,
    );
    lab.assert_sound();
    lab.stop().await;

    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(written.contains("bad-lines"), "the log was caught: {written}");
    assert_is_harmless_on_a_terminal(&written);
    for line in written.lines() {
        let begins = line.split(' ').next().unwrap();
        assert!(
            begins.parse::<jiff::Timestamp>().is_ok(),
            "a line of its own: {line:?}"
        );
    }
}
