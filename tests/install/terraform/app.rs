//! One app as builds of the project make and remove it: the sources that the project has, the variables that it sets, and
//! the commands of its buildspec, in a process each instead of in CodeBuild.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::cli::{Account, REGION, Terraform, text};
use crate::support::{Tables, aws, tool};

const HOST: &str = "calm-blue-shop.apps.example.com";
const NAME: &str = "calm-blue-shop-0123abcd";
const COMMANDS: [&str; 3] = [
    "sh ./gate.sh",
    "bash ./child-app.sh prepare",
    "bash ./child-app.sh run",
];

/// What all builds of the app have in common.
struct Project<'a> {
    folder: PathBuf,
    account: &'a Account,
    environment: Vec<(String, String)>,
}

impl<'a> Project<'a> {
    /// Fetches the sources, and takes over what the project sets and what Lamplighter passes.
    #[track_caller]
    fn of(terraform: &Terraform, account: &'a Account) -> Self {
        let ask = |arguments: &[&str]| aws(&account.endpoint, REGION, arguments);
        let project = ask(&["codebuild", "batch-get-projects", "--names", "shop"])["projects"][0].clone();
        let spec = project["source"]["buildspec"].as_str();
        let spec = spec.expect("the project has its buildspec");
        for line in COMMANDS {
            assert!(spec.contains(line), "{line} is what a build runs: {spec}");
        }

        let folder = terraform.scratch.file("build");
        let location = project["source"]["location"].as_str().expect("a place");
        let (source, to) = (format!("s3://{location}"), folder.display().to_string());
        ask(&["s3", "cp", "--recursive", "--only-show-errors", &source, &to]);

        let mut environment = terraform.environment(&account.endpoint);
        let tools = tool("aws").parent().expect("it is in a folder").to_owned();
        for (name, value) in &mut environment {
            if name == "PATH" {
                *value = format!("{}:{value}", tools.display());
            }
        }
        let set = project["environment"]["environmentVariables"].as_array();
        for variable in set.expect("it has variables") {
            let [name, value] =
                ["name", "value"].map(|part| variable[part].as_str().expect("a text").to_owned());
            // Terraform waits half a minute for any record; what a record is made of is tested beside the module.
            if name != "TF_VAR_dns" {
                environment.push((name, value));
            }
        }
        let passed = [
            ("HOST_NAME", HOST),
            ("RESOURCE_NAME", NAME),
            ("INSTANCE_ID", "ann-shop"),
            ("USER_ID", "Ann \"x\" $(id)"),
            ("APP", "shop"),
            ("SPEC_HASH", "0123456789abcdef"),
            ("LAMPLIGHTER_STATE_TABLE", "lamplighter-state"),
            // At an address without a domain, buckets are part of the path.
            ("TF_CLI_ARGS_init", "-backend-config=use_path_style=true"),
        ];
        environment.extend(passed.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Self {
            folder,
            account,
            environment,
        }
    }

    fn ask(&self, arguments: &[&str]) -> Value {
        aws(&self.account.endpoint, REGION, arguments)
    }

    /// Opens a gate, and runs the commands of the buildspec as one build.
    #[track_caller]
    fn build(&self, action: &str, operation: &str) -> String {
        let gate = json!({ "pk": { "S": format!("gate#{operation}") } }).to_string();
        let table = ["--table-name", "lamplighter-state", "--item", &gate];
        self.ask(&[&["dynamodb", "put-item"], &table[..]].concat());
        let mut said = String::new();
        for line in COMMANDS {
            let mut command = Command::new("sh");
            command.args(["-c", line]).current_dir(&self.folder);
            command.env_clear().envs(self.environment.iter().cloned());
            command.envs([("ACTION", action), ("LAMPLIGHTER_OPERATION_ID", operation)]);
            command.env("CODEBUILD_BUILD_ID", format!("shop:{operation}"));
            let output = command.output().expect("sh starts");
            said += &text(&output);
            assert!(output.status.success(), "{line}: {said}");
        }
        said
    }

    fn service(&self) -> Value {
        let which = [
            "--cluster",
            "lamplighter",
            "--services",
            NAME,
            "--include",
            "TAGS",
        ];
        self.ask(&[&["ecs", "describe-services"], &which[..]].concat())["services"][0].clone()
    }

    fn target_groups(&self) -> usize {
        let listed = self.ask(&["elbv2", "describe-target-groups"]);
        listed["TargetGroups"].as_array().map_or(0, Vec::len)
    }
}

#[track_caller]
pub(super) fn a_build_lights_an_app_and_puts_it_out(terraform: &Terraform, account: &Account) {
    let project = Project::of(terraform, account);
    let said = project.build("apply", "op-1");
    assert!(said.contains("Resources: 3 added"), "{said}");
    let made = project.service();
    assert_eq!(made["status"], "ACTIVE");
    assert_eq!(made["desiredCount"], 1);
    let tags = made["tags"].as_array().expect("it has tags");
    for (key, value) in [("instance-id", "ann-shop"), ("host-name", HOST)] {
        let tag = json!({ "key": format!("lamplighter:{key}"), "value": value });
        assert!(tags.contains(&tag), "{tag} is not in {tags:?}");
    }
    assert_eq!(project.target_groups(), 1);

    // Suspended, as the daemon does it; the next build must let it sleep.
    let to_nothing = [
        "--cluster",
        "lamplighter",
        "--service",
        NAME,
        "--desired-count",
        "0",
    ];
    project.ask(&[&["ecs", "update-service"], &to_nothing[..]].concat());
    project.build("apply", "op-2");
    assert_eq!(
        project.service()["desiredCount"],
        0,
        "an apply woke a suspended app"
    );

    let said = project.build("destroy", "op-3");
    assert!(said.contains("Resources: 3 destroyed"), "{said}");
    assert_ne!(project.service()["status"], "ACTIVE");
    assert_eq!(project.target_groups(), 0);
    let claims = Tables::at(&account.endpoint, REGION).claims();
    assert_eq!(claims, Vec::<String>::new(), "a build may write no claim");
}
