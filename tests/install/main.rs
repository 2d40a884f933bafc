//! What people install and observe Lamplighter with, checked by the tools that will read it: Terraform, Helm's own
//! library, Prometheus and the rest. Which tool checks what: docs/testing.md.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests watch other processes, in real time"
)]
#![allow(clippy::print_stderr, reason = "a failed test shows what the program wrote")]

#[path = "../support/mod.rs"]
mod support;

mod chart;
mod image;
