//! One endpoint for all of AWS: what any SDK and the AWS CLI are pointed at.

use std::process::Command;

use serde_json::json;

use crate::support::{Scratch, Signal, aws, environment, tool};
use crate::{Dev, REGION};

/// Asks every service through one endpoint, with the SDK for Python.
const SCRIPT: &str = r#"
import boto3, json
table = boto3.resource("dynamodb").Table("lamplighter-desired")
rows = table.scan()["Items"]
builds = boto3.client("codebuild").list_builds_for_project(projectName="child-app")["ids"]
build = boto3.client("codebuild").batch_get_builds(ids=builds)["builds"][0]
ecs = boto3.client("ecs")
arns = ecs.list_services(cluster="apps")["serviceArns"]
service = ecs.describe_services(cluster="apps", services=arns)["services"][0]
elb = boto3.client("elbv2")
groups = elb.describe_target_groups()["TargetGroups"]
health = elb.describe_target_health(TargetGroupArn=groups[0]["TargetGroupArn"])
print(json.dumps({
    "rows": [row["id"] for row in rows],
    "build": build["buildStatus"],
    "running": service["runningCount"],
    "service": service["serviceName"],
    "group": groups[0]["TargetGroupName"],
    "health": [target["TargetHealth"]["State"] for target in health["TargetHealthDescriptions"]],
}))
"#;

#[test]
fn one_endpoint_answers_for_every_service_to_the_sdk_for_python_and_to_the_cli() {
    let scratch = Scratch::new("endpoint");
    let dev = Dev::start(&scratch, &["--speed", "200"]);
    dev.tables().put(
        "one",
        &[("user", "ann"), ("app", "hello"), ("desired", "Running")],
    );
    let status = dev.tables().until("one", "Ready");
    let name = status["resourceName"].as_str().expect("it has a name");

    let mut python = Command::new(tool("python"));
    python
        .args(["-c", SCRIPT])
        .env_clear()
        .envs(environment(&dev.aws, REGION));
    let output = python.output().expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it printed JSON");
    let expected = json!({
        "rows": ["one"], "build": "SUCCEEDED", "running": 1, "service": name, "group": name, "health": ["healthy"],
    });
    assert_eq!(seen, expected);

    let tables = aws(&dev.aws, REGION, &["dynamodb", "list-tables"]);
    let names = ["lamplighter-desired", "lamplighter-events", "lamplighter-state"];
    assert_eq!(tables["TableNames"], json!(names));
    assert_eq!(dev.builds().len(), 1);
    let services = [
        "ecs",
        "describe-services",
        "--cluster",
        "apps",
        "--services",
        name,
    ];
    let services = aws(&dev.aws, REGION, &services);
    assert_eq!(services["services"][0]["desiredCount"], 1);
    let groups = ["elbv2", "describe-target-groups", "--names", name];
    assert_eq!(
        aws(&dev.aws, REGION, &groups)["TargetGroups"][0]["TargetGroupName"],
        name
    );
    dev.ends_well(Signal::Terminate);
}
