//! Programs as people run them: started, watched through what they print, spoken to over HTTP, and ended.
//! Knows nothing of Lamplighter's code, so that tests made of it see only what people see.
#![allow(dead_code, reason = "each test binary that shares this uses a part of it")]

mod http;
mod program;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

#[allow(unused_imports, reason = "as above")]
pub(crate) use http::{get, post};
#[allow(unused_imports, reason = "as above")]
pub(crate) use program::{Program, Signal, closed};
#[allow(unused_imports, reason = "as above")]
pub(crate) use table::Tables;

/// How long anything may take before a test fails: many times what it takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    until_within(PATIENCE, what, look)
}

/// The same, for what is known to take long.
#[track_caller]
pub(crate) fn until_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(why) => assert!(began.elapsed() < limit, "after {limit:?} not yet: {what}; {why}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary that this package builds.
pub(crate) fn lamplighter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lamplighter"));
    // Whatever this machine is set up with must not decide a test.
    for name in [
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    ] {
        command.env_remove(name);
    }
    command
}

/// One of the pinned Python tools. A missing one fails the test: what was never run proves nothing.
pub(crate) fn tool(name: &str) -> PathBuf {
    let venv = std::env::var_os("LAMPLIGHTER_VENV").map_or_else(|| repository().join(".venv"), PathBuf::from);
    let tool = venv.join("bin").join(name);
    assert!(
        tool.exists(),
        "{} is missing; `make venv` sets it up",
        tool.display()
    );
    tool
}

/// What the AWS CLI answers.
#[track_caller]
pub(crate) fn aws(endpoint: &str, region: &str, arguments: &[&str]) -> Value {
    let mut command = Command::new(tool("aws"));
    command.args(arguments).args(["--output", "json"]);
    command.env_clear().envs(environment(endpoint, region));
    let output = command.output().expect("the AWS CLI starts");
    assert!(
        output.status.success(),
        "aws {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.stdout.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&output.stdout).expect("the AWS CLI answers in JSON")
}

/// An environment in which any AWS SDK talks to `endpoint`, and to nothing else.
pub(crate) fn environment(endpoint: &str, region: &str) -> Vec<(&'static str, String)> {
    let variables = [
        ("PATH", "/usr/bin:/bin"),
        ("HOME", "/nonexistent"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_REGION", region),
        ("AWS_ENDPOINT_URL", endpoint),
    ];
    variables
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

/// A folder of a test's own, gone at its end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{}-{count}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder is made");
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.file(name), text).expect("a file is written");
        self.file(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
