//! Plain data, shared by every stage: what a row asks for, what AWS shows, what we remember, what we tell.
//!
//! Nothing here awaits, reads a clock, draws randomness or names an SDK type. Read `row` (what is asked),
//! `observed` (what is there), `memory` (what we know we did), `policy` (what the operator allows) and
//! `status` (what we tell people), in that order.

pub mod adopt;
pub mod backoff;
pub mod blueprint;
pub mod claim;
pub mod cost;
pub mod cron;
pub mod history;
pub mod keep;
pub mod lease;
pub mod memory;
pub mod name;
pub mod observed;
pub mod orphan;
pub mod pause;
pub mod policy;
pub mod row;
pub mod schedule;
mod shared;
pub mod status;
pub mod warned;

pub use jiff::{SignedDuration, Timestamp};

/// A time for people, as in messages: UTC, whole seconds.
pub fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
