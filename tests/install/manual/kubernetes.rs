//! The way to Kubernetes, without one: the values through the chart, the configuration through the daemon. kubectl and Helm's
//! CLI are not to be had everywhere, so what they are asked is recorded and held against what the chart makes.

use super::{Shell, after, block, filled};
use crate::chart::{ANY, Release, chart, render_as, validate};
use crate::observed::{Dev, outcome};
use crate::support::{Scratch, lamplighter, repository};

const REGION: &str = "eu-central-1";

/// A release as step 6 installs it, of the files of steps 3 and 5.
struct Installed {
    release: Release,
    namespace: String,
}

/// What is recorded of a block.
fn recorded(text: &str) -> Vec<Vec<String>> {
    let scratch = Scratch::new("recorded");
    let shell = Shell::new(&scratch, scratch.file(""), "http://127.0.0.1:1", REGION);
    for program in ["kubectl", "helm"] {
        shell.record(program, "exit 0");
    }
    shell.run(text);
    let calls = shell.calls();
    assert!(!calls.is_empty(), "{text}");
    calls
}

fn config() -> String {
    filled(
        block("[apps.shop]"),
        &[("sha256 = \"…\"", &format!("sha256 = \"{}\"", "ab".repeat(32)))],
    )
}

fn installed() -> Installed {
    installed_with("", "").unwrap_or_else(|error| panic!("{error}"))
}

/// The same with more in the configuration and in the values.
#[track_caller]
fn installed_with(config_too: &str, values_too: &str) -> Result<Installed, String> {
    let calls = recorded(&block("helm install"));
    let [install, rollout, test] = &calls[..] else {
        panic!("{calls:?}");
    };
    assert_eq!(install[..2], ["helm", "install"]);
    let (name, path) = (&install[2], &install[3]);
    assert_eq!(repository().join(path), chart());
    let namespace = after(install, "--namespace");
    let scratch = Scratch::new("installed");
    let values = filled(block("tokenSecretName"), &[("REGISTRY", "images.example.com")]);
    let values = scratch.write(after(install, "--values"), &(values + values_too));
    // What --set-file takes from one file, `render.py` takes from the one beside the values.
    assert_eq!(after(install, "--set-file"), "config=lamplighter.toml");
    scratch.write("values.toml", &(config() + config_too));
    let mut rendered = render_as((name, namespace), &chart(), ANY, &[values]);
    let installed = Installed {
        release: rendered.remove("values").expect("it is named")?,
        namespace: namespace.to_owned(),
    };
    installed.names(rollout);
    assert_eq!(test[..3], ["helm", "test", name]);
    assert_eq!(after(test, "--namespace"), namespace);
    Ok(installed)
}

impl Installed {
    /// Whatever a command names is there.
    #[track_caller]
    fn names(&self, call: &[String]) {
        assert_eq!(after(call, "--namespace"), self.namespace, "{call:?}");
        for word in call {
            if let Some(name) = word.strip_prefix("deployment/") {
                self.release.object("Deployment", name);
            } else if let Some(name) = word.strip_prefix("service/") {
                self.release.object("Service", name);
            } else if let Some(pod) = word.strip_prefix("pod/") {
                let deployment = self.release.deployment();
                let name = deployment["metadata"]["name"].as_str().expect("a name");
                assert_eq!(pod, format!("{name}-…"));
            }
        }
    }

    /// The ports of its Pods.
    fn ports(&self) -> Vec<String> {
        let ports = &self.release.deployment()["spec"]["template"]["spec"]["containers"][0]["ports"];
        let ports = ports.as_array().expect("it has ports").iter();
        ports.map(|port| port["containerPort"].to_string()).collect()
    }
}

#[test]
fn values_and_configuration_are_taken_as_they_are_written() {
    let installed = installed();
    let objects = installed.release.objects();
    let lines: String = objects.iter().map(|made| format!("{made}\n")).collect();
    let said = validate(&lines);
    assert!(said.len() == 1 && said[0].ends_with(" looked at"), "{said:?}");
    // Step 5 asks for what only clusters with Prometheus and Grafana have.
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        assert_eq!(installed.release.of(kind).len(), 1, "{kind}");
    }
    let runbook = "https://wiki.example.org/lamplighter/destroys-failing.md";
    assert!(
        lines.contains(runbook) && !lines.contains("example.com/lamplighter/runbooks"),
        "links lead to {runbook}"
    );
    assert!(
        !installed.release.notes().contains("WARNING"),
        "{}",
        installed.release.notes()
    );
    let mounted = installed.release.object("ConfigMap", "lamplighter");
    assert_eq!(
        mounted["data"]["lamplighter.toml"].as_str(),
        Some(config().as_str())
    );
    // Step 3, on one's own machine.
    let scratch = Scratch::new("step-3");
    let shell = Shell::new(&scratch, scratch.file(""), "http://127.0.0.1:1", REGION);
    scratch.write("lamplighter.toml", &config());
    let said = shell.run("lamplighter config check --config lamplighter.toml");
    assert!(said.contains("shop"), "{said}");
}

