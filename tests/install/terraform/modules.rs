//! Each module by itself: how it is written, that it is valid, and what its own tests say, which are beside it.

use std::process::Command;

use super::cli::{NOWHERE, Terraform, text};
use crate::support::repository;

#[test]
fn every_file_is_written_as_terraform_would_write_it() {
    let Some(terraform) = Terraform::new("terraform-fmt") else {
        return;
    };
    terraform.run(
        ".",
        NOWHERE,
        &["fmt", "-check", "-recursive", "-diff", "-no-color"],
    );
}

#[test]
fn every_module_is_valid() {
    let Some(terraform) = Terraform::new("terraform-validate") else {
        return;
    };
    // The example is all of them but the one that builds apply.
    for module in ["examples/complete", "child-app/app"] {
        terraform.init(module);
        terraform.run(module, NOWHERE, &["validate", "-no-color"]);
    }
}

#[track_caller]
fn passes_its_tests(module: &str, runs: usize) {
    let Some(terraform) = Terraform::new("terraform-test") else {
        return;
    };
    terraform.init(module);
    let printed = terraform.run(module, NOWHERE, &["test", "-no-color"]);
    assert!(
        printed.contains(&format!("Success! {runs} passed, 0 failed.")),
        "{module} has {runs} cases: {printed}"
    );
}

#[test]
fn lamplighter_makes_what_was_asked_for_and_refuses_bad_values() {
    passes_its_tests("lamplighter", 23);
}

#[test]
fn child_app_makes_what_was_asked_for_and_refuses_bad_values() {
    passes_its_tests("child-app", 8);
}

#[test]
fn an_app_is_what_was_asked_for_and_refuses_bad_values() {
    passes_its_tests("child-app/app", 4);
}

#[test]
fn the_complete_example_offers_the_api_if_asked_and_refuses_bad_names() {
    passes_its_tests("examples/complete", 4);
}

/// Exceptions stand in the files, each with its reason; checkov counts them as skipped.
#[test]
fn checkov_finds_nothing() {
    let venv = super::policies::policy_tool("checkov");
    let mut command = Command::new(venv);
    command.args([
        "--framework",
        "terraform",
        "--skip-download",
        "--quiet",
        "--compact",
    ]);
    command
        .arg("--directory")
        .arg(repository().join("deploy/terraform"));
    let output = command
        .env("HOME", "/nonexistent")
        .output()
        .expect("checkov starts");
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    // Of nothing, it would find nothing.
    assert!(
        printed.contains("Passed checks: 1") && printed.contains("Failed checks: 0"),
        "{printed}"
    );
}
