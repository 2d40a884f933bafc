//! Alerts and their runbooks: each alert has one, it says what a person wants to know, and its commands exist.

use std::collections::BTreeSet;
use std::process::Command;

use crate::observed::outcome;
use crate::support::{Scratch, repository};

const HEADINGS: [&str; 4] = ["What it means", "First look", "Causes", "What to do"];

/// An alert as it is written, and the text of its rule.
pub(crate) fn alerts() -> Vec<(String, String)> {
    let rules = include_str!("../../deploy/alerts/rules.yaml");
    let blocks = rules.split("\n      - ").skip(1);
    let alert = |block: &str| {
        let (name, rest) = block.strip_prefix("alert: ")?.split_once('\n')?;
        Some((name.to_owned(), rest.to_owned()))
    };
    blocks.filter_map(alert).collect()
}

/// `LamplighterSweepStale` as a file name has it: `sweep-stale`.
fn kebab(alert: &str) -> String {
    let bare = alert
        .strip_prefix("Lamplighter")
        .expect("an alert is named after us");
    let mut name = String::new();
    for letter in bare.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn runbooks() -> Vec<(String, String)> {
    let folder = std::fs::read_dir(repository().join("docs/runbooks")).expect("there are runbooks");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("a folder can be read").path();
        let name = path
            .file_stem()
            .expect("it has a name")
            .to_string_lossy()
            .into_owned();
        (name, std::fs::read_to_string(path).expect("a runbook is text"))
    };
    folder.map(read).collect()
}

#[test]
fn every_alert_has_a_runbook_that_says_what_a_person_wants_to_know() {
    let alerts = alerts();
    assert!(alerts.len() > 25, "{} alerts were found only", alerts.len());
    let runbooks = runbooks();
    for (alert, rule) in &alerts {
        let name = kebab(alert);
        assert!(
            rule.contains(&format!("/runbooks/{name}.md\n"))
                || rule.ends_with(&format!("/runbooks/{name}.md")),
            "{alert} does not lead to {name}.md"
        );
        for needed in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(needed), "{alert} has no {needed}");
        }
        let severities = ["severity: critical\n", "severity: warning\n"];
        assert!(severities.iter().any(|one| rule.contains(one)), "{alert}: {rule}");
        let found = runbooks.iter().find(|(runbook, _)| *runbook == name);
        let (_, text) = found.unwrap_or_else(|| panic!("{alert} has no docs/runbooks/{name}.md"));
        assert!(
            text.contains(&format!("`{alert}`")),
            "{name}.md does not name {alert}"
        );
        let mut rest = text.as_str();
        for heading in HEADINGS {
            let heading = format!("\n## {heading}\n\n");
            let (_, after) = rest
                .split_once(&heading)
                .unwrap_or_else(|| panic!("{name}.md lacks{heading}or has it elsewhere"));
            rest = after;
        }
    }
    let listed = include_str!("../../docs/observe.md");
    for (alert, rule) in &alerts {
        let after = |label: &str| {
            let (_, text) = rule.split_once(label).expect("it was looked for above");
            text.lines().next().unwrap_or_default().to_owned()
        };
        let bare = alert.trim_start_matches("Lamplighter");
        let (severity, summary) = (after("severity: "), after("summary: "));
        let row = format!(
            "\n| [{bare}](runbooks/{}.md) | {severity} | {summary} |\n",
            kebab(alert)
        );
        assert!(listed.contains(&row), "docs/observe.md has not:{row}");
    }
    let known: BTreeSet<String> = alerts.iter().map(|(alert, _)| kebab(alert)).collect();
    for (name, _) in runbooks {
        // What the one on lost state leads to.
        assert!(
            known.contains(&name) || name == "state-table",
            "no alert leads to {name}.md"
        );
    }
}

/// What of a runbook is to be typed: lines of code that begin with `lamplighter`, and such code in a sentence.
pub(crate) fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            found.extend(line.starts_with("lamplighter ").then(|| line.to_owned()));
        } else {
            prose.push_str(line.trim());
            prose.push(' ');
        }
    }
    let ticked = prose.split('`').skip(1).step_by(2);
    found.extend(
        ticked
            .filter(|code| code.starts_with("lamplighter "))
            .map(str::to_owned),
    );
    found
}

#[test]
fn one_command_sets_where_all_runbooks_are() {
    let scratch = Scratch::new("links");
    let mut files = Vec::new();
    for folder in ["deploy/alerts", "dashboards"] {
        std::fs::create_dir_all(scratch.file(folder)).expect("a folder is made");
        for entry in std::fs::read_dir(repository().join(folder)).expect("a folder is listed") {
            let path = entry.expect("a folder is listed").path();
            if path.is_file() {
                let copy = scratch
                    .file(folder)
                    .join(path.file_name().expect("a file has a name"));
                std::fs::copy(&path, &copy).expect("a file is copied");
                files.push(copy);
            }
        }
    }
    let mut shell = Command::new("/bin/sh");
    shell.current_dir(scratch.file(""));
    let observe = include_str!("../../docs/observe.md");
    let command = observe
        .lines()
        .find(|line| line.starts_with("sed -i "))
        .expect("it has the command");
    let (well, said) = outcome(shell.args(["-euc", command]));
    assert!(well, "{said}");
    let mut set = 0;
    for file in files.iter().filter_map(|file| std::fs::read_to_string(file).ok()) {
        assert!(!file.contains("example.com/lamplighter"), "{file}");
        set += file.matches("https://wiki.example.org/lamplighter").count();
    }
    // One of each alert, one of each dashboard.
    assert_eq!(set, alerts().len() + 3);
}

/// What the daemon's own parser says of a command; asked for help, it carries nothing out.
pub(crate) fn parses(command: &str) -> (bool, String) {
    let script = "lamplighter() { \"$BINARY\" \"$@\" --help; }\n".to_owned() + command;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-euc", &script]);
    outcome(shell.env("BINARY", env!("CARGO_BIN_EXE_lamplighter")))
}

#[test]
fn every_command_of_a_runbook_exists() {
    let mut all = BTreeSet::new();
    for (name, text) in runbooks() {
        all.extend(commands(&text).into_iter().map(|command| (command, name.clone())));
    }
    assert!(all.len() > 40, "{} commands were found only", all.len());
    for (command, name) in all {
        let (well, said) = parses(&command);
        assert!(well, "{name}.md: {command}\n{said}");
    }
    for nonsense in ["lamplighter aps list", "lamplighter apps list --fase Ready"] {
        let (well, said) = parses(nonsense);
        assert!(!well, "{nonsense} is taken: {said}");
    }
}
