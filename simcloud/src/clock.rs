//! Where the simulated cloud reads the time. Never sleeps and never keeps a timer: time is looked at when a
//! call arrives, and everything due by then happens first.

use std::fmt::Debug;

use jiff::Timestamp;

/// The time the world lives in.
pub trait Clock: Send + Sync + Debug {
    /// The present instant. It must not go backwards.
    fn now(&self) -> Timestamp;
}

/// A clock that follows tokio's time, so that paused tokio time is virtual time.
#[derive(Debug, Clone)]
pub struct TokioClock {
    base: Timestamp,
    started: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that reads `base` now and goes on as tokio's time does.
    pub fn starting_at(base: Timestamp) -> Self {
        Self {
            base,
            started: tokio::time::Instant::now(),
        }
    }

    /// A clock that starts at the wall clock's present reading.
    pub fn system() -> Self {
        #[allow(clippy::disallowed_methods)] // The one reader of wall time in this crate.
        Self::starting_at(Timestamp::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let elapsed =
            jiff::SignedDuration::try_from(self.started.elapsed()).unwrap_or(jiff::SignedDuration::MAX);
        self.base.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

/// Lets the embedded database live in the same time as the rest of the cloud.
pub(crate) struct DatabaseClock(pub(crate) std::sync::Arc<dyn Clock>);

impl dynoxide::storage_backend::Clock for DatabaseClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(self.0.now().as_second()).unwrap_or_default()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().as_duration().as_secs_f64()
    }
}
