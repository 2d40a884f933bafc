//! The simulated AWS of one run, its tables, and two ways around the faults: the portal's and the oracles'.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lamplighter::cloud::aws::{Clients, Simulation, Unobserved};
use lamplighter::cloud::dynamodb::{DynamoDb, create_tables};
use lamplighter::cloud::{Cloud, Prober, StateSnapshot, StateStore as _};
use lamplighter::config::Config;
use lamplighter::model::history::Event;
use lamplighter::model::name::{AppId, BuildId};
use lamplighter::model::observed::{Observed, Probe};
use lamplighter::model::pause::{Pause, PauseScope};
use lamplighter::model::row::{RawValue, Row};
use lamplighter::serve;
use serde_json::{Value, json};
use simcloud::{Contract, Database, Gatekeeper, Reply, SimCloud, SimConfig, TokioClock};

use crate::clock::VirtualClock;
use crate::edge::{Ground, name};
use crate::keeps::WEEKS;
use crate::memory_tables::{Items, MemoryTables};
use crate::row::RowSpec;
use crate::scenario::{Depth, Scenario};
use crate::weather::{Line, Weather};

const TEMPLATE: &str = r#"
[schedules.office]
time_zone = "Europe/Berlin"
teardown = "0 19 * * *"
action = "destroy"

[schedules.nights]
time_zone = "America/New_York"
teardown = "30 18 * * 1-5"
action = "suspend"

[schedules.naps]
time_zone = "Asia/Tokyo"
teardown = "0 19 * * *"
action = "suspend"
closed_for = "12h"
wake = "0 8 * * *"
destroy_after = 2
days_off = ["2027-06-18", "2027-01-01"]
manual_start = "enforce"

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

[apps.den]
project = "child-app"
cluster = "apps"
domain = "apps.example"
health_path = "/health"
schedule = "naps"
build_timeout = "10m"
queue_timeout = "10m"

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
    clock: VirtualClock,
    ways: Ways,
}

/// How the daemons, the portal and the oracles reach the world.
enum Ways {
    /// Through the real SDK, over HTTP in memory, with DynamoDB's emulator.
    Sdk {
        database: Database,
        /// Reads the tables without faults and without a trace.
        unseen: Box<DynamoDb>,
    },
    /// As values, with tables in memory.
    Direct(Arc<Ground>),
}

/// Answers for the gate from the tables in memory.
struct Keeper(Arc<MemoryTables>);

impl Gatekeeper for Keeper {
    fn passes(&self, operation: &str, build: &str) -> bool {
        self.0.pass_gate(&name(operation), &BuildId::new(build))
    }
}

