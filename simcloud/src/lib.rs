//! Simulated AWS.
