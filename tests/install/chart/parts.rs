//! How the parts of a release fit together: what is selected is there, nobody has rights, alerts and dashboards are
//! those of the project.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::{ANY, chart, render, render_with, repository, values};
use crate::support::Scratch;

fn labels(value: &Value) -> BTreeSet<(String, String)> {
    let pairs = value.as_object().expect("labels are a table").iter();
    pairs
        .map(|(key, value)| (key.clone(), value.as_str().expect("a label is text").to_owned()))
        .collect()
}

#[test]
fn whatever_selects_pods_selects_the_daemons_and_no_others() {
    let mut selectors = 0;
    for (name, release) in render() {
        let deployment = release.deployment();
        let pod = labels(&deployment["spec"]["template"]["metadata"]["labels"]);
        let test = release.test();
        let test = labels(&test["metadata"]["labels"]);
        for made in release.objects() {
            let spec = &made["spec"];
            let selector = match made["kind"].as_str().expect("a kind") {
                "Service" => &spec["selector"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                "Deployment" | "PodDisruptionBudget" | "PodMonitor" => &spec["selector"]["matchLabels"],
                _ => continue,
            };
            selectors += 1;
            let selector = labels(selector);
            assert!(selector.is_subset(&pod), "{name}: {made}");
            assert!(!selector.is_subset(&test), "{name} selects its test: {made}");
        }
        for monitor in release.of("ServiceMonitor") {
            let wanted = labels(&monitor["spec"]["selector"]["matchLabels"]);
            let services = release.of("Service");
            let found: Vec<&Value> = services
                .iter()
                .filter(|service| wanted.is_subset(&labels(&service["metadata"]["labels"])))
                .collect();
            assert_eq!(found.len(), 1, "{name}: one Service is scraped");
            let job = monitor["spec"]["jobLabel"].as_str().expect("it names its job");
            assert_eq!(
                found[0]["metadata"]["labels"][job], "lamp",
                "{name}: the release is the job"
            );
            assert_eq!(
                found[0]["spec"]["ports"][0]["name"],
                monitor["spec"]["endpoints"][0]["port"]
            );
        }
    }
    assert!(selectors > 12, "{selectors}");
}

#[test]
fn no_pod_has_a_right_that_it_does_not_need() {
    for (name, release) in render() {
        let deployment = release.deployment();
        let test = release.test();
        for pod in [&deployment["spec"]["template"]["spec"], &test["spec"]] {
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
                "{name}"
            );
            for container in pod["containers"].as_array().expect("a Pod has containers") {
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true, "{name}: {container}");
                assert_eq!(context["allowPrivilegeEscalation"], false, "{name}: {container}");
                assert_eq!(
                    context["capabilities"],
                    serde_json::json!({"drop": ["ALL"]}),
                    "{name}: {container}"
                );
            }
        }
        let kinds: Vec<Value> = release
            .objects()
            .iter()
            .map(|made| made["kind"].clone())
            .collect();
        assert!(
            !kinds
                .iter()
                .any(|kind| kind.as_str().is_some_and(|kind| kind.contains("Role"))),
            "{kinds:?}"
        );
    }
}

