//! `examples/complete` as docs/install.md tells it, step by step, in front of MiniStack: all of it applied, the tables as
//! the daemon's own command makes them, the daemon ready with what its task is given, events in the queue, and an app
//! made and removed by what a build would get.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::app::a_build_lights_an_app_and_puts_it_out;
use super::cli::{Account, REGION, Terraform, text};
use super::policies::calls;
use crate::manual::{Shell, after, block, filled_for};
use crate::support::{Program, Scratch, Signal, aws, get, lamplighter, tool, until};

const EXAMPLE: &str = "examples/complete";
/// Where MiniStack does not give back what it was given. Anything else that a second plan would change is a mistake.
const FORGOTTEN: [&str; 4] = [
    "recovery_period_in_days",
    "availability_zone_rebalancing",
    "queued_timeout",
    "logs_config",
];

#[test]
fn the_complete_example_can_be_installed_and_lights_and_puts_out_an_app() {
    let Some(terraform) = Terraform::new("terraform-example") else {
        return;
    };
    let account = Account::start(&terraform.scratch);
    let outputs = apply(&terraform, &account);
    // None of these changes what another one looks at.
    std::thread::scope(|scope| {
        scope.spawn(|| a_second_plan_changes_nothing(&terraform, &account));
        scope.spawn(|| {
            the_tables_are_those_of_tables_create(&terraform.scratch, &account);
            the_daemon_gets_ready(&terraform.scratch, &account);
        });
        scope.spawn(|| the_commands_for_ecs_find_what_was_made(&terraform, &account));
        scope.spawn(|| every_event_arrives_and_no_other(&account, &outputs));
        scope.spawn(|| a_build_lights_an_app_and_puts_it_out(&terraform, &account));
    });
}

/// Applies the example, and gives its outputs.
#[track_caller]
fn apply(terraform: &Terraform, account: &Account) -> Value {
    let module = terraform.module(EXAMPLE);
    let surroundings = account.script("surroundings.py", &[]);
    let surroundings: Value = serde_json::from_str(&surroundings).expect("it prints JSON");
    let token = format!("api_token_sha256  = \"{}1\"", "0".repeat(63));
    let gaps = [
        ("api_token_sha256  = \"…\"", token.as_str()),
        ("YOUR-PORTAL", "site"),
    ];
    let given = filled_for(block("lamplighter_image"), &surroundings, &gaps);
    // What the example knows besides.
    let mut more = surroundings;
    more.as_object_mut()
        .expect("variables have names")
        .retain(|name, _| !given.lines().any(|line| line.split(' ').next() == Some(name)));
    assert!(
        more.get("events").is_some() && more.get("dns").is_none(),
        "{more}"
    );
    std::fs::write(module.join("terraform.tfvars"), given).expect("variables are written");
    std::fs::write(module.join("more.auto.tfvars.json"), more.to_string()).expect("variables are written");
    // At an address without a domain, buckets are part of the path.
    let path_style = "provider \"aws\" {\n  s3_use_path_style = true\n}\n";
    std::fs::write(module.join("override.tf"), path_style).expect("an override is written");
    let mut shell = shell(terraform, account);
    shell.set("TF_CLI_ARGS_init", "-backend=false");
    shell.set("TF_CLI_ARGS_apply", "-auto-approve -no-color -parallelism=30");
    shell.run(&block("terraform init"));
    let outputs = terraform.run(EXAMPLE, &account.endpoint, &["output", "-json"]);
    let outputs = serde_json::from_str(&outputs).expect("outputs are JSON");
    no_secret_is_in_the_state(&module);
    outputs
}

/// Where the example is, with Terraform and the AWS CLI.
fn shell(terraform: &Terraform, account: &Account) -> Shell {
    let module = terraform.module(EXAMPLE);
    let mut shell = Shell::new(&terraform.scratch, module, &account.endpoint, REGION);
    for (name, value) in terraform.environment(&account.endpoint) {
        if name != "PATH" {
            shell.set(&name, &value);
        }
    }
    shell
}

