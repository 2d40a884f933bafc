//! The time of a simulation, as a daemon sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Virtual time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VirtualClock {
    base: Timestamp,
    started: tokio::time::Instant,
}

impl VirtualClock {
    pub(crate) fn starting_at(base: Timestamp) -> Self {
        Self {
            base,
            started: tokio::time::Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.base + SignedDuration::try_from(self.started.elapsed()).unwrap()
    }

    /// When tokio's time shows that moment.
    pub(crate) fn instant(&self, at: Timestamp) -> tokio::time::Instant {
        let passed = at.duration_since(self.base);
        self.started + std::time::Duration::try_from(passed).unwrap_or_default()
    }
}

/// The clock on a daemon's wall: wrong by as much as it is told, and told otherwise while the daemon runs.
#[derive(Clone, Debug)]
pub(crate) struct WallClock {
    right: VirtualClock,
    wrong_by_millis: Arc<AtomicI64>,
}

impl WallClock {
    pub(crate) fn new(right: VirtualClock, wrong_by: SignedDuration) -> Self {
        let clock = Self {
            right,
            wrong_by_millis: Arc::default(),
        };
        clock.jump(wrong_by);
        clock
    }

    /// From now on it is wrong by that much.
    pub(crate) fn jump(&self, wrong_by: SignedDuration) {
        let millis = i64::try_from(wrong_by.as_millis()).unwrap();
        self.wrong_by_millis.store(millis, Ordering::SeqCst);
    }
}

impl lamplighter::clock::Clock for WallClock {
    fn now(&self) -> Timestamp {
        self.right.now() + SignedDuration::from_millis(self.wrong_by_millis.load(Ordering::SeqCst))
    }
}
