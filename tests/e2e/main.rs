//! End to end over TCP: the real daemon and the real AWS clients against a simulated AWS, judged by what is
//! in the tables and in that AWS, never by which calls were made.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs,
    reason = "tests on real time"
)]

mod adopt;
mod api;
mod conflict;
mod cost;
mod crash;
mod deaf;
#[path = "../support/documented.rs"]
mod documented;
mod drift;
mod failure;
mod fortnight;
#[cfg(feature = "planted")]
#[path = "../support/found_by.rs"]
mod found_by;
mod health;
mod hold;
mod hostile;
mod keep;
#[path = "../support/lab/mod.rs"]
mod lab;
mod life;
mod mind;
mod missed;
mod night;
mod orphans;
mod pause;
#[cfg(feature = "planted")]
mod planted;
mod replicas;
mod resume;
mod rows;
mod shown;
mod warn;
