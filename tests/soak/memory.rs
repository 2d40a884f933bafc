//! Whether a daemon's memory grows: its resident size over its life, as the system counts it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::Storm;

/// What a daemon may need in addition after the first third of the storm, in MB. One that kept the smallest thing for
/// every call or every build of a long storm would pass it; see `LEAK` for what is judged there.
const GROWTH: f64 = 48.0;
/// How much it may grow, in MB an hour, from the first third of a long storm on.
const SLOPE: f64 = 60.0;
/// A slope is judged over this time and longer. Before, it says how caches and the allocator fill.
const LONG: Duration = Duration::from_mins(5);

/// Readings of one process.
pub(crate) struct Gauge {
    process: u32,
    began: Instant,
    /// Seconds, and MB.
    readings: Vec<(f64, f64)>,
}

impl Gauge {
    pub(crate) fn of(process: u32) -> Self {
        Self {
            process,
            began: Instant::now(),
            readings: Vec::new(),
        }
    }

    pub(crate) async fn watch(&mut self, storm: &Storm) {
        while storm.is_on() {
            if let Some(size) = resident(self.process) {
                self.readings.push((self.began.elapsed().as_secs_f64(), size));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// What comes after the first third, in which everything is done for the first time.
    fn settled(&self) -> &[(f64, f64)] {
        &self.readings[self.readings.len() / 3..]
    }

    /// By least squares, in MB an hour.
    fn slope(&self) -> f64 {
        let readings = self.settled();
        let count = f64::from(u32::try_from(readings.len().max(1)).unwrap());
        let mean = |part: fn(&(f64, f64)) -> f64| readings.iter().map(part).sum::<f64>() / count;
        let (time, size) = (mean(|reading| reading.0), mean(|reading| reading.1));
        let over: f64 = readings.iter().map(|(t, s)| (t - time) * (s - size)).sum();
        let under: f64 = readings.iter().map(|(t, _)| (t - time).powi(2)).sum();
        if under > 0.0 { over / under * 3600.0 } else { 0.0 }
    }

    fn span(&self) -> Duration {
        let settled = self.settled();
        let ends = settled.first().zip(settled.last());
        ends.map_or(Duration::ZERO, |(first, last)| {
            Duration::from_secs_f64(last.0 - first.0)
        })
    }

    fn growth(&self) -> f64 {
        let settled = self.settled();
        let ends = settled.first().zip(settled.last());
        ends.map_or(0.0, |(first, last)| last.1 - first.1)
    }

    pub(crate) fn verdict(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.growth() > GROWTH {
            wrong.push(format!(
                "memory: it grew by {:.1} MB, more than {GROWTH}",
                self.growth()
            ));
        }
        if self.span() >= LONG && self.slope() > SLOPE {
            wrong.push(format!(
                "memory: it grows by {:.1} MB an hour, more than {SLOPE}",
                self.slope()
            ));
        }
        wrong
    }
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(((_, first), (_, last))) = self.readings.first().zip(self.readings.last()) else {
            return f.write_str("memory: this system does not tell");
        };
        let most = self.readings.iter().map(|reading| reading.1).fold(0.0, f64::max);
        let judged = if self.span() >= LONG {
            "judged"
        } else {
            "too short to be judged"
        };
        write!(
            f,
            "memory of the daemon that was left alone: {first:.1} MB at first, {last:.1} MB at last, {most:.1} MB at \
             most; over the last {:.0} s {:+.1} MB (at most {GROWTH}), a slope of {:+.1} MB an hour (at most {SLOPE}; {judged})",
            self.span().as_secs_f64(),
            self.growth(),
            self.slope(),
        )
    }
}

/// The resident size in MB; `None` where there is no `/proc`.
fn resident(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
