//! MiniStack with its harness, and daemons that are pointed at it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{Program, Scratch, Tables, aws, get, lamplighter, repository, tool, until};

/// The Region of the example configuration.
const REGION: &str = "eu-central-1";

/// A fresh AWS account, as far as MiniStack has one, with a project and a cluster in it.
pub(crate) struct Peer {
    pub(crate) aws: String,
    app_port: u64,
    // Ended before the folder goes that it writes to.
    _harness: Program,
    pub(crate) scratch: Scratch,
}

impl Peer {
    #[track_caller]
    pub(crate) fn start(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let mut command = Command::new(tool("python"));
        command.arg(repository().join("tests/ministack/harness.py"));
        let mut harness = Program::start(&scratch, "harness", &mut command);
        let ready: Value = serde_json::from_str(&harness.prints("app_port")).expect("a line of JSON");
        assert_eq!(ready["region"], REGION);
        Self {
            aws: ready["aws"].as_str().expect("an address").to_owned(),
            app_port: ready["app_port"].as_u64().expect("a port"),
            _harness: harness,
            scratch,
        }
    }

    pub(crate) fn tables(&self) -> Tables {
        Tables::at(&self.aws, REGION)
    }

    /// Asks MiniStack through the AWS CLI.
    #[track_caller]
    pub(crate) fn aws(&self, arguments: &[&str]) -> Value {
        aws(&self.aws, REGION, arguments)
    }

    /// The shipped example with one line of it replaced: no host name below `apps.example.com` leads to this
    /// machine, so that the URL of `apps.shop` has to be another.
    pub(crate) fn example(&self) -> PathBuf {
        self.scratch.write("lamplighter.toml", &self.example_text())
    }

    fn example_text(&self) -> String {
        let shipped = std::fs::read_to_string(repository().join("deploy/lamplighter.example.toml"));
        let shipped = shipped.expect("the example is there");
        let url = format!("\"http://{{host_name}}.localhost:{}\"", self.app_port);
        replace(&shipped, "url", &url)
    }

    /// The same with short intervals, for whatever need not be shown with the long ones.
    pub(crate) fn quick_example(&self) -> PathBuf {
        let mut text = self.example_text();
        for (key, value) in [
            ("sweep", "5s"),
            ("progress", "1s"),
            ("row_poll", "1s"),
            ("ready_recheck", "5s"),
            ("confirm_absence", "2s"),
            ("appear_grace", "2s"),
            ("refusal_recheck", "2s"),
        ] {
            text = replace(&text, key, &format!("\"{value}\""));
        }
        self.scratch.write("quick.toml", &text)
    }

    /// `lamplighter tables create`, and what it says.
    #[track_caller]
    pub(crate) fn create_tables(&self, config: &PathBuf) -> String {
        let mut command = self.lamplighter(&["tables", "create"], config);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    }

    /// `lamplighter run`, once it is ready.
    #[track_caller]
    pub(crate) fn run(&self, config: &PathBuf) -> Daemon {
        let mut command = self.lamplighter(&["run"], config);
        command.args(["--public-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
        let mut program = Program::start(&self.scratch, "daemon", &mut command);
        let begun: Value = until("its first line", || {
            program.assert_runs();
            let logged = program.logged();
            let line = logged.lines().next().ok_or("nothing is logged")?;
            serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))
        });
        let address = |name: &str| format!("http://{}", begun[name].as_str().expect("an address"));
        let (public, admin) = (address("public"), address("admin"));
        until("the daemon is ready", || {
            program.assert_runs();
            let answer = get(&format!("{admin}/readyz"))?;
            if answer.status == 200 {
                Ok(())
            } else {
                Err(answer.body)
            }
        });
        Daemon {
            program,
            public,
            admin,
        }
    }

    fn lamplighter(&self, verb: &[&str], config: &PathBuf) -> Command {
        let mut command = lamplighter();
        command.args(verb).arg("--config").arg(config);
        command.args(["--endpoint-url", &self.aws]);
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) program: Program,
    pub(crate) public: String,
    pub(crate) admin: String,
}

