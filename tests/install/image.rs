//! The image: what its Dockerfile says, and that it fits the chart and the project. How it runs: `container`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Scratch, repository, tool};

fn dockerfile() -> String {
    fs::read_to_string(repository().join("deploy/Dockerfile")).expect("there is a Dockerfile")
}

/// The instructions of a Dockerfile's last stage.
fn last_stage(text: &str) -> Vec<&str> {
    let from = text.rfind("\nFROM ").expect("it has two stages");
    text[from..]
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// What hadolint says about a Dockerfile.
fn hadolint(text: &str) -> (bool, String) {
    let scratch = Scratch::new("hadolint");
    let mut command = Command::new(tool("hadolint"));
    command
        .args(["--failure-threshold", "style", "--no-color"])
        .arg(scratch.write("Dockerfile", text));
    let output = command.output().expect("hadolint starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

#[test]
fn hadolint_has_nothing_to_say_about_the_dockerfile() {
    let (good, said) = hadolint(&dockerfile());
    assert!(good && said.is_empty(), "{said}");
    let (good, said) = hadolint(&dockerfile().replace("rust:1.95.0-bookworm", "rust"));
    assert!(!good && said.contains("DL3006"), "{said}");
}

#[test]
fn the_image_is_what_the_chart_expects() {
    let text = dockerfile();
    let stage = last_stage(&text);
    let chart = |file: &str| {
        fs::read_to_string(repository().join("helm/lamplighter/templates").join(file))
            .expect("a template is read")
    };
    let (helpers, deployment) = (chart("_helpers.tpl"), chart("deployment.yaml"));
    for (instruction, template, expected) in [
        ("FROM scratch", &deployment, "name: lamplighter"),
        (
            "USER 65532:65532",
            &helpers,
            "runAsUser: 65532\nrunAsGroup: 65532\n",
        ),
        (
            "EXPOSE 8080 9090",
            &deployment,
            "containerPort: 8080\n            - name: admin\n              containerPort: 9090\n",
        ),
        (
            "ENV LAMPLIGHTER_CONFIG=/etc/lamplighter/lamplighter.toml",
            &helpers,
            "value: /etc/lamplighter/lamplighter.toml\n",
        ),
        (
            "ENTRYPOINT [\"/lamplighter\"]",
            &deployment,
            "args:\n            - run\n",
        ),
        ("CMD [\"run\"]", &deployment, "args:\n            - run\n"),
        // Kubernetes asks the port itself; ECS runs the same command, which its module says.
        (
            "HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD [\"/lamplighter\", \"healthy\"]",
            &deployment,
            "path: /healthz\n",
        ),
    ] {
        assert!(stage.contains(&instruction), "no {instruction} in {stage:#?}");
        assert!(
            template.contains(expected),
            "{instruction}, and no {expected:?} in the chart"
        );
    }
    assert!(
        !deployment.contains("command:"),
        "the image's own entry point is used"
    );
}

#[test]
fn the_image_is_built_with_the_compiler_that_the_project_needs() {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).expect("there is a manifest");
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \""))
        .expect("it names a version");
    let version = line.trim_end_matches('"');
    let from = format!("FROM rust:{version}.");
    assert!(dockerfile().contains(&from), "{from} is not in the Dockerfile");
}

/// With the files that the Dockerfile copies, and with no others, cargo finds the project complete, and what it would build
/// has none of what only `lamplighter dev` needs.
#[test]
fn what_the_image_is_built_of_is_complete_and_without_dev() {
    let text = dockerfile();
    let scratch = Scratch::new("image");
    let ignored = fs::read_to_string(repository().join(".dockerignore")).expect("there is a .dockerignore");
    let mut copied = 0;
    for line in text
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--"))
    {
        let (sources, to) = line.rsplit_once(' ').expect("COPY has a source and a target");
        for source in sources.split(' ') {
            assert!(
                ignored.lines().any(|line| line == format!("!{source}")),
                ".dockerignore keeps out {source}"
            );
            let to = if to.ends_with('/') {
                format!("{to}{}", source.rsplit('/').next().unwrap_or(source))
            } else {
                to.to_owned()
            };
            copy(&repository().join(source), &scratch.file(&to));
            copied += 1;
        }
    }
    assert_eq!(
        ignored.lines().filter(|line| line.starts_with('!')).count(),
        copied,
        "{ignored}"
    );

    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        let output = command
            .args(arguments)
            .current_dir(scratch.file(""))
            .output()
            .expect("cargo starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("cargo writes text")
    };
    let metadata: Value = serde_json::from_str(&cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
        "--locked",
    ]))
    .expect("cargo writes JSON");
    for target in metadata["packages"][0]["targets"]
        .as_array()
        .expect("a package has targets")
    {
        let source = target["src_path"].as_str().expect("a target has a source");
        assert!(Path::new(source).exists(), "{source}");
    }

    let script = fs::read_to_string(scratch.file("scripts/static.sh")).expect("the script is copied");
    assert!(script.contains(" --no-default-features "), "{script}");
    let tree = [
        "tree",
        "--offline",
        "--locked",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--package",
        "lamplighter",
    ];
    let lean = cargo(&[&tree[..], &["--no-default-features"]].concat());
    let with_dev = cargo(&tree);
    for of_dev in ["simcloud", "dynoxide-rs"] {
        let has = |tree: &str| tree.lines().any(|line| line.starts_with(&format!("{of_dev} v")));
        assert!(!has(&lean), "the image would have {of_dev}");
        assert!(
            has(&with_dev),
            "without the feature left out it would have {of_dev}"
        );
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).expect("a folder is listed") {
            let entry = entry.expect("a folder is listed");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().expect("a file lies in a folder")).expect("a folder is made");
        fs::copy(from, to).expect("a file is copied");
    }
}
