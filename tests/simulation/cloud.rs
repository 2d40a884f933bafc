//! The simulated AWS of one run, its tables, and two ways around the faults: the portal's and the oracles'.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lamplighter::cloud::aws::{Clients, Simulation, Unobserved};
use lamplighter::cloud::dynamodb::{DynamoDb, create_tables};
use lamplighter::cloud::{Prober, StateSnapshot, StateStore as _};
use lamplighter::config::Config;
use lamplighter::model::observed::{Observed, Probe};
use lamplighter::serve;
use serde_json::{Value, json};
use simcloud::{Database, Reply, SimCloud, SimConfig, TokioClock};

use crate::row::RowSpec;
use crate::scenario::Scenario;

const TEMPLATE: &str = r#"
[schedules.office]
time_zone = "Europe/Berlin"
teardown = "0 19 * * *"
action = "destroy"

[schedules.nights]
time_zone = "America/New_York"
teardown = "30 18 * * 1-5"
action = "suspend"

[policy]
max_attempts = 3
destroy_retry = { initial = "30s", max = "15m" }
deploy_retry = { initial = "15s", max = "10m" }

[apps.shop]
project = "child-app"
cluster = "apps"
domain = "apps.example"
health_path = "/health"
target_group = "{resource_name}"
schedule = "office"
parameters = { SIZE = { max_bytes = 10, one_of = ["small", "large"] } }
build_timeout = "10m"
queue_timeout = "10m"

[apps.wiki]
project = "child-app"
cluster = "apps"
domain = "apps.example"
health_path = "/health"
schedule = "nights"
parameters = { SIZE = { max_bytes = 10, one_of = ["small", "large"] } }
build_timeout = "10m"
queue_timeout = "10m"

[apps.blog]
project = "child-app"
cluster = "apps"
domain = "apps.example"
health_path = "/health"
target_group = "{resource_name}"
tasks = 2
parameters = { SIZE = { max_bytes = 10, one_of = ["small", "large"] } }
build_timeout = "10m"
queue_timeout = "5m"

[apps.desk]
deploy_project = "desk-up"
destroy_project = "desk-down"
cluster = "desks"
domain = "apps.example"
health_path = "/health"
schedule = "office"
parameters = { SIZE = { max_bytes = 10, one_of = ["small", "large"] } }
build_timeout = "15m"
queue_timeout = "10m"
"#;

/// How many tasks each app has when it runs: as the configuration above says.
pub(crate) fn tasks_of(app: &str) -> u32 {
    if app == "blog" { 2 } else { 1 }
}

/// Whether the catalogue names the target group of an app: as the configuration above says.
pub(crate) fn has_target_group(app: &str) -> bool {
    matches!(app, "shop" | "blog")
}

/// After how many failed deployments an app stalls: as the configuration above says.
pub(crate) const MAX_ATTEMPTS: usize = 3;

/// The simulated AWS of one run.
pub(crate) struct TestCloud {
    pub(crate) sim: SimCloud,
    pub(crate) config: Config,
    database: Database,
    /// Reads the tables without faults and without a trace.
    unseen: DynamoDb,
}

impl TestCloud {
    pub(crate) async fn new(scenario: &Scenario) -> Self {
        let clock = Arc::new(TokioClock::starting_at(scenario.begin));
        let sim = SimCloud::new(SimConfig {
            seed: scenario.seed,
            concurrent_builds: scenario.concurrent_builds,
            log_lines: 2_000_000,
            ..SimConfig::with_clock(clock.clone())
        });
        for (project, cluster) in [
            ("child-app", "apps"),
            ("desk-up", "desks"),
            ("desk-down", "desks"),
        ] {
            sim.create_project(project, cluster);
        }
        let mut config = Config::from_toml(TEMPLATE).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        config.intervals = scenario.intervals;
        config.admission = scenario.admission;
        config.workers = scenario.workers;
        config.policy.scope = scenario.scope;
        config.policy.timing.memory_retention = scenario.memory_retention;
        let database = sim.database();
        let aside = SimCloud::new(SimConfig {
            log_lines: 0,
            database: database.clone(),
            ..SimConfig::with_clock(clock)
        });
        let simulation = Simulation::new(aside.http_client(), scenario.begin, 0);
        let clients = Clients::simulated(&simulation, &(Arc::new(Unobserved) as _));
        create_tables(&clients, &serve::tables(&config)).await.unwrap();
        let unseen = DynamoDb::new(&clients, serve::tables(&config));
        Self {
            sim,
            config,
            database,
            unseen,
        }
    }

