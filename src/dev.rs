//! `lamplighter dev`: the real daemon with the real AWS clients, against a simulated AWS on this machine.
//!
//! DynamoDB is embedded, the rest is `simcloud`; both answer behind one endpoint, so that one
//! `AWS_ENDPOINT_URL` serves any SDK. Nothing here is part of a production image.

mod banner;
mod catalogue;
pub mod console;

use std::future::Future;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use simcloud::{Database, SimCloud, SimConfig};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::SystemClock;
use crate::cloud::Cloud;
use crate::cloud::aws::{Settings, load};
use crate::cloud::dynamodb::create_tables;
use crate::config::Config;
use crate::logging::Levels;
use crate::metrics::Metrics;
use crate::serve::{self, Ports, World};
use catalogue::PROJECT;

/// How `lamplighter dev` runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Write three rows to begin with
    #[arg(long)]
    pub example: bool,
    /// How many times faster than a real AWS builds and rollouts go
    #[arg(long, default_value_t = 30.0, value_name = "FACTOR", value_parser = speed)]
    pub speed: f64,
    /// Keep tables and the simulated AWS in this folder; without it they are gone at the end
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The port of the simulated AWS and of the apps; 0: any that is free
    #[arg(long, default_value_t = 4566, value_name = "PORT")]
    pub aws_port: u16,
    /// The port of the API; 0: any that is free
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    pub api_port: u16,
    /// The port of metrics and probes; 0: any that is free
    #[arg(long, default_value_t = 9090, value_name = "PORT")]
    pub admin_port: u16,
    /// Write {"aws": URL, "api": URL, "admin": URL} to this file once everything answers
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// How many builds run at once
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub builds: u32,
    /// Which log lines are written
    #[arg(long, default_value = "warn,lamplighter=info", value_name = "DIRECTIVES", value_parser = directives)]
    pub log: String,
}

fn speed(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if (0.1..=10_000.0).contains(&factor) {
        Ok(factor)
    } else {
        Err("use 0.1 to 10000".to_owned())
    }
}

fn directives(text: &str) -> Result<String, String> {
    crate::logging::check(text)
        .map(|()| text.to_owned())
        .map_err(str::to_owned)
}

/// Where everything answers.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Addresses {
    /// The simulated AWS, and the apps.
    pub aws: String,
    /// The API.
    pub api: String,
    /// Metrics and probes.
    pub admin: String,
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(options: Options, levels: Arc<Levels>) -> anyhow::Result<()> {
    let asked_to_stop = serve::asked_to_stop();
    let aws = listen(options.aws_port, "--aws-port").await?;
    let public = listen(options.api_port, "--api-port").await?;
    let admin = listen(options.admin_port, "--admin-port").await?;
    let app_port = aws.local_addr()?.port();
    let url = |listener: &TcpListener| anyhow::Ok(format!("http://{}", listener.local_addr()?));
    let addresses = Addresses {
        aws: url(&aws)?,
        api: url(&public)?,
        admin: url(&admin)?,
    };

    let sim = simulated_aws(&options, app_port)?;
    let (stop, stopped) = watch::channel(false);
    let simulator = on_its_own_thread(&sim, aws, stopped)?;
    let keeper = options.data.as_deref().map(|folder| Arc::new(Keeper::of(folder)));
    if let Some(keeper) = keeper.clone() {
        sim.keep_with(move |sim| keeper.save_or_say(sim));
    }

    let config = catalogue::config(app_port, options.speed, options.builds);
    let ended = daemon(
        &options,
        &config,
        &addresses,
        (Ports { public, admin }, levels),
        asked_to_stop,
    )
    .await;

    let _ = stop.send(true);
    // The thread ends by itself; waiting for it must not block the runtime's worker.
    let _ = tokio::task::spawn_blocking(move || simulator.join()).await;
    if let Some(keeper) = keeper {
        keeper.save(&sim)?;
    }
    ended
}

async fn daemon(
    options: &Options,
    config: &Config,
    addresses: &Addresses,
    (ports, levels): (Ports, Arc<Levels>),
    asked_to_stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let settings = Settings {
        region: Some("eu-west-1".to_owned()),
        endpoint_url: Some(addresses.aws.clone()),
        made_up_credentials: true,
        ..Settings::default()
    };
    let clients = load(&settings, serve::call_observer(&metrics)).await;
    create_tables(&clients, &serve::tables(config))
        .await
        .context("cannot create the tables")?;
    let cloud = serve::cloud(&clients, serve::tables(config))?;
    let apps = config.policy.catalogue.keys().map(ToString::to_string).collect();
    let announcement = tokio::spawn(announce(options.clone(), addresses.clone(), apps, cloud.clone()));
    let world = World {
        cloud,
        metrics,
        ports,
        levels,
        clock: Arc::new(SystemClock),
    };
    let ended = serve::run(config, world, asked_to_stop).await;
    announcement.abort();
    ended
}

async fn listen(port: u16, flag: &str) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another port with {flag}, or 0 for any"))
}

