//! What the manual has people do on a machine of their own: asked of `lamplighter dev`, or read by the tool that is meant.

use std::process::Command;

use super::{Shell, after, block, filled};
use crate::chart::{ANY, chart, render_as, values};
use crate::observed::{Dev, debian, outcome};
use crate::support::{Scratch, tool, until};

const REGION: &str = "eu-west-1";
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn a_row_of_the_manual_lights_an_app_and_the_cli_lists_it() {
    let scratch = Scratch::new("manual-row");
    let dev = Dev::start(&scratch);
    let mut shell = Shell::new(&scratch, scratch.file(""), &dev.aws, REGION);
    // The catalogue of `dev` has no shop.
    let row = filled(block("put-item"), &[("{\"S\": \"shop\"}", "{\"S\": \"hello\"}")]);
    let (put, get) = row
        .split_once("aws dynamodb get-item")
        .expect("it looks afterwards");
    shell.run(put);
    let get = format!("aws dynamodb get-item{get}");
    until("the app is ready", || {
        let said = shell.run(&get);
        if said.contains("\"Ready\"") && said.contains("http://") {
            Ok(())
        } else {
            Err(said)
        }
    });
    let ask = filled(
        block("LAMPLIGHTER_SERVER="),
        &[
            ("http://127.0.0.1:8080", &dev.api),
            ("LAMPLIGHTER_TOKEN=…", "LAMPLIGHTER_TOKEN=none"),
        ],
    );
    assert!(shell.run(&ask).contains("ann-shop"));

    let address = dev.admin.trim_start_matches("http://");
    scratch.write(
        "lamplighter.toml",
        &format!("[api]\nadmin_addr = \"{address}\"\n"),
    );
    shell.set("LAMPLIGHTER_ADMIN_ADDR", "");
    assert_eq!(shell.run(&block("lamplighter healthy")), "");
    scratch.write("lamplighter.toml", "[api]\nadmin_addr = \"127.0.0.1:1\"\n");
    assert!(!shell.try_run(&block("lamplighter healthy")).0);
}

#[test]
fn a_token_is_made_with_its_hash() {
    let scratch = Scratch::new("manual-token");
    let shell = Shell::new(&scratch, scratch.file(""), NOWHERE, REGION);
    let said = shell.run(&(block("openssl rand -hex") + "printf %s \"$TOKEN\""));
    let (hash, token) = said.split_once("  -\n").expect("a hash, then what was appended");
    assert_eq!(token.len(), 64, "{said}");
    let mut python = Command::new(tool("python"));
    let script = "import hashlib, sys; print(hashlib.sha256(sys.argv[1].encode()).hexdigest())";
    let (well, expected) = outcome(python.args(["-c", script, token]));
    assert!(well && expected.trim() == hash, "{expected}");
}

/// There is no Docker where tests run; `container` runs the image with the same limits by podman.
#[test]
fn what_docker_is_asked_is_what_the_image_is() {
    let scratch = Scratch::new("manual-docker");
    let shell = Shell::new(&scratch, scratch.file(""), NOWHERE, REGION);
    shell.record("docker", "exit 0");
    let registry = [("REGISTRY", "images.example.com")];
    shell.run(&filled(block("docker build"), &registry));
    shell.run(&filled(block("docker run"), &registry));
    let calls = shell.calls();
    let [build, push, run] = &calls[..] else {
        panic!("{calls:?}");
    };
    let tag = concat!("images.example.com/lamplighter:", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        build[1..],
        ["build", "--file", "deploy/Dockerfile", "--tag", tag, "."]
    );
    assert_eq!(push[1..], ["push", tag]);
    assert_eq!(run.last().map(String::as_str), Some(tag));
    let dockerfile = include_str!("../../../deploy/Dockerfile");
    let volume = after(run, "--volume")
        .split(':')
        .nth(1)
        .expect("where it is mounted");
    assert!(
        dockerfile.contains(&format!("LAMPLIGHTER_CONFIG={volume}\n")),
        "{volume}"
    );
    let judged = include_str!("../../../scripts/image.py");
    for limit in ["--read-only", "--cap-drop=all"] {
        assert!(
            run.iter().any(|word| word == limit) && judged.contains(&format!("\"{limit}\"")),
            "{limit}"
        );
    }
    // The variables are the daemon's: with them, it listens where the command says.
    let config = scratch.write("lamplighter.toml", "[aws]\nregion = \"eu-central-1\"\n[[api.tokens]]\nname = \"a\"\nrole = \"viewer\"\nsha256 = \"abababababababababababababababababababababababababababababababab\"\n");
    let mut check = crate::support::lamplighter();
    check.args(["config", "check", "--config"]).arg(config);
    let mut given = 0;
    for words in run.windows(2).filter(|words| words[0] == "--env") {
        let (name, value) = words[1].split_once('=').expect("a variable");
        check.env(name, value);
        given += 1;
    }
    let (well, said) = outcome(&mut check);
    assert!(well && given == 2, "{said}");
    assert!(
        said.contains("0.0.0.0:8080") && said.contains("0.0.0.0:9090"),
        "{said}"
    );
    assert_eq!(after(run, "--publish"), "8080:8080");
}

