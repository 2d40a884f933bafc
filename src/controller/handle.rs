//! What the API may ask of the controller, and the snapshot it is shown. The controller implements
//! [`Handle`]; the API knows nothing else of it, and never waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

pub use super::feed::{FEED_KEPT, Feed, Heard, News, WATCHERS_MAX, Watcher};
use crate::inventory::Stray;
use crate::model::memory::Memory;
use crate::model::name::AppId;
use crate::model::pause::Pauses;
use crate::model::policy::{Deletions, Orphans};
use crate::model::row::Row;
use crate::model::schedule::Schedule;

/// The controller, as the API sees it. No method blocks.
pub trait Handle: Send + Sync {
    /// Says that something about this app may have changed. Losing it costs latency only.
    fn hint(&self, id: &AppId);
    /// The fleet as the controller last saw it.
    fn fleet(&self) -> Arc<Fleet>;
    /// What becomes known, for those who watch.
    fn feed(&self) -> Arc<Feed>;
    /// Whether this process does its work.
    fn readiness(&self) -> Readiness;
    /// The time, from the controller's clock.
    fn now(&self) -> Timestamp;
    /// The schedules of its configuration, by name.
    fn schedules(&self) -> BTreeMap<String, Schedule>;
    /// Whether the controller's loop has beaten lately. A process whose loop stands still should be
    /// restarted; one that only cannot reach AWS should not, which is why this is not readiness.
    fn beats(&self) -> bool {
        true
    }
}

/// What the controller knows of one app, kept up to date by sweeps and passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSummary {
    /// The app.
    pub id: AppId,
    /// Its row; `None` when it is gone.
    pub row: Option<Row>,
    /// What is remembered of it; `None` when nothing is yet.
    pub memory: Option<Memory>,
}

/// Every app, as of the last complete sweep and the passes since.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Apps by id.
    pub apps: BTreeMap<AppId, AppSummary>,
    /// When the last complete sweep began; `None` before the first.
    pub as_of: Option<Timestamp>,
    /// Whether rows that are gone may be acted on.
    pub deletions: Deletions,
    /// What operators have paused.
    pub pauses: Pauses,
    /// Apps that AWS shows and that nothing remembers.
    pub strays: Vec<Stray>,
    /// What becomes of orphans.
    pub orphan_policy: Orphans,
    /// Items of the state table that could not be read, by key, with the reason.
    pub unreadable: BTreeMap<String, String>,
}

/// Whether this process does its work, and if not, why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it does.
    pub ready: bool,
    /// Why it does not, one sentence each.
    pub reasons: Vec<String>,
    /// Which apps it acts on; `None`: on all, since there are no leases. A process that holds no shard stands by,
    /// and is as ready as any.
    pub shards: Option<Shards>,
}

/// The shards that a process holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards {
    /// How many there are.
    pub of: u16,
    /// Those it holds, counted from zero, in order.
    pub held: Vec<u16>,
}
