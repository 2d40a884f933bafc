//! A daemon under load and a Prometheus that scrapes it, as its operators have them: both from their own binaries.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{Program, Scratch, Tables, get, lamplighter, until};

/// A program of Debian's. A missing one fails the test: what was never run proves nothing.
pub(crate) fn debian(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file());
    found.unwrap_or_else(|| {
        panic!("{program} is missing; `apt-get install --no-install-recommends {package}` installs it")
    })
}

/// What a program printed, and whether it ended well.
pub(crate) fn outcome(command: &mut Command) -> (bool, String) {
    let output = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    (output.status.success(), said)
}

/// A port that was free a moment ago, for programs that can't be asked which one they took.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// A running `lamplighter dev`.
pub(crate) struct Dev {
    _program: Program,
    pub(crate) aws: String,
    pub(crate) api: String,
    pub(crate) admin: String,
}

impl Dev {
    #[track_caller]
    pub(crate) fn start(scratch: &Scratch) -> Self {
        let ready = scratch.file("ready.json");
        let mut command = lamplighter();
        command
            .args(["dev", "--speed", "300", "--ready-file"])
            .arg(&ready);
        command.args(["--aws-port", "0", "--api-port", "0", "--admin-port", "0"]);
        let mut program = Program::start(scratch, "dev", &mut command);
        let addresses: Value = until("the ready file", || {
            program.assert_runs();
            let text = std::fs::read(&ready).map_err(|error| error.to_string())?;
            Ok(serde_json::from_slice(&text).expect("the ready file is JSON"))
        });
        let address = |name: &str| addresses[name].as_str().expect("an address").to_owned();
        Self {
            _program: program,
            aws: address("aws"),
            api: address("api"),
            admin: address("admin"),
        }
    }

    pub(crate) fn tables(&self) -> Tables {
        Tables::at(&self.aws, "eu-west-1")
    }

    /// The CLI, asked of this daemon.
    #[track_caller]
    pub(crate) fn cli(&self, arguments: &[&str]) {
        let mut command = lamplighter();
        command.args(arguments).args(["--server", &self.api]);
        let (well, said) = outcome(&mut command);
        assert!(well, "{arguments:?}: {said}");
    }
}

/// A running Prometheus that scrapes once a second.
pub(crate) struct Prometheus {
    program: Program,
    url: String,
}

impl Prometheus {
    /// Scrapes `admin` as the job `lamplighter`; `more` is the rest of its configuration.
    #[track_caller]
    pub(crate) fn start(scratch: &Scratch, admin: &str, more: &str) -> Self {
        let target = admin.trim_start_matches("http://");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             scrape_configs:\n  - job_name: lamplighter\n    static_configs:\n      - targets: ['{target}']\n{more}"
        );
        let config = scratch.write("prometheus.yaml", &config);
        let url = format!("http://127.0.0.1:{}", free_port());
        let mut command = Command::new(debian("prometheus", "prometheus"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", scratch.file("tsdb").display()));
        command.arg(format!(
            "--web.listen-address={}",
            url.trim_start_matches("http://")
        ));
        command.arg("--log.level=warn");
        let mut program = Program::start(scratch, "prometheus", &mut command);
        until("Prometheus is ready", || {
            program.assert_runs();
            let answer = get(&format!("{url}/-/ready"))?;
            if answer.status == 200 {
                Ok(())
            } else {
                Err(answer.body)
            }
        });
        let mut this = Self { program, url };
        // What happens before the first scrape is no increase.
        until("Prometheus has scraped the daemon", || {
            match this.values("lamplighter_build_info")?[..] {
                [] => Err("not yet".to_owned()),
                _ => Ok(()),
            }
        });
        this
    }

    /// The values of an expression now, with those that are no numbers left out.
    pub(crate) fn values(&mut self, expression: &str) -> Result<Vec<f64>, String> {
        let data = self.ask(&format!("/api/v1/query?query={}", encoded(expression)))?;
        let samples = data["result"].as_array().ok_or("no result")?;
        let value = |sample: &Value| sample["value"][1].as_str()?.parse::<f64>().ok();
        Ok(samples
            .iter()
            .filter_map(value)
            .filter(|value| !value.is_nan())
            .collect())
    }

    /// The values of a label over the series that match.
    pub(crate) fn label(&mut self, label: &str, series: &str) -> Result<Vec<String>, String> {
        let data = self.ask(&format!(
            "/api/v1/label/{label}/values?match[]={}",
            encoded(series)
        ))?;
        serde_json::from_value(data).map_err(|error| error.to_string())
    }

    fn ask(&mut self, path: &str) -> Result<Value, String> {
        self.program.assert_runs();
        let answer = get(&format!("{}{path}", self.url))?;
        let body = answer.json();
        // A mistake in a query does not go away by asking again.
        assert_eq!(body["status"], "success", "{path}: {body}");
        Ok(body["data"].clone())
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |done, byte| {
        if byte.is_ascii_alphanumeric() {
            done + &char::from(byte).to_string()
        } else {
            format!("{done}%{byte:02X}")
        }
    })
}
