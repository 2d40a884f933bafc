//! Delivers warnings to the webhook, beside the passes: none of them ever waits for it. What is to be delivered stands in
//! memory until it is done, so a process that has just begun, or has gained a shard, takes it up; a receiver drops what
//! it has by the id, which is the same for the same deadline whoever sends it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Controller;
use super::handle::AppSummary;
use super::queue::Priority;
use crate::cloud::{Message, Sent, Webhook};
use crate::metrics::DeliveryOutcome;
use crate::model::backoff::Backoff;
use crate::model::memory::Memory;
use crate::model::name::{AppId, Entropy};
use crate::model::row::Row;
use crate::model::schedule::later;
use crate::model::warned::{Delivery, Notice, Warned};

/// How many attempts are under way at once.
const AT_ONCE: usize = 8;

/// Between attempts.
const RETRY: Backoff = Backoff {
    initial: SignedDuration::from_secs(1),
    max: SignedDuration::from_mins(1),
    multiplier: 2.0,
};

/// What is to be delivered, and what became of it.
pub(super) struct Notices {
    webhook: Arc<dyn Webhook>,
    give_up_after: SignedDuration,
    desk: Mutex<Desk>,
    wake: Notify,
}

#[derive(Default)]
struct Desk {
    jobs: BTreeMap<AppId, Job>,
    /// Until memory has it.
    done: BTreeMap<AppId, Notice>,
}

struct Job {
    message: Arc<Message>,
    deadline: Timestamp,
    give_up_at: Timestamp,
    attempts: u32,
    due: Instant,
    under_way: bool,
    /// The stop has moved while an attempt was under way: it is not tried again, and if it arrived, memory is to know.
    withdrawn: bool,
}

