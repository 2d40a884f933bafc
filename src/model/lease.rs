//! Shards and the leases on them: who acts on which apps when several replicas run. Never a matter of safety,
//! which rests on versions, claims and gates; a lease only spares replicas doing everything twice.

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::name::AppId;

/// One part of the fleet, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u16);

impl Shard {
    /// The shard of an app when there are `of` shards: equal in every process and every release.
    pub fn of(id: &AppId, of: u16) -> Self {
        let digest = Sha256::digest(id.as_str().as_bytes());
        let first = digest.iter().take(8);
        let number = first.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        Self(u16::try_from(number % u64::from(of.max(1))).unwrap_or_default())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; nobody after it was given back. A name is never used by two processes.
    pub owner: Option<String>,
    /// Raised by one with each new owner.
    pub epoch: u64,
    /// Raised with each change of owner and each renewal.
    pub beat: u64,
    /// Who holds less and would like to have it. Gone with the next renewal, however that is decided.
    pub asked: Option<String>,
}

impl Lease {
    /// Whether nothing but a wish was written since: same owner, same epoch, same beat.
    pub fn unmoved_since(&self, earlier: &Lease) -> bool {
        (&self.owner, self.epoch, self.beat) == (&earlier.owner, earlier.epoch, earlier.beat)
    }
}

/// Which apps this process acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// All of them: there are no leases here.
    All,
    /// Those of some shards.
    Shards {
        /// How many shards there are.
        of: u16,
        /// Those that are held.
        held: BTreeSet<Shard>,
    },
}

impl Held {
    /// Whether this app is one of them.
    pub fn has(&self, id: &AppId) -> bool {
        match self {
            Held::All => true,
            Held::Shards { of, held } => held.contains(&Shard::of(id, *of)),
        }
    }

    /// Whether this shard is one of them.
    pub fn holds(&self, shard: Shard) -> bool {
        match self {
            Held::All => true,
            Held::Shards { held, .. } => held.contains(&shard),
        }
    }

    /// Whether there is none at all.
    pub fn is_nothing(&self) -> bool {
        match self {
            Held::All => false,
            Held::Shards { held, .. } => held.is_empty(),
        }
    }

    /// The part of `whole` that falls to the held shards. The parts of all shards add up to `whole`, and no
    /// two differ by more than one.
    pub fn share(&self, whole: u32) -> u32 {
        match self {
            Held::All => whole,
            Held::Shards { of, held } => {
                let up_to = |shard: u32| u64::from(whole) * u64::from(shard) / u64::from((*of).max(1));
                let part = |shard: &Shard| up_to(u32::from(shard.0) + 1) - up_to(u32::from(shard.0));
                u32::try_from(held.iter().map(part).sum::<u64>()).unwrap_or(u32::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id(text: &str) -> AppId {
        AppId::from_key(text).unwrap()
    }

    #[test]
    fn the_shard_of_an_app_never_changes() {
        // Two releases that disagree would both act on an app, or neither.
        let shards = ["one", "two", "three", "four"].map(|name| Shard::of(&id(name), 16).0);
        assert_eq!(shards, [0, 2, 2, 4]);
        assert_eq!(Shard::of(&id("one"), 1), Shard(0));
    }

    #[test]
    fn apps_spread_over_the_shards() {
        let mut counts = [0; 8];
        for n in 0..8000 {
            counts[usize::from(Shard::of(&id(&format!("app-{n}")), 8).0)] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn shares_add_up_to_the_whole_and_differ_by_one_at_most() {
        for (whole, of) in [(5, 1), (5, 2), (5, 5), (20, 7), (1, 1), (600, 256), (3, 8)] {
            let part = |shard| {
                let held = BTreeSet::from([Shard(shard)]);
                Held::Shards { of, held }.share(whole)
            };
            let parts: Vec<u32> = (0..of).map(part).collect();
            assert_eq!(parts.iter().sum::<u32>(), whole, "{whole} in {of}");
            let (least, most) = (parts.iter().min().unwrap(), parts.iter().max().unwrap());
            assert!(most - least <= 1, "{parts:?}");
            let held = (0..of).map(Shard).collect();
            assert_eq!(Held::Shards { of, held }.share(whole), whole);
        }
        assert_eq!(Held::All.share(5), 5);
        let held = BTreeSet::new();
        assert_eq!(Held::Shards { of: 2, held }.share(5), 0);
    }
}
