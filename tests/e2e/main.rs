//! End to end over TCP: the real daemon and the real AWS clients against a simulated AWS, judged by what is
//! in the tables and in that AWS, never by which calls were made.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

mod conflict;
mod drift;
mod failure;
mod health;
mod lab;
mod life;
mod mind;
mod night;
