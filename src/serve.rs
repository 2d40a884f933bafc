//! Composition root: makes the adapters, the controller and the servers, wires them, and ends them in order.
//! Decides nothing about apps.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::adopt::Edges;
use crate::api::{self, Access, ApiState};
use crate::clock::Clock;
use crate::cloud::aws::{CallObserver, Clients, Settings};
use crate::cloud::codebuild::CodeBuild;
use crate::cloud::dynamodb::{DynamoDb, Tables};
use crate::cloud::ecs::Ecs;
use crate::cloud::elb::Elb;
use crate::cloud::probe::HttpProber;
use crate::cloud::webhook::HttpWebhook;
use crate::cloud::{Cloud, Webhook};
use crate::config::{self, Config};
use crate::controller::{Controller, Parts, triggers};
use crate::logging::Levels;
use crate::metrics::Metrics;
use crate::model::SignedDuration;
use crate::model::name::Entropy;

/// The two ports, bound before anything else starts, so that a port that is taken is found at once.
pub struct Ports {
    /// The API.
    pub public: TcpListener,
    /// Metrics and probes.
    pub admin: TcpListener,
}

impl Ports {
    /// Binds both ports.
    pub async fn bind(config: &config::ApiConfig) -> anyhow::Result<Self> {
        let bind = async |address, key: &str| {
            TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}, which {key} asks for"))
        };
        Ok(Self {
            public: bind(config.public_addr, "api.public_addr").await?,
            admin: bind(config.admin_addr, "api.admin_addr").await?,
        })
    }
}

/// The AWS clients of a configuration, with every call counted in `metrics`.
pub async fn clients(config: &Config, metrics: &Metrics) -> Clients {
    let settings = Settings {
        region: config.aws.region.clone(),
        endpoint_url: config.aws.endpoint_url.clone(),
        ..Settings::default()
    };
    crate::cloud::aws::load(&settings, call_observer(metrics)).await
}

/// The tables of a configuration.
pub fn tables(config: &Config) -> Tables {
    Tables {
        desired: config.tables.desired.clone(),
        state: config.tables.state.clone(),
        events: config.tables.events.clone(),
    }
}

/// What `lamplighter adopt` reaches over these clients.
pub fn adoption(clients: &Clients, tables: Tables) -> Edges {
    let store = Arc::new(DynamoDb::new(clients, tables));
    let services = Arc::new(Ecs::new(clients));
    Edges {
        desired: store.clone(),
        rows: store.clone(),
        state: store,
        services: services.clone(),
        takeover: services,
        routes: Arc::new(Elb::new(clients)),
    }
}

/// Sixteen random bytes.
pub fn entropy() -> Entropy {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&seed()[..16]);
    Entropy(bytes)
}

/// Every edge, over these clients.
pub fn cloud(clients: &Clients, tables: Tables) -> anyhow::Result<Cloud> {
    let store = Arc::new(DynamoDb::new(clients, tables));
    Ok(Cloud {
        desired: store.clone(),
        state: store,
        builds: Arc::new(CodeBuild::new(clients)),
        services: Arc::new(Ecs::new(clients)),
        routes: Arc::new(Elb::new(clients)),
        prober: Arc::new(
            HttpProber::new().context("cannot make the client that asks apps for their health")?,
        ),
    })
}

/// What a daemon is given from outside.
pub struct World {
    /// Every edge.
    pub cloud: Cloud,
    /// Where it counts.
    pub metrics: Metrics,
    /// Where it listens.
    pub ports: Ports,
    /// Which lines are logged.
    pub levels: Arc<Levels>,
    /// What it takes for the time.
    pub clock: Arc<dyn Clock>,
}

