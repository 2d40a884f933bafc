//! Growing delays, by the policy of the crate `backoff`. This file is the only one that names that crate,
//! which is no longer maintained (RUSTSEC-2025-0012); see `docs/adr/0003-backoff-is-a-policy.md`.

use std::time::{Duration, Instant};

use backoff::backoff::Backoff as _;
use backoff::exponential::ExponentialBackoff;
use jiff::SignedDuration;

use super::name::Entropy;

/// How long to wait after the n-th failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// After the first failure.
    pub initial: SignedDuration,
    /// The longest delay.
    pub max: SignedDuration,
    /// What each further failure multiplies the delay by.
    pub multiplier: f64,
}

impl Backoff {
    /// The delay after `failures` failures in a row; zero failures wait nothing.
    ///
    /// Up to a tenth is added by `jitter`, so that apps that failed together do not return together.
    pub fn delay(&self, failures: u32, jitter: Entropy) -> SignedDuration {
        if failures == 0 {
            return SignedDuration::ZERO;
        }
        // The crate's own jitter cannot be seeded, and its limit on elapsed time reads the wall clock, so
        // both stay off.
        let mut policy: ExponentialBackoff<Frozen> = ExponentialBackoff {
            initial_interval: unsigned(self.initial),
            current_interval: unsigned(self.initial),
            randomization_factor: 0.0,
            multiplier: self.multiplier,
            max_interval: unsigned(self.max),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let mut delay = policy.next_backoff().unwrap_or_default();
        // After 64 doublings every delay has met its maximum.
        for _ in 1..failures.min(64) {
            delay = policy.next_backoff().unwrap_or_default();
        }
        let jittered = delay.mul_f64(1.0 + 0.1 * jitter.fraction());
        SignedDuration::try_from(jittered).unwrap_or(SignedDuration::MAX)
    }
}

fn unsigned(duration: SignedDuration) -> Duration {
    duration.try_into().unwrap_or_default()
}

/// A clock that stands still: nothing here measures elapsed time.
#[derive(Clone, Debug)]
struct Frozen(Instant);

impl Default for Frozen {
    fn default() -> Self {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        #[allow(
            clippy::disallowed_methods,
            reason = "the crate wants some instant; it is never compared with another"
        )]
        Self(*START.get_or_init(Instant::now))
    }
}

impl backoff::Clock for Frozen {
    fn now(&self) -> Instant {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Backoff = Backoff {
        initial: SignedDuration::from_secs(10),
        max: SignedDuration::from_secs(600),
        multiplier: 2.0,
    };

    #[test]
    fn delays_double_up_to_the_maximum() {
        let none = Entropy([0; 16]);
        let delays: Vec<i64> = (0..9).map(|n| POLICY.delay(n, none).as_secs()).collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(POLICY.delay(u32::MAX, none).as_secs(), 600);
    }

    #[test]
    fn jitter_adds_at_most_a_tenth() {
        let most = POLICY.delay(1, Entropy([255; 16]));
        assert!(
            most > SignedDuration::from_millis(10_990) && most <= SignedDuration::from_secs(11),
            "{most}"
        );
    }
}