/// The text with the value of the one line that sets `key` replaced.
#[track_caller]
fn replace(text: &str, key: &str, value: &str) -> String {
    let begin = format!("{key} = ");
    let of_key = |line: &&str| line.starts_with(&begin);
    assert_eq!(
        text.lines().filter(of_key).count(),
        1,
        "the example sets {key} once"
    );
    let lines = text.lines().map(|line| {
        if of_key(&line) {
            format!("{begin}{value}\n")
        } else {
            format!("{line}\n")
        }
    });
    lines.collect()
}

/// What the catalogue's `shop` must be given.
pub(crate) const PARAMETERS: [(&str, &str); 1] = [("TF_VAR_image_tag", "v1")];

/// A row for `shop`.
pub(crate) fn wants<'a>(user: &'a str, desired: &'a str) -> [(&'a str, &'a str); 3] {
    [("user", user), ("app", "shop"), ("desired", desired)]
}

/// The one service of an app, as the AWS CLI shows it.
pub(crate) struct Seen {
    pub(crate) desired: i64,
    pub(crate) running: i64,
    pub(crate) status: String,
    pub(crate) tags: Value,
}

impl Peer {
    #[track_caller]
    pub(crate) fn service(&self, name: &str) -> Seen {
        let arguments = [
            "ecs",
            "describe-services",
            "--cluster",
            "child-apps",
            "--services",
            name,
        ];
        let answer = self.aws(&[&arguments[..], &["--include", "TAGS"]].concat());
        let service = &answer["services"][0];
        Seen {
            desired: service["desiredCount"].as_i64().expect("a service has a count"),
            running: service["runningCount"].as_i64().expect("a service has a count"),
            status: service["status"]
                .as_str()
                .expect("a service has a status")
                .to_owned(),
            tags: service["tags"].clone(),
        }
    }

    /// Waits until a service has these counts.
    #[track_caller]
    pub(crate) fn until_counts(&self, name: &str, count: i64) {
        until(&format!("{name} has {count} tasks"), || {
            let seen = self.service(name);
            if (seen.desired, seen.running) == (count, count) {
                Ok(())
            } else {
                Err(format!("{} are wanted, {} run", seen.desired, seen.running))
            }
        });
    }

    /// Every build of the project, with how it ended.
    #[track_caller]
    pub(crate) fn builds(&self) -> Vec<(String, String)> {
        let arguments = [
            "codebuild",
            "list-builds-for-project",
            "--project-name",
            "child-app",
        ];
        let ids = self.aws(&arguments)["ids"].clone();
        let ids: Vec<&str> = ids
            .as_array()
            .expect("builds are listed")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let answer = self.aws(&[&["codebuild", "batch-get-builds", "--ids"], &ids[..]].concat());
        let action = |build: &Value| {
            let variables = build["environment"]["environmentVariables"].as_array()?;
            let action = variables.iter().find(|variable| variable["name"] == "ACTION")?;
            Some(action["value"].as_str()?.to_owned())
        };
        let builds = answer["builds"].as_array().expect("builds are shown");
        let ended = |build: &Value| {
            build["buildStatus"]
                .as_str()
                .expect("a build has a status")
                .to_owned()
        };
        builds
            .iter()
            .map(|build| (action(build).expect("a build has an action"), ended(build)))
            .collect()
    }

    /// Fails if anything in AWS or any claim is left.
    #[track_caller]
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(self.tables().claims(), Vec::<String>::new());
        let services = self.aws(&["ecs", "list-services", "--cluster", "child-apps"]);
        assert_eq!(services["serviceArns"], serde_json::json!([]));
        let groups = self.aws(&["elbv2", "describe-target-groups"]);
        assert_eq!(groups["TargetGroups"], serde_json::json!([]));
    }
}
