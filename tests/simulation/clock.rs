//! The time of a simulation, as a daemon sees it.

use jiff::Timestamp;

/// A virtual clock, wrong by as much as it is told.
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
        self.base + jiff::SignedDuration::try_from(self.started.elapsed()).unwrap()
    }

    /// When tokio's time shows that moment.
    pub(crate) fn instant(&self, at: Timestamp) -> tokio::time::Instant {
        let passed = at.duration_since(self.base);
        self.started + std::time::Duration::try_from(passed).unwrap_or_default()
    }

    pub(crate) fn wrong_by(self, skew: jiff::SignedDuration) -> Self {
        Self {
            base: self.base + skew,
            ..self
        }
    }
}

impl lamplighter::clock::Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        VirtualClock::now(self)
    }
}
