//! The dashboards: that they are what their source says and Grafana reads, that every panel tells what it is, and that
//! every query finds something in a real Prometheus.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::observed::{Dev, Prometheus, outcome};
use crate::support::{Scratch, repository, tool, until_within};

const BOARDS: [&str; 3] = ["fleet", "end-of-day", "controller"];

/// Queries that may find nothing in a fleet that is well, and why.
const MAY_BE_EMPTY: [(&str, &str); 0] = [];

fn board(name: &str) -> Value {
    let path = repository().join("dashboards").join(format!("{name}.json"));
    let text = std::fs::read_to_string(path).expect("the dashboard is there");
    serde_json::from_str(&text).expect("the dashboard is JSON")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The panels of a dashboard that show something.
fn panels(board: &Value) -> Vec<&Value> {
    let all = board["panels"].as_array().expect("a dashboard has panels");
    all.iter().filter(|panel| panel["type"] != "row").collect()
}

fn queries(board: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in panels(board) {
        for target in panel["targets"].as_array().expect("a panel has queries") {
            found.push((text(panel, "title").to_owned(), text(target, "expr").to_owned()));
        }
    }
    found
}

#[test]
fn the_dashboards_are_what_their_source_writes_and_what_grafana_reads() {
    let mut python = Command::new(tool("python"));
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    let (well, said) = outcome(python.arg(repository().join("dashboards/source")).arg("--check"));
    assert!(well && said.starts_with("3 dashboards"), "{said}");
}

#[test]
fn every_panel_says_what_it_is_and_links_to_what_is_there() {
    for name in BOARDS {
        let board = board(name);
        assert_eq!(text(&board, "uid"), format!("lamplighter-{name}"));
        let variables = board["templating"]["list"].as_array().expect("it has variables");
        let variables: Vec<&str> = variables.iter().map(|one| text(one, "name")).collect();
        assert_eq!(
            variables,
            ["datasource", "namespace", "job", "instance", "runbooks"]
        );
        let links = board["links"].as_array().expect("it has links");
        for other in BOARDS.iter().filter(|other| **other != name) {
            let url = format!("/d/lamplighter-{other}");
            assert!(
                links.iter().any(|link| text(link, "url") == url),
                "{name} does not link to {other}"
            );
        }
        let mut ids = BTreeSet::new();
        let mut cells = BTreeSet::new();
        for panel in panels(&board) {
            let title = text(panel, "title");
            assert!(
                ids.insert(panel["id"].as_i64()),
                "{name}: {title}: its id is taken"
            );
            assert!(
                text(panel, "description").ends_with('.'),
                "{name}: {title}: no description"
            );
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!text(defaults, "unit").is_empty(), "{name}: {title}: no unit");
            let steps = defaults["thresholds"]["steps"].as_array();
            assert!(
                steps.is_some_and(|steps| !steps.is_empty()),
                "{name}: {title}: no thresholds"
            );
            for link in panel["links"].as_array().into_iter().flatten() {
                let url = text(link, "url").replace("${runbooks}", "docs/runbooks");
                assert!(
                    repository().join(&url).is_file(),
                    "{name}: {title}: there is no {url}"
                );
            }
            let place = |side: &str| panel["gridPos"][side].as_i64().unwrap_or_default();
            assert!(
                place("x") + place("w") <= 24,
                "{name}: {title}: wider than the page"
            );
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(
                        cells.insert((x, y)),
                        "{name}: {title}: lies on another at {x}, {y}"
                    );
                }
            }
        }
    }
}

/// Apps in many phases, of which one fails and one is destroyed.
fn load(dev: &Dev) {
    let tables = dev.tables();
    let wants = |user: &'static str, app: &'static str, desired: &'static str| {
        [("user", user), ("app", app), ("desired", desired)]
    };
    tables.put("gone", &wants("ann", "notes", "Running"));
    tables.put("up", &wants("bob", "notes", "Running"));
    tables.put("asleep", &wants("cho", "notes", "Running"));
    tables.put_with(
        "broken",
        &wants("dan", "hello", "Running"),
        &[("SIM_BEHAVIOUR", "fail")],
    );
    #[allow(clippy::disallowed_methods, reason = "the daemon's clock is the machine's")]
    let soon = (jiff::Timestamp::now() + Duration::from_secs(15)).to_string();
    let brief = wants("fay", "notes", "Running");
    tables.put("brief", &[&brief[..], &[("expiresAt", soon.as_str())]].concat());
    tables.put("refused", &wants("eve", "nothing", "Running"));
    for id in ["gone", "up", "asleep"] {
        tables.until(id, "Ready");
    }
    tables.put("gone", &wants("ann", "notes", "Destroyed"));
    tables.put("asleep", &wants("cho", "notes", "Suspended"));
    tables.until("gone", "Destroyed");
    tables.until("asleep", "Suspended");
    // Something that was due and is gone.
    tables.until("brief", "Destroyed");
}

#[test]
fn every_query_finds_something_in_a_prometheus_that_scraped_a_fleet_under_load() {
    let scratch = Scratch::new("dashboards");
    let dev = Dev::start(&scratch);
    let mut prometheus = Prometheus::start(&scratch, &dev.admin, "");
    load(&dev);

    // As the variables are filled from Prometheus, with "All" for namespaces, which this one has none of.
    for (label, series) in [
        ("job", "lamplighter_build_info{namespace=~\".*\"}"),
        (
            "instance",
            "lamplighter_build_info{namespace=~\".*\",job=~\"lamplighter\"}",
        ),
    ] {
        let found = prometheus.label(label, series).expect("it answers");
        assert_eq!(found.len(), 1, "{label}: {found:?}");
    }
    let mut asked = 0;
    for name in BOARDS {
        for (title, written) in queries(&board(name)) {
            let filled = [
                ("$namespace", ".*"),
                ("$job", "lamplighter"),
                ("$instance", ".*"),
                ("$__rate_interval", "1m"),
                ("$__interval", "1m"),
                ("$__range", "1h"),
            ]
            .iter()
            .fold(written, |text, (variable, value)| text.replace(variable, value));
            assert!(!filled.contains('$'), "{name}: {title}: {filled}");
            if MAY_BE_EMPTY.iter().any(|(panel, _)| *panel == title) {
                // It has to be understood all the same.
                prometheus.values(&filled).expect("it answers");
                continue;
            }
            until_within(
                Duration::from_secs(20),
                &format!("{name}: {title}"),
                || match prometheus.values(&filled) {
                    Ok(values) if values.is_empty() => Err(format!("nothing for {filled}")),
                    other => other.map(drop),
                },
            );
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked} queries were asked only");
}
