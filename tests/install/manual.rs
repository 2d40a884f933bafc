//! docs/install.md, followed literally: each block of it is run, or read by the tool that is to read it, by the test that
//! names some words of it. What no test may run is recorded and compared with what the chart makes; see `kubernetes`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::observed::outcome;
use crate::runbooks::{commands, parses};
use crate::support::{Scratch, environment, repository, tool};

mod kubernetes;
mod machine;

const MANUAL: &str = include_str!("../../docs/install.md");
/// What is left of a block's gaps when nobody has filled them.
const GAPS: [&str; 5] = ["…", "ACCOUNT", "CLUSTER", "REGISTRY", "YOUR-"];

/// The blocks of the document, as one who copies them has them.
fn blocks() -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for line in MANUAL.lines() {
        let bare = line.trim_start();
        if bare.starts_with("```") {
            match open.take() {
                Some((_, text)) => found.push(text),
                None => open = Some((line.len() - bare.len(), String::new())),
            }
        } else if let Some((indent, text)) = &mut open {
            text.push_str(line.get(*indent..).unwrap_or_default());
            text.push('\n');
        }
    }
    found
}

/// The one block that has these words.
#[track_caller]
pub(crate) fn block(words: &str) -> String {
    let mut found = blocks();
    found.retain(|block| block.contains(words));
    assert_eq!(found.len(), 1, "{words:?} is in one block of docs/install.md");
    found.remove(0)
}

/// A block with its gaps filled: each pair is a gap, with enough around it to be found, and what belongs there.
#[track_caller]
pub(crate) fn filled(mut text: String, with: &[(&str, &str)]) -> String {
    for (gap, value) in with {
        assert!(text.contains(gap), "{gap} is not in {text}");
        text = text.replace(gap, value);
    }
    for gap in GAPS {
        assert!(!text.contains(gap), "{gap} is left in {text}");
    }
    text
}

/// The same for what `surroundings.py` has made.
#[track_caller]
pub(crate) fn filled_for(text: String, surroundings: &Value, with: &[(&str, &str)]) -> String {
    let made = |pointer: &str| {
        surroundings
            .pointer(pointer)
            .and_then(Value::as_str)
            .expect("it was made")
    };
    let subnets = &surroundings["network"]["subnet_ids"];
    let subnets = format!("subnet_ids = {subnets}");
    let zone = format!("zone_id = \"{}\", domain", made("/dns/zone_id"));
    let balancer = format!("zone_id           = \"{}\"", made("/load_balancer/zone_id"));
    let digest = format!("sha256 = \"{}\" }}", made("/terraform/sha256"));
    let common = [
        ("subnet_ids = [\"subnet-…\", \"subnet-…\"]", subnets.as_str()),
        ("vpc-…", made("/network/vpc_id")),
        ("zone_id = \"Z…\", domain", &zone),
        ("zone_id           = \"Z…\"", &balancer),
        (
            "….eu-central-1.elb.amazonaws.com",
            made("/load_balancer/dns_name"),
        ),
        ("sg-…", made("/load_balancer/security_group_id")),
        (
            "arn:aws:elasticloadbalancing:eu-central-1:ACCOUNT:listener/app/…",
            made("/load_balancer/listener_arn"),
        ),
        ("YOUR-TOOLS", "tools"),
        ("sha256 = \"…\" }", &digest),
        ("ACCOUNT", "000000000000"),
    ];
    filled(text, &[with, &common].concat())
}

/// A folder in which blocks are run, one after the other.
pub(crate) struct Shell {
    pub(crate) folder: PathBuf,
    bin: PathBuf,
    variables: Vec<(String, String)>,
}

impl Shell {
    /// With the daemon's own binary and the AWS CLI, which asks `endpoint`.
    pub(crate) fn new(scratch: &Scratch, folder: PathBuf, endpoint: &str, region: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let bin = scratch.file(&format!("bin-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(&bin).expect("a folder is made");
        symlink(env!("CARGO_BIN_EXE_lamplighter"), bin.join("lamplighter")).expect("a link is made");
        symlink(tool("aws"), bin.join("aws")).expect("a link is made");
        let variables = environment(endpoint, region).into_iter();
        let mut shell = Self {
            folder,
            bin,
            variables: variables.map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        let path = std::env::var("PATH").expect("there is a PATH");
        shell.set("PATH", &format!("{}:{path}", shell.bin.display()));
        shell
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Puts something in a program's place: what it is asked is kept, and what `then` does is done.
    pub(crate) fn record(&self, program: &str, then: &str) {
        let path = self.bin.join(program);
        let _ = fs::remove_file(&path);
        let script = format!(
            "#!/bin/sh\n{{ printf '%s\\037' {program} \"$@\"; echo; }} >>'{}'\n{then}\n",
            self.calls_file().display()
        );
        fs::write(&path, script).expect("a script is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
    }

    fn calls_file(&self) -> PathBuf {
        self.bin.with_extension("calls")
    }

    /// What recorded programs were asked, as words.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.calls_file()).unwrap_or_default();
        let words = |line: &str| {
            line.trim_end_matches('\u{1f}')
                .split('\u{1f}')
                .map(str::to_owned)
                .collect()
        };
        text.lines().map(words).collect()
    }

    pub(crate) fn try_run(&self, text: &str) -> (bool, String) {
        let mut command = Command::new("sh");
        command.args(["-euc", text]).current_dir(&self.folder);
        command.env_clear();
        outcome(command.envs(self.variables.iter().map(|(name, value)| (name, value))))
    }

    /// Runs a block, and gives what it printed.
    #[track_caller]
    pub(crate) fn run(&self, text: &str) -> String {
        let (well, said) = self.try_run(text);
        assert!(well, "{text}\n{said}");
        said
    }
}

/// What follows a word among others.
#[track_caller]
pub(crate) fn after<'w>(words: &'w [String], word: &str) -> &'w str {
    let at = words.iter().position(|one| one == word);
    let at = at.unwrap_or_else(|| panic!("no {word} in {words:?}"));
    words
        .get(at + 1)
        .unwrap_or_else(|| panic!("nothing follows {word}"))
}

/// The words by which tests find blocks, from their sources.
fn looked_for(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder is listed") {
        let path = entry.expect("a folder is listed").path();
        if path.is_dir() {
            looked_for(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            for rest in text.split("block(\"").skip(1) {
                found.extend(rest.split_once("\")").map(|(words, _)| words.to_owned()));
            }
        }
    }
}

#[test]
fn every_block_is_followed_by_a_test() {
    let mut words = BTreeSet::new();
    looked_for(&repository().join("tests/install"), &mut words);
    let all = blocks();
    assert!(all.len() > 20, "{} blocks were found only", all.len());
    for block in &all {
        let followed = words.iter().filter(|words| block.contains(*words)).count();
        assert!(
            followed > 0,
            "no test below tests/install follows this block of docs/install.md:\n{block}"
        );
    }
}

#[test]
fn every_command_of_the_manual_exists() {
    let found = commands(MANUAL);
    assert!(found.len() > 5, "{found:?}");
    for command in found {
        let (well, said) = parses(&command);
        assert!(well, "{command}\n{said}");
    }
}