/// Runs the daemon until `shutdown`, then lets what is in hand end within the configured grace.
pub async fn run(config: &Config, world: World, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let World {
        cloud,
        metrics,
        ports,
        levels,
        clock,
    } = world;
    let policy = Arc::new(config.policy.clone());
    let controller = Controller::new(Parts {
        cloud: cloud.clone(),
        policy: Arc::clone(&policy),
        admission: config.admission,
        intervals: config.intervals,
        workers: config.workers,
        leases: config.leases,
        webhook: webhook(config)?,
        clock,
        metrics: metrics.clone(),
        seed: seed(),
    });
    let state = ApiState {
        reports: Arc::default(),
        desired: cloud.desired,
        state: cloud.state,
        handle: controller.clone(),
        metrics,
        policy,
        levels,
        access: Arc::new(access(&config.api)),
    };
    let (stop, stopped) = watch::channel(false);
    let (sender, ticks) = mpsc::channel(4);
    let mut ticker = triggers::start(config.intervals.sweep, sender)
        .await
        .context("cannot start the ticker")?;

    let mut stopping = stopped.clone();
    let api = tokio::spawn(api::serve(
        ports.public,
        ports.admin,
        state,
        async move {
            // The sender lives as long as this function; either way it is time to stop.
            let _ = stopping.wait_for(|stop| *stop).await;
        },
        config.shutdown_grace,
    ));
    let work = tokio::spawn(async move { controller.run(ticks, stopped).await });

    shutdown.await;
    tracing::info!(grace = ?config.shutdown_grace, "stopping: finishing what is in hand");
    let _ = stop.send(true);
    let _ = ticker.shutdown().await;
    let patience = config.shutdown_grace + Duration::from_secs(1);
    let ended = tokio::time::timeout(patience, async { tokio::join!(api, work) }).await;
    let Ok((api, work)) = ended else {
        tracing::warn!("stopped at the deadline with work in hand; the next start takes it up");
        return Ok(());
    };
    work.context("the controller ended in a panic")?;
    api.context("the servers ended in a panic")?
        .context("the servers failed")?;
    tracing::info!("stopped");
    Ok(())
}

/// Where warnings go, and for how long each is tried.
fn webhook(config: &Config) -> anyhow::Result<Option<(Arc<dyn Webhook>, SignedDuration)>> {
    let Some(config) = &config.webhook else {
        return Ok(None);
    };
    let webhook = HttpWebhook::new(&config.url, config.secret.as_bytes(), config.timeout)
        .context("cannot make the client that delivers warnings")?;
    Ok(Some((Arc::new(webhook), config.give_up_after)))
}

fn access(config: &config::ApiConfig) -> Access {
    if config.tokens.is_empty() {
        return Access::ThisMachine;
    }
    let token = |token: &config::Token| {
        let role = match token.role {
            config::Role::Viewer => api::access::Role::Viewer,
            config::Role::Operator => api::access::Role::Operator,
        };
        api::access::Token::new(role, *token.sha256.as_bytes()).named(&token.name)
    };
    Access::Tokens(config.tokens.iter().map(token).collect())
}

fn seed() -> [u8; 32] {
    use rand::Rng as _;
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    seed
}

/// What counts every call to AWS in `metrics`.
pub fn call_observer(metrics: &Metrics) -> Arc<dyn CallObserver> {
    Arc::new(Calls(metrics.clone()))
}

/// Resolves on Ctrl-C or SIGTERM, also on one that came before anybody waited.
pub fn asked_to_stop() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let heard = |kind| {
            signal(kind)
                .inspect_err(|error| tracing::warn!(%error, "a signal to stop cannot be heard"))
                .ok()
        };
        let (mut interrupt, mut terminate) = (heard(SignalKind::interrupt()), heard(SignalKind::terminate()));
        async move {
            let wait = async |signal: &mut Option<tokio::signal::unix::Signal>| match signal {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            };
            tokio::select! {
                _ = wait(&mut interrupt) => {}
                _ = wait(&mut terminate) => {}
            }
        }
    }
    #[cfg(not(unix))]
    async {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Counts every call to AWS.
#[derive(Debug)]
struct Calls(Metrics);

impl CallObserver for Calls {
    fn observe(
        &self,
        service: &str,
        operation: &str,
        outcome: &'static str,
        attempts: u32,
        elapsed: Duration,
    ) {
        self.0
            .observe_call(service, operation, outcome, attempts, elapsed);
    }
}
