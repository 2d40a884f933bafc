//! Leases, as a state machine: what is known of each, which of them are held, and what to do next. Never
//! awaits and never asks a clock: instants come as arguments. `shards` carries out what is decided here.
//!
//! A holder counts its lease from **before** it sent the renewal, and stops a margin earlier. Another replica
//! counts from **after** it first read what is stored, takes the lease only if that did not move for a whole
//! duration, and only by a swap on the very same content. So on clocks that run equally fast, whatever they
//! show, two replicas never both believe that they hold a shard, whichever answers are lost or late; the margin
//! is there for clocks that do not, and for a pass that has just begun. Still nothing rests on it for safety.
//!
//! Shards spread by asking: whoever holds at least two fewer than another writes its wish into one of the
//! other's leases, and the other gives that one back with its next renewal.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::cloud::Swapped;
use crate::config::LeaseSettings;
use crate::model::lease::{Held, Lease, Shard};

#[cfg(test)]
mod tests;

/// What one replica knows of the leases.
#[derive(Debug)]
pub(super) struct Leases {
    me: String,
    duration: Duration,
    slots: BTreeMap<Shard, Slot>,
    of: u16,
    asked: Option<Instant>,
    stopping: bool,
}

#[derive(Debug, Default)]
struct Slot {
    seen: Seen,
    /// Acted on until then.
    until: Option<Instant>,
    /// The highest beat that was ever sent. Each attempt has its own, so that the success of an earlier one, which
    /// nobody heard of, is never taken for that of a later one: the lease would be counted from too late.
    tried: u64,
    /// When the renewal was sent from which `until` counts.
    renewed: Option<Instant>,
    /// Whether it is to be given back: to whoever asked for it.
    wanted: bool,
    /// Given back, and left to others until then.
    left_until: Option<Instant>,
}

#[derive(Debug, Default)]
enum Seen {
    /// It was never read.
    #[default]
    Unread,
    /// Nobody ever held it.
    Nothing,
    /// This is stored, and was at `since` already.
    Stored { lease: Lease, since: Instant },
}

/// A change to be made by [`crate::cloud::StateStore::swap_lease`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Swap {
    pub(super) shard: Shard,
    pub(super) kind: Kind,
    pub(super) expected: Option<Lease>,
    pub(super) new: Lease,
}

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To keep what is held.
    Renew,
    /// To hold what is free.
    Take,
    /// To give back what is held.
    Release,
    /// To be given what another holds.
    Ask,
}

impl Leases {
    /// Nothing is held yet. `me` is a name that no other process has or ever had.
    pub(super) fn new(me: String, settings: LeaseSettings) -> Self {
        let of = settings.shards.max(1);
        Self {
            me,
            duration: settings.duration,
            slots: (0..of).map(|n| (Shard(n), Slot::default())).collect(),
            of,
            asked: None,
            stopping: false,
        }
    }

    /// What may be acted on.
    pub(super) fn held(&self, now: Instant) -> Held {
        let held = self.slots.iter().filter(|(_, slot)| slot.acts(now));
        Held::Shards {
            of: self.of,
            held: held.map(|(shard, _)| *shard).collect(),
        }
    }

    /// How long ago the longest unrenewed of the held leases was renewed; `None`: nothing is held.
    pub(super) fn oldest_renewal(&self, now: Instant) -> Option<Duration> {
        let held = self.slots.values().filter(|slot| slot.acts(now));
        held.filter_map(|slot| slot.renewed)
            .map(|at| now.duration_since(at))
            .max()
    }

    /// The leases to be read: those that are not ours. Ours we know, since nobody else changes them.
    pub(super) fn to_read(&self) -> Vec<Shard> {
        if self.stopping {
            return Vec::new();
        }
        let others = self.slots.iter().filter(|(_, slot)| self.mine(slot).is_none());
        others.map(|(shard, _)| *shard).collect()
    }

    /// Takes in an answer that was complete at `received`.
    pub(super) fn read(&mut self, asked_for: &[Shard], found: &BTreeMap<Shard, Lease>, received: Instant) {
        for shard in asked_for {
            if let Some(slot) = self.slots.get_mut(shard) {
                slot.see(found.get(shard).cloned(), received);
            }
        }
    }

