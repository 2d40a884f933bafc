//! The adapters of the edge against the simulated cloud: the real SDK's requests, in memory, on paused time.
//! What the simulated cloud cannot be made to answer comes as a canned answer, spelt as AWS spells it.
#![allow(clippy::unwrap_used, missing_docs)]

mod build_view;
mod builds;
mod cancellation;
mod canned;
mod conformance;
mod desired;
mod errors;
#[cfg(feature = "planted")]
#[path = "../support/found_by.rs"]
mod found_by;
mod garbage;
mod leases;
mod loaded;
#[path = "../support/memory_tables.rs"]
mod memory_tables;
#[cfg(feature = "planted")]
mod planted;
mod probe;
mod routes;
mod services;
mod state;
mod support;
mod tables;
mod takeover;
mod tasks;
mod transaction;
mod webhook;
