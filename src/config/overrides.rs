//! The handful of settings that a flag or an environment variable may override, for what differs between
//! machines rather than between policies. Never holds a default: that is the file's business.

use std::collections::BTreeMap;
use std::path::Path;

use super::mistakes::Place;

/// What the command line says; `None` leaves it to the environment, then to the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Overrides {
    /// The AWS Region [env: LAMPLIGHTER_REGION]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Where AWS calls go instead of to AWS [env: LAMPLIGHTER_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// The table of desired rows [env: LAMPLIGHTER_DESIRED_TABLE]
    #[arg(long, value_name = "TABLE")]
    pub desired_table: Option<String>,
    /// The table of memory, claims and gates [env: LAMPLIGHTER_STATE_TABLE]
    #[arg(long, value_name = "TABLE")]
    pub state_table: Option<String>,
    /// The table of history [env: LAMPLIGHTER_EVENTS_TABLE]
    #[arg(long, value_name = "TABLE")]
    pub events_table: Option<String>,
    /// Where the API listens [env: LAMPLIGHTER_PUBLIC_ADDR]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub public_addr: Option<String>,
    /// Where metrics and probes listen [env: LAMPLIGHTER_ADMIN_ADDR]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin_addr: Option<String>,
    /// How log lines look: json or pretty [env: LAMPLIGHTER_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Which log lines are written [env: LAMPLIGHTER_LOG]
    #[arg(long = "log", value_name = "DIRECTIVES")]
    pub log_filter: Option<String>,
}

/// A setting that can be overridden.
pub(super) struct Override {
    /// Its path in the file.
    pub key: &'static str,
    /// The environment variable. Kubernetes sets `LAMPLIGHTER_PORT`, `LAMPLIGHTER_PORT_…` and
    /// `LAMPLIGHTER_SERVICE_…` by itself for a Service of that name, so none of these may be used here.
    pub variable: &'static str,
    /// The flag.
    pub flag: &'static str,
    get: fn(&Overrides) -> Option<&String>,
}

/// Every setting that can be overridden.
pub(super) const OVERRIDABLE: [Override; 9] = [
    Override {
        key: "aws.region",
        variable: "LAMPLIGHTER_REGION",
        flag: "--region",
        get: |o| o.region.as_ref(),
    },
    Override {
        key: "aws.endpoint_url",
        variable: "LAMPLIGHTER_ENDPOINT_URL",
        flag: "--endpoint-url",
        get: |o| o.endpoint_url.as_ref(),
    },
    Override {
        key: "tables.desired",
        variable: "LAMPLIGHTER_DESIRED_TABLE",
        flag: "--desired-table",
        get: |o| o.desired_table.as_ref(),
    },
    Override {
        key: "tables.state",
        variable: "LAMPLIGHTER_STATE_TABLE",
        flag: "--state-table",
        get: |o| o.state_table.as_ref(),
    },
    Override {
        key: "tables.events",
        variable: "LAMPLIGHTER_EVENTS_TABLE",
        flag: "--events-table",
        get: |o| o.events_table.as_ref(),
    },
    Override {
        key: "api.public_addr",
        variable: "LAMPLIGHTER_PUBLIC_ADDR",
        flag: "--public-addr",
        get: |o| o.public_addr.as_ref(),
    },
    Override {
        key: "api.admin_addr",
        variable: "LAMPLIGHTER_ADMIN_ADDR",
        flag: "--admin-addr",
        get: |o| o.admin_addr.as_ref(),
    },
    Override {
        key: "log.format",
        variable: "LAMPLIGHTER_LOG_FORMAT",
        flag: "--log-format",
        get: |o| o.log_format.as_ref(),
    },
    Override {
        key: "log.filter",
        variable: "LAMPLIGHTER_LOG",
        flag: "--log",
        get: |o| o.log_filter.as_ref(),
    },
];

/// What a file's text does not say itself: flags, environment, and where it lies.
#[derive(Clone, Copy)]
pub(super) struct Outside<'a> {
    /// The folder that paths in the file start from.
    pub folder: &'a Path,
    pub flags: &'a Overrides,
    pub environment: &'a BTreeMap<String, String>,
}

impl<'a> Outside<'a> {
    /// What overrides the file's `key`, with where it comes from. An empty variable counts as unset, since
    /// that is what templates leave behind.
    pub(super) fn value(&self, key: &str) -> Option<(&'a str, Place)> {
        let setting = OVERRIDABLE.iter().find(|setting| setting.key == key)?;
        if let Some(text) = (setting.get)(self.flags) {
            return Some((text, Place::Flag(setting.flag)));
        }
        let text = self.environment.get(setting.variable)?;
        (!text.is_empty()).then_some((text, Place::Environment(setting.variable.to_owned())))
    }
}
