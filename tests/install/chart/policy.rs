//! What is rendered, and the Dockerfile, held against checkov's policies. What is not as it advises is named here with
//! its reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{render, repository};
use crate::support::Scratch;

/// Policies that are not kept: by which objects, and why.
const NOT_KEPT: [(&str, &str, &str); 9] = [
    (
        "CKV_K8S_11",
        "",
        "a limit of processor time would hold up renewals of leases; there is a request",
    ),
    ("CKV_K8S_15", "", "a tag is not moved to another image"),
    ("CKV_K8S_43", "", "`image.digest` is there for those who want it"),
    ("CKV_K8S_8", "-test", "it ends by itself"),
    ("CKV_K8S_9", "-test", "nothing waits for it"),
    (
        "CKV_K8S_35",
        "-test",
        "the client takes its token from the environment only",
    ),
    ("CKV_K8S_35", "lights", "its values ask for that"),
    ("CKV2_K8S_6", "-test", "nobody connects to it"),
    ("CKV2_K8S_6", "lights", "its values ask for none"),
];

/// What checkov finds in a folder: policy and object.
fn findings(scratch: &Scratch) -> BTreeSet<(String, String)> {
    let venv = std::env::var_os("LAMPLIGHTER_POLICY_VENV")
        .map_or_else(|| repository().join(".venv-policy"), PathBuf::from);
    let checkov = venv.join("bin/checkov");
    assert!(
        checkov.exists(),
        "{} is missing; `make venv` sets it up",
        checkov.display()
    );
    let mut command = Command::new(checkov);
    command.arg("--directory").arg(scratch.file(""));
    command.args([
        "--framework",
        "kubernetes",
        "dockerfile",
        "--skip-download",
        "--quiet",
        "--compact",
        "--output",
        "json",
    ]);
    let output = command.output().expect("checkov starts");
    let reports: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    assert_eq!(reports.len(), 2, "it has looked at manifests and at a Dockerfile");
    let failed = reports.iter().flat_map(|report| {
        assert_eq!(report["summary"]["parsing_errors"], 0, "{report}");
        report["results"]["failed_checks"]
            .as_array()
            .expect("they are listed")
            .clone()
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    failed
        .map(|one| (text(&one["check_id"]), text(&one["resource"])))
        .collect()
}

#[test]
fn what_is_rendered_and_the_image_are_as_policies_advise() {
    let scratch = Scratch::new("policy");
    for (name, release) in render() {
        scratch.write(&format!("{name}.yaml"), &release.manifests().join("\n---\n"));
    }
    let dockerfile = fs::read_to_string(repository().join("deploy/Dockerfile")).expect("a file is read");
    scratch.write("Dockerfile", &dockerfile);
    let known = |(policy, object): &(String, String)| {
        NOT_KEPT
            .iter()
            .any(|(not_kept, of, _)| not_kept == policy && object.contains(of))
    };
    let found = findings(&scratch);
    let (expected, news): (Vec<_>, Vec<_>) = found.into_iter().partition(known);
    assert!(news.is_empty(), "{news:#?}");
    for (policy, of, _) in NOT_KEPT {
        let met = expected
            .iter()
            .any(|(found, object)| found == policy && object.contains(of));
        assert!(met, "{policy} of {of:?} is kept, so it need not be named");
    }
}

#[test]
fn a_policy_that_is_broken_is_found() {
    let scratch = Scratch::new("policy-broken");
    let small = render()
        .remove("small")
        .expect("it is rendered")
        .manifests()
        .remove(0);
    scratch.write(
        "small.yaml",
        &small.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
    );
    scratch.write("Dockerfile", "FROM scratch\nUSER root\n");
    let found = findings(&scratch);
    for policy in ["CKV_K8S_22", "CKV_DOCKER_8"] {
        assert!(
            found.iter().any(|(found, _)| found == policy),
            "{policy}: {found:#?}"
        );
    }
}
