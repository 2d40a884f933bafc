//! The seeded source of ids and durations. Its state survives a restart; it never reads entropy.

use serde::{Deserialize, Serialize};

/// A random stream of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub(crate) struct Dice(fastrand::Rng);

impl From<u64> for Dice {
    fn from(state: u64) -> Self {
        Self(fastrand::Rng::with_seed(state))
    }
}

impl From<Dice> for u64 {
    fn from(dice: Dice) -> Self {
        dice.0.get_seed()
    }
}

impl Dice {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17)
            ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03);
        let mut rng = fastrand::Rng::with_seed(mixed);
        // Nearby seeds start nearby; a few steps take them apart.
        for _ in 0..4 {
            rng.u64(..);
        }
        Self(rng)
    }

    pub(crate) fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.0
    }

    pub(crate) fn hex(&mut self, digits: usize) -> String {
        (0..digits)
            .map(|_| char::from_digit(self.0.u32(0..16), 16).unwrap_or('0'))
            .collect()
    }

    pub(crate) fn decimal(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b'0' + self.0.u8(0..10))).collect()
    }

    pub(crate) fn uuid(&mut self) -> String {
        let hex = self.hex(30);
        format!(
            "{}-{}-4{}-a{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..15],
            &hex[15..18],
            &hex[18..]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_stream_goes_on_where_it_was() {
        let mut dice = Dice::new(7, 1);
        let first = dice.uuid();
        let mut restored = Dice::from(u64::from(dice.clone()));
        assert_eq!(first.len(), 36);
        assert_eq!(dice.uuid(), restored.uuid());
    }
}
