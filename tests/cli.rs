//! The CLI's verbs against a real HTTP surface: what is asked, what is printed, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "api/support.rs"]
mod support;

use clap::Parser as _;
use lamplighter::api::Access;
use lamplighter::client::{Client, ClientError, run};
use lamplighter::inventory::Stray;
use lamplighter::model::memory::Leftover;
use lamplighter::model::policy::Deletions;
use lamplighter::model::row::Desired;
use lamplighter::model::status::{Exemption, Source};
use serde_json::json;
use support::{NOW, OPERATOR, Served, VIEWER, id, row, time, tokens};

#[derive(clap::Parser)]
struct Cli {
    #[command(subcommand)]
    client: Client,
}

/// What a command line comes to: what was printed, or the error.
async fn typed(server: &str, words: &[&str]) -> Result<String, ClientError> {
    let to = ["--server", server];
    let words = ["lamplighter"].iter().chain(words).chain(&to);
    let Cli { client } = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
    let mut out = Vec::new();
    run(client.command, &client.options, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

async fn at(served: &Served, words: &[&str]) -> Result<String, ClientError> {
    typed(&format!("http://{}", served.public), words).await
}

async fn served() -> Served {
    Served::start(Access::ThisMachine).await
}

/// A file that is there as long as the test.
struct File(std::path::PathBuf);

impl File {
    fn holding(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lamplighter-cli-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn every_verb_says_what_it_does_and_takes_the_options_of_them_all() {
    let cli = <Cli as clap::CommandFactory>::command();
    let verbs: Vec<&clap::Command> = cli.get_subcommands().collect();
    let names: Vec<&str> = verbs.iter().map(|verb| verb.get_name()).collect();
    assert_eq!(
        names,
        [
            "apps", "why", "when", "report", "approve", "holds", "orphans", "log", "pause", "resume"
        ]
    );
    for verb in &verbs {
        let about = verb.get_about().map(ToString::to_string);
        let same = |other: &&&clap::Command| other.get_about().map(ToString::to_string) == about;
        assert_eq!(verbs.iter().filter(same).count(), 1, "{about:?}");
    }
    for words in [
        ["holds", "--server", "http://there:1"].as_slice(),
        &["apps", "list", "--server", "http://there:1"],
    ] {
        let cli = Cli::try_parse_from(["lamplighter"].iter().chain(words)).unwrap();
        assert_eq!(cli.client.options.server, "http://there:1", "{words:?}");
    }
}

#[tokio::test]
async fn a_list_is_a_table_for_people() {
    let served = served().await;
    let printed = at(&served, &["apps", "list"]).await.unwrap();
    let lines: Vec<Vec<&str>> = printed
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        lines[0],
        ["ID", "APP", "USER", "PHASE", "URL", "REASON", "NEXT CHANGE"]
    );
    let ann = [
        "a1",
        "shop",
        "ann",
        "Ready",
        "https://a.example.com",
        "Answering",
        "Destroy at 2026-11-20T19:00:00Z (Curfew)",
    ];
    assert_eq!(lines[1], ann);
    assert_eq!(lines[2], ["b2", "wiki", "bob", "Pending", "-", "-", "-"]);
    assert_eq!(lines.len(), 4, "{printed}");

    let one = at(&served, &["apps", "list", "--phase", "Ready", "--user", "ann"])
        .await
        .unwrap();
    assert_eq!(one.lines().count(), 2, "{one}");
    let none = at(&served, &["apps", "list", "--user", "a b&phase=Ready"])
        .await
        .unwrap();
    assert_eq!(none, "No apps.\n");
}

#[tokio::test]
async fn json_is_what_the_server_answered() {
    let served = served().await;
    let printed = at(&served, &["apps", "get", "a1", "-o", "json"]).await.unwrap();
    let app: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(app, served.get("/api/v1/apps/a1").await.json());
    let printed = at(&served, &["apps", "-o", "json", "list"]).await.unwrap();
    let list: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(list, served.get("/api/v1/apps").await.json());
    let printed = at(&served, &["apps", "events", "a1", "--output", "json"])
        .await
        .unwrap();
    let list: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(list, served.get("/api/v1/apps/a1/events").await.json());
}

#[tokio::test]
async fn one_app_is_shown_in_full() {
    let served = served().await;
    let printed = at(&served, &["apps", "get", "a1"]).await.unwrap();
    for needle in [
        "SIZE=small",
        "The app answers.",
        "KEEP UNTIL",
        "https://a.example.com",
        "Curfew",
    ] {
        assert!(printed.contains(needle), "{needle} not in {printed}");
    }
    let gone = at(&served, &["apps", "get", "c3"]).await.unwrap();
    assert!(gone.contains("its row is gone"), "{gone}");
}

#[tokio::test]
async fn text_from_others_cannot_move_the_cursor() {
    let served = served().await;
    let hostile = "x\u{1b}]0;title\u{7}\u{9b}2J\r\n\u{202e}y";
    served.fake.change("a1", |memory| {
        memory.status.message = hostile.to_owned();
        memory.status.reason = hostile.to_owned();
    });
    served.fake.sweep();
    for words in [
        &["apps", "list"][..],
        &["apps", "get", "a1"],
        &["apps", "events", "a1"],
        &["apps", "list", "-o", "json"],
        &["apps", "get", "a1", "-o", "json"],
        &["apps", "events", "a1", "-o", "json"],
        &["apps", "destroy", "a1"],
    ] {
        let printed = at(&served, words).await.unwrap();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!printed.contains(bad), "{words:?}: {printed:?}");
    }
    let table = at(&served, &["apps", "list"]).await.unwrap();
    assert!(table.contains("x\\u{1b}]0;title"), "{table}");
    assert_eq!(table.lines().count(), 4, "one line each: {table}");
    let error = at(&served, &["apps", "get", "n\u{1b}[2J"]).await.unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}

#[tokio::test]
async fn a_new_app_is_asked_for_with_flags() {
    let served = served().await;
    let words = [
        "apps",
        "apply",
        "--id",
        "n1",
        "--user",
        "eve",
        "--app",
        "shop",
        "--desired",
        "running",
        "--param",
        "SIZE=a=b",
        "--param",
        "EMPTY=",
    ];
    let printed = at(&served, &words).await.unwrap();
    assert_eq!(printed, "n1 is asked to be Running; it is Pending now.\n");
    let row = served.row("n1").unwrap();
    assert_eq!(row.parameters["SIZE"], "a=b");
    assert_eq!(row.parameters["EMPTY"], "");
    assert_eq!((row.requested_at, row.generation), (Some(time(NOW)), None));
    assert_eq!(served.hints(), ["n1"]);
}

#[tokio::test]
async fn what_is_not_given_stays_as_it_is_and_the_request_is_new() {
    let served = served().await;
    let before = served.row("a1").unwrap();
    let words = [
        "apps",
        "apply",
        "--id",
        "a1",
        "--desired",
        "Suspended",
        "--param",
        "COLOUR=red",
    ];
    at(&served, &words).await.unwrap();
    let row = served.row("a1").unwrap();
    assert_eq!(row.desired, Some(Desired::Suspended));
    assert_eq!(row.parameters.len(), 2, "{:?}", row.parameters);
    assert_eq!((&row.user, &row.host_name), (&before.user, &before.host_name));
    assert_eq!(row.keep_until, before.keep_until);
    assert_eq!((row.generation, row.requested_at), (Some(4), Some(time(NOW))));

    at(&served, &["apps", "apply", "--id", "a1", "--keep-until", ""])
        .await
        .unwrap();
    assert_eq!(
        served.row("a1").unwrap().keep_until,
        None,
        "an empty value takes it away"
    );
}

#[tokio::test]
async fn a_file_works_like_flags_and_flags_win() {
    let served = served().await;
    let file = File::holding(
        "row.json",
        &json!({"id": "a1", "desired": "Suspended", "hostName": null, "parameters": {"NEW": "1"}})
            .to_string(),
    );
    at(
        &served,
        &["apps", "apply", "-f", file.path(), "--desired", "Destroyed"],
    )
    .await
    .unwrap();
    let row = served.row("a1").unwrap();
    assert_eq!((row.desired, row.host_name), (Some(Desired::Destroyed), None));
    assert_eq!(
        row.parameters.keys().collect::<Vec<_>>(),
        ["NEW"],
        "a file gives all parameters"
    );
    assert_eq!(row.user.unwrap().as_str(), "ann");
}

#[tokio::test]
async fn a_refused_row_is_told_field_by_field() {
    let served = served().await;
    let words = [
        "apps",
        "apply",
        "--id",
        "n1",
        "--user",
        "eve",
        "--time-zone",
        "Mars/Olympus",
    ];
    let error = at(&served, &words).await.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let told = error.to_string();
    for needle in [
        "invalid-row",
        "Nothing was written",
        "\n  app is missing: name an entry of the catalogue",
        "\n  desired is missing: use Running, Suspended or Destroyed",
        "\n  timeZone \"Mars/Olympus\" is not a known time zone: use an IANA name",
    ] {
        assert!(told.contains(needle), "{needle} not in {told}");
    }
    assert!(served.row("n1").is_none());
}

#[tokio::test]
async fn destroy_keeps_the_row_unless_told_otherwise() {
    let served = served().await;
    let printed = at(&served, &["apps", "destroy", "a1"]).await.unwrap();
    assert_eq!(printed, "a1 is asked to be Destroyed; it is Ready now.\n");
    let row = served.row("a1").unwrap();
    assert_eq!((row.desired, row.generation), (Some(Desired::Destroyed), Some(4)));
    assert_eq!(row.parameters["SIZE"], "small");

    let printed = at(&served, &["apps", "destroy", "a1", "--delete-row"])
        .await
        .unwrap();
    assert!(
        printed.starts_with("The row of a1 is deleted; the app is Ready"),
        "{printed}"
    );
    assert!(served.row("a1").is_none());
    let printed = at(&served, &["apps", "destroy", "b2", "--delete-row"])
        .await
        .unwrap();
    assert!(printed.contains("nothing is left of it"), "{printed}");

    for gone in ["c3", "nobody"] {
        let error = at(&served, &["apps", "destroy", gone]).await.unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(
            error.to_string().contains(&format!("no row of {gone}")),
            "{error}"
        );
        assert!(served.row(gone).is_none());
    }
}

#[tokio::test]
async fn an_id_is_only_an_id() {
    let served = served().await;
    let odd = "a/../b?x=1#y %41";
    let bad = row(odd, json!({"user": "ann", "app": "shop", "desired": "Running"}));
    served.fake.rows.lock().unwrap().insert(bad.id.clone(), bad);
    let printed = at(&served, &["apps", "get", odd]).await.unwrap();
    assert!(printed.contains(odd), "{printed}");
    at(&served, &["apps", "destroy", odd, "--delete-row"])
        .await
        .unwrap();
    assert!(served.row(odd).is_none());
}

#[tokio::test]
async fn history_is_printed_newest_first() {
    let served = served().await;
    let printed = at(&served, &["apps", "events", "a1", "--limit", "2"])
        .await
        .unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with("TIME"), "{printed}");
    assert!(
        lines[1].contains("Step2") && lines[2].contains("Step1"),
        "{printed}"
    );
    assert_eq!(lines.len(), 3);
    assert_eq!(
        at(&served, &["apps", "events", "nobody"]).await.unwrap(),
        "No events.\n"
    );
}

#[tokio::test]
async fn an_approval_says_what_it_approves() {
    let served = served().await;
    let error = at(&served, &["approve"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("nothing-held"), "{error}");
    served.fake.fleet.lock().unwrap().deletions = Deletions::Held {
        vanished: 9,
        known: 20,
        since: time(NOW),
    };
    let printed = at(&served, &["approve"]).await.unwrap();
    assert!(printed.contains("Apps without a row: c3"), "{printed}");
    assert!(printed.contains("9 of 20 rows"), "{printed}");
    assert_eq!(served.fake.approvals.lock().unwrap().latest, Some(time(NOW)));
    let printed = at(&served, &["approve", "-o", "json"]).await.unwrap();
    let approval: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(approval["vanished"], 9);
}

#[tokio::test]
async fn pauses_are_set_listed_and_ended() {
    let served = served().await;
    let printed = at(&served, &["holds"]).await.unwrap();
    assert!(
        printed.contains("No deletion is held.") && printed.contains("Nothing is paused."),
        "{printed}"
    );
    let printed = at(&served, &["pause", "--app", "a1", "--reason", "a \u{1b}[31mdemo"]).await;
    assert!(printed.unwrap_err().to_string().contains("printable"));
    at(&served, &["pause", "--app", "a1", "--reason", "a demo"])
        .await
        .unwrap();
    let printed = at(&served, &["pause"]).await.unwrap();
    assert!(
        printed.contains("The whole fleet is paused since 2026-"),
        "{printed}"
    );
    assert!(
        printed.contains("a1 is paused since 2026-") && printed.contains(": a demo"),
        "{printed}"
    );
    let listed = at(&served, &["holds", "-o", "json"]).await.unwrap();
    let holds: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(holds["pauses"]["apps"]["a1"]["reason"], "a demo");
    let printed = at(&served, &["resume"]).await.unwrap();
    assert!(
        !printed.contains("fleet") && printed.contains("a1 is paused"),
        "{printed}"
    );
    assert_eq!(
        at(&served, &["resume", "--app", "a1"]).await.unwrap(),
        "Nothing is paused.\n"
    );
    let error = at(&served, &["pause", "--app", "nosuch"]).await.unwrap_err();
    assert!(error.to_string().contains("no-such-app"), "{error}");
}

#[tokio::test]
async fn an_exemption_is_given_and_ended_and_shown() {
    let served = served().await;
    let refused = at(&served, &["apps", "keep", "a1", "--for", "12h"])
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("cannot-keep"), "{refused}");
    served.fake.accept_a1();
    let keep = [
        "apps", "keep", "a1", "--for", "12h", "--reason", "a demo", "--by", "the desk",
    ];
    let printed = at(&served, &keep).await.unwrap();
    assert_eq!(
        printed,
        "a1: Kept until 2026-11-20 22:00:00 UTC. Reason: a demo.\n"
    );
    let printed = at(
        &served,
        &[
            "apps",
            "keep",
            "a1",
            "--until",
            "2026-11-20T23:00:00Z",
            "-o",
            "json",
        ],
    )
    .await;
    let kept: serde_json::Value = serde_json::from_str(&printed.unwrap()).unwrap();
    assert_eq!(kept["exemption"]["until"], "2026-11-20T23:00:00Z");
    // As the next pass would tell it; words of others cannot move the cursor.
    {
        let mut memories = served.fake.memories.lock().unwrap();
        memories.get_mut(&id("a1")).unwrap().status.exemption = Some(Exemption {
            since: None,
            until: "2026-11-20T23:00:00Z".parse().unwrap(),
            source: Source::Api,
            by: Some("the \u{1b}[2Jdesk".to_owned()),
            reason: None,
        });
    }
    let printed = at(&served, &["apps", "get", "a1"]).await.unwrap();
    assert!(
        printed.contains("until 2026-11-20T23:00:00Z, ") && printed.contains("through the API by the"),
        "{printed}"
    );
    assert!(!printed.contains('\u{1b}'), "{printed}");
    let printed = at(&served, &["apps", "unkeep", "a1"]).await.unwrap();
    assert_eq!(printed, "a1: Nothing puts off the end of its day.\n");
}

#[tokio::test]
async fn orphans_and_leftovers_are_listed_as_data() {
    let served = served().await;
    let printed = at(&served, &["orphans"]).await.unwrap();
    assert_eq!(printed, "No orphans.\nNo leftovers.\n");
    {
        let mut fleet = served.fake.fleet.lock().unwrap();
        fleet.strays = vec![Stray {
            id: id("a\u{1b}[2Jb"),
            cluster: None,
            service: None,
            identity: None,
            has_row: false,
            seen_since: None,
        }];
        let app = fleet.apps.get_mut(&id("a1")).unwrap();
        app.memory.as_mut().unwrap().leftover = Some(Leftover {
            since: time("2026-11-20T09:30:00Z"),
            what: "Service a\u{9b}1".to_owned(),
            destroys: 2,
        });
    }
    let printed = at(&served, &["orphans"]).await.unwrap();
    assert!(!printed.contains(['\u{1b}', '\u{9b}']), "{printed:?}");
    assert!(printed.contains("`orphans.reap` is off"), "{printed}");
    assert!(printed.contains("a\\u{1b}[2Jb  Unidentified"), "{printed}");
    assert!(
        printed.contains("a1  Service a\\u{9b}1  2         2026-11-20T09:30:00Z"),
        "{printed}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&at(&served, &["orphans", "-o", "json"]).await.unwrap()).unwrap();
    assert_eq!(json["leftovers"][0]["destroys"], 2);
}

#[tokio::test]
async fn a_token_is_sent_and_never_shown() {
    let served = Served::start(tokens()).await;
    let error = at(&served, &["apps", "list"]).await.unwrap_err();
    assert!(error.to_string().contains("unauthorized"), "{error}");
    at(&served, &["apps", "list", "--token", VIEWER]).await.unwrap();
    let error = at(&served, &["apps", "destroy", "a1", "--token", VIEWER])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("forbidden"), "{error}");
    at(&served, &["apps", "destroy", "a1", "--token", OPERATOR])
        .await
        .unwrap();

    let error = at(&served, &["apps", "list", "--token", "bad\ntoken-secret"])
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(!format!("{error} {error:?}").contains("secret"));
    let cli = Cli::try_parse_from(["lamplighter", "approve", "--token", "secret"]).unwrap();
    assert!(!format!("{:?}", cli.client.options).contains("secret"));
}

#[tokio::test]
async fn nobody_there_says_where_and_what_to_do() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let error = typed(&address, &["apps", "list"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let told = error.to_string();
    for needle in [
        address.as_str(),
        "refused",
        "lamplighter run",
        "LAMPLIGHTER_SERVER",
    ] {
        assert!(told.contains(needle), "{needle} not in {told}");
    }
}

#[tokio::test]
async fn who_answers_something_else_is_not_believed() {
    let served = served().await;
    let admin = format!("http://{}", served.admin);
    let error = typed(&format!("{admin}/healthz?"), &["apps", "list"])
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    let error = typed(&admin, &["apps", "list"]).await.unwrap_err();
    assert!(error.to_string().contains("no-such-route"), "{error}");

    // A server that answers 200 with a page.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let page = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<html>\x1b[m";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let error = typed(&page, &["apps", "list"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(
        error.to_string().contains("is it Lamplighter's public port?"),
        "{error}"
    );
    // TLS to a port that speaks none.
    let tls = page.replace("http:", "https:");
    let error = typed(&tls, &["apps", "list"]).await.unwrap_err();
    assert_ne!(error.exit_code(), 0, "{error}");
}

#[tokio::test]
async fn a_path_in_front_of_the_api_is_kept() {
    let served = served().await;
    let error = typed(&format!("http://{}/ops/", served.public), &["apps", "list"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no-such-route"), "{error}");
    typed(&format!("http://{}/", served.public), &["apps", "list"])
        .await
        .unwrap();
}

#[tokio::test]
async fn nonsense_is_told_before_anything_is_asked() {
    let served = served().await;
    let no_json = File::holding("no.json", "[1]");
    let numeric = File::holding("numeric.json", "{\"id\": 1}");
    let large = File::holding("large.json", &" ".repeat(70_000));
    for (words, needle) in [
        (&["apps", "apply", "--desired", "Running"][..], "--id"),
        (&["apps", "apply", "--id", "a1"], "nothing to change"),
        (&["apps", "apply", "--id", "", "--user", "x"], "the id is empty"),
        (&["apps", "apply", "--id", "a1", "--param", "X"], "NAME=VALUE"),
        (&["apps", "apply", "--id", "a1", "--param", "=X"], "NAME=VALUE"),
        (&["apps", "apply", "-f", "/no/such/file"], "/no/such/file"),
        (&["apps", "apply", "-f", no_json.path()], "is not a JSON object"),
        (&["apps", "apply", "-f", numeric.path()], "not a string"),
        (&["apps", "apply", "-f", large.path()], "larger than 64 KB"),
    ] {
        let error = at(&served, words).await.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains(needle), "{needle} not in {error}");
    }
    for server in [
        "",
        "127.0.0.1:8080",
        "ftp://x",
        "http://",
        "http://x/?q",
        "not a url",
    ] {
        let error = typed(server, &["apps", "list"]).await.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{server}: {error}");
    }
    for words in [
        &["apps", "apply", "--desired", "Up"][..],
        &["apps", "events", "a1", "--limit", "0"],
        &["apps", "events", "a1", "--limit", "201"],
        &["apps", "get"],
        &["approve", "-o", "yaml"],
    ] {
        let words = ["lamplighter"].iter().chain(words);
        assert!(Cli::try_parse_from(words).is_err());
    }
    assert!(served.hints().is_empty());
}

/// The API makes the words, and the CLI prints them; hostile ones as text.
#[tokio::test]
async fn why_and_when_print_what_the_api_says() {
    let served = served().await;
    for verb in ["why", "when"] {
        let told = served.get(&format!("/api/v1/apps/a1/{verb}")).await.json();
        let printed = at(&served, &[verb, "a1"]).await.unwrap();
        let escaped = told["text"].as_str().unwrap().replace('\u{1b}', "\\u{1b}");
        assert_eq!(printed, escaped);
        let json = at(&served, &[verb, "a1", "-o", "json"]).await.unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), told);
        let unknown = at(&served, &[verb, "nobody"]).await.unwrap_err();
        assert_eq!(unknown.exit_code(), 1);
    }
}

