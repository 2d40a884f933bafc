//! Stops that were told beforehand: what memory has of the newest, so that nobody tells it again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A stop that was told beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warned {
    /// When the stop is due. A stop that moves is another one.
    pub deadline: Timestamp,
    /// By which rule.
    pub rule: String,
    /// `Destroy` or `Suspend`.
    pub action: String,
    /// When it was told.
    pub at: Timestamp,
    /// How its delivery to the webhook stands, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Delivery>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// It is to be made.
    Pending,
    /// The receiver has it.
    Delivered,
    /// It was tried for as long as it may be, or the receiver wants none.
    GivenUp,
    /// The stop has moved before it was made.
    Withdrawn,
}

/// What became of a delivery, before memory has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The stop that it was about.
    pub deadline: Timestamp,
    /// How it ended.
    pub came: Delivery,
}
