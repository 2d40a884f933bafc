//! `lamplighter simulate`, run as a person runs it: golden texts of a fortnight, the example of the documents, and every
//! mistake of arguments and files.
//!
//! With `UPDATE_EXAMPLES=1` the documents and the golden texts are written anew instead of compared.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/documented.rs"]
mod documented;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use documented::{documented, root, updates};
use lamplighter::cloud::{Rows, StateSnapshot};
use lamplighter::config::Config;
use lamplighter::model::name::{AppId, User};
use lamplighter::model::row::{RawValue, Row};
use lamplighter::simulate::{Apps, Span, simulate};

/// A folder that is there as long as the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lamplighter-simulate-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn holding(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lamplighter"));
    command
        .current_dir(root())
        .env_clear()
        .arg("simulate")
        .args(words);
    command.output().unwrap()
}

#[track_caller]
fn prints(words: &[&str]) -> String {
    let output = run(words);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{words:?}: {told}");
    assert_eq!(told, "");
    String::from_utf8(output.stdout).unwrap()
}

const EXAMPLE: [&str; 6] = [
    "--config",
    "tests/simulate/example.toml",
    "--rows",
    "tests/simulate/rows.json",
    "--at",
    "2026-10-22T04:00:00Z",
];

/// The words that ask about rows of a file by the example's configuration.
fn of_rows(rows: &str) -> [&str; 6] {
    [
        "--config",
        "tests/simulate/example.toml",
        "--at",
        "2026-10-22",
        "--rows",
        rows,
    ]
}

fn example(more: &[&str]) -> Vec<String> {
    EXAMPLE
        .iter()
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect()
}

#[track_caller]
fn shown(more: &[&str]) -> String {
    let words = example(more);
    prints(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The other configuration, against that of the example.
const OTHER: [&str; 8] = [
    "--config",
    "tests/simulate/other.toml",
    "--rows",
    "tests/simulate/rows.json",
    "--at",
    "2026-10-22T04:00:00Z",
    "--diff",
    "tests/simulate/example.toml",
];

/// Compares with what a file holds.
#[track_caller]
fn holds(path: &str, now: &str) {
    let path = root().join(path);
    if updates() {
        std::fs::write(&path, now).unwrap();
    }
    let held = std::fs::read_to_string(&path).unwrap();
    assert_eq!(held, now, "{}: UPDATE_EXAMPLES=1 writes it anew", path.display());
}

/// A change of the clock, a day off, exemptions, `enforce`, `keep`, wakes and `destroy_after`, all in one fortnight.
#[test]
fn the_documents_show_what_is_printed() {
    documented(
        "docs/simulate.md",
        "lamplighter simulate --config example.toml --rows rows.json --at 2026-10-22T04:00:00Z",
        &shown(&[]),
    );
    documented(
        "docs/simulate.md",
        "lamplighter simulate --config other.toml --rows rows.json --at 2026-10-22T04:00:00Z --diff example.toml",
        &prints(&OTHER),
    );
    holds("docs/simulate.svg", &shown(&["--format", "svg"]));
    holds("tests/simulate/example.json", &shown(&["--format", "json"]));
    let mut words = OTHER.to_vec();
    words.extend(["--format", "json"]);
    holds("tests/simulate/difference.json", &prints(&words));
}

/// A schedule with mistakes that contradict each other in every way that people hit upon.
#[test]
fn the_documents_show_what_a_bad_schedule_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_lamplighter"))
        .current_dir(root().join("tests/simulate"))
        .env_clear()
        .args(["config", "check", "--config", "wrong.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    documented(
        "docs/time.md",
        "lamplighter config check --config wrong.toml",
        &String::from_utf8(output.stderr).unwrap(),
    );
}

/// Spring: a night of 23 hours, made-up apps, and a request that is held.
#[test]
fn without_rows_each_schedule_has_an_app() {
    let words = [
        "--config",
        "tests/simulate/example.toml",
        "--at",
        "2027-03-26",
        "--days",
        "5",
    ];
    holds("tests/simulate/spring.txt", &prints(&words));
}

/// Every field that the document names is there, and the other way round.
#[test]
fn the_document_names_every_field_of_the_json() {
    fn fields(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(object) => {
                for (name, value) in object {
                    found.insert(name.clone());
                    fields(value, found);
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| fields(value, found)),
            _ => {}
        }
    }
    let document = std::fs::read_to_string(root().join("docs/simulate.md")).unwrap();
    let listed: std::collections::BTreeSet<String> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .filter(|(_, rest)| rest.starts_with(" | "))
        .map(|(path, _)| {
            path.rsplit(['.', ']'])
                .next()
                .unwrap_or(path)
                .trim_end_matches("[]")
                .to_owned()
        })
        .collect();
    let mut found = std::collections::BTreeSet::new();
    for file in ["tests/simulate/example.json", "tests/simulate/difference.json"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        fields(&serde_json::from_str(&text).unwrap(), &mut found);
    }
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/simulate.md does not list {missing:?}");
}

#[test]
fn the_same_question_has_the_same_answer() {
    for more in [&[][..], &["--format", "json"], &["--format", "svg"]] {
        assert_eq!(shown(more), shown(more), "{more:?}");
    }
}

#[test]
fn a_difference_can_be_the_exit_code() {
    let code = |words: &[&str]| run(words).status.code();
    let mut words = OTHER.to_vec();
    assert_eq!(code(&words), Some(0));
    words.push("--exit-code");
    assert_eq!(code(&words), Some(4));
    words[7] = "tests/simulate/other.toml";
    assert_eq!(code(&words), Some(0));
    words.pop();
    assert!(prints(&words).ends_with("No app is treated differently.\n"));
}

/// A list as `lamplighter apps list -o json` prints it says the same as an export of the table.
#[test]
fn both_forms_of_rows_are_read_alike() {
    let folder = Folder::new("forms");
    let export: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("tests/simulate/rows.json")).unwrap())
            .unwrap();
    let plain = |item: &serde_json::Value| {
        let mut app = serde_json::json!({"hasRow": true, "status": null});
        for (name, typed) in item.as_object().unwrap() {
            let (kind, value) = typed.as_object().unwrap().iter().next().unwrap();
            let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
            app[name] = if kind == "N" {
                number.unwrap().into()
            } else {
                value.clone()
            };
        }
        app
    };
    let apps: Vec<_> = export["Items"].as_array().unwrap().iter().map(plain).collect();
    let list = folder.holding(
        "list.json",
        &serde_json::json!({"apps": apps, "asOf": "2026-10-22T04:00:00Z"}).to_string(),
    );
    let words = [
        "--config",
        "tests/simulate/example.toml",
        "--at",
        "2026-10-22T04:00:00Z",
        "--rows",
        &list,
    ];
    assert_eq!(prints(&words), shown(&[]));
}

