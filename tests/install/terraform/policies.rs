//! The shipped policies, as a plan of the example shows them: without a complaint of those who lint policies, with every
//! call that the daemon's adapters make and no other, and judged case by case by an evaluator of policies.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lamplighter::model::policy::BuildEnv;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cli::{Account, Terraform, text};
use crate::support::{repository, tool};

const EXAMPLE: &str = "examples/complete";
/// The account and the Region of MiniStack.
const HERE: &str = "eu-central-1:000000000000";

/// What parliament says and is no mistake, with what it says it of.
const EXCUSED: [(&str, &str, &str); 6] = [
    // AWS: it lists by container instance, of which Fargate has none; the cluster is a condition.
    ("daemon", "RESOURCE_STAR", "ecs:ListTasks"),
    ("operator", "RESOURCE_STAR", "ecs:ListTasks"),
    // It asks for Network Load Balancers too, which have no host names.
    ("build", "RESOURCE_MISMATCH", "elasticloadbalancing:CreateRule"),
    ("build", "RESOURCE_MISMATCH", "elasticloadbalancing:DeleteRule"),
    // Newer than its list of conditions; AWS documents both.
    (
        "daemon",
        "UNKNOWN_CONDITION_FOR_ACTION",
        "codebuild:environment.environmentVariables.name",
    ),
    (
        "build",
        "UNKNOWN_CONDITION_FOR_ACTION",
        "elasticloadbalancing:CreateAction",
    ),
];

/// One of the pinned tools that check policies.
#[track_caller]
pub(super) fn policy_tool(name: &str) -> PathBuf {
    let venv = std::env::var_os("LAMPLIGHTER_POLICY_VENV");
    let venv = venv.map_or_else(|| repository().join(".venv-policy"), PathBuf::from);
    let tool = venv.join("bin").join(name);
    assert!(
        tool.exists(),
        "{} is missing; `make venv` sets it up",
        tool.display()
    );
    tool
}

/// A call of the daemon's adapters.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    pub(super) operation: String,
    table: Option<String>,
}

/// Every call that they make.
#[track_caller]
pub(super) fn calls() -> Vec<Call> {
    let mut command = Command::new(tool("python"));
    command.arg(repository().join("tests/install/terraform/calls.py"));
    let output = command
        .arg(repository().join("src/cloud"))
        .output()
        .expect("python starts");
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).expect("it prints calls")
}

/// The policies of a plan by what they are for, and the address of its listener.
#[track_caller]
fn planned(terraform: &Terraform) -> (BTreeMap<String, Value>, Value) {
    let account = Account::start(&terraform.scratch);
    let variables = account.script("surroundings.py", &[]);
    std::fs::write(
        terraform.module(EXAMPLE).join("terraform.tfvars.json"),
        &variables,
    )
    .expect("variables are written");
    terraform.init(EXAMPLE);
    terraform.run(EXAMPLE, &account.endpoint, &["plan", "-no-color", "-out=plan"]);
    let shown = terraform.run(EXAMPLE, &account.endpoint, &["show", "-json", "plan"]);
    let plan: Value = serde_json::from_str(&shown).expect("a plan is JSON");
    let modules = &plan["planned_values"]["root_module"]["child_modules"];
    let resources = modules
        .as_array()
        .expect("it has modules")
        .iter()
        .flat_map(|module| module["resources"].as_array().expect("it has resources"));
    let mut policies = BTreeMap::new();
    for resource in resources {
        let who = match resource["address"].as_str().expect("an address") {
            "module.lamplighter.aws_iam_policy.daemon" => "daemon",
            "module.lamplighter.aws_iam_policy.portal" => "portal",
            "module.lamplighter.aws_iam_policy.operator" => "operator",
            "module.lamplighter.aws_iam_role_policy.execution[\"daemon\"]" => "start",
            "module.shop.aws_iam_role_policy.build" => "build",
            _ => continue,
        };
        let policy = resource["values"]["policy"]
            .as_str()
            .expect("a plan shows a policy in full");
        policies.insert(
            who.to_owned(),
            serde_json::from_str(policy).expect("a policy is JSON"),
        );
    }
    let who: Vec<&String> = policies.keys().collect();
    assert_eq!(who, ["build", "daemon", "operator", "portal", "start"]);
    (
        policies,
        serde_json::from_str(&variables).expect("variables are JSON"),
    )
}