/// One command is recorded: the AWS CLI that tests have is the first, in which logs have no tail.
#[track_caller]
fn the_commands_for_ecs_find_what_was_made(terraform: &Terraform, account: &Account) {
    let shell = shell(terraform, account);
    let tail = format!(
        "[ \"$1 $2\" = 'logs tail' ] || exec '{}' \"$@\"",
        tool("aws").display()
    );
    shell.record("aws", &tail);
    shell.run(&block("services-stable"));
    let calls = shell.calls();
    let group = after(&calls[1], "tail");
    let known = shell.run(&format!(
        "aws logs describe-log-groups --log-group-name-prefix {group}"
    ));
    assert!(known.contains(&format!("\"{group}\"")), "{known}");

    // Their addresses; what becomes of these in Prometheus is tested where there is one.
    shell.run(&(block("aws ecs list-tasks") + "[ -n \"$tasks\" ]"));
}

/// The one token of the example is there as its hash, and secrets as their addresses.
#[track_caller]
fn no_secret_is_in_the_state(module: &Path) {
    let state = std::fs::read_to_string(module.join("terraform.tfstate")).expect("there is a state");
    let state: Value = serde_json::from_str(&state).expect("a state is JSON");
    for resource in state["resources"].as_array().expect("a state has resources") {
        let kind = resource["type"].as_str().expect("a resource has a type");
        let holds_one = [
            "access_key",
            "password",
            "private_key",
            "secret_version",
            "ssm_parameter",
        ];
        assert!(
            !holds_one.iter().any(|part| kind.contains(part)),
            "{kind} keeps a secret in the state"
        );
    }
}

#[track_caller]
fn a_second_plan_changes_nothing(terraform: &Terraform, account: &Account) {
    let printed = terraform.run(
        EXAMPLE,
        &account.endpoint,
        &["plan", "-no-color", "-lock=false", "-out=again"],
    );
    let shown = terraform.run(EXAMPLE, &account.endpoint, &["show", "-json", "again"]);
    let plan: Value = serde_json::from_str(&shown).expect("a plan is JSON");
    for change in plan["resource_changes"].as_array().expect("a plan has changes") {
        let address = &change["address"];
        let actions = &change["change"]["actions"];
        if actions == &json!(["no-op"]) || actions == &json!(["read"]) {
            continue;
        }
        assert_eq!(actions, &json!(["update"]), "{address}: {printed}");
        let (before, after) = (
            without_forgotten(&change["change"]["before"]),
            without_forgotten(&change["change"]["after"]),
        );
        assert_eq!(before, after, "{address} would change: {printed}");
    }
}

fn without_forgotten(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !FORGOTTEN.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), without_forgotten(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_forgotten).collect(),
        other => other.clone(),
    }
}

/// What of a table is a matter of Lamplighter, and not of how it is kept.
#[track_caller]
fn shape(account: &Account, table: &str) -> Value {
    let ask = |verb: &str| {
        aws(
            &account.endpoint,
            REGION,
            &["dynamodb", verb, "--table-name", table],
        )
    };
    let described = &ask("describe-table")["Table"];
    let mut attributes = described["AttributeDefinitions"]
        .as_array()
        .expect("it has attributes")
        .clone();
    attributes.sort_by_key(ToString::to_string);
    let expiry = &ask("describe-time-to-live")["TimeToLiveDescription"];
    json!({
        "key": described["KeySchema"],
        "attributes": attributes,
        "billing": described["BillingModeSummary"]["BillingMode"],
        "stream": described["StreamSpecification"],
        "expiry": [expiry["TimeToLiveStatus"], expiry["AttributeName"]],
    })
}

