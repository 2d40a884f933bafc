//! The queue of apps to look at, by the names client-go made known.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Gauge, Histogram, IntCounter, IntGauge};
use tokio::time::Instant;

use super::{CALL_SECONDS, Register, count};

/// From an idle queue to one that is an hour behind.
const QUEUE_SECONDS: [f64; 12] = [
    0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0,
];

/// The queue of apps to look at.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    depth: IntGauge,
    adds: IntCounter,
    waited: Histogram,
    worked: Histogram,
    retries: IntCounter,
    unfinished: Gauge,
    longest: Gauge,
    running: Running,
}

type Running = Arc<Mutex<Starts>>;

#[derive(Debug, Default)]
struct Starts {
    next: u64,
    at: BTreeMap<u64, Instant>,
}

impl QueueMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        Self {
            depth: register.gauge("workqueue_depth", "Apps that are ready and wait for a worker."),
            adds: register.counter("workqueue_adds_total", "Apps added to the queue."),
            waited: register.histogram(
                "workqueue_queue_duration_seconds",
                "How long an app was ready before a worker took it.",
                &QUEUE_SECONDS,
            ),
            worked: register.histogram(
                "workqueue_work_duration_seconds",
                "How long a worker had an app.",
                &CALL_SECONDS,
            ),
            retries: register.counter(
                "workqueue_retries_total",
                "Apps put back because their pass failed.",
            ),
            unfinished: register.fraction(
                "workqueue_unfinished_work_seconds",
                "The time all passes under way have taken so far, added up.",
            ),
            longest: register.fraction(
                "workqueue_longest_running_processor_seconds",
                "How long the longest pass under way has taken so far.",
            ),
            running: Running::default(),
        }
    }

    /// An app was added, whatever the reason.
    pub fn added(&self) {
        self.adds.inc();
    }

    /// An app was put back because its pass failed.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// How many apps are ready now.
    pub fn set_depth(&self, ready: usize) {
        self.depth.set(count(ready));
    }

    /// A worker took an app that had been ready for `waited`. The work ends when the answer is dropped.
    #[must_use = "the work ends when this is dropped"]
    pub fn start(&self, waited: Duration) -> Working {
        self.waited.observe(waited.as_secs_f64());
        let started = Instant::now();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let key = running.next;
        running.next += 1;
        running.at.insert(key, started);
        drop(running);
        Working {
            key,
            started,
            worked: self.worked.clone(),
            running: Arc::clone(&self.running),
        }
    }

    /// Sets the gauges that speak of work under way.
    pub(super) fn refresh(&self) {
        let now = Instant::now();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let ages = running
            .at
            .values()
            .map(|at| now.duration_since(*at).as_secs_f64());
        let (sum, longest) = ages.fold((0.0, 0.0_f64), |(sum, longest), age| {
            (sum + age, longest.max(age))
        });
        self.unfinished.set(sum);
        self.longest.set(longest);
    }
}

/// One pass under way; dropping it, also by a panic, ends it.
#[derive(Debug)]
pub struct Working {
    key: u64,
    started: Instant,
    worked: Histogram,
    running: Running,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.worked.observe(self.started.elapsed().as_secs_f64());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.at.remove(&self.key);
    }
}