impl Notices {
    pub(super) fn new(webhook: Arc<dyn Webhook>, give_up_after: SignedDuration) -> Self {
        Self {
            webhook,
            give_up_after,
            desk: Mutex::default(),
            wake: Notify::new(),
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Each change of it is a plain assignment, so a panic elsewhere does not make it worthless.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of an app's delivery, for its next pass to write down.
    pub(super) fn of(&self, id: &AppId) -> Option<Notice> {
        self.desk().done.get(id).copied()
    }

    /// Sees to it that what memory wants delivered is, and that nothing else is.
    pub(super) fn see_to(&self, id: &AppId, row: Option<&Row>, memory: Option<&Memory>) {
        let warned = memory.and_then(|memory| memory.warned.as_ref());
        let pending = warned.filter(|warned| warned.webhook == Some(Delivery::Pending));
        let mut desk = self.desk();
        let (Some(memory), Some(warned)) = (memory, pending) else {
            let withdrawn = warned.filter(|warned| warned.webhook == Some(Delivery::Withdrawn));
            let deadline = withdrawn.map(|warned| warned.deadline);
            match desk.jobs.get_mut(id) {
                Some(job) if job.under_way && Some(job.deadline) == deadline => job.withdrawn = true,
                Some(_) | None => {
                    desk.jobs.remove(id);
                }
            }
            desk.done.retain(|of, notice| {
                of != id || notice.came == Delivery::Delivered && Some(notice.deadline) == deadline
            });
            return;
        };
        let same_done = desk
            .done
            .get(id)
            .is_some_and(|notice| notice.deadline == warned.deadline);
        let same_job = desk
            .jobs
            .get_mut(id)
            .filter(|job| job.deadline == warned.deadline);
        let same_job = same_job.map(|job| job.withdrawn = false).is_some();
        if same_done || same_job {
            return;
        }
        desk.done.remove(id);
        let job = Job {
            message: Arc::new(message(id, row, memory, warned)),
            deadline: warned.deadline,
            give_up_at: warned.deadline.min(later(warned.at, self.give_up_after)),
            attempts: 0,
            due: Instant::now(),
            under_way: false,
            withdrawn: false,
        };
        desk.jobs.insert(id.clone(), job);
        drop(desk);
        self.wake.notify_one();
    }

    /// What is due, and when the next is.
    fn due(&self, room: usize) -> (Vec<(AppId, Arc<Message>)>, Option<Instant>) {
        let now = Instant::now();
        let mut desk = self.desk();
        let waiting = desk.jobs.iter_mut().filter(|(_, job)| !job.under_way);
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for (id, job) in waiting {
            if job.due <= now && due.len() < room {
                job.under_way = true;
                due.push((id.clone(), Arc::clone(&job.message)));
            } else if job.due > now {
                next = Some(next.map_or(job.due, |next| next.min(job.due)));
            }
        }
        (due, next)
    }

    /// Takes note of an attempt. Says what it came to, unless it is not wanted any more.
    fn note(&self, id: &AppId, message: &Message, sent: &Sent, now: Timestamp) -> Option<DeliveryOutcome> {
        let mut desk = self.desk();
        let job = desk.jobs.get_mut(id).filter(|job| job.message.id == message.id)?;
        job.under_way = false;
        job.attempts = job.attempts.saturating_add(1);
        let came = match sent {
            Sent::Accepted => Delivery::Delivered,
            Sent::Failed(_) | Sent::Refused if job.withdrawn => {
                desk.jobs.remove(id);
                return Some(DeliveryOutcome::Failed);
            }
            Sent::Failed(_) if now < job.give_up_at => {
                job.due = Instant::now() + unsigned(RETRY.delay(job.attempts, dice(message, job.attempts)));
                return Some(DeliveryOutcome::Failed);
            }
            Sent::Refused | Sent::Failed(_) => Delivery::GivenUp,
        };
        let deadline = job.deadline;
        desk.jobs.remove(id);
        desk.done.insert(id.clone(), Notice { deadline, came });
        Some(if came == Delivery::Delivered {
            DeliveryOutcome::Delivered
        } else {
            DeliveryOutcome::GivenUp
        })
    }
}

impl Controller {
    /// Delivers until it is aborted; what is not done by then stands in memory.
    pub(super) async fn deliver(self: Arc<Self>) {
        let Some(notices) = &self.notices else { return };
        let mut attempts = JoinSet::new();
        loop {
            let (due, next) = notices.due(AT_ONCE - attempts.len());
            for (id, message) in due {
                let (webhook, now) = (Arc::clone(&notices.webhook), self.clock.now());
                attempts.spawn(async move {
                    let sent = webhook.send(&message, now).await;
                    (id, message, sent)
                });
            }
            let pause = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = notices.wake.notified() => {}
                () = pause => {}
                Some(ended) = attempts.join_next() => match ended {
                    Ok((id, message, sent)) => self.delivered(notices, &id, &message, &sent),
                    Err(error) => tracing::error!(%error, "an attempt to deliver a warning panicked"),
                },
            }
        }
    }

    /// Takes up what is pending of an app, by the newest that is known of it: a process that has just begun, or gained
    /// its shard, has sent nothing, and no pass is due before the stop.
    pub(super) fn take_up_delivery(&self, id: &AppId) {
        let Some(notices) = &self.notices else { return };
        let pending = |app: &&AppSummary| {
            let warned = app.memory.as_ref().and_then(|memory| memory.warned.as_ref());
            warned.is_some_and(|warned| warned.webhook == Some(Delivery::Pending))
        };
        let app = self.state().fleet.apps.get(id).filter(pending).cloned();
        if let Some(app) = app {
            notices.see_to(id, app.row.as_ref(), app.memory.as_ref());
        }
    }

    fn delivered(&self, notices: &Notices, id: &AppId, message: &Message, sent: &Sent) {
        let Some(outcome) = notices.note(id, message, sent, self.clock.now()) else {
            return;
        };
        self.metrics.warnings.delivery(outcome);
        let app = id.as_str().escape_debug();
        match (outcome, sent) {
            (DeliveryOutcome::Failed, Sent::Failed(why)) => {
                tracing::info!(%app, why, "a warning was not delivered; it is tried again");
            }
            (DeliveryOutcome::GivenUp, Sent::Failed(why)) => {
                tracing::warn!(%app, why, "a warning was not delivered, and is not tried any more");
            }
            (DeliveryOutcome::GivenUp, Sent::Refused | Sent::Accepted) => {
                tracing::warn!(%app, "the receiver wants no such warning (410)");
            }
            (DeliveryOutcome::Failed | DeliveryOutcome::Delivered, _) => {}
        }
        if outcome != DeliveryOutcome::Failed {
            self.queue.add(id, Priority::Resync);
        }
    }
}

/// The message about a stop. Its id is that of app and deadline.
fn message(id: &AppId, row: Option<&Row>, memory: &Memory, warned: &Warned) -> Message {
    let digest = Sha256::digest(format!("{id}\n{}", warned.deadline));
    let name = format!("msg_{}", hex::encode(&digest[..16]));
    let identity = memory
        .accepted
        .as_ref()
        .map(|accepted| &accepted.blueprint.identity);
    let body = serde_json::json!({
        "type": "app.stop_soon",
        "timestamp": warned.at,
        "data": {
            "id": id,
            "user": identity.map(|identity| identity.user.as_str()),
            "app": identity.map(|identity| identity.app.as_str()),
            "hostName": identity.map(|identity| identity.host_name.as_str()),
            "url": memory.status.url,
            "requestedBy": row.and_then(|row| row.requested_by.as_deref()),
            "action": warned.action,
            "at": warned.deadline,
            "rule": warned.rule,
        },
    });
    Message {
        id: name,
        body: body.to_string(),
    }
}

/// Jitter, so that what failed together is not tried again together.
fn dice(message: &Message, attempts: u32) -> Entropy {
    let digest = Sha256::digest(format!("{} {attempts}", message.id));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Entropy(bytes)
}

fn unsigned(duration: SignedDuration) -> std::time::Duration {
    std::time::Duration::try_from(duration).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Nobody is sent anything here: attempts are what the test says they came to.
    struct Nobody;

    #[async_trait::async_trait]
    impl Webhook for Nobody {
        async fn send(&self, _: &Message, _: Timestamp) -> Sent {
            unreachable!("the test takes the attempts")
        }
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn memory(webhook: Delivery) -> Memory {
        let mut memory = Memory::new(AppId::from_key("a").unwrap());
        memory.warned = Some(Warned {
            deadline: later(NOW, SignedDuration::from_mins(10)),
            rule: "Curfew".to_owned(),
            action: "Destroy".to_owned(),
            at: NOW,
            webhook: Some(webhook),
        });
        memory
    }

    /// One attempt, during which the stop moves away, and perhaps comes back before it is answered. What is due then?
    fn moved_meanwhile(sent: &Sent, back_first: bool) -> (Option<Delivery>, usize) {
        let notices = Notices::new(Arc::new(Nobody), SignedDuration::from_mins(15));
        let id = AppId::from_key("a").unwrap();
        let see = |webhook| notices.see_to(&id, None, Some(&memory(webhook)));
        see(Delivery::Pending);
        let (due, _) = notices.due(1);
        see(Delivery::Withdrawn);
        assert_eq!(notices.due(1).0.len(), 0, "it is under way once");
        if back_first {
            see(Delivery::Pending);
        }
        notices.note(&id, &due[0].1, sent, NOW);
        if !back_first {
            see(Delivery::Withdrawn);
        }
        let came = notices.of(&id).map(|notice| notice.came);
        see(Delivery::Pending);
        // What failed is due after its delay.
        let jobs = notices.desk().jobs.len();
        (came, jobs)
    }

    #[tokio::test]
    async fn what_arrived_while_its_stop_moved_is_not_sent_again_when_that_is_back() {
        for back_first in [false, true] {
            assert_eq!(
                moved_meanwhile(&Sent::Accepted, back_first),
                (Some(Delivery::Delivered), 0)
            );
            let failed = Sent::Failed("503".to_owned());
            assert_eq!(moved_meanwhile(&failed, back_first), (None, 1));
        }
    }

    #[tokio::test]
    async fn what_memory_has_is_forgotten_here() {
        let notices = Notices::new(Arc::new(Nobody), SignedDuration::from_mins(15));
        let id = AppId::from_key("a").unwrap();
        notices.see_to(&id, None, Some(&memory(Delivery::Pending)));
        let (due, _) = notices.due(1);
        notices.note(&id, &due[0].1, &Sent::Accepted, NOW);
        assert!(notices.of(&id).is_some());
        notices.see_to(&id, None, Some(&memory(Delivery::Delivered)));
        assert!(notices.of(&id).is_none());
    }
}
