//! What people install and observe Lamplighter with, checked by the tools that will read it: Terraform, Helm's own
//! library, Prometheus and the rest. Which tool checks what: docs/testing.md.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests watch other processes, in real time"
)]
#![allow(clippy::print_stderr, reason = "a failed test shows what the program wrote")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod chart;
mod container;
mod dashboards;
mod image;
mod manual;
mod metrics;
mod observed;
mod runbooks;
mod terraform;
