//! `deploy/terraform` as people use it: well-formed, refusing bad values, clean for the tools that read policies, and
//! applied as a whole to an AWS that is not ours. Nothing is downloaded; see `cli` for what is skipped without Terraform.

mod app;
mod cli;
mod eks;
mod example;
mod modules;
mod policies;
mod texts;

/// The modules, below `deploy/terraform`.
const MODULES: [&str; 4] = ["lamplighter", "child-app", "child-app/app", "examples/complete"];
