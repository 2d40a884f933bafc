//! A daemon's HTTP surface on loopback ports, over tables in memory, and a client that sends bytes as they
//! are given.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lamplighter::api::access::{Role, Token};
use lamplighter::api::{Access, ApiState, AppSummary, Feed, Fleet, Handle, Readiness, Shards, serve};
use lamplighter::cloud::{self, DesiredStore, Rows, StateSnapshot, StateStore, Swapped, Write, WriteError};
use lamplighter::metrics::Metrics;
use lamplighter::model::claim::{Bid, Claim, ClaimKey};
use lamplighter::model::history::Event;
use lamplighter::model::keep::Ledger;
use lamplighter::model::lease::{Lease, Shard};
use lamplighter::model::memory::Memory;
use lamplighter::model::name::{AppId, Entropy, OperationId, User};
use lamplighter::model::observed::{ClaimHolders, Gate};
use lamplighter::model::pause::{Pause, PauseScope, Pauses};
use lamplighter::model::policy::{Approvals, Deletions, Policy};
use lamplighter::model::row::{RawValue, Row};
use lamplighter::model::schedule::Schedule;
use lamplighter::model::status::{NextChange, Phase};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const NOW: &str = "2026-11-20T10:00:00Z";
pub(crate) const VIEWER: &str = "viewer-token";
pub(crate) const OPERATOR: &str = "operator-token";

/// Tables and controller in memory.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) rows: Mutex<BTreeMap<AppId, Row>>,
    pub(crate) memories: Mutex<BTreeMap<AppId, Memory>>,
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) approvals: Mutex<Approvals>,
    pub(crate) pauses: Mutex<Pauses>,
    pub(crate) keeps: Mutex<BTreeMap<User, Ledger>>,
    /// What somebody else writes between the next read of exemptions and the write that follows.
    pub(crate) in_between: Mutex<Option<(User, Ledger)>>,
    pub(crate) feed: OnceLock<Arc<Feed>>,
    pub(crate) hints: Mutex<Vec<String>>,
    pub(crate) fleet: Mutex<Fleet>,
    pub(crate) readiness: Mutex<Readiness>,
    pub(crate) stands_still: Mutex<bool>,
    /// What every call to a table comes to, if not an answer.
    pub(crate) trouble: Mutex<Option<Trouble>>,
    /// How much later than [`NOW`] it is.
    pub(crate) later: Mutex<SignedDuration>,
    /// How many histories were read, how many are being read, and how many were at most.
    pub(crate) histories: Mutex<[usize; 3]>,
    /// How long a read of a memory, or of a history, takes.
    pub(crate) slow: Mutex<Duration>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Trouble {
    Down,
    Denied,
    /// Writes work, reads of the state table do not.
    StateDown,
    Panic,
}

