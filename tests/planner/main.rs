//! Tests of the planner from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod boundaries;