#[test]
fn prometheus_takes_both_ways_to_find_the_daemon() {
    let scratch = Scratch::new("manual-prometheus");
    let check = |name: &str, text: &str| {
        let mut promtool = Command::new(debian("promtool", "prometheus"));
        let (well, said) = outcome(promtool.args(["check", "config"]).arg(scratch.write(name, text)));
        assert!(well, "{said}");
    };
    let by_dns = block("dns_sd_configs");
    check("dns.yaml", &by_dns);
    let rendered = render_as(("lamplighter", "lamplighter"), &chart(), ANY, &[values("small")]);
    let release = rendered["small"].as_ref().expect("it renders");
    let service = release.object("Service", "lamplighter-admin");
    assert_eq!(
        service["spec"]["clusterIP"], "None",
        "its name stands for all Pods"
    );
    let name = "\"lamplighter-admin.lamplighter.svc.cluster.local\"";
    let port = format!("port: {}\n", service["spec"]["ports"][0]["port"]);
    assert!(by_dns.contains(name) && by_dns.contains(&port), "{by_dns}");

    // The file, as the command before it writes it of an answer of ECS.
    let shell = Shell::new(&scratch, scratch.file(""), NOWHERE, REGION);
    shell.record("aws", "echo '[\"10.0.1.23\", \"10.0.2.42\"]'");
    debian("jq", "jq");
    shell.run(&format!("tasks='a b'\n{}", block("jq '")));
    let by_file = block("file_sd_configs");
    check("file.yaml", &by_file);
    let written = std::fs::read_to_string(scratch.file("lamplighter.json")).expect("it is written");
    let targets: serde_json::Value = serde_json::from_str(&written).expect("it is JSON");
    assert_eq!(
        targets,
        serde_json::json!([{"targets": ["10.0.1.23:9090", "10.0.2.42:9090"]}])
    );
    assert!(by_file.contains("[\"lamplighter.json\"]"), "{by_file}");
}

/// No session can be had, so the AWS CLI reads the command and asks nobody.
#[test]
fn the_aws_cli_takes_the_way_to_a_port() {
    let scratch = Scratch::new("manual-session");
    let mut shell = Shell::new(&scratch, scratch.file(""), NOWHERE, REGION);
    shell.set("AWS_ENDPOINT_URL", NOWHERE);
    let real = tool("aws");
    shell.record(
        "aws",
        &format!("exec '{}' \"$@\" --generate-cli-skeleton output", real.display()),
    );
    shell.run(&filled(block("start-session"), &[("i-…", "i-0123456789abcdef0")]));
    let calls = shell.calls();
    let parameters: serde_json::Value =
        serde_json::from_str(after(&calls[0], "--parameters")).expect("parameters are JSON");
    assert_eq!(parameters["portNumber"], serde_json::json!(["8080"]));
    let wrong = block("start-session").replace("--target", "--targets");
    assert!(!shell.try_run(&wrong).0, "a flag that does not exist is taken");
}