#[test]
fn the_policies_allow_what_is_needed_and_nothing_else() {
    let Some(terraform) = Terraform::new("terraform-policies") else {
        return;
    };
    let (policies, variables) = planned(&terraform);
    parliament_has_nothing_new_to_say(&terraform, &policies);
    cloudsplaining_has_nothing_new_to_say(&terraform, &policies);
    the_daemon_may_do_what_it_does(&policies["daemon"]);
    builds_may_be_given_what_the_daemon_gives(&policies["daemon"]);
    every_case_is_judged_as_expected(&policies, &variables);
}

#[track_caller]
fn parliament_has_nothing_new_to_say(terraform: &Terraform, policies: &BTreeMap<String, Value>) {
    let folder = terraform.scratch.file("policies");
    std::fs::create_dir_all(&folder).expect("a folder is made");
    for (who, policy) in policies {
        std::fs::write(folder.join(format!("{who}.json")), policy.to_string()).expect("a policy is written");
    }
    let mut command = Command::new(policy_tool("parliament"));
    command.args(["--directory", ".", "--include_policy_extension", "json", "--json"]);
    let output = command
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .expect("parliament starts");
    let mut left: BTreeSet<(&str, &str, &str)> = EXCUSED.into_iter().collect();
    for line in text(&output).lines() {
        let finding: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let excuse = EXCUSED.iter().find(|(who, issue, what)| {
            finding["location"]["filepath"] == format!("./{who}.json")
                && finding["issue"] == *issue
                && line.contains(what)
        });
        let excuse = excuse.unwrap_or_else(|| panic!("parliament says: {line}"));
        left.remove(excuse);
    }
    assert_eq!(left, BTreeSet::new(), "excuses that nobody needs any more");
}

#[track_caller]
fn cloudsplaining_has_nothing_new_to_say(terraform: &Terraform, policies: &BTreeMap<String, Value>) {
    for who in policies.keys() {
        let file = terraform.scratch.file("policies").join(format!("{who}.json"));
        let mut command = Command::new(policy_tool("cloudsplaining"));
        let output = command
            .args(["scan-policy-file", "--input-file"])
            .arg(file)
            .output();
        let printed = text(&output.expect("cloudsplaining starts"));
        if who == "start" {
            // A login to a registry is what ECS pulls an image with.
            let issues = printed.matches("Potential Issue").count();
            assert!(
                issues == 1 && printed.contains("ecr:GetAuthorizationToken"),
                "{who}: {printed}"
            );
        } else {
            assert!(
                printed.contains("There were no results found"),
                "{who}: {printed}"
            );
        }
    }
}

fn listed(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}

/// Action by action and, where there are tables, table by table. Deleting services is for those who ask for it.
#[track_caller]
fn the_daemon_may_do_what_it_does(policy: &Value) {
    let mut allowed = BTreeSet::new();
    for statement in policy["Statement"].as_array().expect("it has statements") {
        if statement["Effect"] != "Allow" {
            continue;
        }
        for action in listed(&statement["Action"]) {
            let table = listed(&statement["Resource"])[0]
                .split_once(":table/lamplighter-")
                .map(|(_, table)| table.to_owned());
            allowed.insert((action.to_owned(), table));
        }
    }
    let made = calls().into_iter().map(|call| (call.operation, call.table));
    let made: BTreeSet<_> = made
        .filter(|(operation, _)| operation != "ecs:DeleteService")
        .collect();
    assert_eq!(allowed, made);
}

