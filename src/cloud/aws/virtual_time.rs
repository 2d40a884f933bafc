//! The time of a simulation: tokio's, which tests pause, counted from a fixed start.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_types::sdk_config::TimeSource;
use jiff::Timestamp;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct VirtualTime {
    start: SystemTime,
    began: Instant,
}

impl VirtualTime {
    pub(super) fn starting_at(start: Timestamp) -> Self {
        let since_epoch = u64::try_from(start.as_millisecond()).unwrap_or(0);
        Self {
            start: UNIX_EPOCH + Duration::from_millis(since_epoch),
            began: Instant::now(),
        }
    }
}

impl TimeSource for VirtualTime {
    fn now(&self) -> SystemTime {
        self.start + self.began.elapsed()
    }
}
