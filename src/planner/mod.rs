//! DECIDE: what to do about one app, as a pure function.
pub mod plan;
