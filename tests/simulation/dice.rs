//! Everything a seed decides is drawn here, so that it does not change when a dependency does.

use jiff::{SignedDuration, Timestamp};

/// SplitMix64: small, and the same for ever.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// A stream of its own for one purpose, so that one more draw here changes nothing there.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut dice = Self(seed ^ purpose.wrapping_mul(0xa076_1d64_78bd_642f));
        dice.next();
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.next() % (len as u64)).unwrap()
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())].clone()
    }

    /// True in that many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.rate(1.0) < probability
    }

    /// A probability up to `most`.
    pub(crate) fn rate(&mut self, most: f64) -> f64 {
        most * f64::from(u32::try_from(self.next() >> 40).unwrap()) / f64::from(1 << 24)
    }

    pub(crate) fn seconds(&mut self, low: i64, high: i64) -> SignedDuration {
        let drawn = self.between(0, u64::try_from(high - low).unwrap());
        SignedDuration::from_secs(low + i64::try_from(drawn).unwrap())
    }

    /// A moment from `low` to `high`, to the millisecond.
    pub(crate) fn moment(&mut self, low: Timestamp, high: Timestamp) -> Timestamp {
        let span = u64::try_from(high.duration_since(low).as_millis()).unwrap();
        let drawn = i64::try_from(self.between(0, span)).unwrap();
        low + SignedDuration::from_millis(drawn)
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        bytes
    }
}
