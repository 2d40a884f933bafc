//! What the planner decides: reviewed plans as text under `golden/`, properties over any view and over random
//! walks through a tiny world, and the boundaries of schedules against a clock on the wall.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod adopt;
mod boundaries;
mod catalogue;
mod checks;
mod days;
#[cfg(feature = "planted")]
#[path = "../support/found_by.rs"]
mod found_by;
mod keeps;
#[cfg(feature = "planted")]
mod planted;
mod recovery;
mod tale;
mod tales;
mod walks;
mod warnings;
mod why;
mod world;
