//! A state table on a loopback port, and builds that come to a gate in it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use dynoxide::Database;
use serde_json::{Value, json};

const TABLE: &str = "lamplighter-state";

/// What the operation `op-1` has in the state table.
pub(crate) enum Gate {
    Missing,
    Open,
    Held(&'static str),
}

/// The state table, served until it is dropped.
pub(crate) struct State {
    tables: Database,
    endpoint: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl State {
    pub(crate) fn serve() -> Self {
        let tables = Database::memory().expect("an empty database in memory opens");
        let table = json!({
            "TableName": TABLE,
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "BillingMode": "PAY_PER_REQUEST",
        });
        tables.create_table(request(table)).expect("a table is created");
        let listener = loopback();
        let endpoint = endpoint_of(&listener);
        listener
            .set_nonblocking(true)
            .expect("a fresh listener accepts options");
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = tables.clone();
        // The emulator works inline on the thread that calls it, so it gets a thread of its own.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime starts");
            runtime.block_on(async {
                let listener =
                    tokio::net::TcpListener::from_std(listener).expect("the listener is not blocking");
                let shutdown = async { drop(stopped.await) };
                dynoxide::server::serve_with_shutdown(listener, served, shutdown)
                    .await
                    .expect("the server ends well");
            });
        });
        Self {
            tables,
            endpoint,
            stop: Some(stop),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn put(&self, gate: &Gate) {
        let mut item = json!({ "pk": { "S": "gate#op-1" } });
        match gate {
            Gate::Missing => return,
            Gate::Open => {}
            Gate::Held(holder) => item["build"] = json!({ "S": holder }),
        }
        self.tables
            .put_item(request(json!({ "TableName": TABLE, "Item": item })))
            .expect("an item is written");
    }

    pub(crate) fn exists(&self, operation: &str) -> bool {
        self.item(operation).is_some()
    }

    /// The build that the gate of `operation` names.
    pub(crate) fn holder(&self, operation: &str) -> Option<String> {
        let holder = self.item(operation)?.get("build")?["S"].as_str()?.to_owned();
        Some(holder)
    }

    fn item(&self, operation: &str) -> Option<Value> {
        let key = json!({ "pk": { "S": format!("gate#{operation}") } });
        let found = self
            .tables
            .get_item(request(json!({ "TableName": TABLE, "Key": key })));
        let found = serde_json::to_value(found.expect("an item is read")).expect("an answer is JSON");
        found.get("Item").cloned()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only when the server has already failed, which its own thread reports.
            let _ = stop.send(());
        }
    }
}

fn request<T: serde::de::DeserializeOwned>(request: Value) -> T {
    serde_json::from_value(request).expect("a request in DynamoDB's own JSON")
}

/// A build container at the moment it runs the gate: nothing but the environment that the contract names.
pub(crate) struct Build {
    me: String,
    environment: BTreeMap<&'static str, String>,
}

impl Build {
    pub(crate) fn new(me: &str) -> Self {
        let path = format!("{}:/usr/bin:/bin", venv().join("bin").display());
        let environment = [
            ("PATH", path.as_str()),
            ("HOME", "/nonexistent"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("LAMPLIGHTER_GATE_ATTEMPTS", "2"),
            ("LAMPLIGHTER_GATE_PAUSE_SECS", "0"),
            ("LAMPLIGHTER_STATE_TABLE", TABLE),
            ("LAMPLIGHTER_OPERATION_ID", "op-1"),
            ("CODEBUILD_BUILD_ID", me),
        ];
        let environment = environment
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        Self {
            me: me.to_owned(),
            environment,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.insert(name, value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.environment.remove(name);
        self
    }

    pub(crate) fn state_at(self, endpoint: &str) -> Self {
        self.with("AWS_ENDPOINT_URL", endpoint)
    }

    pub(crate) fn environment(&self) -> &BTreeMap<&'static str, String> {
        &self.environment
    }

    /// Runs the shipped gate to its end.
    pub(crate) fn ask(self) -> Ended {
        let mut gate = Command::new("/bin/sh");
        gate.arg(shipped("gate.sh")).env_clear().envs(&self.environment);
        let output = gate.output().expect("a shell starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended {
            me: self.me,
            code: output.status.code().unwrap_or(-1),
            said,
        }
    }
}

/// How a build left the gate.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) me: String,
    pub(crate) code: i32,
    pub(crate) said: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn assert(&self, code: i32, says: &str) {
        assert_eq!(self.code, code, "the build said: {}", self.said);
        assert!(
            self.said.contains(says),
            "expected the words {says:?} in: {}",
            self.said
        );
    }
}

/// A file that child apps' repositories copy.
pub(crate) fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/child-app")
        .join(file)
}

/// The virtual environment with the pinned AWS CLI. A missing one fails the test: a gate that was never run
/// against the real CLI proves nothing.
pub(crate) fn venv() -> PathBuf {
    let venv = std::env::var_os("LAMPLIGHTER_VENV").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv"),
        PathBuf::from,
    );
    assert!(
        venv.join("bin/aws").exists(),
        "{} has no AWS CLI; `make venv` sets it up (or name another virtual environment in LAMPLIGHTER_VENV)",
        venv.display()
    );
    venv
}

/// An endpoint that refuses every connection: its port was free a moment ago and nobody listens there.
pub(crate) fn nobody_listens() -> String {
    endpoint_of(&loopback())
}

/// A way to `endpoint` that delivers every request, but drops the connection of the first one before it is
/// answered. Ends with the test.
pub(crate) fn lose_the_first_answer(endpoint: &str) -> String {
    let upstream = endpoint.trim_start_matches("http://").to_owned();
    let listener = loopback();
    let lossy = endpoint_of(&listener);
    std::thread::spawn(move || {
        for (n, client) in listener.incoming().enumerate() {
            let client = client.expect("a connection on loopback");
            let server = TcpStream::connect(&upstream).expect("the table listens");
            pipe(&client, &server);
            let mut answer = [0; 1];
            let mut reader = &server;
            if n == 0 {
                // The first byte of the answer proves that the write has happened.
                reader.read_exact(&mut answer).expect("the table answers");
                client.shutdown(Shutdown::Both).expect("the client still waits");
            } else {
                pipe(&server, &client);
            }
        }
    });
    lossy
}

/// Copies all that comes from one side to the other, in the background.
fn pipe(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (
        from.try_clone().expect("a socket clones"),
        to.try_clone().expect("a socket clones"),
    );
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            if to.write_all(&chunk[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a loopback port is free")
}

fn endpoint_of(listener: &TcpListener) -> String {
    format!(
        "http://{}",
        listener.local_addr().expect("a bound listener has an address")
    )
}
