//! The configuration: one TOML file, a handful of environment variables and flags, validated once into plain
//! types. All mistakes are reported together, each with its place and the way out.
//!
//! Nothing here talks to AWS, reads a clock or starts anything. Start with `types` for what comes out, then
//! `settings`, `policy` and `catalogue` for what goes in; `docs/configuration.md` is the reference.

mod adopt;
mod book;
mod catalogue;
mod cost;
mod days;
mod field;
mod mistakes;
mod overrides;
mod policy;
mod read;
mod rule;
mod schedules;
mod section;
mod settings;
mod source;
mod summary;
mod types;
mod users;
mod values;
mod variable;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use jiff::Timestamp;

pub use book::{Absent, KnownKey};
pub use mistakes::{Mistake, Mistakes, Place};
pub use overrides::Overrides;
pub use read::known_keys;
pub use summary::summary;
pub use types::{
    AdmissionLimits, ApiConfig, AwsSettings, Config, Intervals, LeaseSettings, LogConfig, LogFormat, Role,
    Tables, Token, TokenHash,
};
pub use webhook::{Webhook, WebhookSecret};

/// Reads the file at `path`. Flags win over the environment, which wins over the file.
pub fn load(path: &Path, overrides: &Overrides, env: &BTreeMap<String, String>) -> Result<Config, Mistakes> {
    let outside = overrides::Outside {
        folder: path.parent().unwrap_or(Path::new(".")),
        flags: overrides,
        environment: env,
    };
    let file = path.display().to_string();
    let text = source::text_of(path).map_err(|mistake| Mistakes::new(&file, vec![*mistake]))?;
    read::config(&file, &text, outside)
}

/// Where metrics and probes listen, and nothing else: the rest may be wrong, or need secrets that only the daemon has.
/// Without a file, what a file without it means. A file is not read where a flag or the environment says it.
pub fn admin_addr(
    path: Option<&Path>,
    overrides: &Overrides,
    env: &BTreeMap<String, String>,
) -> Result<SocketAddr, Mistakes> {
    let outside = overrides::Outside {
        folder: Path::new("."),
        flags: overrides,
        environment: env,
    };
    let needed = path.filter(|_| outside.value("api.admin_addr").is_none());
    let file = needed
        .unwrap_or(Path::new("lamplighter.toml"))
        .display()
        .to_string();
    let text = needed.map_or(Ok(String::new()), source::text_of);
    let text = text.map_err(|mistake| Mistakes::new(&file, vec![*mistake]))?;
    read::admin_addr(&file, &text, outside)
}

/// What `lamplighter config check` prints: the configuration for people, or its mistakes.
pub fn check(
    path: &Path,
    overrides: &Overrides,
    env: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<String, Mistakes> {
    load(path, overrides, env).map(|config| summary(&config, now))
}

impl Config {
    /// Reads a file's text alone. Empty text is a configuration of defaults without any app.
    pub fn from_toml(text: &str) -> Result<Self, Mistakes> {
        let outside = overrides::Outside {
            folder: Path::new("."),
            flags: &Overrides::default(),
            environment: &BTreeMap::new(),
        };
        read::config("lamplighter.toml", text, outside)
    }
}