fn simulated_aws(options: &Options, app_port: u16) -> anyhow::Result<SimCloud> {
    let mut config = SimConfig {
        speed: options.speed,
        concurrent_builds: usize::try_from(options.builds).unwrap_or(usize::MAX),
        app_port: Some(app_port),
        ..SimConfig::default()
    };
    let Some(folder) = &options.data else {
        return Ok(with_project(SimCloud::new(config)));
    };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let tables = folder.join("dynamodb.sqlite");
    config.database = Database::new(&tables.to_string_lossy())
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| format!("cannot open {}", tables.display()))?;
    let world = world_file(folder);
    if !world.exists() {
        return Ok(with_project(SimCloud::new(config)));
    }
    let text = std::fs::read(&world).with_context(|| format!("cannot read {}", world.display()))?;
    let snapshot = serde_json::from_slice(&text)
        .with_context(|| format!("{} is damaged; delete the folder to begin anew", world.display()))?;
    let sim = SimCloud::restore(config, snapshot).with_context(|| {
        format!(
            "{} is of no use; delete the folder to begin anew",
            world.display()
        )
    })?;
    Ok(with_project(sim))
}

fn with_project(sim: SimCloud) -> SimCloud {
    sim.create_project(PROJECT, catalogue::CLUSTER);
    sim
}

/// DynamoDB works inline on the thread that asks it, so the simulator gets one of its own.
fn on_its_own_thread(
    sim: &SimCloud,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let listener = listener.into_std()?;
    let sim = sim.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new()
        .name("simulated-aws".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let served = async {
                    let listener = TcpListener::from_std(listener)?;
                    sim.serve(listener, stopped.wait_for(|stop| *stop)).await
                };
                if let Err(error) = served.await {
                    tracing::error!(%error, "the simulated AWS failed");
                }
            });
        })?;
    Ok(thread)
}

fn world_file(folder: &Path) -> PathBuf {
    folder.join("world.json")
}

/// Keeps the simulated AWS in a file. Whatever it does by itself it does again after a restart, at the times
/// that are written down; so it is enough to keep what callers did.
struct Keeper {
    file: PathBuf,
    writing: Mutex<()>,
}

impl Keeper {
    fn of(folder: &Path) -> Self {
        Self {
            file: world_file(folder),
            writing: Mutex::default(),
        }
    }

    fn save_or_say(&self, sim: &SimCloud) {
        if let Err(error) = self.save(sim) {
            tracing::warn!(
                error = format!("{error:#}"),
                "the simulated AWS could not be kept"
            );
        }
    }

    fn save(&self, sim: &SimCloud) -> anyhow::Result<()> {
        // Looked at inside, so that an older world never replaces a newer one.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = serde_json::to_vec(&sim.snapshot())?;
        replace(&self.file, &bytes)
    }
}

/// Writes beside and renames, so that whoever reads it never finds half of it.
fn replace(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    std::fs::write(&fresh, bytes)
        .and_then(|()| std::fs::rename(&fresh, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

async fn write_examples(cloud: &Cloud) -> anyhow::Result<()> {
    for row in catalogue::example_rows() {
        let known = cloud
            .desired
            .row(&row.id)
            .await
            .context("cannot read the desired table")?;
        if known.is_none() {
            cloud
                .desired
                .put_row(&row)
                .await
                .context("cannot write an example row")?;
        }
    }
    Ok(())
}

/// Says where everything is once it answers, then writes the example rows and follows them until they are ready.
async fn announce(options: Options, addresses: Addresses, apps: Vec<String>, cloud: Cloud) {
    let ready = format!("{}/readyz", addresses.admin);
    while !matches!(
        cloud.prober.probe(&ready).await.present(),
        Some(crate::model::observed::Probe::Answered)
    ) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    say(&banner::text(&banner::Facts {
        addresses: &addresses,
        program: &std::env::args()
            .next()
            .unwrap_or_else(|| "lamplighter".to_owned()),
        speed: options.speed,
        kept_in: options.data.as_ref().map(|folder| folder.display().to_string()),
        apps: apps.iter().map(String::as_str).collect(),
        example: options.example,
    }));
    if let Some(file) = &options.ready_file
        && let Err(error) = serde_json::to_vec(&addresses)
            .map_err(Into::into)
            .and_then(|bytes| replace(file, &bytes))
    {
        tracing::error!(
            error = format!("{error:#}"),
            "the ready file could not be written"
        );
    }
    if options.example {
        match write_examples(&cloud).await {
            Ok(()) => follow_examples(&cloud).await,
            Err(error) => tracing::error!(error = format!("{error:#}"), "there is no example"),
        }
    }
}

async fn follow_examples(cloud: &Cloud) {
    let mut waiting: Vec<_> = catalogue::example_rows().into_iter().map(|row| row.id).collect();
    while !waiting.is_empty() {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut still = Vec::new();
        for id in waiting {
            match cloud.state.memory(&id).await {
                Ok(Some(memory)) if memory.status.url.is_some() => {
                    say(&banner::ready(
                        &id,
                        memory.status.url.as_deref().unwrap_or_default(),
                    ));
                }
                Ok(_) | Err(_) => still.push(id),
            }
        }
        waiting = still;
    }
    say(banner::ALL_READY);
}

fn say(text: &str) {
    // Nobody reads: nothing lost.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
