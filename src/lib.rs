//! Lamplighter.
