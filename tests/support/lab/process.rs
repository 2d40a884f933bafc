//! The real binary, `lamplighter run --config FILE`, as a process that can be killed at any moment.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::wire::{get, s};
use super::{BETWEEN_LOOKS, Lab, PATIENCE};

pub const BINARY: &str = env!("CARGO_BIN_EXE_lamplighter");

/// The shortest delays that a configuration may have, and apps whose day never ends, since this daemon's clock
/// is the machine's.
const TEMPLATE: &str = r#"
[aws]
region = "eu-west-1"
endpoint_url = "@AWS@"

[api]
public_addr = "127.0.0.1:0"
admin_addr = "127.0.0.1:0"

[daemon]
shutdown_grace = "5s"
shards = @SHARDS@
lease_duration = "@LEASE@"

[admission]
max_concurrent_builds = 10
reserved_for_destroys = 0
starts_per_minute = 600

[intervals]
sweep = "5s"
progress = "1s"
row_poll = "1s"
ready_recheck = "5s"

[policy]
confirm_absence = "1s"
appear_grace = "1s"
deploy_retry = { initial = "1s", max = "1s" }
destroy_retry = { initial = "1s", max = "1s" }

[apps.shop]
project = "child-app"
cluster = "apps"
domain = "localhost"
url = "http://{host_name}:@PORT@"
target_group = "{resource_name}"
"#;

/// A daemon at work. Dropped, it is killed.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Lab {
    /// Starts the binary against this lab's AWS.
    pub fn spawn(&self) -> Process {
        self.spawn_with(1, "2s")
    }

    /// The same, with so many shards and leases as long as that.
    pub fn spawn_with(&self, shards: u16, lease: &str) -> Process {
        Process::start(&self.config_file(shards, lease))
    }

    /// Deletes the leases of those that were killed, so that the next need not wait for their end.
    pub async fn bury(&self) {
        let delete = self.dynamodb().delete_item();
        let delete = delete
            .table_name(&self.config.tables.state)
            .key("pk", s("lease#0"));
        delete.send().await.unwrap();
    }

    fn config_file(&self, shards: u16, lease: &str) -> PathBuf {
        let text = TEMPLATE
            .replace("@SHARDS@", &shards.to_string())
            .replace("@LEASE@", lease);
        self.write_config("e2e", &text)
    }

    /// Writes a configuration for the binary, with `@AWS@` and `@PORT@` as they are here.
    pub fn write_config(&self, name: &str, text: &str) -> PathBuf {
        let port = self.url.rsplit(':').next().unwrap();
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{port}.toml"));
        std::fs::write(&file, text.replace("@AWS@", &self.url).replace("@PORT@", port)).unwrap();
        file
    }
}

impl Process {
    /// Starts the binary with this configuration.
    pub fn start(config: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["run", "--config"])
            .arg(config)
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "lab")
            .env("AWS_SECRET_ACCESS_KEY", "lab")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, written) = (BufReader::new(child.stderr.take().unwrap()).lines(), log.clone());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().unwrap().push(line);
            }
        });
        Self { child, log }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did so by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it wrote so far, line by line, as it came.
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// `kill -9`: it gets no chance to do anything about it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, as every platform sends it, and how the process ended.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        let pid = self.child.id().to_string();
        assert!(
            Command::new("sh")
                .args(["-c", "kill -TERM $0", &pid])
                .status()
                .unwrap()
                .success()
        );
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, begin.elapsed());
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "it does not end; it says {:#?}",
                self.log()
            );
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Its log, a JSON object in every line.
    pub fn log(&self) -> Vec<Value> {
        let lines = self.log.lock().unwrap();
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}")))
            .collect()
    }

    /// The first line that says this.
    pub async fn says(&self, message: &str) -> Value {
        let begin = Instant::now();
        loop {
            if let Some(line) = self.log().into_iter().find(|line| line["message"] == message) {
                return line;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "{message:?} is never said; only {:#?}",
                self.log()
            );
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// The URL of its API, once it says where that is.
    pub async fn api(&self) -> String {
        self.port("public").await
    }

    async fn port(&self, name: &str) -> String {
        format!(
            "http://{}",
            self.says("lamplighter starts").await[name].as_str().unwrap()
        )
    }

    /// What it says of itself: the status of `/readyz`, and the shards it holds.
    pub async fn readiness(&self) -> (u16, Vec<u64>) {
        let answer = get(&format!("{}/readyz", self.port("admin").await)).await;
        let held = answer.json()["shards"]["held"].as_array().unwrap().clone();
        (answer.status, held.iter().filter_map(Value::as_u64).collect())
    }

    /// Waits until it holds so many shards and is ready, and gives how long that took.
    pub async fn until_it_holds(&self, shards: usize) -> Duration {
        let begin = Instant::now();
        loop {
            let (status, held) = self.readiness().await;
            if status == 200 && held.len() == shards {
                return begin.elapsed();
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "it holds {held:?}, {status}; it says {:#?}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
