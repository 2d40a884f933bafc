//! The Helm chart, rendered by Helm's own library: what it makes of values is as kept, is what Kubernetes takes, and
//! configures the daemon as the daemon takes it. What it refuses: `wrong`; its README: `readme`.
//!
//! `INSTA_UPDATE=always` writes the golden texts anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Scratch, lamplighter, repository, tool};

#[path = "chart/hook.rs"]
mod hook;
#[path = "chart/parts.rs"]
mod parts;
#[path = "chart/policy.rs"]
mod policy;
#[path = "chart/readme.rs"]
mod readme;
#[path = "chart/wrong.rs"]
mod wrong;

/// The versions of Kubernetes that the chart is for, as far as they are known.
const KUBERNETES: [&str; 6] = ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35"];
/// One of them, where it does not matter which.
pub(crate) const ANY: &str = "1.32.0";
/// Files of `tests/install/chart/values`.
const CASES: [&str; 4] = ["full", "small", "special", "webhook"];

fn folder() -> PathBuf {
    repository().join("tests/install/chart")
}

pub(crate) fn chart() -> PathBuf {
    repository().join("helm/lamplighter")
}

pub(crate) fn values(name: &str) -> PathBuf {
    folder().join("values").join(format!("{name}.yaml"))
}

/// Where Helm's library is.
fn library() -> PathBuf {
    let venv = tool("python").parent().and_then(Path::parent).map(Path::to_owned);
    let library = venv.expect("a virtual environment has a folder bin").join("helm");
    assert!(
        library.exists(),
        "{} is missing; `make venv` sets it up",
        library.display()
    );
    library
}

/// What Helm makes of a chart with each of these files of values, by their names.
fn render_with(
    chart: &Path,
    kubernetes: &str,
    files: &[PathBuf],
) -> BTreeMap<String, Result<Release, String>> {
    render_as(("lamp", "apps"), chart, kubernetes, files)
}

/// The same, as a release of this name in this namespace.
pub(crate) fn render_as(
    (name, namespace): (&str, &str),
    chart: &Path,
    kubernetes: &str,
    files: &[PathBuf],
) -> BTreeMap<String, Result<Release, String>> {
    let mut command = Command::new(tool("python"));
    command
        .arg(folder().join("render.py"))
        .arg(library())
        .arg(chart)
        .args([kubernetes, name, namespace])
        .args(files);
    let output = command.output().expect("python starts");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let rendered: BTreeMap<String, Value> =
        serde_json::from_slice(&output.stdout).expect("what is rendered is JSON");
    assert_eq!(rendered.len(), files.len(), "each file has a name of its own");
    let release = |value: Value| match value["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(Release(value)),
    };
    rendered
        .into_iter()
        .map(|(name, value)| (name, release(value)))
        .collect()
}

/// All cases, each of which has to render.
fn render() -> BTreeMap<String, Release> {
    let rendered = render_with(&chart(), ANY, &CASES.map(values));
    let good = |(name, release): (String, Result<_, String>)| match release {
        Ok(release) => (name, release),
        Err(error) => panic!("{name}: {error}"),
    };
    rendered.into_iter().map(good).collect()
}

/// An installed release.
pub(crate) struct Release(Value);

impl Release {
    /// What was made in Kubernetes.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.0["made"].as_array().expect("objects are listed").clone()
    }

    /// The one object of this kind and name.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Value {
        let found = self
            .objects()
            .into_iter()
            .find(|made| made["kind"] == kind && made["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// All objects of a kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<Value> {
        self.objects()
            .into_iter()
            .filter(|made| made["kind"] == kind)
            .collect()
    }

    pub(crate) fn deployment(&self) -> Value {
        let found = self.of("Deployment");
        assert_eq!(found.len(), 1, "there is one Deployment");
        found[0].clone()
    }

    fn text(&self, pointer: &str) -> &str {
        self.0["release"]
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// What Helm says of it.
    pub(crate) fn notes(&self) -> &str {
        self.text("/info/notes")
    }

    /// The Pod that `helm test` makes.
    pub(crate) fn test(&self) -> Value {
        parts::serde_yaml_of(&self.manifests()[1])
    }

    /// The texts of what is made and of what `helm test` makes, as YAML.
    fn manifests(&self) -> Vec<String> {
        let hooks = self.0["release"]["hooks"].as_array().expect("there is a test");
        let tests = hooks
            .iter()
            .map(|hook| hook["manifest"].as_str().expect("YAML").to_owned());
        [self.text("/manifest").to_owned()]
            .into_iter()
            .chain(tests)
            .collect()
    }
}

/// What is kept: all texts, without the configuration, which is in `values`, and without its hash.
fn golden(release: &Release) -> String {
    let mut kept = String::new();
    let mut in_config = false;
    for line in release.manifests().join("\n---\n").lines() {
        in_config = if in_config {
            line.is_empty() || line.starts_with("   ") || line.trim().is_empty()
        } else {
            false
        };
        if line.starts_with("  lamplighter.toml:") {
            in_config = true;
            kept.push_str("  lamplighter.toml: (the configuration)\n");
        } else if let Some((before, _)) = line.split_once("checksum/config: ") {
            let _ = writeln!(kept, "{before}checksum/config: (its hash)");
        } else if !in_config {
            let _ = writeln!(kept, "{}", line.trim_end());
        }
    }
    let _ = write!(kept, "\n=== NOTES\n{}", release.notes());
    kept
}

#[test]
fn the_chart_renders_as_it_is_kept() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("chart/golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, release) in render() {
            insta::assert_snapshot!(name, golden(&release));
        }
    });
}

