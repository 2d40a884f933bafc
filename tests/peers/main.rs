//! The daemon in front of MiniStack, an AWS emulator that this project did not write: `lamplighter run` with
//! the example configuration, from its tables to an app's end. `tests/ministack/harness.py` plays the builds
//! and tells what all this can't prove.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests watch other processes, in real time"
)]
#![allow(clippy::print_stderr, reason = "a failed test shows what the program wrote")]

mod life;
mod peer;
mod shipped;
#[path = "../support/mod.rs"]
mod support;
mod tables;
