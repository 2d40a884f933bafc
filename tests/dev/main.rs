//! `lamplighter dev` as a newcomer meets it: the real binary, what it prints, and what that is good for.
#![cfg(feature = "dev")]
#![allow(
    clippy::disallowed_methods,
    reason = "these tests watch other processes, in real time"
)]
#![allow(clippy::print_stderr, reason = "a failed test shows what the program wrote")]

mod end;
mod endpoint;
mod examples;
mod healthy;
mod keep;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::{Program, Scratch, Tables, lamplighter, until};

/// What `lamplighter dev` says of itself.
pub(crate) const REGION: &str = "eu-west-1";

/// A running `lamplighter dev` on ports that were free.
pub(crate) struct Dev {
    pub(crate) program: Program,
    pub(crate) aws: String,
    pub(crate) api: String,
    pub(crate) admin: String,
}

/// The command, with free ports.
pub(crate) fn command(ready: &Path, arguments: &[&str]) -> Command {
    let mut command = lamplighter();
    command.args(["dev", "--ready-file"]).arg(ready).args(arguments);
    for flag in ["--aws-port", "--api-port", "--admin-port"] {
        if !arguments.contains(&flag) {
            command.args([flag, "0"]);
        }
    }
    command
}

impl Dev {
    /// Starts it and waits until it says that everything answers.
    #[track_caller]
    pub(crate) fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let ready = scratch.file("ready.json");
        let _ = std::fs::remove_file(&ready);
        let mut program = Program::start(scratch, "dev", &mut command(&ready, arguments));
        let addresses: Value = until("the ready file", || {
            program.assert_runs();
            let text = std::fs::read(&ready).map_err(|error| error.to_string())?;
            // It is renamed into place, so that nobody ever reads half of it.
            Ok(serde_json::from_slice(&text).expect("the ready file is JSON"))
        });
        let address = |name: &str| addresses[name].as_str().expect("an address").to_owned();
        Self {
            program,
            aws: address("aws"),
            api: address("api"),
            admin: address("admin"),
        }
    }

    pub(crate) fn tables(&self) -> Tables {
        Tables::at(&self.aws, REGION)
    }

    /// Every build of the project that `dev` has, newest first.
    #[track_caller]
    pub(crate) fn builds(&self) -> Vec<Value> {
        let arguments = [
            "codebuild",
            "list-builds-for-project",
            "--project-name",
            "child-app",
        ];
        let listed = support::aws(&self.aws, REGION, &arguments);
        listed["ids"].as_array().expect("builds are listed").clone()
    }

    /// Fails unless a signal ends it well and soon, and nothing listens afterwards.
    #[track_caller]
    pub(crate) fn ends_well(mut self, signal: support::Signal) {
        let (status, took) = self.program.stop(signal);
        assert_eq!(
            status.code(),
            Some(0),
            "after {signal:?}: {}",
            self.program.logged()
        );
        assert!(took < Duration::from_secs(5), "{signal:?} took {took:?}");
        for url in [&self.aws, &self.api, &self.admin] {
            support::closed(url);
        }
    }
}
