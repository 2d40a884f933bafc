//! A lab: a simulated AWS on a real socket, the real tables, and daemons that can be started, stopped and
//! killed, all in this process and on real time that runs a few hundred times faster for builds.
#![allow(dead_code, reason = "each test binary that shares this uses a part of it")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamplighter::clock::Clock;
use lamplighter::cloud::Cloud;
use lamplighter::cloud::aws::{CallObserver, Clients, Settings, Unobserved, load};
use lamplighter::cloud::dynamodb::create_tables;
use lamplighter::config::{Config, Intervals, LeaseSettings};
use lamplighter::metrics::Metrics;
use lamplighter::model::backoff::Backoff;
use lamplighter::model::name::AppId;
use lamplighter::model::row::{RawValue, Row};
use lamplighter::serve::{self, Ports, World};
use simcloud::{SimCloud, SimConfig, Timings, TokioClock};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod look;
pub mod process;
pub mod wire;

pub use look::truth;

pub const CLUSTER: &str = "apps";
pub const PROJECT: &str = "child-app";

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a test waits before it looks again.
const BETWEEN_LOOKS: Duration = Duration::from_millis(40);

/// When a lab's time begins: ten in the morning in Berlin, on a day without a change of the clock.
pub const MORNING: &str = "2027-02-10T09:00:00Z";

/// The wall clock, which a test may put forward or back.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    shift_millis: AtomicI64,
}

impl ShiftedClock {
    pub fn shift(&self, by: SignedDuration) {
        self.shift_millis
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Puts the clock so that it shows `to` now.
    pub fn set(&self, to: Timestamp) {
        self.shift(to.duration_since(self.now()));
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        #[allow(clippy::disallowed_methods, reason = "the lab runs on real time")]
        let now = Timestamp::now();
        now.checked_add(SignedDuration::from_millis(
            self.shift_millis.load(Ordering::SeqCst),
        ))
        .unwrap()
    }
}

pub struct Lab {
    pub sim: SimCloud,
    pub url: String,
    pub config: Config,
    pub cloud: Cloud,
    pub clock: Arc<ShiftedClock>,
    daemons: Mutex<Vec<Daemon>>,
}

struct Daemon {
    stop: Option<oneshot::Sender<()>>,
    work: JoinHandle<()>,
    api: String,
    admin: String,
}

/// What may differ between labs.
pub struct Setup {
    pub speed: f64,
    pub builds: usize,
    /// How long things take before `speed` divides it.
    pub timings: Timings,
    /// More lines for the daemon's configuration, at its end.
    pub config: String,
    /// How often the daemon looks; replaced to see what it does without its quick wake-ups.
    pub intervals: Intervals,
    /// In how many parts daemons share the apps.
    pub shards: u16,
    /// Decides what the simulated AWS draws.
    pub seed: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            speed: 400.0,
            builds: 10,
            timings: Timings::default(),
            config: String::new(),
            intervals: QUICK,
            shards: 1,
            seed: 1,
        }
    }
}

pub const QUICK: Intervals = Intervals {
    sweep: Duration::from_secs(1),
    progress: Duration::from_millis(100),
    row_poll: Duration::from_millis(100),
    ready_recheck: Duration::from_secs(1),
};

const TEMPLATE: &str = r#"
[tables]
desired = "lamplighter-desired"
state = "lamplighter-state"
events = "lamplighter-events"

[admission]
max_concurrent_builds = @BUILDS@
reserved_for_destroys = 0
starts_per_minute = 600

[policy]
max_attempts = 3

[schedules.office]
time_zone = "Europe/Berlin"
teardown = "0 19 * * *"
action = "destroy"

[schedules.nights]
time_zone = "Europe/Berlin"
teardown = "0 19 * * *"
action = "suspend"

[apps.shop]
project = "child-app"
cluster = "apps"
domain = "localhost"
url = "http://{host_name}:@PORT@"
health_path = "/health"
target_group = "{resource_name}"
schedule = "office"
build_timeout = "4h"
queue_timeout = "4h"
parameters = { SIZE = { max_bytes = 10, one_of = ["small", "large"] } }

[apps.wiki]
project = "child-app"
cluster = "apps"
domain = "localhost"
url = "http://{host_name}:@PORT@"
health_path = "/health"
schedule = "nights"
build_timeout = "4h"
queue_timeout = "4h"

@MORE@
"#;