    pub(crate) fn put(&self, id: &str, row: &RowSpec) {
        let request = json!({"TableName": self.config.tables.desired, "Item": row.item(id)});
        self.database
            .put_item(serde_json::from_str(&request.to_string()).unwrap())
            .unwrap();
    }

    pub(crate) fn delete(&self, id: &str) {
        let request = json!({"TableName": self.config.tables.desired, "Key": {"id": {"S": id}}});
        self.database
            .delete_item(serde_json::from_str(&request.to_string()).unwrap())
            .unwrap();
    }

    /// The state table as it is.
    pub(crate) async fn state(&self) -> StateSnapshot {
        self.unseen.snapshot().await.unwrap()
    }

    /// The history the daemons wrote, a line each.
    pub(crate) fn history(&self) -> Vec<String> {
        let request = json!({"TableName": self.config.tables.events});
        let answer = self
            .database
            .scan(serde_json::from_str(&request.to_string()).unwrap())
            .unwrap();
        let answer = serde_json::to_value(&answer).unwrap();
        let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
        let items = answer["Items"].as_array().cloned().unwrap_or_default();
        let mut lines: Vec<String> = items
            .iter()
            .map(|item| {
                let words = ["id", "rule", "reason", "phase", "message"].map(|name| text(item, name));
                format!(
                    "{} decided {} {}",
                    text(item, "time"),
                    text(item, "at"),
                    words.join(" | ")
                )
            })
            .collect();
        lines.sort();
        lines
    }

    /// How many calls so far could have changed something.
    pub(crate) fn changes(&self) -> u64 {
        self.sim
            .world()
            .calls()
            .iter()
            .filter(|(name, _)| changes(name))
            .map(|(_, count)| count)
            .sum()
    }
}

/// Whether an operation changes something.
pub(crate) fn changes(operation: &str) -> bool {
    let verb = operation.split('.').nth(1).unwrap_or_default();
    let verbs = [
        "Put", "Update", "Delete", "Transact", "Start", "Stop", "Create", "Batch",
    ];
    verbs.iter().any(|start| verb.starts_with(start)) && !verb.starts_with("BatchGet")
}

/// Asks apps for their health inside the simulation.
pub(crate) struct InMemoryProber(pub(crate) SimCloud);

#[async_trait]
impl Prober for InMemoryProber {
    async fn probe(&self, url: &str) -> Observed<Probe> {
        let uri: http::Uri = url.parse().unwrap();
        let request = http::Request::get(uri.path())
            .header("host", uri.host().unwrap())
            .body(Bytes::new())
            .unwrap();
        Observed::Present(match self.0.handle(request).await {
            Reply::Response(answer) if answer.status().is_success() => Probe::Answered,
            Reply::Response(answer) => Probe::Failed(format!("HTTP {}", answer.status())),
            Reply::Dropped | Reply::Hangs => Probe::Failed("no answer".to_owned()),
        })
    }
}

/// A virtual clock, wrong by as much as it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VirtualClock {
    base: Timestamp,
    started: tokio::time::Instant,
}

impl VirtualClock {
    pub(crate) fn starting_at(base: Timestamp) -> Self {
        Self {
            base,
            started: tokio::time::Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.base + jiff::SignedDuration::try_from(self.started.elapsed()).unwrap()
    }

    /// When tokio's time shows that moment.
    pub(crate) fn instant(&self, at: Timestamp) -> tokio::time::Instant {
        let passed = at.duration_since(self.base);
        self.started + std::time::Duration::try_from(passed).unwrap_or_default()
    }

    pub(crate) fn wrong_by(self, skew: jiff::SignedDuration) -> Self {
        Self {
            base: self.base + skew,
            ..self
        }
    }
}

impl lamplighter::clock::Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        VirtualClock::now(self)
    }
}