#[tokio::test]
async fn what_is_logged_is_shown_changed_and_set_back_and_a_day_is_reported() {
    let served = served().await;
    assert_eq!(at(&served, &["log"]).await.unwrap(), "info, as configured\n");
    let changed = at(
        &served,
        &["log", "--filter", "warn,lamplighter=debug", "--for", "30m"],
    )
    .await;
    assert_eq!(
        changed.unwrap(),
        "warn,lamplighter=debug until 2026-11-20T10:30:00Z, then info\n"
    );
    assert_eq!(
        at(&served, &["log", "--reset"]).await.unwrap(),
        "info, as configured\n"
    );
    let wrong = at(&served, &["log", "--filter", "loud=="]).await.unwrap_err();
    assert!(
        wrong.to_string().contains("is not a list of log directives"),
        "{wrong}"
    );
    let report = at(&served, &["report", "--day", "2026-11-19"]).await.unwrap();
    assert!(
        report.starts_with("Thursday 2026-11-19 in Europe/Berlin, as of 2026-11-20 11:00:00 +01:00\n0 due:"),
        "{report}"
    );
    let wrong = at(&served, &["report", "--day", "soon"]).await.unwrap_err();
    assert!(
        wrong.to_string().contains("give `today`, `yesterday` or a date"),
        "{wrong}"
    );
}