pub(crate) fn id(text: &str) -> AppId {
    AppId::from_key(text).unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn row(name: &str, json: serde_json::Value) -> Row {
    let raw: BTreeMap<String, RawValue> = serde_json::from_value(json).unwrap();
    Row::read(id(name), raw)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Fake {
    /// Changes what is remembered of an app.
    pub(crate) fn change(&self, app: &str, change: impl FnOnce(&mut Memory)) {
        change(self.memories.lock().unwrap().get_mut(&id(app)).unwrap());
    }

    /// A ready app `a1` of ann, an app `b2` of bob that nobody has looked at yet, and `c3`, whose row is gone.
    pub(crate) fn with_apps() -> Arc<Self> {
        let fake = Self::default();
        let ann = row(
            "a1",
            serde_json::json!({
                "user": "ann", "app": "shop", "desired": "Running", "generation": 3,
                "requestedAt": "2026-11-20T09:00:00Z", "parameters": {"SIZE": "small"},
                "keepUntil": "2026-11-20T22:00:00Z", "hostName": "a.example.com",
            }),
        );
        let bob = row(
            "b2",
            serde_json::json!({"user": "bob", "app": "wiki", "desired": "Running"}),
        );
        let mut ready = Memory::new(id("a1"));
        ready.version = 4;
        ready.status.phase = Phase::Ready;
        ready.status.observed_generation = Some(3);
        ready.status.reason = String::from("Answering");
        ready.status.message = String::from("The app answers.");
        ready.status.url = Some("https://a.example.com".to_owned());
        ready.status.host_name = Some("a.example.com".to_owned());
        ready.status.next_change = Some(NextChange {
            at: time("2026-11-20T19:00:00Z"),
            action: "Destroy".to_owned(),
            rule: "Curfew".to_owned(),
        });
        let mut gone = Memory::new(id("c3"));
        gone.status.phase = Phase::Destroying;
        lock(&fake.rows).extend([(id("a1"), ann), (id("b2"), bob)]);
        lock(&fake.memories).extend([(id("a1"), ready), (id("c3"), gone)]);
        lock(&fake.fleet).deletions = Deletions::Clear { gone_since: None };
        *lock(&fake.readiness) = Readiness {
            ready: true,
            reasons: Vec::new(),
            shards: Some(Shards { of: 2, held: vec![1] }),
        };
        for n in 0..3u8 {
            let at = time("2026-11-20T09:00:00Z") + Duration::from_secs(u64::from(n) * 60);
            let (key, ttl) = Event::keys(at, Entropy([n; 16]));
            lock(&fake.events).push(Event {
                id: id("a1"),
                at: key,
                time: at,
                rule: "Build".to_owned(),
                reason: format!("Step{n}"),
                message: "for \u{1b}[31mpeople".to_owned(),
                phase: "Deploying".to_owned(),
                version: None,
                life: None,
                requested_by: None,
                inputs: None,
                ttl,
            });
        }
        fake.sweep();
        Arc::new(fake)
    }

    /// `a1` as it is once it was accepted: its day ends at 18:00 UTC.
    pub(crate) fn accept_a1(&self) {
        let accepted = serde_json::json!({
            "request": {"fingerprint": "f", "at": "2026-11-20T09:00:00Z"},
            "desired": "Running",
            "schedule": "office",
            "blueprint": {
                "identity": {
                    "user": "ann", "app": "shop", "hostName": "a.example.com", "resourceName": "a-12345678",
                    "slot": "slot#ann",
                },
                "specHash": "x", "deployProject": "p", "destroyProject": "p", "cluster": "c", "tasks": 1,
                "url": "https://a.example.com", "healthUrl": "https://a.example.com/", "actionVariable": "ACTION",
                "environment": {}, "buildTimeoutMinutes": 30, "queueTimeoutMinutes": 30,
            },
        });
        let accepted = serde_json::from_value(accepted).unwrap();
        self.memories.lock().unwrap().get_mut(&id("a1")).unwrap().accepted = Some(accepted);
    }

    /// Takes the snapshot that a sweep takes.
    pub(crate) fn sweep(&self) {
        let (rows, memories) = (lock(&self.rows), lock(&self.memories));
        let mut fleet = lock(&self.fleet);
        fleet.as_of = Some(time(NOW));
        fleet.apps = rows
            .keys()
            .chain(memories.keys())
            .map(|id| {
                let summary = AppSummary {
                    id: id.clone(),
                    row: rows.get(id).cloned(),
                    memory: memories.get(id).cloned(),
                };
                (id.clone(), summary)
            })
            .collect();
    }

    fn table(&self) -> cloud::Result<()> {
        let trouble = *lock(&self.trouble);
        match trouble {
            None | Some(Trouble::StateDown) => Ok(()),
            Some(Trouble::Down) => Err(cloud::Error::Unavailable {
                call: "dynamodb.GetItem",
                cause: "connection reset by secret-host.internal".into(),
            }),
            Some(Trouble::Denied) => Err(cloud::Error::Denied {
                call: "dynamodb.GetItem",
                message: "arn:aws:iam::123456789012:role/secret may not".to_owned(),
            }),
            Some(Trouble::Panic) => panic!("on purpose"),
        }
    }

    fn state_table(&self) -> cloud::Result<()> {
        if *lock(&self.trouble) == Some(Trouble::StateDown) {
            return Err(cloud::Error::Unavailable {
                call: "dynamodb.GetItem",
                cause: "timeout".into(),
            });
        }
        self.table()
    }
}

#[async_trait]
impl DesiredStore for Fake {
    async fn row(&self, id: &AppId) -> cloud::Result<Option<Row>> {
        self.table()?;
        Ok(lock(&self.rows).get(id).cloned())
    }
    async fn rows(&self) -> cloud::Result<Rows> {
        unreachable!("the API reads no whole table")
    }
    async fn put_row(&self, row: &Row) -> cloud::Result<()> {
        self.table()?;
        lock(&self.rows).insert(row.id.clone(), row.clone());
        Ok(())
    }
    async fn delete_row(&self, id: &AppId) -> cloud::Result<()> {
        self.table()?;
        lock(&self.rows).remove(id);
        Ok(())
    }
}

#[async_trait]
impl StateStore for Fake {
    async fn memory(&self, id: &AppId) -> cloud::Result<Option<Memory>> {
        let slow = *lock(&self.slow);
        tokio::time::sleep(slow).await;
        self.state_table()?;
        Ok(lock(&self.memories).get(id).cloned())
    }
    async fn snapshot(&self) -> cloud::Result<StateSnapshot> {
        unreachable!("the API reads no whole table")
    }
    async fn claims(&self, _: &[ClaimKey]) -> cloud::Result<ClaimHolders> {
        unreachable!("the API reads no claims")
    }
    async fn gate(&self, _: &OperationId) -> cloud::Result<Option<Gate>> {
        unreachable!("the API reads no gates")
    }
    async fn close_gate(&self, _: &OperationId) -> cloud::Result<Option<Gate>> {
        unreachable!("the API closes no gates")
    }
    async fn bid(&self, _: &ClaimKey, _: &AppId, _: Option<&Bid>, _: &Bid) -> cloud::Result<Option<Claim>> {
        unreachable!("the API asks for no slots")
    }
    async fn write(&self, _: &Write) -> Result<(), WriteError> {
        unreachable!("the API writes no memory")
    }
    async fn events(&self, id: &AppId, limit: u32) -> cloud::Result<Vec<Event>> {
        self.state_table()?;
        let events = lock(&self.events);
        let of_app = events.iter().rev().filter(|event| event.id == *id);
        Ok(of_app.take(limit as usize).cloned().collect())
    }
    async fn history(&self, id: &AppId, from: Timestamp, to: Timestamp) -> cloud::Result<Vec<Event>> {
        self.state_table()?;
        {
            let [read, now, most] = &mut *lock(&self.histories);
            (*read, *now) = (*read + 1, *now + 1);
            *most = (*now).max(*most);
        }
        let slow = *lock(&self.slow);
        tokio::time::sleep(slow).await;
        lock(&self.histories)[1] -= 1;
        let events = lock(&self.events);
        let of_app = || events.iter().filter(|event| event.id == *id);
        let before = of_app().rfind(|event| event.time < from);
        let then = of_app().filter(|event| from <= event.time && event.time < to);
        Ok(before.into_iter().chain(then).cloned().collect())
    }
    async fn approvals(&self) -> cloud::Result<Approvals> {
        self.state_table()?;
        Ok(*lock(&self.approvals))
    }
    async fn set_reported(&self, _: Timestamp) -> cloud::Result<()> {
        unreachable!("the API reports no day by itself")
    }
    async fn pauses(&self) -> cloud::Result<Pauses> {
        self.state_table()?;
        Ok(lock(&self.pauses).clone())
    }
    async fn set_pause(&self, scope: &PauseScope, pause: Option<&Pause>) -> cloud::Result<Pauses> {
        self.state_table()?;
        let pauses = &mut *lock(&self.pauses);
        match (scope, pause.cloned()) {
            (PauseScope::Fleet, pause) => pauses.fleet = pause,
            (PauseScope::App(id), Some(pause)) => {
                pauses.apps.insert(id.clone(), pause);
            }
            (PauseScope::App(id), None) => {
                pauses.apps.remove(id);
            }
        }
        Ok(pauses.clone())
    }
    async fn keeps(&self, user: &User) -> cloud::Result<Option<Ledger>> {
        self.state_table()?;
        let found = lock(&self.keeps).get(user).cloned();
        // Whoever comes in between, does so before anything else is asked.
        if let Some((user, ledger)) = lock(&self.in_between).take() {
            lock(&self.keeps).insert(user, ledger);
        }
        Ok(found)
    }
    async fn swap_keeps(&self, user: &User, over: u64, new: &Ledger, line: &Event) -> cloud::Result<bool> {
        self.state_table()?;
        let mut keeps = lock(&self.keeps);
        let stored = keeps.get(user);
        if stored.map_or(0, |stored| stored.version) != over {
            return Ok(stored == Some(new));
        }
        keeps.insert(user.clone(), new.clone());
        lock(&self.events).push(line.clone());
        Ok(true)
    }
    async fn leases(&self, _: &[Shard]) -> cloud::Result<BTreeMap<Shard, Lease>> {
        unreachable!("the API reads no leases")
    }
    async fn swap_lease(&self, _: Shard, _: Option<&Lease>, _: &Lease) -> cloud::Result<Swapped> {
        unreachable!("the API holds no leases")
    }
    async fn approve_deletions(&self, seen: Approvals, at: Timestamp) -> cloud::Result<()> {
        self.state_table()?;
        *lock(&self.approvals) = Approvals {
            count: seen.count + 1,
            latest: Some(at),
        };
        Ok(())
    }
}

impl Handle for Fake {
    fn schedules(&self) -> BTreeMap<String, Schedule> {
        let text = "[schedules.office]\ntime_zone = \"Europe/Berlin\"\nteardown = \"0 19 * * *\"\naction = \"suspend\"\nwake = \"30 7 * * *\"\nclosed_for = \"12h\"\n";
        lamplighter::config::Config::from_toml(text)
            .unwrap()
            .policy
            .schedules
    }
    fn hint(&self, id: &AppId) {
        lock(&self.hints).push(id.to_string());
    }
    fn fleet(&self) -> Arc<Fleet> {
        Arc::new(lock(&self.fleet).clone())
    }
    fn readiness(&self) -> Readiness {
        lock(&self.readiness).clone()
    }
    fn now(&self) -> Timestamp {
        time(NOW) + *lock(&self.later)
    }
    fn feed(&self) -> Arc<Feed> {
        Arc::clone(self.feed.get_or_init(|| Feed::new(b"a test")))
    }
    fn beats(&self) -> bool {
        !*lock(&self.stands_still)
    }
}

/// A surface that listens.
pub(crate) struct Served {
    pub(crate) fake: Arc<Fake>,
    pub(crate) metrics: Metrics,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) ended: JoinHandle<io::Result<()>>,
}

/// A day that ends at 18:00 UTC, and ten hours a week that may put that off.
fn policy() -> Policy {
    const FILE: &str = r#"
[policy]
keep_per_week = "10h"

[schedules.office]
time_zone = "UTC"
teardown = "0 18 * * *"

[cost]
currency = "EUR"
build_minute = "0.005"
build_minutes_per_month = 100

[report]
time_zone = "Europe/Berlin"

[apps.shop]
project = "child-app"
cluster = "apps"
domain = "example.com"
schedule = "office"
cost_per_hour = "0.10"
"#;
    lamplighter::config::Config::from_toml(FILE).unwrap().policy
}

pub(crate) fn tokens() -> Access {
    let token = |role, text: &str| {
        Token::from_sha256(role, &hex::encode(Sha256::digest(text)))
            .unwrap()
            .named(text)
    };
    Access::Tokens(vec![token(Role::Viewer, VIEWER), token(Role::Operator, OPERATOR)])
}

impl Served {
    pub(crate) async fn start(access: Access) -> Self {
        Self::with(Fake::with_apps(), access, Duration::from_secs(5)).await
    }

    pub(crate) async fn with(fake: Arc<Fake>, access: Access, grace: Duration) -> Self {
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (public_at, admin_at) = (public.local_addr().unwrap(), admin.local_addr().unwrap());
        let metrics = Metrics::new("1.2.3");
        let state = ApiState {
            reports: Arc::default(),
            desired: fake.clone(),
            state: fake.clone(),
            handle: fake.clone(),
            metrics: metrics.clone(),
            policy: Arc::new(policy()),
            levels: lamplighter::logging::Levels::unlogged("info"),
            access: Arc::new(access),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let ended = tokio::spawn(serve(public, admin, state, shutdown, grace));
        Self {
            fake,
            metrics,
            public: public_at,
            admin: admin_at,
            stop: Some(stop),
            ended,
        }
    }

    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// A request to the public port, from this machine, without a token.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        ask(self.public, method, path, headers, body.as_ref()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn put(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask("PUT", path, &["Content-Type: application/json"], body)
            .await
    }

    pub(crate) async fn admin(&self, path: &str) -> Answer {
        ask(self.admin, "GET", path, &[], b"").await
    }

    pub(crate) fn hints(&self) -> Vec<String> {
        lock(&self.fake.hints).clone()
    }

    pub(crate) fn row(&self, name: &str) -> Option<Row> {
        lock(&self.fake.rows).get(&id(name)).cloned()
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        *lock(&self.fake.trouble) = Some(trouble);
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Self {
            status,
            headers,
            text: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// That this is a problem document of this status and code, and hardened as every answer is.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) -> serde_json::Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.headers["x-content-type-options"], "nosniff", "{self:?}");
        let document = self.json();
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status, "{document}");
        assert_eq!(document["type"], format!("urn:lamplighter:problem:{code}"));
        assert!(!document["title"].as_str().unwrap().is_empty());
        assert!(!document["detail"].as_str().unwrap().is_empty());
        document
    }
}

/// Sends a request on a connection of its own. A header `Host` that is given replaces the right one.
pub(crate) async fn ask(to: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
    let host = headers.iter().any(|header| header.starts_with("Host:"));
    let host = (!host).then(|| format!("Host: {to}"));
    let length = (!body.is_empty()).then(|| format!("Content-Length: {}", body.len()));
    let given = headers.iter().map(|header| (*header).to_owned());
    let head: String = [
        format!("{method} {path} HTTP/1.1"),
        "Connection: close".to_owned(),
    ]
    .into_iter()
    .chain(host)
    .chain(length)
    .chain(given)
    .map(|line| line + "\r\n")
    .collect();
    let mut bytes = (head + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Answer::parse(&exchange(to, &bytes).await)
}

/// Sends bytes and reads until the server closes.
pub(crate) async fn exchange(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
        .await
        .expect("an answer in time")
        .unwrap();
    answer
}