/// An object written in YAML, read by what reads it for Helm, too: the tests have no reader of their own.
pub(super) fn serde_yaml_of(text: &str) -> Value {
    let scratch = Scratch::new("yaml");
    let mut command = std::process::Command::new(crate::support::tool("python"));
    command.args([
        "-c",
        "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))",
    ]);
    let output = command
        .arg(scratch.write("object", text))
        .output()
        .expect("python starts");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// The project's own folders of alerts and dashboards are linked into the chart, and Helm follows links: what is put there
/// is installed as it is, braces included. In a copy, with a dashboard more, so that there is one.
#[test]
fn alerts_and_dashboards_are_those_of_the_project() {
    let scratch = Scratch::new("monitoring");
    let root = scratch.file("");
    copy(&chart(), &root.join("helm/lamplighter"), true);
    for folder in ["dashboards", "deploy/alerts"] {
        copy(&repository().join(folder), &root.join(folder), false);
        // What they are made of and tested with may be large, and stays out of the chart.
        fs::create_dir(root.join(folder).join("source")).expect("a folder is made");
        fs::write(root.join(folder).join("source/part.json"), "{}").expect("a file is written");
    }
    let dashboard = r#"{"title": "Another", "legendFormat": "{{ phase }} \"quoted\""}"#;
    scratch.write("dashboards/another.json", dashboard);
    let rules = root.join("deploy/alerts/rules.yaml");
    if !rules.exists() {
        let text = "groups:\n  - name: one\n    rules:\n      - alert: Down\n        expr: up == 0\n        \
                    annotations:\n          summary: \"{{ $labels.instance }} is down\"\n";
        fs::write(&rules, text).expect("a file is written");
    }

    let chart = root.join("helm/lamplighter");
    let mut rendered = render_with(&chart, ANY, &[values("monitoring")]);
    let release = rendered
        .remove("monitoring")
        .expect("it is named")
        .unwrap_or_else(|error| panic!("{error}"));
    let rule = release.object("PrometheusRule", "lamp-lamplighter");
    assert_eq!(
        rule["spec"],
        serde_yaml_of(&fs::read_to_string(&rules).expect("a file is read"))
    );
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");

    let mut seen = 0;
    for entry in fs::read_dir(root.join("dashboards")).expect("a folder is listed") {
        let path = entry.expect("a folder is listed").path();
        let (Some(stem), Some("json")) = (path.file_stem(), path.extension().and_then(|e| e.to_str())) else {
            continue;
        };
        seen += 1;
        let map = release.object(
            "ConfigMap",
            &format!("lamp-lamplighter-dashboard-{}", stem.display()),
        );
        let text = fs::read_to_string(&path).expect("a file is read");
        assert_eq!(
            map["data"],
            serde_json::json!({format!("{}.json", stem.display()): text})
        );
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "Lamplighter");
    }
    let carried = release.0["release"]["chart"]["files"]
        .as_array()
        .expect("a release has its chart");
    let carried: Vec<&str> = carried.iter().filter_map(|file| file["name"].as_str()).collect();
    assert!(carried.contains(&"files/dashboards/another.json"), "{carried:?}");
    assert!(!carried.iter().any(|name| name.contains("source")), "{carried:?}");
    let maps = release.of("ConfigMap").len();
    assert!(
        seen >= 1 && maps == seen + 1,
        "{seen} dashboards, {maps} ConfigMaps"
    );
}

/// A folder with the files in it, and with its folders if they are wanted; links stay links.
fn copy(from: &Path, to: &Path, folders: bool) {
    fs::create_dir_all(to).expect("a folder is made");
    for entry in fs::read_dir(from).expect("a folder is listed") {
        let entry = entry.expect("a folder is listed");
        let (here, there) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a file has a type");
        if kind.is_symlink() {
            symlink(fs::read_link(&here).expect("a link is read"), there).expect("a link is made");
        } else if kind.is_file() {
            fs::copy(&here, &there).expect("a file is copied");
        } else if folders {
            copy(&here, &there, true);
        }
    }
}

#[test]
fn helm_warns_of_links_to_runbooks_that_lead_nowhere() {
    let scratch = Scratch::new("links");
    let small = fs::read_to_string(values("small")).expect("a file is read");
    let wiki = "runbooksUrl: https://wiki.example.org/lamplighter\n";
    for (more, warned) in [
        ("", false),
        ("prometheusRule: {enabled: true}\n", true),
        ("dashboards: {enabled: true}\n", true),
        (&format!("dashboards: {{enabled: true}}\n{wiki}"), false),
        (&format!("prometheusRule: {{enabled: true}}\n{wiki}"), false),
    ] {
        let given = scratch.write("given.yaml", &format!("{small}{more}"));
        let rendered = render_with(&chart(), ANY, &[given]);
        let release = rendered["given"].as_ref().expect("it renders");
        let told = release
            .notes()
            .contains("WARNING: alerts and dashboards link to https://example.com");
        assert_eq!(told, warned, "{more}: {}", release.notes());
        let leads_nowhere = release
            .objects()
            .iter()
            .any(|made| made.to_string().contains("example.com/lamplighter/runbooks"));
        assert_eq!(leads_nowhere, warned, "{more}");
    }
}

#[test]
fn the_chart_links_to_the_projects_own_alerts_and_dashboards() {
    for (link, folder) in [("alerts", "deploy/alerts"), ("dashboards", "dashboards")] {
        let link = chart().join("files").join(link);
        assert!(link.is_symlink(), "{} is a link", link.display());
        let leads = link.canonicalize().expect("the link leads somewhere");
        assert_eq!(
            leads,
            repository().join(folder).canonicalize().expect("it is there")
        );
    }
}
