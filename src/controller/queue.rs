//! The work queue: which apps want a pass, in which order, and when.
//!
//! A key is worked on by one worker at a time; a change during work runs exactly once more afterwards; of
//! two due times the earlier wins, of two priorities the higher. Nothing else in the daemon tries again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::{QueueMetrics, Working};
use crate::model::backoff::Backoff;
use crate::model::name::{AppId, Entropy};

/// How urgent a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// Looked at because it is time to.
    Resync,
    /// Something drifted.
    Repair,
    /// A person asked.
    Human,
    /// A stop is due.
    Teardown,
}

/// The work queue.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    wake: Notify,
    backoff: Backoff,
    metrics: QueueMetrics,
}

#[derive(Default)]
struct Inner {
    /// Apps that want a pass and are not being worked on.
    ready: BTreeSet<(Reverse<Priority>, u64, AppId)>,
    /// Where each ready app stands in `ready`, and since when it waits.
    places: BTreeMap<AppId, (Priority, u64, Instant)>,
    /// Apps being worked on, and whether they want another pass afterwards.
    working: BTreeMap<AppId, (Working, Option<Priority>)>,
    /// Apps that want a pass at a later time.
    delayed: BTreeMap<AppId, (Instant, Priority)>,
    failures: BTreeMap<AppId, u32>,
    sequence: u64,
    closed: bool,
}

