//! The real binary, `lamplighter run --config FILE`, as a process that can be killed at any moment.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

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
        let mut child = Command::new(BINARY)
            .args(["run", "--config"])
            .arg(self.config_file())
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
        Process { child, log }
    }

    fn config_file(&self) -> PathBuf {
        let port = self.url.rsplit(':').next().unwrap();
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("e2e-{port}.toml"));
        let text = TEMPLATE.replace("@AWS@", &self.url).replace("@PORT@", port);
        std::fs::write(&file, text).unwrap();
        file
    }
}

impl Process {
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
        format!(
            "http://{}",
            self.says("lamplighter starts").await["public"].as_str().unwrap()
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
