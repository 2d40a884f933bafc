//! What the tests share: a simulated cloud with our tables, an observer that remembers, and example values.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lamplighter::cloud::aws::{CallObserver, Clients, Simulation};
use lamplighter::cloud::dynamodb::{Tables, create_tables};
use lamplighter::cloud::{Cloud, Prober, Write};
use lamplighter::model::blueprint::{Blueprint, BuildKind};
use lamplighter::model::claim::{Identity, Scope};
use lamplighter::model::history::Event;
use lamplighter::model::memory::{Memory, Operation};
use lamplighter::model::name::{
    AppId, AppName, ClusterName, Entropy, HostName, OperationId, ProjectName, User,
};
use lamplighter::model::observed::{Observed, Probe};
use lamplighter::model::status::{ConditionKind, Phase, Truth};
use serde_json::{Value, json};
use simcloud::{SimCloud, SimConfig, TokioClock};

pub(crate) const PROJECT: &str = "childapp";
pub(crate) const CLUSTER: &str = "apps";

/// A simulated cloud and the edges of one replica on it.
pub(crate) struct World {
    pub(crate) sim: SimCloud,
    pub(crate) clients: Clients,
    pub(crate) cloud: Cloud,
    pub(crate) calls: Arc<Calls>,
}

pub(crate) fn start() -> Timestamp {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

/// A cloud with a project, a cluster and our tables.
pub(crate) async fn world() -> World {
    world_with(|_| {}).await
}

pub(crate) async fn world_with(change: impl FnOnce(&mut SimConfig)) -> World {
    let mut config = SimConfig::with_clock(Arc::new(TokioClock::starting_at(start())));
    change(&mut config);
    let sim = SimCloud::new(config);
    sim.create_project(PROJECT, CLUSTER);
    let world = World::of(sim, 1);
    create_tables(&world.clients, &Tables::default()).await.unwrap();
    world.sim.world().reset_calls();
    world.calls.take();
    world
}

impl World {
    fn of(sim: SimCloud, seed: u64) -> Self {
        let calls = Arc::new(Calls::default());
        let observer: Arc<dyn CallObserver> = Arc::clone(&calls) as _;
        let clients = Clients::simulated(&Simulation::new(sim.http_client(), start(), seed), &observer);
        let cloud = Cloud::on_aws(&clients, Tables::default(), Arc::new(NoProber));
        Self {
            sim,
            clients,
            cloud,
            calls,
        }
    }

    /// Another replica on the same cloud.
    pub(crate) fn another(&self) -> Self {
        Self::of(self.sim.clone(), 2)
    }

    /// How often an operation was called, attempts of the SDK included.
    pub(crate) fn count(&self, operation: &str) -> u64 {
        self.sim.world().calls().get(operation).copied().unwrap_or(0)
    }

    /// Puts an item, in DynamoDB's own JSON, as somebody else would.
    pub(crate) fn put(&self, table: &str, item: &Value) {
        let request = json!({ "TableName": table, "Item": item });
        let request = serde_json::from_value(request).unwrap();
        self.sim.database().put_item(request).unwrap();
    }

    /// An item, in DynamoDB's own JSON.
    pub(crate) fn get(&self, table: &str, key: &Value) -> Option<Value> {
        let request = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
        let request = serde_json::from_value(request).unwrap();
        let answer = self.sim.database().get_item(request).unwrap();
        serde_json::to_value(answer).unwrap().get("Item").cloned()
    }

    /// An item of the state table by its key.
    pub(crate) fn state(&self, pk: &str) -> Option<Value> {
        self.get("lamplighter-state", &json!({ "pk": { "S": pk } }))
    }
}

/// Reaches nothing: the probe has tests of its own, with sockets.
pub(crate) struct NoProber;

#[async_trait]
impl Prober for NoProber {
    async fn probe(&self, _: &str) -> Observed<Probe> {
        Observed::Unknown
    }
}

/// Remembers every call it was told of.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Vec<Call>>);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) outcome: &'static str,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
}

