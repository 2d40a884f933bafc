//! Money: exact to a millionth, in whatever currency the configuration names.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of the configured currency, or what something costs per hour or minute. It never goes below zero, and
/// never past what 64 bits hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    millionths: u64,
}

/// How many millionths make one.
const ONE: u64 = 1_000_000;
const HOUR_MILLIS: u128 = 3_600_000;

impl Cost {
    /// Nothing.
    pub const ZERO: Cost = Cost { millionths: 0 };

    /// So many millionths.
    pub const fn millionths(millionths: u64) -> Self {
        Self { millionths }
    }

    /// Reads a decimal such as `0.0493`: up to nine digits, and up to six after the point.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit())
        };
        if !digits(whole, 9) || !digits(part, 6) {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let part: u64 = format!("{part:0<6}").parse().ok()?;
        Some(Self::millionths(whole * ONE + part))
    }

    /// What this costs per hour comes to over a time; nothing over a time that goes back.
    #[must_use]
    pub fn over(self, time: SignedDuration) -> Self {
        let millis = u128::try_from(time.as_millis()).unwrap_or(0);
        let total = u128::from(self.millionths).saturating_mul(millis) / HOUR_MILLIS;
        Self::millionths(u64::try_from(total).unwrap_or(u64::MAX))
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self::millionths(self.millionths.saturating_mul(count))
    }

    /// Rounded to a hundredth, as sums are told.
    #[must_use]
    pub fn to_cents(self) -> Self {
        let cent = ONE / 100;
        Self::millionths(self.millionths.saturating_add(cent / 2) / cent * cent)
    }

    /// As a metric has it.
    pub fn as_f64(self) -> f64 {
        #[allow(
            clippy::cast_precision_loss,
            reason = "nobody pays so much that a millionth matters"
        )]
        let millionths = self.millionths as f64;
        millionths / 1e6
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::millionths(self.millionths.saturating_add(other.millionths))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Cost {
    /// At least two decimals, and no zeros after those.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:06}", self.millionths % ONE);
        let shown = part.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.millionths / ONE, &part[..shown])
    }
}

// A number, as programs expect it; six decimals of what people pay fit into one.
impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = f64::deserialize(deserializer)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of a float saturates, and nothing costs less than zero"
        )]
        let millionths = (found * 1e6).round() as u64;
        Ok(Self::millionths(millionths))
    }
}

/// Minutes of builds in one calendar month, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Which month, as `2026-11`.
    pub month: String,
    /// How many. AWS bills each build by the minute, rounded up.
    pub minutes: u32,
}

impl Spent {
    /// With a build more, which counts in the month in which it ended.
    pub fn with(before: Option<&Self>, started: Timestamp, ended: Timestamp) -> Self {
        let month = month(ended);
        let seconds = ended.duration_since(started).as_secs().max(1);
        let minutes = u32::try_from(seconds.div_euclid(60) + i64::from(seconds % 60 > 0)).unwrap_or(u32::MAX);
        let before = before.filter(|before| before.month == month);
        Self {
            minutes: before.map_or(0, |before| before.minutes).saturating_add(minutes),
            month,
        }
    }
}

/// The calendar month of an instant, in UTC, as `2026-11`.
pub fn month(at: Timestamp) -> String {
    at.strftime("%Y-%m").to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_decimal_is_read_exactly_and_shown_as_short_as_money_is() {
        for (text, shown) in [
            ("0", "0.00"),
            ("0.0493", "0.0493"),
            ("12", "12.00"),
            ("1.5", "1.50"),
            ("0.000001", "0.000001"),
            ("999999999.999999", "999999999.999999"),
        ] {
            assert_eq!(Cost::parse(text).unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "0.0000001",
            "1,5",
            "1234567890",
            " 1",
        ] {
            assert_eq!(Cost::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_hour_costs_what_an_hour_costs_and_a_time_that_goes_back_nothing() {
        let hourly = Cost::parse("0.36").unwrap();
        assert_eq!(hourly.over(SignedDuration::from_mins(150)).to_string(), "0.90");
        assert_eq!(hourly.over(SignedDuration::from_mins(-1)), Cost::ZERO);
        assert_eq!(
            Cost::millionths(u64::MAX).over(SignedDuration::MAX),
            Cost::millionths(u64::MAX)
        );
        assert_eq!(Cost::millionths(u64::MAX) + hourly, Cost::millionths(u64::MAX));
    }

    #[test]
    fn it_goes_through_json_as_a_number() {
        let cost = Cost::parse("123.000457").unwrap();
        let json = serde_json::to_string(&cost).unwrap();
        assert_eq!(json, "123.000457");
        assert_eq!(serde_json::from_str::<Cost>(&json).unwrap(), cost);
    }
}
