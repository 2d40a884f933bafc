//! The simulated cloud through the clients that will really call it: the Rust SDK, in memory on paused time, and
//! over TCP. One program, so that the SDKs are linked once.
#![allow(clippy::unwrap_used)]

mod app_life;
mod apps;
mod builds;
mod codebuild;
mod common;
mod dynamodb;
mod ecs;
mod elb;
mod faults;
mod gate;
mod hostile;
mod mishaps;
mod repeatable;
mod restart;
mod tasks;
mod tcp;