/// The names that builds are always given, as the daemon has them and as the policy lets them.
#[track_caller]
fn builds_may_be_given_what_the_daemon_gives(daemon: &Value) {
    let env = BuildEnv::default();
    let given: BTreeSet<&str> = env.always_given().collect();
    let statements = daemon["Statement"].as_array().expect("it has statements").iter();
    let denial = statements
        .clone()
        .find(|statement| statement["Sid"] == "NoOtherVariables");
    let names = &denial.expect("the example has it")["Condition"]["ForAnyValue:StringNotLike"];
    let names = listed(&names["codebuild:environment.environmentVariables.name"]);
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), given);
}

/// On what the daemon's calls are made in the example, and what AWS knows of them.
fn case_of(call: &Call) -> Value {
    let (on, context) = match (call.operation.as_str(), &call.table) {
        (_, Some(table)) => (
            format!("arn:aws:dynamodb:{HERE}:table/lamplighter-{table}"),
            json!({}),
        ),
        (operation, None) if operation.starts_with("codebuild:") => {
            (format!("arn:aws:codebuild:{HERE}:project/shop"), json!({}))
        }
        (operation @ ("ecs:ListServices" | "ecs:ListTasks"), None) => {
            let on = if operation == "ecs:ListTasks" {
                format!("arn:aws:ecs:{HERE}:container-instance/lamplighter/0123")
            } else {
                "*".to_owned()
            };
            (
                on,
                json!({ "ecs:cluster": format!("arn:aws:ecs:{HERE}:cluster/lamplighter") }),
            )
        }
        ("ecs:DescribeTasks", None) => (format!("arn:aws:ecs:{HERE}:task/lamplighter/0123"), json!({})),
        ("ecs:UpdateService", None) => (
            format!("arn:aws:ecs:{HERE}:service/lamplighter/shop"),
            json!({ "aws:ResourceTag/lamplighter:instance-id": "ann-shop" }),
        ),
        ("ecs:DescribeServices", None) => (format!("arn:aws:ecs:{HERE}:service/lamplighter/shop"), json!({})),
        (_, None) => ("*".to_owned(), json!({})),
    };
    json!({ "who": "daemon", "allowed": true, "action": call.operation, "on": on, "context": context })
}

#[track_caller]
fn every_case_is_judged_as_expected(policies: &BTreeMap<String, Value>, variables: &Value) {
    let listener = variables["load_balancer"]["listener_arn"]
        .as_str()
        .expect("there is a listener");
    let zone = variables["dns"]["zone_id"].as_str().expect("there is a zone");
    let rule = format!("{}/0123", listener.replace(":listener/", ":listener-rule/"));
    let written = include_str!("cases.jsonl")
        .replace("\"LISTENER\"", &format!("\"{listener}\""))
        .replace("\"RULE\"", &format!("\"{rule}\""))
        .replace("\"ZONE\"", &format!("\"arn:aws:route53:::hostedzone/{zone}\""));
    let mut cases: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).expect("a case is JSON"))
        .collect();
    let made = calls();
    cases.extend(
        made.iter()
            .filter(|call| call.operation != "ecs:DeleteService")
            .map(case_of),
    );

    let folder = repository().join("tests/install/iam");
    assert!(
        folder.join("node_modules").exists(),
        "the evaluator is missing; scripts/portal.sh installs it"
    );
    let mut command = Command::new("node");
    command
        .arg("simulate.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("node starts");
    let question = json!({ "account": "000000000000", "policies": policies, "cases": cases }).to_string();
    child
        .stdin
        .take()
        .expect("it listens")
        .write_all(question.as_bytes())
        .expect("it takes the question");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("it answers in JSON");
    assert_eq!(answer["asked"], cases.len());
    assert_eq!(answer["wrong"], json!([]), "judged otherwise");
    // Of this one it knows Classic Load Balancers only, so there is no case of it; parliament knows the others.
    let unjudged = json!(["build: TagRoutes has elasticloadbalancing:AddTags"]);
    assert_eq!(answer["unused"], unjudged, "no case needs these");
    assert_eq!(
        answer["ignored"],
        json!([]),
        "conditions that AWS does not know for these"
    );
}