impl Queue {
    /// An empty queue. `backoff` says how long a key that failed waits.
    pub(super) fn new(backoff: Backoff, metrics: QueueMetrics) -> Self {
        Self {
            inner: Mutex::default(),
            wake: Notify::new(),
            backoff,
            metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves the sets consistent, so a panic elsewhere does not make them worthless.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants a pass for `id` as soon as a worker is free.
    pub(super) fn add(&self, id: &AppId, priority: Priority) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.delayed.remove(id);
        if inner.push(id, priority) {
            self.metrics.added();
        }
        self.metrics.set_depth(inner.ready.len());
        drop(inner);
        self.wake.notify_one();
    }

    /// Wants a pass after `delay`, unless one comes earlier.
    pub(super) fn add_after(&self, id: &AppId, delay: Duration, priority: Priority) {
        if delay.is_zero() {
            return self.add(id, priority);
        }
        let at = Instant::now() + delay;
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        let entry = inner.delayed.entry(id.clone()).or_insert((at, priority));
        entry.0 = entry.0.min(at);
        entry.1 = entry.1.max(priority);
        drop(inner);
        self.wake.notify_one();
    }

    /// Wants another pass after a delay that grows with every failure of this key.
    pub(super) fn add_rate_limited(&self, id: &AppId, priority: Priority, jitter: Entropy) {
        let failures = {
            let mut inner = self.lock();
            let count = inner.failures.entry(id.clone()).or_insert(0);
            *count = count.saturating_add(1);
            *count
        };
        self.metrics.retried();
        let delay = self.backoff.delay(failures, jitter);
        self.add_after(id, delay.try_into().unwrap_or_default(), priority);
    }

    /// Forgets the failures of a key that succeeded.
    pub(super) fn forget(&self, id: &AppId) {
        self.lock().failures.remove(id);
    }

    /// The next app to work on; `None` once the queue is shut down. Every key got must be given to
    /// [`Queue::done`].
    pub(super) async fn get(&self) -> Option<AppId> {
        loop {
            let woken = self.wake.notified();
            let next_due = {
                let mut inner = self.lock();
                if inner.closed {
                    return None;
                }
                inner.release_due(Instant::now(), &self.metrics);
                if let Some(id) = inner.pop(&self.metrics) {
                    if !inner.ready.is_empty() {
                        self.wake.notify_one();
                    }
                    return Some(id);
                }
                inner.delayed.values().map(|(at, _)| *at).min()
            };
            match next_due {
                Some(at) => tokio::select! {
                    biased;
                    () = woken => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => woken.await,
            }
        }
    }

    /// Says that work on a key has ended. If it was added meanwhile, it is ready once more.
    pub(super) fn done(&self, id: &AppId) {
        let mut inner = self.lock();
        if let Some((_, Some(priority))) = inner.working.remove(id)
            && !inner.closed
        {
            inner.push(id, priority);
        }
        self.metrics.set_depth(inner.ready.len());
        drop(inner);
        self.wake.notify_one();
    }

    /// Ends the queue: nothing is handed out any more. Work in hand goes on.
    pub(super) fn shut_down(&self) {
        self.lock().closed = true;
        self.wake.notify_waiters();
        self.wake.notify_one();
    }
}

impl Inner {
    /// Makes a key ready, or raises it, or notes it for after the work on it. Whether it is new.
    fn push(&mut self, id: &AppId, priority: Priority) -> bool {
        if let Some((_, again)) = self.working.get_mut(id) {
            let fresh = again.is_none();
            *again = Some(again.map_or(priority, |old| old.max(priority)));
            return fresh;
        }
        let now = Instant::now();
        if let Some((old, place, since)) = self.places.get(id).copied() {
            if priority > old {
                self.ready.remove(&(Reverse(old), place, id.clone()));
                self.insert(id, priority, since);
            }
            return false;
        }
        self.insert(id, priority, now);
        true
    }

    fn insert(&mut self, id: &AppId, priority: Priority, since: Instant) {
        self.sequence += 1;
        self.ready.insert((Reverse(priority), self.sequence, id.clone()));
        self.places.insert(id.clone(), (priority, self.sequence, since));
    }

    fn pop(&mut self, metrics: &QueueMetrics) -> Option<AppId> {
        let (_, _, id) = self.ready.pop_first()?;
        let waited = self
            .places
            .remove(&id)
            .map_or(Duration::ZERO, |(_, _, since)| since.elapsed());
        self.working.insert(id.clone(), (metrics.start(waited), None));
        metrics.set_depth(self.ready.len());
        Some(id)
    }

    fn release_due(&mut self, now: Instant, metrics: &QueueMetrics) {
        let due: Vec<(AppId, Priority)> = self
            .delayed
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(id, (_, priority))| (id.clone(), *priority))
            .collect();
        for (id, priority) in due {
            self.delayed.remove(&id);
            if self.push(&id, priority) {
                metrics.added();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::metrics::Metrics;
    use crate::model::SignedDuration;
    use std::sync::Arc;

    fn queue() -> Arc<Queue> {
        let backoff = Backoff {
            initial: SignedDuration::from_millis(100),
            max: SignedDuration::from_secs(10),
            multiplier: 2.0,
        };
        Arc::new(Queue::new(backoff, Metrics::new("test").queue))
    }

    fn id(text: &str) -> AppId {
        AppId::from_key(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_during_work_runs_exactly_once_more() {
        let queue = queue();
        queue.add(&id("a"), Priority::Human);
        queue.add(&id("a"), Priority::Human);
        assert_eq!(queue.get().await, Some(id("a")));
        queue.add(&id("a"), Priority::Human);
        queue.add(&id("a"), Priority::Human);
        let none = tokio::time::timeout(Duration::from_mins(1), queue.get()).await;
        assert!(none.is_err(), "a key is worked on by one worker at a time");
        queue.done(&id("a"));
        assert_eq!(queue.get().await, Some(id("a")));
        queue.done(&id("a"));
        assert!(
            tokio::time::timeout(Duration::from_mins(1), queue.get())
                .await
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_higher_priority_goes_first_and_equals_in_order() {
        let queue = queue();
        for (name, priority) in [
            ("resync", Priority::Resync),
            ("h1", Priority::Human),
            ("h2", Priority::Human),
            ("t", Priority::Teardown),
        ] {
            queue.add(&id(name), priority);
        }
        queue.add(&id("resync"), Priority::Human);
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(queue.get().await.unwrap().to_string());
        }
        assert_eq!(order, ["t", "h1", "h2", "resync"]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_due_times_the_earlier_wins() {
        let queue = queue();
        let start = Instant::now();
        queue.add_after(&id("a"), Duration::from_secs(10), Priority::Resync);
        queue.add_after(&id("a"), Duration::from_mins(1), Priority::Resync);
        assert_eq!(queue.get().await, Some(id("a")));
        assert_eq!(start.elapsed().as_secs(), 10);
        queue.done(&id("a"));
        assert!(
            tokio::time::timeout(Duration::from_mins(5), queue.get())
                .await
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_one_key_grow_its_delay_until_it_succeeds() {
        let queue = queue();
        let mut delays = Vec::new();
        for _ in 0..3 {
            let start = Instant::now();
            queue.add_rate_limited(&id("a"), Priority::Repair, Entropy([0; 16]));
            queue.get().await.unwrap();
            queue.done(&id("a"));
            delays.push(start.elapsed().as_millis());
        }
        assert_eq!(delays, [100, 200, 400]);
        queue.forget(&id("a"));
        let start = Instant::now();
        queue.add_rate_limited(&id("a"), Priority::Repair, Entropy([0; 16]));
        queue.get().await.unwrap();
        assert_eq!(start.elapsed().as_millis(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn shutting_down_wakes_every_worker_and_waits_for_work_in_hand() {
        let queue = queue();
        queue.add(&id("a"), Priority::Human);
        queue.get().await.unwrap();
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.get().await })
            })
            .collect();
        tokio::task::yield_now().await;
        queue.shut_down();
        for worker in waiting {
            assert_eq!(worker.await.unwrap(), None);
        }
        queue.done(&id("a"));
        assert_eq!(queue.get().await, None);
    }
}
