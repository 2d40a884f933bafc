//! The simulated cloud through the clients that will really call it: the Rust SDK, in memory on paused time, and
//! over TCP. One program, so that the SDKs are linked once.
#![allow(clippy::unwrap_used)]

mod app_life;
mod common;
