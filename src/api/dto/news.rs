//! What goes over the wire to those who watch, one event each; `docs/api.md` describes it. Plain data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::App;
use crate::controller::handle::AppSummary;
use crate::model::warned::Warned;

/// The first and the last event of a watch say nothing beyond their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {}

/// Events were missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// What to do about it.
    pub detail: String,
}

/// Neither row nor memory of an app is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The app.
    pub id: String,
}

/// A stop is near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopSoon {
    /// The app.
    pub id: String,
    /// Its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The catalogue entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// `Destroy` or `Suspend`.
    pub action: String,
    /// When.
    pub at: Timestamp,
    /// By which rule.
    pub rule: String,
}

impl From<(&AppSummary, &Warned)> for StopSoon {
    fn from((app, warned): (&AppSummary, &Warned)) -> Self {
        let App { id, row, .. } = app.into();
        Self {
            id,
            user: row.user,
            app: row.app,
            action: warned.action.clone(),
            at: warned.deadline,
            rule: warned.rule.clone(),
        }
    }
}