impl Lab {
    pub async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let sim = SimCloud::new(SimConfig {
            speed: setup.speed,
            seed: setup.seed,
            concurrent_builds: setup.builds,
            app_port: Some(port),
            timings: setup.timings,
            ..SimConfig::with_clock(Arc::new(TokioClock::starting_at(MORNING.parse().unwrap())))
        });
        sim.create_project(PROJECT, CLUSTER);
        serve_on_its_own_thread(&sim, listener);
        let text = TEMPLATE
            .replace("@PORT@", &port.to_string())
            .replace("@BUILDS@", &setup.builds.to_string())
            .replace("@MORE@", &setup.config);
        let mut config = Config::from_toml(&text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        config.intervals = setup.intervals;
        config.leases = Some(LeaseSettings::new(setup.shards, Duration::from_secs(3)));
        let timing = &mut config.policy.timing;
        timing.confirm_absence = SignedDuration::from_millis(300);
        timing.appear_grace = SignedDuration::from_secs(1);
        timing.refusal_recheck = SignedDuration::from_millis(300);
        let retry = Backoff {
            initial: SignedDuration::from_millis(200),
            max: SignedDuration::from_secs(1),
            multiplier: 2.0,
        };
        timing.deploy_retry = retry;
        timing.destroy_retry = retry;
        let clients = clients(&url, Arc::new(Unobserved)).await;
        create_tables(&clients, &serve::tables(&config)).await.unwrap();
        let cloud = serve::cloud(&clients, serve::tables(&config)).unwrap();
        let clock = Arc::new(ShiftedClock::default());
        let lab = Self {
            sim,
            url,
            config,
            cloud,
            clock,
            daemons: Mutex::default(),
        };
        lab.clock.set(MORNING.parse().unwrap());
        lab
    }

    /// Starts a daemon of its own clients.
    pub async fn start(&self) {
        let metrics = Metrics::new("test");
        let clients = clients(&self.url, serve::call_observer(&metrics)).await;
        let cloud = serve::cloud(&clients, serve::tables(&self.config)).unwrap();
        let ports = Ports {
            public: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            admin: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        };
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (api, admin) = (url(&ports.public), url(&ports.admin));
        let (stop, stopped) = oneshot::channel();
        let config = self.config.clone();
        let world = World {
            cloud,
            metrics,
            ports,
            levels: lamplighter::logging::Levels::unlogged("info"),
            clock: self.clock.clone(),
        };
        let work = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            serve::run(&config, world, shutdown).await.unwrap();
        });
        self.daemons.lock().unwrap().push(Daemon {
            stop: Some(stop),
            work,
            api,
            admin,
        });
    }

    /// Clients of its AWS, for whatever is not a daemon.
    pub async fn clients(&self) -> Clients {
        clients(&self.url, Arc::new(Unobserved)).await
    }

    /// Stops every daemon cleanly.
    pub async fn stop(&self) {
        let daemons: Vec<Daemon> = self.daemons.lock().unwrap().drain(..).collect();
        for mut daemon in daemons {
            let _ = daemon.stop.take().unwrap().send(());
            daemon.work.await.unwrap();
        }
    }

    pub fn api(&self) -> String {
        self.daemons.lock().unwrap().last().unwrap().api.clone()
    }

    pub fn admin(&self) -> String {
        self.daemons.lock().unwrap().last().unwrap().admin.clone()
    }

    /// Writes a row as a portal does.
    pub async fn put(&self, id: &str, fields: &[(&str, &str)]) {
        let raw = fields
            .iter()
            .map(|(name, value)| {
                let value = match *name {
                    "generation" => RawValue::Number((*value).to_owned()),
                    "ownerActive" => RawValue::Bool(*value == "true"),
                    _ => RawValue::Text((*value).to_owned()),
                };
                ((*name).to_owned(), value)
            })
            .collect();
        let row = Row::read(app(id), raw);
        assert_eq!(row.problems, [], "a test's row is a good one");
        self.cloud.desired.put_row(&row).await.unwrap();
    }

    pub async fn delete(&self, id: &str) {
        self.cloud.desired.delete_row(&app(id)).await.unwrap();
    }
}

fn serve_on_its_own_thread(sim: &SimCloud, listener: TcpListener) {
    let listener = listener.into_std().unwrap();
    let sim = sim.clone();
    // Detached: it ends with the process.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            sim.serve(listener, std::future::pending::<()>()).await.unwrap();
        });
    });
}

async fn clients(url: &str, observer: Arc<dyn CallObserver>) -> Clients {
    let settings = Settings {
        region: Some("eu-west-1".to_owned()),
        endpoint_url: Some(url.to_owned()),
        made_up_credentials: true,
        ..Settings::default()
    };
    load(&settings, observer).await
}

pub fn app(id: &str) -> AppId {
    AppId::from_key(id).unwrap()
}

/// The least a row needs.
pub fn wants<'a>(user: &'a str, app: &'a str, desired: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("user", user), ("app", app), ("desired", desired)]
}