impl TestCloud {
    pub(crate) async fn new(scenario: &Scenario) -> Self {
        let clock = Arc::new(TokioClock::starting_at(scenario.begin));
        let tables = Arc::new(MemoryTables::default());
        let sim = SimCloud::new(SimConfig {
            seed: scenario.seed,
            concurrent_builds: scenario.concurrent_builds,
            log_lines: 2_000_000,
            contract: Contract {
                gate: scenario.gate,
                ..Contract::default()
            },
            rate_limits: true,
            gatekeeper: match scenario.depth {
                Depth::Sdk => None,
                Depth::Direct => Some(Arc::new(Keeper(tables.clone()))),
            },
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
        config.leases = scenario.leases;
        config.policy.scope = scenario.scope;
        config.policy.on_conflict = scenario.on_conflict;
        config.policy.timing.memory_retention = scenario.memory_retention;
        config.policy.force_delete_after = scenario.force_delete_after;
        config.policy.keep_max = scenario.keeps.most;
        config.policy.keep_per_week = scenario.keeps.per_week;
        config.policy.keep_zone = TimeZone::get(WEEKS).unwrap();
        for name in ["office", "nights"] {
            let schedule = config.policy.schedules.get_mut(name).unwrap();
            schedule.warn_before = scenario.keeps.warn_before;
        }
        if scenario.reaps {
            config.policy.orphans.reap = true;
            config.policy.orphans.reap_after = SignedDuration::from_mins(10);
        }
        for entry in config.policy.catalogue.values_mut() {
            entry.gate = scenario.gate;
        }
        let ways = match scenario.depth {
            Depth::Direct => {
                let seen = VirtualClock::starting_at(scenario.begin);
                let weather = Weather::new(seen, scenario.seed, scenario.trouble.rates.clone());
                Ways::Direct(Ground::new(sim.clone(), tables, Arc::new(weather)))
            }
            Depth::Sdk => {
                sim.faults().set(scenario.trouble.plan());
                let database = sim.database();
                let aside = SimCloud::new(SimConfig {
                    log_lines: 0,
                    database: database.clone(),
                    ..SimConfig::with_clock(clock)
                });
                let simulation = Simulation::new(aside.http_client(), scenario.begin, 0);
                let clients = Clients::simulated(&simulation, &(Arc::new(Unobserved) as _));
                create_tables(&clients, &serve::tables(&config)).await.unwrap();
                let unseen = Box::new(DynamoDb::new(&clients, serve::tables(&config)));
                Ways::Sdk { database, unseen }
            }
        };
        Self {
            sim,
            config,
            clock: VirtualClock::starting_at(scenario.begin),
            ways,
        }
    }

    /// The weather, where daemons meet the world directly.
    pub(crate) fn weather(&self) -> Option<&Weather> {
        match &self.ways {
            Ways::Sdk { .. } => None,
            Ways::Direct(ground) => Some(&ground.weather),
        }
    }

    /// Every edge of a daemon; `None`: it has to bring AWS clients of its own.
    pub(crate) fn edges(&self, line: Arc<Line>) -> Option<Cloud> {
        match &self.ways {
            Ways::Sdk { .. } => None,
            Ways::Direct(ground) => Some(ground.edges(line)),
        }
    }

    /// No call goes wrong any more. How many did.
    pub(crate) fn clear_faults(&self) -> u64 {
        if let Some(weather) = self.weather() {
            weather.clear();
            return weather.faults();
        }
        let injected = self.sim.faults().injected().values().sum();
        self.sim.faults().clear();
        injected
    }

    /// The credentials of every daemon are expired for that long.
    pub(crate) fn deny(&self, wait: Duration) {
        match &self.ways {
            Ways::Direct(ground) => ground.weather.deny(wait),
            Ways::Sdk { .. } => {
                let until = self.now() + SignedDuration::try_from(wait).unwrap();
                self.sim.faults().expire_credentials_until(until);
            }
        }
    }

    /// Rewrites every memory as an older binary would have left it, without what may be missing and does not matter,
    /// and as a newer one would, with attributes that this one does not know.
    pub(crate) fn rewrite_memories(&self) {
        match &self.ways {
            Ways::Direct(ground) => {
                for memory in ground.tables.items().memories.values_mut() {
                    let mut value = serde_json::to_value(&*memory).unwrap();
                    let other = json!("from the future");
                    age(value.as_object_mut().unwrap(), &other);
                    *memory = serde_json::from_value(value).unwrap();
                }
            }
            Ways::Sdk { database, .. } => {
                let table = self.config.tables.state.as_str();
                let request = json!({"TableName": table});
                let answer = database
                    .scan(serde_json::from_str(&request.to_string()).unwrap())
                    .unwrap();
                let answer = serde_json::to_value(&answer).unwrap();
                for mut item in answer["Items"].as_array().cloned().unwrap_or_default() {
                    let other = json!({"S": "from the future"});
                    let Some(memory) = item.pointer_mut("/memory/M").and_then(Value::as_object_mut) else {
                        continue;
                    };
                    age(memory, &other);
                    item["somethingNew"] = other;
                    let request = json!({"TableName": table, "Item": item});
                    database
                        .put_item(serde_json::from_str(&request.to_string()).unwrap())
                        .unwrap();
                }
            }
        }
    }

    /// The state table, to be restored later.
    pub(crate) fn state_table(&self) -> Items {
        let Ways::Direct(ground) = &self.ways else {
            unreachable!("only tales back up, and those meet the world directly")
        };
        ground.tables.items().clone()
    }

    /// Puts the state table back to what it was; rows and history are in tables of their own.
    pub(crate) fn restore(&self, backup: Items) {
        let Ways::Direct(ground) = &self.ways else {
            unreachable!("only tales restore, and those meet the world directly")
        };
        let mut items = ground.tables.items();
        let rows = std::mem::take(&mut items.rows);
        let events = std::mem::take(&mut items.events);
        *items = Items {
            rows,
            events,
            ..backup
        };
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn put(&self, id: &str, row: &RowSpec) {
        let item = row.item(id);
        let database = match &self.ways {
            Ways::Sdk { database, .. } => database,
            Ways::Direct(ground) => {
                let id = AppId::from_key(id).unwrap();
                let raw = item.as_object().unwrap().iter();
                let row = Row::read(
                    id.clone(),
                    raw.map(|(name, value)| (name.clone(), raw_value(value)))
                        .collect(),
                );
                ground.tables.items().rows.insert(id, row);
                return;
            }
        };
        let request = json!({"TableName": self.config.tables.desired, "Item": item});
        database
            .put_item(serde_json::from_str(&request.to_string()).unwrap())
            .unwrap();
    }

    pub(crate) fn delete(&self, id: &str) {
        let database = match &self.ways {
            Ways::Sdk { database, .. } => database,
            Ways::Direct(ground) => {
                ground.tables.items().rows.remove(&AppId::from_key(id).unwrap());
                return;
            }
        };
        let request = json!({"TableName": self.config.tables.desired, "Key": {"id": {"S": id}}});
        database
            .delete_item(serde_json::from_str(&request.to_string()).unwrap())
            .unwrap();
    }

    /// Whether the table of rows has one of this app.
    pub(crate) fn has_row(&self, id: &str) -> bool {
        match &self.ways {
            Ways::Sdk { database, .. } => {
                let key = json!({"TableName": self.config.tables.desired, "Key": {"id": {"S": id}}});
                let answer = database.get_item(serde_json::from_str(&key.to_string()).unwrap());
                answer.unwrap().item.is_some()
            }
            Ways::Direct(ground) => {
                let id = AppId::from_key(id).unwrap();
                ground.tables.items().rows.contains_key(&id)
            }
        }
    }

    /// Pauses one app or all, or ends that.
    pub(crate) async fn set_pause(&self, id: Option<&str>, on: bool) {
        let scope = id.map_or(PauseScope::Fleet, |id| {
            PauseScope::App(AppId::from_key(id).unwrap())
        });
        let pause = on.then(Pause::default);
        let set = match &self.ways {
            Ways::Sdk { unseen, .. } => unseen.set_pause(&scope, pause.as_ref()).await,
            Ways::Direct(ground) => ground.tables.set_pause(&scope, pause.as_ref()).await,
        };
        set.unwrap();
    }

    /// The state table as it is.
    pub(crate) async fn state(&self) -> StateSnapshot {
        match &self.ways {
            Ways::Sdk { unseen, .. } => unseen.snapshot().await.unwrap(),
            Ways::Direct(ground) => ground.tables.items().snapshot(),
        }
    }

    /// What of it is looked at after every change.
    pub(crate) async fn seen(&self) -> StateSnapshot {
        match &self.ways {
            Ways::Sdk { unseen, .. } => unseen.snapshot().await.unwrap(),
            Ways::Direct(ground) => {
                let items = ground.tables.items();
                StateSnapshot {
                    memories: items.memories.clone(),
                    claims: items.claims.clone(),
                    keeps: items.keeps.clone(),
                    ..StateSnapshot::default()
                }
            }
        }
    }

    /// The history the daemons wrote, a line each.
    pub(crate) fn history(&self) -> Vec<String> {
        let database = match &self.ways {
            Ways::Sdk { database, .. } => database,
            Ways::Direct(ground) => {
                let items = ground.tables.items();
                let events = items.events.values().flat_map(|of_app| of_app.values());
                let line = |event: &Event| {
                    let words = [
                        event.id.as_str(),
                        &event.rule,
                        &event.reason,
                        &event.phase,
                        &event.message,
                    ];
                    format!("{} decided {} {}", event.time, event.at, words.join(" | "))
                };
                let mut lines: Vec<String> = events.map(line).collect();
                lines.sort();
                return lines;
            }
        };
        let request = json!({"TableName": self.config.tables.events});
        let answer = database
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

    /// When the call was sent that set a service's count at that time: earlier, if it was delivered late.
    pub(crate) fn scaling_sent(&self, service: &str, at: Timestamp) -> Timestamp {
        if let Some(weather) = self.weather() {
            return weather.scaling_sent(service, at).unwrap_or(at);
        }
        let lines = self.sim.world().log();
        let late = lines.iter().rev().find(|line| {
            line.starts_with(&format!("{at} ecs.UpdateService"))
                && line.contains(&format!("\"{service}\""))
                && line.contains("late, sent ")
        });
        let sent = late.and_then(|line| line.split("late, sent ").nth(1));
        sent.and_then(|rest| rest.split([')', ' ', ',']).next()?.parse().ok())
            .unwrap_or(at)
    }

    /// How many calls so far could have changed something.
    pub(crate) fn changes(&self) -> u64 {
        if let Some(weather) = self.weather() {
            return weather.changes();
        }
        self.sim
            .world()
            .calls()
            .iter()
            .filter(|(name, _)| changes(name))
            .map(|(_, count)| count)
            .sum()
    }
}

/// Takes away what records may lack and nothing rests on, and adds what no binary of today knows.
fn age(memory: &mut serde_json::Map<String, Value>, other: &Value) {
    for optional in ["decision", "stoppedTask", "past"] {
        memory.remove(optional);
    }
    memory.insert("somethingNew".to_owned(), other.clone());
}

/// An attribute as the adapter hands it on.
fn raw_value(value: &Value) -> RawValue {
    let (kind, inner) = value.as_object().unwrap().iter().next().unwrap();
    match (kind.as_str(), inner) {
        ("S", Value::String(text)) => RawValue::Text(text.clone()),
        ("N", Value::String(text)) => RawValue::Number(text.clone()),
        ("BOOL", Value::Bool(value)) => RawValue::Bool(*value),
        ("M", Value::Object(map)) => RawValue::Map(
            map.iter()
                .map(|(name, value)| (name.clone(), raw_value(value)))
                .collect(),
        ),
        other => panic!("no row of these has {other:?}"),
    }
}

/// Whether an operation of the wire changes something.
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
            Reply::Reset(_) | Reply::Dropped | Reply::Hangs => Probe::Failed("no answer".to_owned()),
        })
    }
}
