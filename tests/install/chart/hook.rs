//! `helm test`, as Helm's own library runs it: the test's Pod is made, its containers are run as processes of this machine, and
//! Helm says whether the release has passed. See `hook.py`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{ANY, chart, folder, library, values};
use crate::observed::Dev;
use crate::support::{Scratch, get, tool, until};

/// What came of it: why Helm has failed it, if so, and each container's name, exit code and words.
#[track_caller]
fn tested(values: &Path, server: &str) -> (Option<String>, Vec<(String, i64, String)>) {
    let mut command = Command::new(tool("python"));
    command.arg(folder().join("hook.py")).arg(library()).arg(chart());
    command.args([ANY, "lamp", "apps"]).arg(values);
    command.args([env!("CARGO_BIN_EXE_lamplighter"), server, "a token"]);
    let output = command.output().expect("python starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let ran = told["ran"]
        .as_array()
        .expect("it has containers")
        .iter()
        .map(|one| {
            let code = one["code"].as_i64().unwrap_or_else(|| panic!("{one}"));
            (text(&one["container"]), code, text(&one["said"]))
        });
    (told["failed"].as_str().map(str::to_owned), ran.collect())
}

#[test]
fn helm_test_passes_a_release_whose_api_answers_and_fails_one_whose_does_not() {
    let scratch = Scratch::new("helm-test");
    let small = std::fs::read_to_string(values("small")).expect("a file is read");
    let asking = scratch.write(
        "asking.yaml",
        &format!("{small}test: {{tokenSecretName: lamplighter-viewer}}\n"),
    );
    let dev = Dev::start(&scratch);
    until("the daemon has swept", || {
        match get(&format!("{}/readyz", dev.admin))?.status {
            200 => Ok(()),
            status => Err(status.to_string()),
        }
    });
    let (failed, ran) = tested(&asking, &dev.api);
    assert_eq!(failed, None, "{ran:?}");
    let [(config, 0, shown), (api, 0, listed)] = &ran[..] else {
        panic!("{ran:?}");
    };
    assert_eq!((config.as_str(), api.as_str()), ("config", "api"));
    assert!(shown.contains("admin      http://0.0.0.0:9090"), "{shown}");
    assert_eq!(listed, "No apps.\n");

    let (failed, ran) = tested(&asking, "http://127.0.0.1:1");
    assert!(
        failed.is_some_and(|why| why.contains("lamp-lamplighter-test failed")),
        "{ran:?}"
    );
    assert!(ran[1].1 == 3 && ran[1].2.contains("no daemon answers"), "{ran:?}");
}

#[test]
fn helm_test_fails_a_configuration_that_the_daemon_does_not_take() {
    let scratch = Scratch::new("helm-test-wrong");
    let small = std::fs::read_to_string(values("small")).expect("a file is read");
    let wrong = scratch.write("wrong.yaml", &small.replace("\"operator\"", "\"king\""));
    let (failed, ran) = tested(&wrong, "http://127.0.0.1:1");
    assert!(failed.is_some(), "{ran:?}");
    let [(_, 2, said)] = &ran[..] else {
        panic!("{ran:?}");
    };
    assert!(said.contains("api.tokens[0].role"), "{said}");
    let (failed, ran) = tested(&values("small"), "http://127.0.0.1:1");
    assert_eq!((failed, ran.len()), (None, 1));
}