/// No row says it; the status in the list does. One by its row counts by that, which policy bounds.
#[test]
fn an_exemption_in_a_list_that_was_given_through_the_api_counts() {
    let folder = Folder::new("given");
    let list = |exemption: serde_json::Value| {
        let app = serde_json::json!({
            "id": "a", "hasRow": true, "user": "ann", "app": "shop", "desired": "Running", "requestedAt": "2026-10-21T10:00:00Z",
            "status": {"phase": "Ready", "conditions": [], "exemption": exemption},
        });
        folder.holding("list.json", &serde_json::json!({"apps": [app]}).to_string())
    };
    let exemption = |source: &str| serde_json::json!({"since": "2026-10-21T17:00:00Z", "until": "2026-10-22T20:30:00Z", "source": source, "by": "the desk"});
    let given = prints(&of_rows(&list(exemption("Api"))));
    assert!(
        given.contains("22:00 warn (KeepUntil)  22:30 suspend (KeepUntil)"),
        "{given}"
    );
    for none in [exemption("Row"), serde_json::Value::Null] {
        let printed = prints(&of_rows(&list(none)));
        assert!(!printed.contains("KeepUntil"), "{printed}");
    }
    for (until, field) in [
        (serde_json::json!("tomorrow"), "until"),
        (serde_json::json!(7), "until"),
    ] {
        let mut wrong = exemption("Api");
        wrong[field] = until;
        let path = list(wrong);
        let output = run(&of_rows(&path));
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains("apps[0].status.exemption.until is no time: leave the list as"),
            "{told}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_row_is_told_with_its_field() {
    let folder = Folder::new("rows");
    let item = |more: &str| {
        format!(
            r#"{{"Items": [{{"id": {{"S": "a"}}, "user": {{"S": "ann"}}, "app": {{"S": "shop"}}, "desired": {{"S": "Running"}}{more}}}]}}"#
        )
    };
    for (more, says) in [
        (
            r#", "keepUntil": {"S": "tomorrow"}"#,
            "keepUntil \"tomorrow\" is not a time that exists",
        ),
        (
            r#", "schedule": {"S": "nights"}"#,
            "schedule \"nights\" is not a schedule",
        ),
        (
            r#", "generation": {"N": "1.5"}"#,
            "generation \"1.5\" is not in range",
        ),
        (
            r#", "timeZone": {"NULL": true}"#,
            "timeZone is null, not a string",
        ),
        (
            r#", "hostName": {"SS": ["x"]}"#,
            "hostName is a set, not a string",
        ),
    ] {
        let rows = folder.holding("rows.json", &item(more));
        let words = of_rows(&rows);
        let printed = prints(&words);
        assert!(
            printed.contains("1 row cannot be carried out as it stands:\n  a: "),
            "{printed}"
        );
        assert!(printed.contains(says), "{more}: {printed}");
    }
}

#[test]
fn every_mistake_is_told_with_the_way_out() {
    let folder = Folder::new("mistakes");
    let config = ["--config", "tests/simulate/example.toml"];
    let rows = |name: &str, text: &str| ["--rows".to_owned(), folder.holding(name, text)];
    let cases: Vec<(Vec<String>, &str)> = vec![
        (vec!["--days".into(), "0".into()], "0 is not in 1..=400"),
        (vec!["--days".into(), "401".into()], "401 is not in 1..=400"),
        (
            vec!["--at".into(), "yesterday".into()],
            "is neither a date such as 2026-10-20 nor a time with an offset",
        ),
        (vec!["--at".into(), "2026-02-30".into()], "is neither a date"),
        (
            vec!["--format".into(), "png".into()],
            "[possible values: text, json, svg]",
        ),
        (vec!["--exit-code".into()], "--diff <OLD>"),
        (
            vec![
                "--diff".into(),
                "tests/simulate/other.toml".into(),
                "--format".into(),
                "svg".into(),
            ],
            "--diff has no picture; use --format text",
        ),
        (
            vec!["--diff".into(), "tests/simulate/none.toml".into()],
            "tests/simulate/none.toml",
        ),
        (
            vec!["--rows".into(), "tests/simulate/none.json".into()],
            "cannot be read",
        ),
        (rows("a.json", "{").into(), "a.json is no JSON object"),
        (rows("b.json", "[]").into(), "b.json is no JSON object"),
        (rows("c.json", "{}").into(), "has neither Items"),
        (rows("d.json", r#"{"Items": 1}"#).into(), "Items is no list"),
        (
            rows("e.json", r#"{"Items": [], "apps": []}"#).into(),
            "has both Items and apps",
        ),
        (
            rows("f.json", r#"{"apps": [1]}"#).into(),
            "apps is no list of objects",
        ),
        (
            rows("g.json", r#"{"Items": [{"user": {"S": "ann"}}]}"#).into(),
            "Items[0].id is not the id of an app",
        ),
        (
            rows("h.json", r#"{"Items": [{"id": "a"}]}"#).into(),
            "Items[0] is no item of DynamoDB",
        ),
        (
            rows("i.json", r#"{"Items": [{"id": {"S": "a"}}, {"id": {"S": "a"}}]}"#).into(),
            "Items[1].id is there twice",
        ),
        (
            rows("j.json", r#"{"apps": [{"id": "a"}, {"id": "a"}]}"#).into(),
            "apps[1].id is there twice",
        ),
        (
            rows("k.json", r#"{"apps": [{"id": 1}]}"#).into(),
            "apps[0].id is not the id of an app",
        ),
        (
            vec!["-o".into(), folder.0.join("none/x.txt").to_str().unwrap().into()],
            "cannot be written",
        ),
    ];
    for (words, says) in cases {
        let words: Vec<&str> = config
            .into_iter()
            .chain(words.iter().map(String::as_str))
            .collect();
        let output = run(&words);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {told}");
        assert!(told.contains(says), "{words:?}: {told}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    let output = run(&["--config", "tests/simulate/none.toml"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_picture_of_too_many_apps_is_refused_and_a_list_of_them_is_not() {
    let folder = Folder::new("many");
    let item = |n: usize| serde_json::json!({"id": {"S": format!("a{n}")}, "user": {"S": format!("u{n}")}, "app": {"S": "shop"}, "desired": {"S": "Running"}});
    let items: Vec<_> = (0..501).map(item).collect();
    let rows = folder.holding("rows.json", &serde_json::json!({"Items": items}).to_string());
    let words = of_rows(&rows);
    let printed = prints(&words);
    assert!(
        printed.contains("a0, a1, a10, a100, a101, a102 and 495 more: shop, schedule office"),
        "{printed}"
    );
    assert!(
        printed.lines().count() < 15,
        "apps that are alike are told once: {printed}"
    );
    let mut words = words.to_vec();
    words.extend(["--format", "svg"]);
    let output = run(&words);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("has room for 500 apps and these are 501")
    );
}

/// Owners, ids and notes are anybody's text.
#[test]
fn hostile_names_are_text_in_every_form() {
    let folder = Folder::new("hostile");
    let user = "\u{202e}<script>alert('x')</script>&\"]]>";
    let items = serde_json::json!([{"id": {"S": "a"}, "user": {"S": user}, "app": {"S": "shop"}, "desired": {"S": "Running"}},
        {"id": {"S": "<b>\u{1b}[2J"}, "user": {"S": "x"}, "app": {"S": "<i>\u{1b}"}, "desired": {"S": "Running"}}]);
    let rows = folder.holding("rows.json", &serde_json::json!({ "Items": items }).to_string());
    for format in ["text", "json", "svg"] {
        let words = [
            "--config",
            "tests/simulate/example.toml",
            "--at",
            "2026-10-22",
            "--rows",
            &rows,
            "--format",
            format,
        ];
        let printed = prints(&words);
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!printed.contains(bad), "{format}: {printed:?}");
        if format == "svg" {
            assert!(!printed.contains("<script"), "{printed}");
            assert!(printed.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{printed}");
        }
    }
}

#[test]
fn a_file_is_written_where_it_is_asked_for() {
    let folder = Folder::new("file");
    let path = folder.0.join("x.svg");
    let words = example(&["--format", "svg", "-o", path.to_str().unwrap()]);
    assert_eq!(prints(&words.iter().map(String::as_str).collect::<Vec<_>>()), "");
    assert_eq!(
        std::fs::read_to_string(Path::new(&path)).unwrap(),
        shown(&["--format", "svg"])
    );
}

/// What was given through the API lies in the state table, and `--rows live` reads that too.
#[test]
fn an_exemption_that_was_given_through_the_api_counts() {
    let text = "[schedules.day]\ntime_zone = \"UTC\"\nteardown = \"0 19 * * *\"\n\n[apps.shop]\nproject = \"child\"\n\
        cluster = \"c\"\ndomain = \"example.com\"\nschedule = \"day\"\n";
    let policy = Config::from_toml(text).unwrap().policy;
    let id = AppId::from_key("a").unwrap();
    let attributes = [
        ("user", "ann"),
        ("app", "shop"),
        ("desired", "Running"),
        ("requestedAt", "2026-11-20T10:00:00Z"),
    ];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), RawValue::Text(value.to_owned())));
    let rows = Rows {
        rows: [(id.clone(), Row::read(id, attributes.into()))].into(),
        unreadable: 0,
    };
    let ledger = r#"{"version":1,"apps":{"a":{"since":"2026-11-20T19:00:00Z","given":
        {"until":"2026-11-20T22:00:00Z","asked":"2026-11-20T22:00:00Z","at":"2026-11-20T11:00:00Z"}}}}"#;
    let given = StateSnapshot {
        keeps: [(User::parse("ann").unwrap(), serde_json::from_str(ledger).unwrap())].into(),
        ..StateSnapshot::default()
    };
    let ends = |state| {
        let span = Span::of_days("2026-11-20T12:00:00Z".parse().unwrap(), 2);
        let found = simulate(&Apps::live(rows.clone(), state), &policy, span);
        let change = found.lives[0].changes[0];
        format!("{:?} at {} by {}", change.act, change.at, change.rule)
    };
    assert_eq!(
        ends(StateSnapshot::default()),
        "Destroy at 2026-11-20T19:00:00Z by Curfew"
    );
    assert_eq!(ends(given), "Destroy at 2026-11-20T22:00:00Z by KeepUntil");
}
