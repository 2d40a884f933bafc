//! Lamplighter: a reconciliation daemon for ephemeral, per-user child apps on AWS.
//!
//! A pass goes through four stages, each a module: [`inventory`] observes, [`planner`] decides,
//! [`executor`] acts and [`recorder`] records. `ARCHITECTURE.md` has the code map and the invariants.

#[macro_use]
pub mod planted;

pub mod adopt;
pub mod api;
pub mod client;
pub mod clock;
pub mod cloud;
pub mod config;
pub mod controller;
#[cfg(feature = "dev")]
pub mod dev;
pub mod executor;
pub mod inventory;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod planner;
pub mod recorder;
pub mod report;
pub mod serve;
pub mod simulate;
