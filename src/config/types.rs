//! The configuration after validation: plain values with nothing left to check. Never reads a file or the
//! environment; see `read` for how it comes about.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::webhook::Webhook;
use crate::model::adopt::Rule;
use crate::model::policy::Policy;

/// Everything an operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which AWS.
    pub aws: AwsSettings,
    /// Which tables.
    pub tables: Tables,
    /// What the planner goes by.
    pub policy: Policy,
    /// How many builds at once.
    pub admission: AdmissionLimits,
    /// How often we look.
    pub intervals: Intervals,
    /// How many apps are worked on at the same time.
    pub workers: usize,
    /// How replicas share the apps. `None`: not at all, this process acts on every app whoever else does; a file
    /// can't ask for that, tests do.
    pub leases: Option<LeaseSettings>,
    /// Where we listen, and to whom.
    pub api: ApiConfig,
    /// Where warnings of stops go.
    pub webhook: Option<Webhook>,
    /// How long work in hand may take after SIGTERM.
    pub shutdown_grace: Duration,
    /// What is logged.
    pub log: LogConfig,
    /// What `lamplighter adopt` takes over; nothing without it.
    pub adopt: Option<Rule>,
}

/// Which AWS. What is absent here comes from where every AWS SDK looks: environment, profile, metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// The Region.
    pub region: Option<String>,
    /// Where calls go instead of to AWS.
    pub endpoint_url: Option<String>,
}

/// The names of our three tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// The portal writes it.
    pub desired: String,
    /// Memory, claims and gates.
    pub state: String,
    /// History.
    pub events: String,
}

/// The budget in front of CodeBuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// The most builds at once.
    pub max_concurrent_builds: u32,
    /// How many of those only a destroy may use.
    pub reserved_for_destroys: u32,
    /// The most builds started in a minute.
    pub starts_per_minute: u32,
}

/// How replicas share the apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// In how many parts the apps are; the same for all replicas.
    pub shards: u16,
    /// How long a lease lasts after its renewal was sent.
    pub duration: Duration,
    /// How often leases are looked after: those of others read, our own renewed when it is time.
    pub poll: Duration,
}

impl LeaseSettings {
    /// With as many looks as let a lease that was given back be taken within half a second.
    pub fn new(shards: u16, duration: Duration) -> Self {
        Self {
            shards,
            duration,
            poll: (duration / 10).min(Duration::from_millis(500)),
        }
    }
}

/// How often we look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// At everything, in full batches.
    pub sweep: Duration,
    /// At apps under way, batched.
    pub progress: Duration,
    /// At the desired table.
    pub row_poll: Duration,
    /// At the health of an app that is Ready.
    pub ready_recheck: Duration,
}

/// Where we listen, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// The API, the links and the console.
    pub public_addr: SocketAddr,
    /// Metrics and probes.
    pub admin_addr: SocketAddr,
    /// Who may use the API. Nobody listed: only this machine, and it may do everything.
    pub tokens: Vec<Token>,
}

/// Somebody who may use the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The name that goes into the audit.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What their token hashes to.
    pub sha256: TokenHash,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To look.
    Viewer,
    /// To look and to change.
    Operator,
}

/// The SHA-256 of a token. The token itself is never known to the configuration; the hash is not printed
/// either, since short tokens can be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Takes the digest itself.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(digest))
    }

    /// The digest, for a comparison in constant time.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// For machines or for people.
    pub format: LogFormat,
    /// Directives as `tracing-subscriber` reads them; known to be readable.
    pub filter: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Pretty,
}
