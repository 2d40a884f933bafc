//! News of apps for those who watch: what a status has become, and which stop is near. The newest are kept, so that who was
//! away for a moment goes on where they left; who was away for longer is told so. Nothing rests on it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::handle::AppSummary;
use crate::model::name::AppId;
use crate::model::warned::Warned;

/// How many of the newest news are kept.
pub const FEED_KEPT: usize = 1024;
/// How many may watch at once: each holds a connection.
pub const WATCHERS_MAX: usize = 100;

/// Something that became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// An app, as it is now.
    Changed(Box<AppSummary>),
    /// A stop is near.
    StopSoon {
        /// The app, as it is now.
        app: Box<AppSummary>,
        /// The stop.
        warned: Warned,
    },
    /// Neither row nor memory of an app is left.
    Gone(AppId),
}

impl News {
    /// Whose news it is.
    pub fn id(&self) -> &AppId {
        match self {
            Self::Changed(app) | Self::StopSoon { app, .. } => &app.id,
            Self::Gone(id) => id,
        }
    }
}

/// The news, and who waits for them.
#[derive(Debug)]
pub struct Feed {
    /// Tells this process's numbers from those of any other.
    life: String,
    ring: Mutex<Ring>,
    moved: watch::Sender<()>,
    watchers: AtomicUsize,
}

#[derive(Debug, Default)]
struct Ring {
    /// How many there were ever.
    ever: u64,
    held: VecDeque<Arc<News>>,
    closed: bool,
}

/// What a watcher hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// News, with the place after them.
    News {
        /// The place.
        place: String,
        /// The news.
        news: Arc<News>,
    },
    /// Some were missed, or the place that was given is not known: what was known has to be read anew.
    Missed {
        /// Where it goes on.
        place: String,
    },
    /// The process ends; there is nothing more to come.
    Closed,
}

impl Feed {
    /// A feed without news. `seed` is the process's own.
    pub fn new(seed: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            life: hex::encode(&Sha256::digest(seed)[..8]),
            ring: Mutex::default(),
            moved: watch::Sender::new(()),
            watchers: AtomicUsize::new(0),
        })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Each change of it is a plain assignment, so a panic elsewhere does not make it worthless.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody who watches. Never waits for them.
    pub fn publish(&self, news: News) {
        let mut ring = self.ring();
        ring.ever += 1;
        ring.held.push_back(Arc::new(news));
        if ring.held.len() > FEED_KEPT {
            ring.held.pop_front();
        }
        drop(ring);
        self.moved.send_replace(());
    }

    /// Ends it for everybody who watches, once they have heard what there is.
    pub fn close(&self) {
        self.ring().closed = true;
        self.moved.send_replace(());
    }

    /// Watches from `after` on, a place that was told before, or from now on. `None`: too many watch already.
    pub fn watch(self: &Arc<Self>, after: Option<&str>) -> Option<Watcher> {
        let admitted = self
            .watchers
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                (n < WATCHERS_MAX).then_some(n + 1)
            });
        admitted.ok()?;
        let ever = self.ring().ever;
        let known = after.map(|place| self.number(place).filter(|number| *number <= ever));
        Some(Watcher {
            moved: self.moved.subscribe(),
            next: known.flatten().unwrap_or(ever),
            missed: known == Some(None),
            feed: Arc::clone(self),
        })
    }

    fn place(&self, number: u64) -> String {
        format!("{}-{number}", self.life)
    }

    fn number(&self, place: &str) -> Option<u64> {
        let (life, number) = place.rsplit_once('-')?;
        number.parse().ok().filter(|_| life == self.life)
    }
}

/// One who watches. What is kept for them is a number: who is slow misses news, and is told.
#[derive(Debug)]
pub struct Watcher {
    feed: Arc<Feed>,
    next: u64,
    missed: bool,
    moved: watch::Receiver<()>,
}

impl Watcher {
    /// Where they are: what comes after it, they have not heard.
    pub fn place(&self) -> String {
        self.feed.place(self.next)
    }

