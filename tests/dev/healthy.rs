//! `lamplighter healthy`, as the health check of a container runs it: 0 or 1, and one line that says why.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::Dev;
use crate::support::{Scratch, lamplighter, until};

/// How it ended, and what it said.
#[track_caller]
fn healthy(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = lamplighter();
    command
        .env_remove("LAMPLIGHTER_ADMIN_ADDR")
        .env_remove("LAMPLIGHTER_CONFIG");
    let output = command
        .arg("healthy")
        .args(arguments)
        .output()
        .expect("it starts");
    assert!(
        output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    (
        output.status.code(),
        String::from_utf8(output.stderr).expect("it writes text"),
    )
}

/// A port whose next caller is answered with `answer`, or kept waiting.
fn answering(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    std::thread::spawn(move || {
        let (mut caller, _) = listener.accept().expect("it is called");
        match answer {
            Some(answer) => {
                let asked = caller.read(&mut [0; 1024]).expect("a request is read");
                assert!(asked > 0);
                caller.write_all(answer.as_bytes()).expect("an answer is sent");
            }
            None => std::thread::sleep(Duration::from_secs(20)),
        }
    });
    address
}

#[test]
fn a_daemon_that_runs_is_healthy_by_its_configuration_alone() {
    let scratch = Scratch::new("healthy");
    let dev = Dev::start(&scratch, &[]);
    let address = dev.admin.trim_start_matches("http://").to_owned();
    let address = address.as_str();
    assert_eq!(healthy(&["--admin-addr", address]), (Some(0), String::new()));
    until("it is ready", || {
        match healthy(&["--ready", "--admin-addr", address]) {
            (Some(0), _) => Ok(()),
            (_, said) => Err(said),
        }
    });
    // As in a container: on all addresses, with a secret that this process has not, and a mistake that concerns others.
    let port = address.rsplit_once(':').expect("an address has a port").1;
    let config = format!(
        "[api]\nadmin_addr = \"0.0.0.0:{port}\"\n[webhook]\nurl = \"https://example.com\"\nsecret_env = \"NOT_SET\"\nodd = 1\n"
    );
    let config = scratch.write("lamplighter.toml", &config);
    let config = config.to_str().expect("a path is text");
    assert_eq!(healthy(&["--config", config]), (Some(0), String::new()));
    let checked = lamplighter()
        .args(["config", "check", "--config", config])
        .output();
    assert!(!checked.expect("it starts").status.success(), "the rest is wrong");
    // A file that is not there matters only where nothing else says the address.
    assert_eq!(
        healthy(&["--config", "/nonexistent", "--admin-addr", address]).0,
        Some(0)
    );
    let mut variable = lamplighter();
    variable
        .args(["healthy", "--config", "/nonexistent"])
        .env("LAMPLIGHTER_ADMIN_ADDR", address);
    assert!(variable.status().expect("it starts").success());
    dev.ends_well(crate::support::Signal::Terminate);
    let (code, said) = healthy(&["--config", config]);
    assert_eq!(code, Some(1), "{said}");
    let line =
        format!("lamplighter: no daemon answers at http://127.0.0.1:{port}/healthz (Connection refused");
    assert!(said.starts_with(&line) && said.lines().count() == 1, "{said}");
}

#[test]
fn a_daemon_that_is_not_well_is_told_in_its_own_words_on_one_line() {
    for (flags, answer, told) in [
        (
            &["--admin-addr"][..],
            "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\nthe loop stands still",
            "/healthz answered 503 Service Unavailable: the loop stands still\n",
        ),
        (
            &["--ready", "--admin-addr"],
            "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n{\"ready\":false,\"reasons\":[\"one\",\"t\\nwo\"]}",
            "/readyz answered 503 Service Unavailable: one; t\\nwo\n",
        ),
        (
            &["--admin-addr"],
            "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\nnot\u{1b}[2Jus",
            "/healthz answered 404 Not Found: not\\u{1b}[2Jus\n",
        ),
    ] {
        let address = answering(Some(answer));
        let (code, said) = healthy(&[flags, &[&address]].concat());
        assert_eq!(
            (code, said),
            (Some(1), format!("lamplighter: http://{address}{told}"))
        );
    }
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    let began = Instant::now();
    let (code, said) = healthy(&["--admin-addr", &answering(None)]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no answer within 3 seconds"), "{said}");
    // A check of the image has five.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn an_address_that_is_wrong_is_told_with_its_place() {
    let scratch = Scratch::new("unhealthy");
    for (config, told) in [
        ("[api]\nadmin_addr = \"here\"\n", "api.admin_addr"),
        ("[api\n", "lamplighter.toml"),
        (
            "[api]\nadmin_addr = \"127.0.0.1:0\"\n",
            "lamplighter: api.admin_addr \"127.0.0.1:0\" takes any port that is free, so nobody knows where to ask; give it a port",
        ),
    ] {
        let config = scratch.write("lamplighter.toml", config);
        let (code, said) = healthy(&["--config", config.to_str().expect("a path is text")]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(told), "{said}");
    }
    let (code, said) = healthy(&["--config", "/nonexistent"]);
    assert!(code == Some(1) && said.contains("cannot be read"), "{said}");
}
