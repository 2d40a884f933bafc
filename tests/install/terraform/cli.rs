//! Terraform, with providers from a folder of this machine and a copy of `deploy/` to work in, so that nothing it writes
//! gets into the tree. Where Terraform or the provider is missing, tests say so and are skipped; with CI=true they fail.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Program, Scratch, environment, get, repository, tool, until};

/// The Region of all tests here.
pub(super) const REGION: &str = "eu-central-1";
const MISSING: &str = "install terraform 1.11 or newer, and let LAMPLIGHTER_TERRAFORM_MIRROR name a folder that \
                       `terraform providers mirror` has filled with hashicorp/aws 5.100.0";

/// A copy of `deploy/`, and Terraform to work on it.
pub(super) struct Terraform {
    pub(super) scratch: Scratch,
    settings: PathBuf,
}

impl Terraform {
    /// `None` if this machine lacks something, which was said then.
    pub(super) fn new(name: &str) -> Option<Self> {
        let mirror = mirror().filter(|_| Command::new("terraform").arg("version").output().is_ok());
        let Some(mirror) = mirror else {
            assert!(std::env::var_os("CI").is_none(), "{MISSING}");
            println!("SKIPPED: {MISSING}");
            return None;
        };
        let scratch = Scratch::new(name);
        copy(&repository().join("deploy"), &scratch.file("deploy"));
        let settings = include_str!("mirror.tfrc").replace("MIRROR", &mirror.display().to_string());
        let settings = scratch.write("mirror.tfrc", &settings);
        Some(Self { scratch, settings })
    }

    /// The copy of one module.
    pub(super) fn module(&self, module: &str) -> PathBuf {
        self.scratch.file("deploy/terraform").join(module)
    }

    /// What a process needs to find Terraform and its provider, whose AWS is at `endpoint`.
    pub(super) fn environment(&self, endpoint: &str) -> Vec<(String, String)> {
        let mut variables: Vec<(String, String)> = environment(endpoint, REGION)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let path = std::env::var("PATH").expect("there is a PATH");
        for (name, value) in [
            ("PATH", path.as_str()),
            ("TF_CLI_CONFIG_FILE", &self.settings.display().to_string()),
            ("CHECKPOINT_DISABLE", "1"),
            ("TF_IN_AUTOMATION", "1"),
            ("TF_INPUT", "0"),
        ] {
            variables.retain(|(known, _)| known != name);
            variables.push((name.to_owned(), value.to_owned()));
        }
        variables
    }

    /// Runs Terraform on a module, however it ends.
    pub(super) fn try_run(&self, module: &str, endpoint: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("terraform");
        command.args(arguments).current_dir(self.module(module));
        command.env_clear().envs(self.environment(endpoint));
        command.output().expect("terraform starts")
    }

    /// Runs Terraform on a module, and gives what it printed.
    #[track_caller]
    pub(super) fn run(&self, module: &str, endpoint: &str, arguments: &[&str]) -> String {
        let output = self.try_run(module, endpoint, arguments);
        let printed = text(&output);
        assert!(
            output.status.success(),
            "terraform {arguments:?} in {module}: {printed}"
        );
        printed
    }

    /// `terraform init`, without a backend.
    #[track_caller]
    pub(super) fn init(&self, module: &str) {
        self.run(module, NOWHERE, &["init", "-backend=false", "-no-color"]);
    }
}

/// An address where nobody listens, for what must not ask AWS.
pub(super) const NOWHERE: &str = "http://127.0.0.1:1";

/// Both outputs.
pub(super) fn text(output: &Output) -> String {
    let printed = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&printed).into_owned()
}

/// The folder with the provider: the one that is named, or one of those where Terraform and its packagers put such.
fn mirror() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LAMPLIGHTER_TERRAFORM_MIRROR") {
        return Some(PathBuf::from(named)).filter(|folder| holds_the_provider(folder));
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".terraform.d"));
    let roots = ["/opt", "/usr/share/terraform", "/usr/local/share/terraform"];
    let roots = roots.into_iter().map(PathBuf::from).chain(home);
    roots
        .filter_map(|root| std::fs::read_dir(root).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|folder| holds_the_provider(folder))
}

fn holds_the_provider(folder: &Path) -> bool {
    let Ok(hosts) = std::fs::read_dir(folder) else {
        return false;
    };
    let version = Path::new("hashicorp/aws/5.100.0");
    hosts
        .filter_map(|host| Some(host.ok()?.path()))
        .any(|host| host.join(version).exists())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder is made");
    for entry in std::fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("an entry can be read");
        let name = entry.file_name();
        // What somebody's own run has left there.
        if name.to_string_lossy().starts_with(".terraform") {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).expect("a file is copied");
        }
    }
}

/// An AWS account that is not ours, with a network, a load balancer and a hosted zone in it.
pub(super) struct Account {
    pub(super) endpoint: String,
    _program: Program,
}

impl Account {
    #[track_caller]
    pub(super) fn start(scratch: &Scratch) -> Self {
        let port = {
            let probe = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            probe.local_addr().expect("it has an address").port()
        };
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(tool("ministack"));
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string());
        let mut program = Program::start(scratch, "ministack", &mut command);
        until("MiniStack is up", || {
            program.assert_runs();
            get(&format!("{endpoint}/_ministack/health")).map(drop)
        });
        Self {
            endpoint,
            _program: program,
        }
    }

    /// Runs one of the Python scripts beside this file, and gives what it printed.
    #[track_caller]
    pub(super) fn script(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(tool("python"));
        command.arg(repository().join("tests/install/terraform").join(name));
        command
            .args(arguments)
            .env_clear()
            .envs(environment(&self.endpoint, REGION));
        let output = command.output().expect("python starts");
        assert!(output.status.success(), "{name}: {}", text(&output));
        String::from_utf8(output.stdout).expect("it prints text")
    }
}
