//! What a simulated cloud is made of: its clock, database, quotas, speed, and the contract its builds follow.
//! Only plain values; nothing here acts.

use std::sync::Arc;
use std::time::Duration;

use dynoxide::Database;

use crate::clock::{Clock, DatabaseClock, TokioClock};

/// How to make a [`SimCloud`](crate::SimCloud).
#[derive(Clone)]
pub struct SimConfig {
    /// The time the world lives in.
    pub clock: Arc<dyn Clock>,
    /// The `DynamoDB` that answers behind the same endpoint, and that builds ask for their gate.
    pub database: Database,
    /// Whom builds ask for their gate instead of the database, if anybody.
    pub gatekeeper: Option<Arc<dyn Gatekeeper>>,
    /// The Region in every ARN.
    pub region: String,
    /// The account in every ARN.
    pub account: String,
    /// Divides every simulated duration, build and queue timeouts included; 1.0 is realistic (a build takes
    /// three to five minutes). What an API promises in absolute time (the five minutes of a token, the hour
    /// of a stopped task) is never scaled.
    pub speed: f64,
    /// How many builds run at once in the account. Five times as many may wait in the queue.
    pub concurrent_builds: usize,
    /// The port at which running apps answer HTTP, for the addresses that pages and tests print.
    pub app_port: Option<u16>,
    /// Decides every id, duration and drawn fault: the same seed and the same calls give the same world.
    pub seed: u64,
    /// The names of the environment variables and tags that builds understand.
    pub contract: Contract,
    /// How long things take at speed 1.0.
    pub timings: Timings,
    /// Whether ECS throttles at the published rates of an account. `CodeBuild`'s are not published.
    pub rate_limits: bool,
    /// How many lines [`World::log`](crate::World::log) keeps; the oldest go first.
    pub log_lines: usize,
}

impl SimConfig {
    /// The default configuration in the time of `clock`, with an in-memory database that shares that time.
    ///
    /// # Panics
    /// When `SQLite` cannot open an in-memory database, which leaves nothing to simulate.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let database = Database::memory_with_clock(Arc::new(DatabaseClock(Arc::clone(&clock))))
            .expect("an in-memory database opens");
        Self {
            clock,
            database,
            gatekeeper: None,
            region: "eu-west-1".to_owned(),
            account: "123456789012".to_owned(),
            speed: 1.0,
            concurrent_builds: 20,
            app_port: None,
            seed: 1,
            contract: Contract::default(),
            timings: Timings::default(),
            log_lines: 50_000,
            rate_limits: false,
        }
    }

    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}

impl Default for SimConfig {
    fn default() -> Self {
        Self::with_clock(Arc::new(TokioClock::system()))
    }
}

impl std::fmt::Debug for SimConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimConfig")
            .field("region", &self.region)
            .field("account", &self.account)
            .field("speed", &self.speed)
            .field("concurrent_builds", &self.concurrent_builds)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// Answers for the gate in place of the database, where there is none behind the world.
pub trait Gatekeeper: Send + Sync {
    /// Whether this build is the one build of its operation: the first to ask, and again whenever it asks.
    fn passes(&self, operation: &str, build: &str) -> bool;
}

/// The environment variables a build reads, the tags it writes, and whether it asks the gate.
#[derive(Debug, Clone)]
pub struct Contract {
    /// `apply` or `destroy`.
    pub action: String,
    /// The app's full host name; also the key of its Terraform state.
    pub host_name: String,
    /// The name of the ECS service and of the target group.
    pub resource_name: String,
    /// Goes into the service's instance tag.
    pub instance_id: String,
    /// Who owns the app.
    pub user_id: String,
    /// Which app it is.
    pub app: String,
    /// Names the gate item.
    pub operation_id: String,
    /// The table that holds the gate item.
    pub state_table: String,
    /// Makes this build, or the app it makes, misbehave: `fail`, `hang`, `crash`, `unhealthy`.
    pub behaviour: String,
    /// Whether `PRE_BUILD` asks the gate at all.
    pub gate: bool,
    /// Whether a build that passed its gate unlocks a Terraform state that a killed build left locked, one
    /// minute after that build ended. Otherwise, and without a gate, such a lock stays for a person to remove.
    pub force_unlock: bool,
    /// The tag that carries the instance id.
    pub instance_tag: String,
    /// The tag that carries the host name.
    pub host_tag: String,
    /// Whether the services that builds make have the deployment circuit breaker.
    pub circuit_breaker: bool,
}