    /// What they hear next. Safe to drop while it waits: nothing is lost.
    pub async fn hear(&mut self) -> Heard {
        loop {
            self.moved.mark_unchanged();
            if let Some(heard) = self.at_hand() {
                return heard;
            }
            // An error would mean that the feed is gone, which this holds on to.
            let _ = self.moved.changed().await;
        }
    }

    fn at_hand(&mut self) -> Option<Heard> {
        let ring = self.feed.ring();
        let oldest = ring.ever - ring.held.len() as u64;
        if self.missed || self.next < oldest {
            self.missed = false;
            self.next = self.next.max(oldest);
            let place = self.feed.place(self.next);
            return Some(Heard::Missed { place });
        }
        let at = usize::try_from(self.next - oldest).ok();
        if let Some(news) = at.and_then(|at| ring.held.get(at)) {
            self.next += 1;
            let place = self.feed.place(self.next);
            let news = Arc::clone(news);
            return Some(Heard::News { place, news });
        }
        ring.closed.then_some(Heard::Closed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.feed.watchers.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn gone(n: usize) -> News {
        News::Gone(AppId::from_key(format!("a{n}")).unwrap())
    }

    async fn ids(watcher: &mut Watcher, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            match watcher.hear().await {
                Heard::News { news, .. } => ids.push(news.id().to_string()),
                other => ids.push(format!("{other:?}")),
            }
        }
        ids
    }

    #[tokio::test]
    async fn who_was_away_goes_on_where_they_left() {
        let feed = Feed::new(b"seed");
        let mut watcher = feed.watch(None).unwrap();
        let begin = watcher.place();
        feed.publish(gone(1));
        feed.publish(gone(2));
        assert_eq!(ids(&mut watcher, 1).await, ["a1"]);
        let place = watcher.place();
        drop(watcher);
        feed.publish(gone(3));
        assert_eq!(ids(&mut feed.watch(Some(&place)).unwrap(), 2).await, ["a2", "a3"]);
        assert_eq!(
            ids(&mut feed.watch(Some(&begin)).unwrap(), 3).await,
            ["a1", "a2", "a3"]
        );
    }

    #[tokio::test]
    async fn who_was_away_too_long_or_comes_from_another_process_is_told() {
        let feed = Feed::new(b"seed");
        let slow = feed.watch(None).unwrap();
        for n in 0..=FEED_KEPT {
            feed.publish(gone(n));
        }
        let mut slow = slow;
        let place = format!("{}-1", feed.life);
        assert_eq!(slow.hear().await, Heard::Missed { place });
        assert_eq!(
            ids(&mut slow, 1).await,
            ["a1"],
            "it goes on with the oldest that is left"
        );
        let foreign = Feed::new(b"other").watch(None).unwrap().place();
        let future = format!("{}-999999", feed.life);
        for place in [
            foreign.as_str(),
            future.as_str(),
            "",
            "-",
            "x-1",
            "\u{1b}[31m-18446744073709551616",
        ] {
            let mut watcher = feed.watch(Some(place)).unwrap();
            assert!(matches!(watcher.hear().await, Heard::Missed { .. }), "{place:?}");
        }
    }

    #[tokio::test]
    async fn the_end_comes_after_the_last_news_and_stays() {
        let feed = Feed::new(b"seed");
        let mut watcher = feed.watch(None).unwrap();
        let waiting = tokio::spawn(async move { ids(&mut watcher, 3).await });
        tokio::task::yield_now().await;
        feed.publish(gone(1));
        feed.close();
        assert_eq!(waiting.await.unwrap(), ["a1", "Closed", "Closed"]);
        assert_eq!(feed.watch(None).unwrap().hear().await, Heard::Closed);
    }

    #[test]
    fn the_number_of_watchers_is_bounded() {
        let feed = Feed::new(b"seed");
        let all: Vec<Watcher> = (0..WATCHERS_MAX).map(|_| feed.watch(None).unwrap()).collect();
        assert!(feed.watch(None).is_none());
        drop(all);
        assert!(feed.watch(None).is_some());
    }
}