#[track_caller]
fn the_tables_are_those_of_tables_create(scratch: &Scratch, account: &Account) {
    let config = scratch.write("tables.toml", "");
    let create = |prefix: &str| {
        let mut command = lamplighter();
        command.args([
            "tables",
            "create",
            "--region",
            REGION,
            "--endpoint-url",
            &account.endpoint,
            "--config",
        ]);
        command
            .arg(&config)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        for table in ["desired", "state", "events"] {
            command.args([&format!("--{table}-table"), &format!("{prefix}-{table}")]);
        }
        let output = command.output().expect("lamplighter starts");
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    // Told without a note, such as that a stream is missing.
    assert_eq!(
        create("lamplighter"),
        "lamplighter-desired was there\nlamplighter-state was there\nlamplighter-events was there\n"
    );
    create("others");
    for table in ["desired", "state", "events"] {
        assert_eq!(
            shape(account, &format!("lamplighter-{table}")),
            shape(account, &format!("others-{table}")),
            "{table}"
        );
    }
}

/// Runs the daemon with the configuration and variables of its container, and compares its calls with those that the
/// policy was derived from.
#[track_caller]
fn the_daemon_gets_ready(scratch: &Scratch, account: &Account) {
    let arguments = [
        "ecs",
        "describe-task-definition",
        "--task-definition",
        "lamplighter-daemon",
    ];
    let task = aws(&account.endpoint, REGION, &arguments)["taskDefinition"].clone();
    let container = |name: &str| {
        let containers = task["containerDefinitions"]
            .as_array()
            .expect("it has containers")
            .iter();
        containers
            .clone()
            .find(|container| container["name"] == name)
            .expect("it has that container")
            .clone()
    };
    let config = container("config")["environment"][0]["value"]
        .as_str()
        .expect("a text")
        .to_owned();
    let config = scratch.write("lamplighter.toml", &config);
    let mut command = lamplighter();
    command.args(["run", "--config"]).arg(&config);
    for variable in container("lamplighter")["environment"]
        .as_array()
        .expect("it has variables")
    {
        command.env(
            variable["name"].as_str().expect("a name"),
            variable["value"].as_str().expect("a value"),
        );
    }
    // Two daemons of two tests can't have one port.
    command.args(["--public-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
    command.args(["--endpoint-url", &account.endpoint]);
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    let mut daemon = Program::start(scratch, "daemon", &mut command);
    let admin = until("its first line", || {
        daemon.assert_runs();
        let logged = daemon.logged();
        let line: Value = serde_json::from_str(logged.lines().next().ok_or("nothing is logged")?)
            .map_err(|error| error.to_string())?;
        Ok(format!("http://{}", line["admin"].as_str().ok_or("no address")?))
    });
    until("the daemon is ready", || {
        daemon.assert_runs();
        let answer = get(&format!("{admin}/readyz"))?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.body)
        }
    });
    let metrics = get(&format!("{admin}/metrics")).expect("there are metrics").body;
    let made = made_calls(&metrics);
    assert!(
        made.contains("dynamodb:Scan") && made.contains("ecs:ListServices"),
        "{made:?}"
    );
    let known: BTreeSet<String> = calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(
        made.difference(&known).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "calls that were not derived"
    );
    daemon.stop(Signal::Terminate);
}

/// The calls that were made, from `lamplighter_aws_requests_total{operation="Scan",outcome="ok",service="dynamodb"} 3`.
fn made_calls(metrics: &str) -> BTreeSet<String> {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("lamplighter_aws_requests_total{") && !line.ends_with(" 0"));
    let label = |line: &str, name: &str| {
        let value = line
            .split_once(&format!("{name}=\""))
            .expect("it has the label")
            .1;
        value.split('"').next().expect("a value").to_owned()
    };
    let spelled = |line: &str| {
        format!(
            "{}:{}",
            label(line, "service").trim_end_matches("v2"),
            label(line, "operation")
        )
    };
    // A transaction is allowed by what its parts are.
    lines
        .map(spelled)
        .filter(|call| call != "dynamodb:TransactWriteItems")
        .collect()
}

#[track_caller]
fn every_event_arrives_and_no_other(account: &Account, outputs: &Value) {
    let queue = outputs["events_queue_url"]["value"]
        .as_str()
        .expect("there is a queue");
    let seen: Value = serde_json::from_str(&account.script("events.py", &[queue])).expect("it prints JSON");
    assert_eq!(seen["arrived"], seen["expected"]);
}