impl Default for Contract {
    fn default() -> Self {
        let name = str::to_owned;
        Self {
            action: name("ACTION"),
            host_name: name("HOST_NAME"),
            resource_name: name("RESOURCE_NAME"),
            instance_id: name("INSTANCE_ID"),
            user_id: name("USER_ID"),
            app: name("APP"),
            operation_id: name("LAMPLIGHTER_OPERATION_ID"),
            state_table: name("LAMPLIGHTER_STATE_TABLE"),
            behaviour: name("SIM_BEHAVIOUR"),
            gate: true,
            force_unlock: true,
            instance_tag: name("lamplighter:instance-id"),
            host_tag: name("lamplighter:host-name"),
            circuit_breaker: false,
        }
    }
}

/// A duration in seconds at speed 1.0, drawn between its two ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span(pub f64, pub f64);

impl Span {
    pub(crate) fn draw(self, rng: &mut fastrand::Rng, speed: f64) -> Duration {
        let seconds = self.0 + (self.1 - self.0) * rng.f64();
        // Milliseconds are what the wire carries; a coarser world is easier to read in a log.
        let millis = (seconds * 1000.0 / speed.max(0.001)).clamp(1.0, 1e12);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Duration::from_millis(millis as u64)
    }
}

/// How long the simulated things take.
#[derive(Debug, Clone)]
pub struct Timings {
    /// `SUBMITTED`.
    pub submitted: Span,
    /// `QUEUED`, when there is room.
    pub queued: Span,
    /// `PROVISIONING`.
    pub provisioning: Span,
    /// `DOWNLOAD_SOURCE`.
    pub download_source: Span,
    /// `INSTALL`.
    pub install: Span,
    /// `PRE_BUILD`; the gate is asked at its end.
    pub pre_build: Span,
    /// `BUILD` of an apply.
    pub apply: Span,
    /// `BUILD` of a destroy, without the wait for the service to drain.
    pub destroy: Span,
    /// `POST_BUILD`.
    pub post_build: Span,
    /// `UPLOAD_ARTIFACTS`.
    pub upload_artifacts: Span,
    /// `FINALIZING`.
    pub finalizing: Span,
    /// A task, from its launch to `RUNNING`.
    pub task_start: Span,
    /// A task, from being told to stop to `STOPPED`.
    pub task_stop: Span,
    /// A task of a crashing app, from `RUNNING` to its exit.
    pub task_crash: Span,
    /// A target, from its registration to `healthy` or `unhealthy`.
    pub target_health: Span,
    /// An unhealthy target, from `unhealthy` to its task being replaced.
    pub unhealthy_kill: Span,
    /// A service, the least time it stays `DRAINING`.
    pub drain: Span,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            submitted: Span(0.4, 1.5),
            queued: Span(0.5, 3.0),
            provisioning: Span(8.0, 25.0),
            download_source: Span(2.0, 6.0),
            install: Span(5.0, 15.0),
            pre_build: Span(4.0, 12.0),
            apply: Span(120.0, 200.0),
            destroy: Span(60.0, 110.0),
            post_build: Span(1.0, 4.0),
            upload_artifacts: Span(0.1, 0.8),
            finalizing: Span(1.0, 3.0),
            task_start: Span(15.0, 40.0),
            task_stop: Span(5.0, 30.0),
            task_crash: Span(2.0, 6.0),
            target_health: Span(10.0, 25.0),
            unhealthy_kill: Span(30.0, 45.0),
            drain: Span(15.0, 40.0),
        }
    }
}