    /// Gives everything back and takes nothing any more.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Instant) -> Vec<Swap> {
        let mut mine = self.slots.values().filter(|slot| slot.acts(now)).count();
        let mut swaps = Vec::new();
        for (shard, slot) in &mut self.slots {
            let lease = match &slot.seen {
                Seen::Unread => continue,
                Seen::Nothing => None,
                Seen::Stored { lease, .. } => Some(lease),
            };
            let owner = lease.and_then(|lease| lease.owner.as_ref());
            let kind = if owner == Some(&self.me) {
                if self.stopping || (slot.wanted && mine > 1) {
                    Kind::Release
                } else if slot.is_due(now, self.duration) {
                    Kind::Renew
                } else {
                    continue;
                }
            } else if !self.stopping && slot.is_free(now, self.duration) {
                Kind::Take
            } else {
                continue;
            };
            let mut new = next_lease(kind, lease, &self.me);
            new.beat = new.beat.max(slot.tried.saturating_add(1));
            let swap = Swap {
                shard: *shard,
                kind,
                expected: lease.cloned(),
                new,
            };
            slot.tried = swap.new.beat;
            if kind == Kind::Release {
                // From before it is sent, since another may take it before we hear of it.
                mine = mine.saturating_sub(usize::from(slot.acts(now)));
                slot.until = None;
                slot.left_until = Some(now + self.duration / 3);
            } else {
                slot.wanted = false;
            }
            swaps.push(swap);
        }
        swaps.extend(self.wish(now, &swaps));
        swaps
    }

    /// A wish for one of the leases of whoever holds the most, if that is at least two more than we do.
    fn wish(&mut self, now: Instant, swaps: &[Swap]) -> Option<Swap> {
        let lately = self.asked.is_some_and(|at| now < at + self.duration / 3);
        if self.stopping || lately {
            return None;
        }
        let mine = self
            .slots
            .values()
            .filter(|slot| self.mine(slot).is_some())
            .count();
        let taking = swaps.iter().filter(|swap| swap.kind == Kind::Take).count();
        let mut others: BTreeMap<&str, Vec<(Shard, &Lease)>> = BTreeMap::new();
        for (shard, slot) in &self.slots {
            if let Seen::Stored { lease, since } = &slot.seen
                && let Some(owner) = lease.owner.as_deref().filter(|owner| *owner != self.me)
                && now < *since + self.duration
            {
                others.entry(owner).or_default().push((*shard, lease));
            }
        }
        let richest = others.into_values().max_by_key(Vec::len)?;
        if richest.len() < mine + taking + 2 {
            return None;
        }
        // Everybody has an order of their own, so that two who ask seldom ask for the same.
        let (shard, lease) = richest
            .into_iter()
            .max_by_key(|(shard, _)| Sha256::digest(format!("{} {shard}", self.me)))?;
        let swap = Swap {
            shard,
            kind: Kind::Ask,
            expected: Some(lease.clone()),
            new: Lease {
                asked: Some(self.me.clone()),
                ..lease.clone()
            },
        };
        self.asked = Some(now);
        Some(swap)
    }

    /// Takes in what became of a change that was sent at `sent` and heard of at `received`. One that was never
    /// heard of changes nothing here: what is stored, the next attempt or reading tells.
    pub(super) fn swapped(&mut self, swap: &Swap, sent: Instant, received: Instant, became: Swapped) {
        let lasts = acted_on(self.duration);
        let others = |name: Option<String>| name.is_some_and(|name| name != self.me);
        let Some(slot) = self.slots.get_mut(&swap.shard) else {
            return;
        };
        match became {
            Swapped::Done { before } => {
                match swap.kind {
                    Kind::Renew | Kind::Take => {
                        slot.until = Some(sent + lasts);
                        slot.renewed = Some(sent);
                        slot.wanted =
                            swap.kind == Kind::Renew && others(before.and_then(|lease| lease.asked));
                    }
                    Kind::Release => slot.wanted = false,
                    Kind::Ask => {}
                }
                slot.see(Some(swap.new.clone()), received);
            }
            Swapped::Lost { stored } => {
                let owner = stored.as_ref().and_then(|lease| lease.owner.as_ref());
                if owner != Some(&self.me) {
                    slot.until = None;
                }
                slot.see(stored, received);
            }
        }
    }

    /// The lease if it is ours, also when we may not act on it: its renewal is overdue.
    fn mine<'a>(&self, slot: &'a Slot) -> Option<&'a Lease> {
        match &slot.seen {
            Seen::Stored { lease, .. } if lease.owner.as_ref() == Some(&self.me) => Some(lease),
            Seen::Stored { .. } | Seen::Nothing | Seen::Unread => None,
        }
    }
}

impl Slot {
    fn acts(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Notes what is stored; what did not move keeps its time.
    fn see(&mut self, stored: Option<Lease>, received: Instant) {
        let since = match (&self.seen, &stored) {
            (Seen::Stored { lease, since }, Some(stored)) if stored.unmoved_since(lease) => *since,
            (Seen::Stored { .. } | Seen::Nothing | Seen::Unread, _) => received,
        };
        self.seen = match stored {
            Some(lease) => Seen::Stored { lease, since },
            None => Seen::Nothing,
        };
    }

    /// Whether a lease of ours is to be renewed: after a third of its time, or at once if that has passed.
    fn is_due(&self, now: Instant, duration: Duration) -> bool {
        !self.acts(now) || self.renewed.is_none_or(|at| at + duration / 3 <= now)
    }

    /// Whether another's lease may be taken.
    fn is_free(&self, now: Instant, duration: Duration) -> bool {
        match &self.seen {
            Seen::Unread => false,
            Seen::Nothing => true,
            Seen::Stored { lease, .. } if lease.owner.is_none() => {
                self.left_until.is_none_or(|until| until <= now)
            }
            Seen::Stored { since, .. } => *since + duration <= now && !planted!(LeaseForEver),
        }
    }
}

/// How long a holder acts after it sent a renewal: a fifth less than the lease lasts.
fn acted_on(duration: Duration) -> Duration {
    duration * 4 / 5
}

fn next_lease(kind: Kind, lease: Option<&Lease>, me: &str) -> Lease {
    let (epoch, beat) = lease.map_or((0, 0), |lease| (lease.epoch, lease.beat));
    let (owner, epoch) = match kind {
        Kind::Take => (Some(me), epoch.saturating_add(1)),
        Kind::Renew | Kind::Ask => (Some(me), epoch),
        Kind::Release => (None, epoch),
    };
    Lease {
        owner: owner.map(str::to_owned),
        epoch,
        beat: beat.saturating_add(1),
        asked: None,
    }
}
