//! The processes: two that are killed again and again, and one that is left alone, so that its memory can be watched.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Storm;
use crate::dice::Dice;
use crate::lab::Lab;
use crate::lab::process::Process;

/// What the daemons are told. Absence is believed after twice the age of the stalest answer.
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
lease_duration = "2s"

[admission]
max_concurrent_builds = 8
reserved_for_destroys = 0
starts_per_minute = 600

[intervals]
sweep = "5s"
progress = "1s"
row_poll = "1s"
ready_recheck = "5s"

[policy]
confirm_absence = "4s"
appear_grace = "4s"
refusal_recheck = "1s"
deploy_retry = { initial = "1s", max = "2s" }
destroy_retry = { initial = "1s", max = "2s" }

[apps.shop]
project = "child-app"
cluster = "apps"
domain = "localhost"
url = "http://{host_name}:@PORT@"
target_group = "{resource_name}"
build_timeout = "15m"
queue_timeout = "30m"
parameters = { SIZE = { max_bytes = 10, one_of = ["small", "large"] } }

[apps.wiki]
project = "child-app"
cluster = "apps"
domain = "localhost"
url = "http://{host_name}:@PORT@"
target_group = "{resource_name}"
build_timeout = "15m"
queue_timeout = "30m"
parameters = { SIZE = { max_bytes = 10, one_of = ["small", "large"] } }
"#;

/// The shards of the replica that is left alone, and of all in the end. Some of the others count differently, as
/// during a change of the configuration: two replicas then work on the same apps.
const SHARDS: u16 = 4;

pub(crate) struct Lives {
    seed: u64,
    shared: PathBuf,
    alone: PathBuf,
    begun: AtomicU64,
    stopped: AtomicU64,
}

impl Lives {
    pub(crate) fn new(lab: &Lab, seed: u64) -> Self {
        let config = |name: &str, shards: u16| {
            lab.write_config(name, &TEMPLATE.replace("@SHARDS@", &shards.to_string()))
        };
        Self {
            seed,
            shared: config("soak-shared", SHARDS),
            alone: config("soak-alone", 1),
            begun: AtomicU64::new(0),
            stopped: AtomicU64::new(0),
        }
    }

    pub(crate) fn lives(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn stopped(&self) -> u64 {
        self.stopped.load(Ordering::Relaxed)
    }

    /// A replica that nobody kills.
    pub(crate) fn steady(&self) -> Process {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Process::start(&self.shared)
    }

    /// One place in which a replica lives, dies and is started again.
    pub(crate) async fn come_and_go(&self, storm: &Storm, place: u64) {
        let mut dice = Dice::new(self.seed, 20 + place);
        while storm.is_on() {
            self.begun.fetch_add(1, Ordering::Relaxed);
            let config = if dice.percent(50) {
                &self.alone
            } else {
                &self.shared
            };
            let mut process = Process::start(config);
            // From a process that has hardly begun to one in the middle of its work.
            let (shortest, longest) = dice.pick(&[(20, 400), (300, 4_000), (300, 4_000), (2_000, 9_000)]);
            tokio::time::sleep(Duration::from_millis(dice.between(shortest, longest))).await;
            storm.wrong(complaints(&mut process));
            if dice.percent(8) {
                storm.wrong(self.dismiss(&mut process).await);
                self.stopped.fetch_add(1, Ordering::Relaxed);
            } else {
                process.kill();
                storm.killed();
            }
            tokio::time::sleep(Duration::from_millis(dice.between(0, 1_000))).await;
        }
    }

    /// Sees to it that the one that is left alone goes on.
    pub(crate) async fn watch(&self, storm: &Storm, process: &mut Process) {
        while storm.is_on() {
            storm.wrong(complaints(process));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// SIGTERM: it ends well, and soon.
    pub(crate) async fn dismiss(&self, process: &mut Process) -> Vec<String> {
        let wrong = complaints(process);
        if !wrong.is_empty() {
            return wrong;
        }
        let (status, _) = process.terminate().await;
        // A signal that came before it listens for signals is the system's to answer.
        let early = !process
            .lines()
            .iter()
            .any(|line| line.contains("lamplighter starts"));
        if status.success() || early {
            return Vec::new();
        }
        vec![format!("it ended with {status} after SIGTERM: {}", tail(process))]
    }
}

/// What a process must never do by itself: end, or panic.
fn complaints(process: &mut Process) -> Vec<String> {
    let panicked = process.lines().iter().any(|line| line.contains("panicked at"));
    let ended = process.ended();
    if ended.is_none() && !panicked {
        return Vec::new();
    }
    vec![format!(
        "a daemon ended by itself ({ended:?}) or panicked: {}",
        tail(process)
    )]
}

fn tail(process: &Process) -> String {
    let lines = process.lines();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
