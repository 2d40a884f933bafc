//! What it prints works as it is printed.

use std::process::Command;

use crate::support::{Program, Scratch, Signal, get, repository, tool, until};
use crate::{Dev, REGION};

#[test]
fn three_example_apps_become_ready_and_answer_at_the_urls_it_prints() {
    let scratch = Scratch::new("examples");
    let mut dev = Dev::start(&scratch, &["--example"]);
    dev.program.prints("All three are ready.");
    let printed = dev.program.printed();
    let urls: Vec<&str> = printed
        .lines()
        .filter_map(|line| Some(line.split_once(" is ready: ")?.1))
        .collect();
    assert_eq!(urls.len(), 3, "{printed}");
    for url in urls {
        let answer = get(url).expect("the app is reached");
        assert_eq!(answer.status, 200, "{url}: {}", answer.body);
    }
    assert_eq!(
        get(&format!("{}/readyz", dev.admin)).expect("it answers").status,
        200
    );

    // Whatever is wrong in an example run is a mistake of ours, and a first impression.
    let logged = dev.program.logged();
    assert!(!logged.contains("WARN") && !logged.contains("ERROR"), "{logged}");
    let lines = logged.lines().count();
    assert!(lines <= 3 * 10, "{lines} lines for three apps:\n{logged}");
    for line in printed.lines().chain(logged.lines()) {
        // The path of the binary is the one thing that it cannot choose.
        let shown = line.replace(env!("CARGO_BIN_EXE_lamplighter"), "target/debug/lamplighter");
        assert!(shown.chars().count() <= 100, "wider than 100 columns: {line}");
    }
    dev.ends_well(Signal::Interrupt);
}

#[test]
fn the_printed_command_and_the_printed_javascript_each_write_a_row_that_becomes_ready() {
    let scratch = Scratch::new("printed");
    let mut dev = Dev::start(&scratch, &["--speed", "200"]);
    dev.program.prints("Then see what becomes of it");
    let printed = dev.program.printed();

    let command = paragraph(&printed, "AWS_ACCESS_KEY_ID=");
    let venv = tool("aws");
    let venv = venv.parent().expect("a tool is in a folder").display();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-euc", &command]);
    shell.env_clear().env("PATH", format!("{venv}:/usr/bin:/bin"));
    run(&mut shell, &command);

    let script = from_to(&printed, "import {", "Then see what becomes of it");
    let script = scratch.write("row.mjs", &script);
    std::os::unix::fs::symlink(node_modules(), scratch.file("node_modules")).expect("a link is made");
    run(Command::new("node").arg(&script), "the printed JavaScript");

    for id in ["demo-dora", "demo-emil"] {
        let status = dev.tables().until(id, "Ready");
        let url = status["url"].as_str().expect("what is Ready has a URL");
        assert_eq!(get(url).expect("the app is reached").status, 200);
    }

    let list = paragraph(&printed, "apps list --server");
    let output = Command::new("/bin/sh")
        .args(["-euc", &list])
        .output()
        .expect("a shell starts");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && table.contains("demo-dora") && table.contains("demo-emil"),
        "{list}: {output:?}"
    );
    dev.ends_well(Signal::Terminate);
}

#[test]
fn a_portal_with_its_own_sdk_can_do_all_that_the_contract_says() {
    let scratch = Scratch::new("portal");
    let dev = Dev::start(&scratch, &["--speed", "200"]);
    node_modules();
    let mut portal = Command::new("node");
    portal.arg(repository().join("tests/portal/portal.mjs"));
    portal.args([&dev.aws, &dev.api, "--app", "hello", "--region", REGION]);
    let mut portal = Program::start(&scratch, "portal", &mut portal);
    let (status, _) = portal.end();
    let printed = portal.printed();
    assert!(
        status.success(),
        "{printed}{}\nthe daemon: {}",
        portal.logged(),
        dev.program.logged()
    );
    // A step that is not run proves nothing.
    assert_eq!(
        printed.lines().filter(|line| line.starts_with("ok ")).count(),
        9,
        "{printed}"
    );
    dev.ends_well(Signal::Terminate);
}

#[test]
fn a_portals_row_goes_wrong_on_purpose_and_says_how() {
    let scratch = Scratch::new("wrong");
    let dev = Dev::start(&scratch, &["--speed", "1000"]);
    let wants = [("user", "ann"), ("app", "hello"), ("desired", "Running")];
    dev.tables().put_with("one", &wants, &[("SIM_BEHAVIOUR", "fail")]);
    let status = dev.tables().until("one", "Failed");
    let message = status["message"].as_str().expect("a failure has a message");
    assert!(
        message.contains("BUILD"),
        "it names the phase that failed: {message}"
    );
    let stalled = || {
        status["conditions"]
            .as_array()?
            .iter()
            .find(|one| one["type"] == "Stalled")
    };
    assert_eq!(
        stalled().expect("there is the condition")["status"],
        "True",
        "{status}"
    );
    until("its slot can be had by another app after it is destroyed", || {
        dev.tables().delete("one");
        let claims = dev.tables().claims();
        if claims.is_empty() {
            Ok(())
        } else {
            Err(format!("{claims:?}"))
        }
    });
    dev.ends_well(Signal::Terminate);
}

fn node_modules() -> std::path::PathBuf {
    let modules = repository().join("tests/portal/node_modules");
    assert!(
        modules.exists(),
        "{} is missing; `make portal` installs it",
        modules.display()
    );
    modules
}

#[track_caller]
fn run(command: &mut Command, what: &str) {
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{what}\n{output:?}");
}

/// The lines from the one that holds `first` up to the next empty one.
#[track_caller]
fn paragraph(text: &str, first: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.contains(first));
    let found: Vec<&str> = lines.take_while(|line| !line.trim().is_empty()).collect();
    assert!(!found.is_empty(), "no {first:?} in {text}");
    found.join("\n")
}

/// The lines from the one that holds `first` up to, and without, the one that holds `last`.
#[track_caller]
fn from_to(text: &str, first: &str, last: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.contains(first));
    let found: Vec<&str> = lines.take_while(|line| !line.contains(last)).collect();
    assert!(!found.is_empty(), "no {first:?} in {text}");
    found.join("\n")
}
