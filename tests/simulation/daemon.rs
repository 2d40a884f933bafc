//! A replica of the real controller with real AWS clients, which can be made to die at any await.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use lamplighter::cloud::Cloud;
use lamplighter::cloud::aws::{Clients, Simulation, Unobserved};
use lamplighter::controller::triggers::Tick;
use lamplighter::controller::{Controller, Parts};
use lamplighter::metrics::Metrics;
use lamplighter::serve;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::cloud::{InMemoryProber, TestCloud, VirtualClock, changes};
use crate::dice::Dice;
use crate::scenario::Replica;

/// A running replica.
pub(crate) struct Daemon {
    work: JoinSet<()>,
    tripwire: Arc<Tripwire>,
}

impl Daemon {
    /// Starts a replica; `life` tells its lives apart.
    pub(crate) fn start(cloud: &TestCloud, replica: &Replica, life: u64, clock: VirtualClock) -> Self {
        let mut dice = Dice::new(replica.seed, 100 + life);
        let tripwire = Arc::new(Tripwire::default());
        let connection = Connection { to: cloud.sim.http_client(), tripwire: tripwire.clone() };
        let http = SharedHttpClient::new(connection);
        let simulation = Simulation::new(http, clock.now(), dice.next());
        let clients = Clients::simulated(&simulation, &(Arc::new(Unobserved) as _));
        let prober = Arc::new(InMemoryProber(cloud.sim.clone()));
        let config = &cloud.config;
        let controller = Controller::new(Parts {
            cloud: Cloud::on_aws(&clients, serve::tables(config), prober),
            policy: Arc::new(config.policy.clone()),
            admission: config.admission,
            intervals: config.intervals,
            workers: config.workers,
            clock: Arc::new(clock.wrong_by(replica.skew)),
            metrics: Metrics::new("simulation"),
            seed: dice.bytes(),
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
        Self { work, tripwire }
    }

    /// Lets it die at its `after`-th call from now that changes something: before that is sent, or after it
    /// was carried out and before its answer is read.
    pub(crate) fn trip(&self, after: u64, answered: bool) {
        self.tripwire.left.store(after, Ordering::SeqCst);
        self.tripwire.answered.store(u64::from(answered), Ordering::SeqCst);
    }

    /// Returns when it has come to that call.
    pub(crate) async fn tripped(&self) {
        self.tripwire.tripped.notified().await;
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

/// Counts down calls that change something.
#[derive(Debug, Default)]
struct Tripwire {
    left: AtomicU64,
    answered: AtomicU64,
    tripped: Notify,
}

impl Tripwire {
    fn trips(&self, request: &HttpRequest) -> bool {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        if !changes(target) {
            return false;
        }
        let left = self.left.load(Ordering::SeqCst);
        self.left.store(left.saturating_sub(1), Ordering::SeqCst);
        left == 1
    }
}

#[derive(Clone, Debug)]
struct Connection {
    to: SharedHttpClient,
    tripwire: Arc<Tripwire>,
}

impl HttpClient for Connection {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let to = self.to.http_connector(settings, parts);
        SharedHttpConnector::new(Line { to, tripwire: self.tripwire.clone() })
    }
}

#[derive(Debug)]
struct Line {
    to: SharedHttpConnector,
    tripwire: Arc<Tripwire>,
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !self.tripwire.trips(&request) {
            return self.to.call(request);
        }
        let (to, tripwire) = (self.to.clone(), self.tripwire.clone());
        HttpConnectorFuture::new(async move {
            if tripwire.answered.load(Ordering::SeqCst) == 1 {
                let _ = to.call(request).await;
            }
            tripwire.tripped.notify_one();
            std::future::pending().await
        })
    }
}
