//! Which lines are logged, over the wire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which lines are logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLevels {
    /// Directives, as the configuration has them.
    pub configured: String,
    /// What holds instead; left out: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What is to be logged instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRequest {
    /// Directives, such as `info,lamplighter=debug`.
    pub filter: String,
    /// For how long, at most a day: `15m`, `2h`. Left out: 15 minutes.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub for_: Option<String>,
}