#[test]
fn kubernetes_takes_all_that_is_rendered() {
    let releases = render();
    let mut lines = String::new();
    let mut count = 0;
    for release in releases.values() {
        for made in release.objects() {
            count += usize::from(
                !made["apiVersion"]
                    .as_str()
                    .unwrap_or_default()
                    .starts_with("monitoring"),
            );
            let _ = writeln!(lines, "{made}");
        }
    }
    assert_eq!(
        validate(&lines),
        [format!("{} looked at", count * KUBERNETES.len())]
    );

    // The same, with a field that no Kubernetes has.
    let mut wrong = releases["small"].deployment();
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnly"] = true.into();
    let found = validate(&wrong.to_string());
    assert_eq!(found.len(), KUBERNETES.len() + 1, "{found:?}");
    assert!(found[0].contains("readOnly"), "{found:?}");
}

/// The lines that `validate.py` prints.
pub(crate) fn validate(objects: &str) -> Vec<String> {
    let scratch = Scratch::new("validate");
    let input = fs::File::open(scratch.write("objects", objects)).expect("a file is read");
    let mut command = Command::new(tool("python"));
    command
        .arg(folder().join("validate.py"))
        .args(KUBERNETES)
        .stdin(Stdio::from(input));
    let output = command.output().expect("python starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout).expect("it prints text");
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn the_daemon_takes_every_configuration_as_its_pods_have_it() {
    const SECRETS: &str = "/run/secrets/lamplighter";
    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    for (name, release) in render() {
        let scratch = Scratch::new("mounted");
        // Where Pods have a Secret, this machine has the folder of the test.
        scratch.write("webhook", SECRET);
        let deployment = release.deployment();
        let pod = &deployment["spec"]["template"]["spec"];
        let volume = pod["volumes"][0]["configMap"]["name"]
            .as_str()
            .expect("it is mounted");
        for (file, text) in release.object("ConfigMap", volume)["data"]
            .as_object()
            .expect("it has files")
        {
            let text = text.as_str().expect("a file is text");
            let here = scratch
                .file("webhook")
                .parent()
                .expect("a folder")
                .display()
                .to_string();
            scratch.write(file, &text.replace(SECRETS, &here));
        }
        let mut command = lamplighter();
        command.args(["config", "check"]);
        for variable in pod["containers"][0]["env"].as_array().expect("it has variables") {
            let key = variable["name"].as_str().expect("a name");
            let value = variable["value"].as_str().unwrap_or(SECRET);
            let value = value.replace("/etc/lamplighter/", &format!("{}/", scratch.file("").display()));
            command.env(key, value);
        }
        let output = command.output().expect("lamplighter starts");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        let port = if name == "special" {
            "[::]:8080"
        } else {
            "0.0.0.0:8080"
        };
        assert!(said.contains(port), "{name} listens on {port}: {said}");
    }
}

#[test]
fn another_configuration_makes_other_pods_and_nothing_else_does() {
    let scratch = Scratch::new("restart");
    let small = fs::read_to_string(values("small")).expect("a file is read");
    let files = [
        scratch.write(
            "same.yaml",
            &format!("{small}replicas: 5\nservice: {{port: 81}}\n"),
        ),
        scratch.write("other.yaml", &small.replace("\"portal\"", "\"portal-2\"")),
        scratch.write(
            "more.yaml",
            &format!("{small}configFiles: {{a.txt: '2026-12-24'}}\n"),
        ),
        values("small"),
    ];
    let rendered = render_with(&chart(), ANY, &files);
    let pods = |name: &str| {
        let release = rendered[name].as_ref().expect("it renders");
        release.deployment()["spec"]["template"].clone()
    };
    assert_eq!(pods("same"), pods("small"));
    assert_ne!(pods("other"), pods("small"));
    assert_ne!(pods("more"), pods("small"));
}

#[test]
fn the_chart_is_of_this_version_and_refuses_a_cluster_that_is_too_old() {
    let text = fs::read_to_string(chart().join("Chart.yaml")).expect("a chart has one");
    for key in ["version", "appVersion"] {
        let line = format!("{key}: {}", env!("CARGO_PKG_VERSION"));
        assert!(
            text.lines().any(|written| written == line),
            "Chart.yaml has no {line}"
        );
    }
    let rendered = render_with(&chart(), "1.29.9", &[values("small")]);
    let error = rendered["small"].as_ref().err().expect("1.29 is refused");
    assert!(error.contains("1.30.0"), "{error}");
}
