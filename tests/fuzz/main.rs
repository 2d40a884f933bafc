//! Whatever is in the tables and whatever AWS answers: no panic, no hang, an error that names the call, and never
//! absence out of garbage. Everything goes through the real SDK; the planner is asked about each row that comes out.
//!
//! `FUZZ_TIMES=50` tries fifty times as much; `ROWS=10000000` and the ignored test in `bulk` try ten million rows.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests, with figures"
)]

mod answers;
mod bulk;
#[path = "../adapters/canned.rs"]
#[allow(dead_code, reason = "shared; a part of it is used here")]
mod canned;
mod feed;
mod mutate;
mod planned;
mod rows;
mod state;
#[path = "../adapters/support.rs"]
#[allow(dead_code, reason = "shared; a part of it is used here")]
mod support;
mod values;
