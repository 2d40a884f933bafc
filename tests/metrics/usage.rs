//! Which panel shows a metric and which alert asks for it: the second table of `docs/metrics.md`, held equal to the
//! dashboards and the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lamplighter::metrics::Metrics;
use serde_json::Value;

/// Panels and alerts.
type Usage = BTreeMap<String, [BTreeSet<String>; 2]>;

const BOARDS: [&str; 3] = ["fleet", "end-of-day", "controller"];
const BEGIN: &str = "| metric | panels | alerts |\n| --- | --- | --- |\n";

fn registered() -> BTreeSet<String> {
    let families = Metrics::new("1.2.3").gather();
    families.iter().map(|family| family.name().to_owned()).collect()
}

/// The names of metrics that an expression asks for; a histogram's parts count as the histogram.
fn names(expression: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = expression.split(|c| !is_name(c));
    let ours = words.filter(|word| word.starts_with("lamplighter_") || word.starts_with("process_"));
    let whole = |word: &str| {
        let parts = ["_bucket", "_count", "_sum"];
        let base = parts.iter().find_map(|part| word.strip_suffix(part));
        match base {
            Some(base) if !known.contains(word) => base.to_owned(),
            _ => word.to_owned(),
        }
    };
    ours.map(whole).collect()
}

fn usage(known: &BTreeSet<String>) -> Usage {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Usage = known
        .iter()
        .map(|name| (name.clone(), Default::default()))
        .collect();
    for board in BOARDS {
        let text = std::fs::read_to_string(root.join("dashboards").join(format!("{board}.json"))).unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap();
        let title = whole["title"]
            .as_str()
            .unwrap()
            .trim_start_matches("Lamplighter / ");
        for panel in whole["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                for name in names(target["expr"].as_str().unwrap(), known) {
                    let shown = format!("{title}: {}", panel["title"].as_str().unwrap());
                    found.entry(name).or_default()[0].insert(shown);
                }
            }
        }
    }
    let rules = std::fs::read_to_string(root.join("deploy/alerts/rules.yaml")).unwrap();
    for rule in rules.split("\n      - ").skip(1) {
        let Some((alert, rest)) = rule
            .strip_prefix("alert: ")
            .and_then(|rule| rule.split_once('\n'))
        else {
            continue;
        };
        let (expression, _) = rest.split_once("annotations:").unwrap();
        for name in names(expression, known) {
            found.entry(name).or_default()[1].insert(alert.trim_start_matches("Lamplighter").to_owned());
        }
    }
    found
}

fn table(usage: &Usage) -> String {
    let cell = |names: &BTreeSet<String>| match names.iter().cloned().collect::<Vec<_>>().join("; ") {
        none if none.is_empty() => "–".to_owned(),
        some => some,
    };
    let line = |(name, used): (&String, &[BTreeSet<String>; 2])| {
        format!("| `{name}` | {} | {} |\n", cell(&used[0]), cell(&used[1]))
    };
    usage.iter().map(line).collect()
}

#[test]
fn every_metric_of_a_panel_or_an_alert_is_one_that_the_daemon_has() {
    let known = registered();
    for (name, used) in usage(&known) {
        assert!(
            known.contains(&name) || name.starts_with("process_"),
            "there is no {name}: {used:?}"
        );
    }
}

// The table has the metrics of the process, which are read from /proc.
#[cfg(target_os = "linux")]
#[test]
fn the_documentation_says_which_panels_and_alerts_use_a_metric() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table is there");
    let (written, after) = rest.split_once("\n\n").expect("something follows the table");
    let usage = usage(&registered());
    let table = table(&usage);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(
            &path,
            format!("{before}{BEGIN}{table}{}", &rest[written.len() + 1..]),
        )
        .unwrap();
        return;
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (written, table) = (lines(written), lines(&table));
    let wrong: Vec<_> = written.symmetric_difference(&table).collect();
    assert!(
        wrong.is_empty(),
        "UPDATE_DOCS=1 cargo test --test metrics writes it anew: {wrong:#?}"
    );
    // What no panel shows is named below the table, with the reason.
    let (reasons, _) = after.split_once("\n\n").expect("a paragraph follows the table");
    for (name, used) in &usage {
        let named = reasons.contains(&format!("`{name}`"));
        assert_eq!(named, used[0].is_empty(), "{name}: shown by {:?}", used[0]);
    }
}
