//! What an operator has paused. A pause holds every action; what is seen is still written down and told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::AppId;
use super::observed::Observed;

/// What a pause is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseScope {
    /// Every app, also those that are not known yet.
    Fleet,
    /// One app.
    App(AppId),
}

/// One pause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Since when; a pause that somebody wrote into the table by hand may not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Why, in an operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Every pause there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pauses {
    /// The pause of the whole fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<Pause>,
    /// Pauses of single apps, which outlast that of the fleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apps: BTreeMap<AppId, Pause>,
}

/// What a pause means to one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// Whether it is the whole fleet's.
    pub whole_fleet: bool,
    /// The pause.
    pub pause: Pause,
}

/// How long a reason may be, in characters.
pub const REASON_MAX: usize = 256;

impl Pauses {
    /// Whether nothing is paused.
    pub fn is_empty(&self) -> bool {
        self.fleet.is_none() && self.apps.is_empty()
    }

    /// The pause that concerns an app; the fleet's is told first.
    pub fn of(&self, id: &AppId) -> Observed<Paused> {
        let fleet = self.fleet.as_ref().map(|pause| (true, pause));
        let found = fleet.or_else(|| self.apps.get(id).map(|pause| (false, pause)));
        found
            .map(|(whole_fleet, pause)| Paused {
                whole_fleet,
                pause: pause.clone(),
            })
            .into()
    }
}