/// The Secret that a command makes, its key, and its value.
#[track_caller]
fn secret(installed: &Installed, call: &[String]) -> (String, String, String) {
    installed.names(call);
    assert_eq!(call[3..6], ["create", "secret", "generic"], "{call:?}");
    let literal = call[7].strip_prefix("--from-literal=").expect("it has a value");
    let (key, value) = literal.split_once('=').expect("a key and a value");
    (call[6].clone(), key.to_owned(), value.to_owned())
}

#[test]
fn secrets_are_those_that_the_chart_reads() {
    let (config_too, values_too) = (block("secret_file ="), block("webhookSecret:"));
    for (config_too, values_too) in [("", values_too.as_str()), (config_too.as_str(), "")] {
        let refused = installed_with(config_too, values_too).err();
        assert!(
            refused.is_some_and(|why| why.contains("webhookSecret")),
            "one without the other"
        );
    }
    let installed = installed_with(&config_too, &values_too).unwrap_or_else(|error| panic!("{error}"));
    let calls = recorded(&block("create namespace").replace("$TOKEN", "a token"));
    assert_eq!(calls[0][1..], ["create", "namespace", &installed.namespace]);
    let (name, key, value) = secret(&installed, &calls[1]);
    let test = installed.release.test();
    let token = &test["spec"]["containers"][1]["env"][1]["valueFrom"]["secretKeyRef"];
    assert_eq!((&token["name"], &token["key"]), (&name.into(), &key.into()));
    assert_eq!((calls.len(), value.as_str()), (2, "a token"));

    let (name, key, value) = secret(&installed, &recorded(&block("whsec_"))[0]);
    let deployment = installed.release.deployment();
    let pod = &deployment["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().expect("it has volumes").iter();
    let mounted = volumes.clone().find(|volume| volume["name"] == "webhook-secret");
    let mounted = &mounted.expect("it is mounted")["secret"];
    assert_eq!(
        (&mounted["secretName"], &mounted["items"][0]["key"]),
        (&name.into(), &key.into())
    );
    // The daemon takes it, from where Pods have it.
    let scratch = Scratch::new("webhook");
    let file = scratch.write("webhook", &value).display().to_string();
    let here = filled(config_too, &[("/run/secrets/lamplighter/webhook", file.as_str())]);
    let config = scratch.write("lamplighter.toml", &(config() + &here));
    let (well, said) = outcome(lamplighter().args(["config", "check", "--config"]).arg(config));
    assert!(well, "{said}");
}

#[test]
fn commands_name_what_is_there_and_ports_that_are_listened_on() {
    let installed = installed();
    for call in recorded(&block("logs deployment/lamplighter")) {
        installed.names(&call);
    }
    let [forward] = &recorded(&block("port-forward service"))[..] else {
        panic!("one command");
    };
    installed.names(forward);
    let ports: Vec<&str> = forward.last().expect("it has words").split(':').collect();
    let service = installed.release.object("Service", "lamplighter");
    assert_eq!(service["spec"]["ports"][0]["port"].to_string(), ports[1]);

    // The last command of this one is run, with a daemon of this machine at the other end.
    let scratch = Scratch::new("forwarded");
    let dev = Dev::start(&scratch);
    let text = block("port-forward pod/").replace("http://127.0.0.1:9090", &dev.admin);
    let text = text.replace("curl -s", "curl -s --retry 20 --retry-delay 1 --fail");
    assert!(text.contains(&dev.admin), "{text}");
    let shell = Shell::new(&scratch, scratch.file(""), "http://127.0.0.1:1", REGION);
    shell.record("kubectl", "exit 0");
    assert!(shell.run(&text).contains("\"ready\":true"));
    let calls = shell.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    for call in &calls {
        installed.names(call);
    }
    assert_eq!(calls[1][calls[1].len() - 2..], installed.ports());
}

/// What the Terraform of step 1 trusts, and what step 2 associates, are the ServiceAccount that the chart makes.
#[test]
fn the_role_is_for_the_service_account_of_the_chart() {
    let installed = installed();
    let account = installed.release.of("ServiceAccount")[0].clone();
    assert_eq!(account["metadata"]["namespace"], installed.namespace.as_str());
    let name = account["metadata"]["name"].as_str().expect("a name");
    let module = block("pod_identity    = true");
    for line in [
        format!("namespace       = \"{}\"\n", installed.namespace),
        format!("service_account = \"{name}\"\n"),
    ] {
        assert!(module.contains(&line), "{line} is not in {module}");
    }
    let scratch = Scratch::new("association");
    let shell = Shell::new(&scratch, scratch.file(""), "http://127.0.0.1:1", REGION);
    shell.record("aws", "exit 0");
    shell.record("terraform", "echo arn");
    shell.run(&block("create-pod-identity-association"));
    let calls = shell.calls();
    let call = calls.iter().find(|call| call[0] == "aws").expect("it is called");
    assert_eq!(after(call, "--namespace"), installed.namespace);
    assert_eq!(after(call, "--service-account"), name);
}
