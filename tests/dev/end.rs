//! How it ends, and how it refuses to start.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};

use crate::support::{Program, Scratch, Signal, lamplighter, until};
use crate::{Dev, command};

#[test]
fn it_ends_well_while_builds_run_and_while_connections_are_open() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let scratch = Scratch::new(&format!("end-{signal:?}"));
        // At its real speed, no build is over before the test is.
        let dev = Dev::start(&scratch, &["--example", "--speed", "1"]);
        let idle: Vec<TcpStream> = [&dev.aws, &dev.api, &dev.admin]
            .into_iter()
            .map(|url| TcpStream::connect(url.trim_start_matches("http://")).expect("it listens"))
            .collect();
        dev.tables().until("demo-ann", "Deploying");
        dev.ends_well(signal);
        for mut connection in idle {
            let mut rest = Vec::new();
            let _ = connection.read_to_end(&mut rest);
        }
    }
}

/// Linux tells which signals a process listens to.
#[cfg(target_os = "linux")]
#[test]
fn it_ends_well_before_it_is_ready_too() {
    let scratch = Scratch::new("early");
    let mut program = Program::start(&scratch, "dev", &mut command(&scratch.file("ready"), &[]));
    until("it listens to signals", || {
        program.assert_runs();
        let handled = std::fs::read_to_string(format!("/proc/{}/status", program.id()));
        let handled = handled.map_err(|error| error.to_string())?;
        let caught = handled.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
        let caught = caught
            .and_then(|mask| u64::from_str_radix(mask, 16).ok())
            .unwrap_or(0);
        // SIGTERM is 15.
        if caught & (1 << 14) == 0 {
            Err("not yet".to_owned())
        } else {
            Ok(())
        }
    });
    let (status, _) = program.stop(Signal::Terminate);
    assert_eq!(status.code(), Some(0), "{}", program.logged());
}

/// What a start with these arguments is refused with.
fn refused(arguments: &[&str], code: i32) -> String {
    let scratch = Scratch::new("refused");
    let mut command = lamplighter();
    command.arg("dev").args(arguments);
    let mut program = Program::start(&scratch, "dev", &mut command);
    let (status, _) = program.end();
    assert_eq!(status.code(), Some(code), "{}", program.logged());
    assert_eq!(program.printed(), "");
    program.logged()
}

#[test]
fn a_port_that_is_taken_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    for flag in ["--aws-port", "--api-port", "--admin-port"] {
        let mut arguments = vec![flag, port.as_str()];
        for other in ["--aws-port", "--api-port", "--admin-port"] {
            if other != flag {
                arguments.extend([other, "0"]);
            }
        }
        let said = refused(&arguments, 1);
        assert!(said.contains(flag) && said.contains(&port), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_speed_or_a_log_filter_that_makes_no_sense_is_refused_with_its_flag() {
    for (flag, value) in [
        ("--speed", "0"),
        ("--speed", "-1"),
        ("--speed", "10001"),
        ("--speed", "NaN"),
        ("--speed", "inf"),
        ("--speed", "fast"),
        ("--log", "=,="),
        ("--builds", "0"),
    ] {
        let said = refused(&[&format!("{flag}={value}")], 2);
        assert!(said.contains(flag) && said.contains(value), "{said}");
    }
}

#[test]
fn a_folder_that_holds_something_else_is_refused_and_left_alone() {
    let scratch = Scratch::new("data-damaged");
    let world = scratch.write("world.json", "not a world");
    let folder = world
        .parent()
        .expect("a file is in a folder")
        .to_str()
        .expect("a path of letters");
    let said = refused(
        &[
            "--data",
            folder,
            "--aws-port",
            "0",
            "--api-port",
            "0",
            "--admin-port",
            "0",
        ],
        1,
    );
    assert!(
        said.contains("world.json") && said.contains("delete the folder"),
        "{said}"
    );
    assert_eq!(
        std::fs::read_to_string(world).expect("it is there"),
        "not a world"
    );
}
