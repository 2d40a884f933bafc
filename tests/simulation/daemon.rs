//! A replica of the real controller with real AWS clients, which can be made to die at any await.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use axum::body::Body;
use http::{Method, Request};
use lamplighter::api::access::{Role, Token};
use lamplighter::api::{self, Access, ApiState};
use lamplighter::cloud::Cloud;
use lamplighter::cloud::aws::{Clients, Simulation, Unobserved};
use lamplighter::controller::triggers::Tick;
use lamplighter::controller::{Controller, Parts};
use lamplighter::metrics::Metrics;
use lamplighter::serve;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tower_service::Service as _;

use crate::clock::{VirtualClock, WallClock};
use crate::cloud::{InMemoryProber, TestCloud, changes};
use crate::dice::Dice;
use crate::scenario::Replica;
use crate::weather::Line;

/// A running replica.
pub(crate) struct Daemon {
    work: JoinSet<()>,
    line: Arc<Line>,
    metrics: Metrics,
    api: axum::Router,
}

/// What the operator of a story shows at the API.
const TOKEN: &str = "an operator";

impl Daemon {
    /// Starts a replica; `nth_life` tells its lives apart.
    pub(crate) fn start(
        cloud: &TestCloud,
        replica: &Replica,
        nth_life: u64,
        clock: VirtualClock,
        wall: WallClock,
    ) -> Self {
        let mut dice = Dice::new(replica.seed, 100 + nth_life);
        let line = Arc::new(Line::default());
        let config = &cloud.config;
        let over_the_wire = || {
            let connection = Connection {
                to: cloud.sim.http_client(),
                line: line.clone(),
            };
            let http = SharedHttpClient::new(connection);
            let simulation = Simulation::new(http, clock.now(), replica.seed ^ nth_life);
            let clients = Clients::simulated(&simulation, &(Arc::new(Unobserved) as _));
            let prober = Arc::new(InMemoryProber(cloud.sim.clone()));
            Cloud::on_aws(&clients, serve::tables(config), prober)
        };
        let metrics = Metrics::new("simulation");
        let edges = cloud.edges(line.clone()).unwrap_or_else(over_the_wire);
        let policy = Arc::new(config.policy.clone());
        let controller = Controller::new(Parts {
            cloud: edges.clone(),
            policy: policy.clone(),
            admission: config.admission,
            intervals: config.intervals,
            workers: config.workers,
            leases: config.leases,
            webhook: None,
            clock: Arc::new(wall),
            metrics: metrics.clone(),
            seed: dice.bytes(),
        });
        let operator = Token::new(Role::Operator, Sha256::digest(TOKEN).into());
        let api = api::public(ApiState {
            reports: Arc::default(),
            desired: edges.desired,
            state: edges.state,
            handle: controller.clone(),
            metrics: metrics.clone(),
            policy,
            levels: lamplighter::logging::Levels::unlogged("info"),
            access: Arc::new(Access::Tokens(vec![operator])),
        });
        let mut work = JoinSet::new();
        let (sender, ticks) = mpsc::channel(4);
        // Held by the task, so that nobody ever asks it to stop: here daemons only die.
        let (running, stop) = watch::channel(false);
        work.spawn(async move {
            controller.run(ticks, stop).await;
            drop(running);
        });
        work.spawn(tick(sender.clone(), config.intervals.sweep, Tick::Sweep));
        work.spawn(tick(sender, Duration::from_mins(1), Tick::Minute));
        Self {
            work,
            line,
            metrics,
            api,
        }
    }

    /// Asks its API for something, as long as it lives. The answer is nobody's: what comes of it shows in the tables.
    pub(crate) fn ask_api(&mut self, method: Method, path: &str, body: &serde_json::Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let answer = self.api.call(request);
        self.work.spawn(async move {
            let _ = answer.await;
        });
    }

    /// Lets it die at its `after`-th call from now that changes something: before that is sent, or after it
    /// was carried out and before its answer is read.
    pub(crate) fn trip(&self, after: u64, answered: bool) {
        self.line.trip(after, answered);
    }

    /// Returns when it has come to that call.
    pub(crate) async fn tripped(&self) {
        self.line.tripped.notified().await;
    }

    /// How long it is to be down then, unless that was planned with its death.
    pub(crate) fn down(&self) -> Duration {
        self.line.down()
    }

    /// The line its calls take.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// Whether it took the state table for lost.
    pub(crate) fn saw_a_loss(&self) -> bool {
        let families = self.metrics.gather();
        let lost = families
            .iter()
            .find(|family| family.name().ends_with("state_lost_total"));
        lost.is_some_and(|family| {
            family
                .get_metric()
                .iter()
                .any(|metric| metric.get_counter().get_value() > 0.0)
        })
    }

    /// Dies: every task of it, wherever it waits.
    pub(crate) async fn crash(mut self) {
        self.work.shutdown().await;
        // The tasks it had begun are dropped with it, in their own turn.
        tokio::task::yield_now().await;
    }
}

async fn tick(ticks: mpsc::Sender<Tick>, every: Duration, tick: Tick) {
    let mut interval = tokio::time::interval(every);
    loop {
        interval.tick().await;
        let _ = ticks.try_send(tick);
    }
}

#[derive(Clone, Debug)]
struct Connection {
    to: SharedHttpClient,
    line: Arc<Line>,
}

impl HttpClient for Connection {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        parts: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let to = self.to.http_connector(settings, parts);
        SharedHttpConnector::new(Wire {
            to,
            line: self.line.clone(),
        })
    }
}

#[derive(Debug)]
struct Wire {
    to: SharedHttpConnector,
    line: Arc<Line>,
}

/// Whether this is the call at which its daemon dies.
fn trips(line: &Line, request: &HttpRequest) -> bool {
    changes(request.headers().get("x-amz-target").unwrap_or_default()) && line.trips()
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (to, line) = (self.to.clone(), self.line.clone());
        HttpConnectorFuture::new(async move {
            line.wakes().await;
            if !trips(&line, &request) {
                return to.call(request).await;
            }
            if line.dies_after_the_answer() {
                let _ = to.call(request).await;
            }
            line.tripped.notify_one();
            std::future::pending().await
        })
    }
}
