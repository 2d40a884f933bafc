//! A lab: a simulated AWS on a real socket, the real tables, and daemons that can be started, stopped and
//! killed, all in this process and on real time that runs a few hundred times faster for builds.

use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use lamplighter::clock::Clock;
use lamplighter::cloud::aws::{CallObserver, Clients, Settings, Unobserved, load};
use lamplighter::cloud::dynamodb::create_tables;
use lamplighter::cloud::{Cloud, StateSnapshot};
use lamplighter::config::{Config, Intervals};
use lamplighter::metrics::Metrics;
use lamplighter::model::backoff::Backoff;
use lamplighter::model::memory::Memory;
use lamplighter::model::name::AppId;
use lamplighter::model::row::{RawValue, Row};
use lamplighter::model::status::{ConditionKind, Phase, Status, Truth};
use lamplighter::serve::{self, Ports, World};
use simcloud::{BuildView, ServiceStatus, ServiceView, SimCloud, SimConfig, Timings, TokioClock};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub mod process;
pub mod wire;

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
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            speed: 400.0,
            builds: 10,
            timings: Timings::default(),
            config: String::new(),
            intervals: QUICK,
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

    /// How many complete sweeps the newest daemon has made.
    pub async fn sweeps(&self) -> u64 {
        self.metric("lamplighter_sweeps_total{result=\"complete\"}").await
    }

    /// One number of the newest daemon's metrics, by its name and labels; zero when it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = wire::get(&format!("{}/metrics", self.admin())).await.body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        line.unwrap_or(0)
    }

    /// Writes a row as a portal does.
    pub async fn put(&self, id: &str, fields: &[(&str, &str)]) {
        let raw = fields
            .iter()
            .map(|(name, value)| {
                let number = *name == "generation";
                let value = (*value).to_owned();
                let value = if number {
                    RawValue::Number(value)
                } else {
                    RawValue::Text(value)
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

    pub async fn memory(&self, id: &str) -> Option<Memory> {
        self.cloud.state.memory(&app(id)).await.unwrap()
    }

    pub async fn status(&self, id: &str) -> Status {
        self.memory(id)
            .await
            .map(|memory| memory.status)
            .unwrap_or_default()
    }

    pub async fn snapshot(&self) -> StateSnapshot {
        self.cloud.state.snapshot().await.unwrap()
    }

    /// Waits until an app is in a phase, and gives its status then.
    pub async fn until(&self, id: &str, phase: Phase) -> Status {
        self.until_status(id, &format!("phase {phase}"), |status| status.phase == phase)
            .await
    }

    pub async fn until_status(&self, id: &str, what: &str, done: impl Fn(&Status) -> bool) -> Status {
        let begin = Instant::now();
        loop {
            let status = self.status(id).await;
            if done(&status) {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "{id}: no {what}; it says {status:#?}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Waits until an app says why it is where it is in this word.
    pub async fn until_reason(&self, id: &str, reason: &str) -> Status {
        self.until_status(id, &format!("reason {reason}"), |status| status.reason == reason)
            .await
    }

    /// Looks again and again for a while that something stays so.
    pub async fn throughout<F: Future<Output = bool>>(
        &self,
        time: Duration,
        what: &str,
        mut so: impl FnMut() -> F,
    ) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            assert!(so().await, "not all the time: {what}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// An app's history, oldest line first: `rule/reason: message`.
    pub async fn history(&self, id: &str) -> Vec<String> {
        let mut events = self.cloud.state.events(&app(id), 1000).await.unwrap();
        events.reverse();
        events
            .into_iter()
            .map(|event| format!("{}/{}: {}", event.rule, event.reason, event.message))
            .collect()
    }

    /// Waits until something is so.
    pub async fn eventually<F: Future<Output = bool>>(&self, what: &str, mut so: impl FnMut() -> F) {
        let begin = Instant::now();
        while !so().await {
            assert!(begin.elapsed() < PATIENCE, "never: {what}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Builds that passed their gate, of one app and direction.
    pub fn passed(&self, id: &str, action: &str) -> Vec<BuildView> {
        let mut builds = self.sim.world().builds();
        builds.retain(|build| {
            build.instance.as_deref() == Some(id)
                && build.action.as_deref() == Some(action)
                && build.gate_passed.is_some()
        });
        builds
    }

    /// All builds of an app, oldest first.
    pub fn builds(&self, id: &str) -> Vec<BuildView> {
        let mut builds = self.sim.world().builds();
        builds.retain(|build| build.instance.as_deref() == Some(id));
        builds
    }

    /// What is there of an app in ECS, gone services left out.
    pub fn services(&self, id: &str) -> Vec<ServiceView> {
        let mut services = self.sim.world().services();
        services.retain(|service| {
            service.instance.as_deref() == Some(id) && service.status != ServiceStatus::Inactive
        });
        services
    }

    /// Whether an app holds its user's slot.
    pub async fn holds_a_slot(&self, id: &str) -> bool {
        let claims = self.snapshot().await.claims;
        claims
            .iter()
            .any(|(key, claim)| key.is_slot() && claim.app == app(id))
    }

    /// What the world itself found wrong, which must be nothing.
    pub fn assert_sound(&self) {
        assert_eq!(self.sim.world().violations(), Vec::<String>::new());
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

pub fn truth(status: &Status, kind: ConditionKind) -> Option<Truth> {
    status.condition(kind).map(|condition| condition.status)
}

/// The least a row needs.
pub fn wants<'a>(user: &'a str, app: &'a str, desired: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("user", user), ("app", app), ("desired", desired)]
}