impl Calls {
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl CallObserver for Calls {
    fn observe(
        &self,
        service: &str,
        operation: &str,
        outcome: &'static str,
        attempts: u32,
        elapsed: Duration,
    ) {
        self.0.lock().unwrap().push(Call {
            name: format!("{service}.{operation}"),
            outcome,
            attempts,
            elapsed,
        });
    }
}

pub(crate) fn id(text: &str) -> AppId {
    AppId::from_key(text).unwrap()
}

pub(crate) fn operation(n: u8) -> OperationId {
    OperationId::generate(Entropy([n; 16]), start())
}

pub(crate) fn identity(host: &str) -> Identity {
    Identity::new(
        Scope::User,
        User::parse("ann").unwrap(),
        AppName::new("shop"),
        HostName::parse(host).unwrap(),
    )
}

pub(crate) fn blueprint(id: &AppId, host: &str) -> Blueprint {
    let identity = identity(host);
    let environment = [
        ("HOST_NAME", host.to_owned()),
        ("RESOURCE_NAME", identity.resource_name.to_string()),
        ("INSTANCE_ID", id.to_string()),
        ("USER_ID", "ann".to_owned()),
        ("APP", "shop".to_owned()),
        ("LAMPLIGHTER_STATE_TABLE", "lamplighter-state".to_owned()),
        ("EMPTY", String::new()),
    ];
    Blueprint {
        spec_hash: "abc".to_owned(),
        deploy_project: ProjectName::new(PROJECT),
        destroy_project: ProjectName::new(PROJECT),
        cluster: ClusterName::new(CLUSTER),
        tasks: 1,
        target_group: Some(identity.resource_name.to_string()),
        url: format!("https://{host}"),
        health_url: format!("https://{host}/healthz"),
        action_variable: "ACTION".to_owned(),
        environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
        build_timeout_minutes: 60,
        queue_timeout_minutes: 30,
        identity,
    }
}

/// A memory with an operation in flight, and a status with a condition.
pub(crate) fn memory(app: &str, version: u64, n: u8) -> Memory {
    let id = id(app);
    let blueprint = blueprint(&id, &format!("{app}.example.com"));
    let mut memory = Memory::new(id);
    memory.version = version;
    memory.operation = Some(Operation {
        id: operation(n),
        kind: BuildKind::Apply,
        request: blueprint.request(BuildKind::Apply, &operation(n)).into(),
        blueprint: blueprint.into(),
        intended_at: "2026-11-20T09:00:00.123456789Z".parse().unwrap(),
        gate: true,
        build: None,
        cancel: None,
        start_error: None,
        start_trouble: None,
        settled: None,
    });
    memory.status.phase = Phase::Deploying;
    memory.status.set(
        ConditionKind::Accepted,
        Truth::True,
        "Valid",
        String::new(),
        start(),
    );
    memory
}

/// A write of nothing but memory.
pub(crate) fn write(memory: Memory) -> Write {
    Write {
        expected_version: memory.version - 1,
        memory,
        forget: false,
        events: vec![],
        open_gate: None,
        take: vec![],
        release: vec![],
        expire_gate: None,
        at: start(),
    }
}

/// The write that intends an operation: memory, gate, the three claims, one event.
pub(crate) fn intent(memory: Memory, n: u8) -> Write {
    let identity = memory.operation.as_ref().unwrap().blueprint.identity.clone();
    let [host, name] = identity.name_keys();
    Write {
        events: vec![event(memory.id.as_str(), n)],
        open_gate: Some(operation(n)),
        take: vec![identity.slot, host, name],
        ..write(memory)
    }
}

pub(crate) fn event(app: &str, n: u8) -> Event {
    let time = start() + Duration::from_secs(u64::from(n));
    let (at, ttl) = Event::keys(time, Entropy([n; 16]));
    Event {
        id: id(app),
        at,
        time,
        rule: "Requested".to_owned(),
        reason: format!("Number{n}"),
        message: String::new(),
        phase: "Deploying".to_owned(),
        version: None,
        life: None,
        requested_by: None,
        inputs: None,
        ttl,
    }
}
