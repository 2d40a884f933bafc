//! The image as it runs: the Dockerfile's last stage with the tests' own binary, in a container that may do nothing. What
//! is asked of it: scripts/image.py, of which `make image` asks the same of the binary that is released.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::observed::outcome;
use crate::support::{Scratch, repository, tool};

const NEEDED: [&str; 5] = ["buildah", "podman", "runc", "openssl", "strip"];
/// Promises, as `scripts/image.py` prints them when they are kept.
const PROMISES: [&str; 16] = [
    "answers /healthz",
    "is not ready without AWS, and says why",
    "runs as user 65532",
    "has no capability and can get none",
    "has a root file system that nobody can write to",
    "lets its user look at the ",
    "has nothing else to write to",
    "has nothing in it that its user could change",
    "is healthy by the check that is in it",
    "tells from inside that it is not ready",
    "takes its configuration, with a time zone",
    "finds a name by DNS, and its client hears",
    "ends with 0 on SIGTERM",
    "takes its certificates from the image",
    "asks AWS over TLS",
    "all promises are kept",
];

/// What this machine lacks to run containers.
fn lacking() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !there(name)).collect();
    if !missing.is_empty() {
        return Some(format!(
            "{} missing; `apt-get install --no-install-recommends buildah podman runc openssl binutils` installs all",
            missing.join(", ")
        ));
    }
    let root = fs::metadata("/proc/self").is_ok_and(|of_this_process| of_this_process.uid() == 0);
    (!root).then(|| "only root can run containers wherever there are no user namespaces".to_owned())
}

/// What the Dockerfile's first stage makes, of a binary that is not static: with it, the libraries that it loads.
fn made_by_the_first_stage(scratch: &Scratch) {
    let binary = env!("CARGO_BIN_EXE_lamplighter");
    let image = scratch.file("image");
    let (well, libraries) = outcome(Command::new("ldd").arg(binary));
    assert!(well, "{libraries}");
    let libraries: Vec<&str> = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .collect();
    assert!(
        libraries.iter().any(|path| path.contains("ld-linux")),
        "{libraries:?}"
    );
    for file in libraries
        .into_iter()
        .chain(["/etc/ssl/certs/ca-certificates.crt"])
    {
        let to: PathBuf = image.join(file.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("a file lies in a folder")).expect("a folder is made");
        fs::copy(file, &to).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    // Each container has a copy of its own.
    let (well, said) = outcome(
        Command::new("strip")
            .arg("-o")
            .arg(image.join("lamplighter"))
            .arg(binary),
    );
    assert!(well, "{said}");
}

#[test]
fn the_image_runs_as_it_is_promised() {
    if let Some(lacking) = lacking() {
        assert!(std::env::var_os("CI").is_none(), "{lacking}");
        println!("SKIPPED: {lacking}");
        return;
    }
    let scratch = Scratch::new("container");
    made_by_the_first_stage(&scratch);
    let script: &Path = &repository().join("scripts/image.py");
    let (well, said) = outcome(Command::new(tool("python")).arg(script).arg(scratch.file("")));
    assert!(well, "{said}");
    for promise in PROMISES {
        assert!(said.contains(promise), "{promise} was not looked at: {said}");
    }
}
