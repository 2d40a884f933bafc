//! `lamplighter adopt`: a fleet that another tool has deployed is taken over while a daemon runs. Nothing is built,
//! nothing restarts, and from then on its apps are apps like any other.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::config::{BehaviorVersion, Credentials, Region};
use lamplighter::adopt::{Adopter, Only, Report};
use lamplighter::client::{self, AppsCommand, ClientCommand, ClientOptions};
use lamplighter::model::status::Phase;
use lamplighter::planner::adopt::Verdict;
use lamplighter::serve;
use serde_json::{Value, json};
use simcloud::{Fault, FaultPlan, ServiceStatus};

use crate::lab::process::BINARY;
use crate::lab::{CLUSTER, Lab, Setup, app};

const ADOPT: &str = r#"
[adopt]
where = { ManagedBy = "old-tool" }
host_name = "{name}.{domain}"
tags = { user = "Owner", app = "Application" }
"#;

async fn lab() -> Lab {
    let setup = Setup {
        config: ADOPT.to_owned(),
        ..Setup::default()
    };
    let lab = Lab::with(setup).await;
    let definition = json!({"family": "old", "containerDefinitions": [{"name": "web", "image": "web:1"}]});
    ecs(&lab, "RegisterTaskDefinition", definition).await;
    lab
}

async fn ecs(lab: &Lab, operation: &str, input: Value) -> Value {
    lab.sim
        .ask("ecs", operation, input)
        .await
        .unwrap_or_else(|refusal| panic!("{operation}: {refusal:?}"))
}

/// A target group behind the load balancer, and its ARN.
async fn target_group(lab: &Lab, name: &str) -> String {
    let config = aws_sdk_elasticloadbalancingv2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("old", "tool", None, None, "lab"))
        .endpoint_url(&lab.url);
    let client = aws_sdk_elasticloadbalancingv2::Client::from_conf(config.build());
    let made = client.create_target_group().name(name).send().await.unwrap();
    lab.sim.world().attach_target_group(name, CLUSTER);
    made.target_groups()[0].target_group_arn().unwrap().to_owned()
}

/// A service as the other tool makes them; a shop has a target group, whose name is none of ours.
async fn old_service(lab: &Lab, name: &str, owner: &str, application: &str, tasks: u32) {
    let balancers = if application == "shop" {
        let arn = target_group(lab, &format!("tg-of-{name}")).await;
        json!([{"targetGroupArn": arn, "containerName": "web", "containerPort": 8080}])
    } else {
        json!([])
    };
    let service = json!({
        "cluster": CLUSTER, "serviceName": name, "taskDefinition": "old", "desiredCount": tasks,
        "loadBalancers": balancers,
        "tags": [
            {"key": "ManagedBy", "value": "old-tool"},
            {"key": "Owner", "value": owner},
            {"key": "Application", "value": application},
        ],
    });
    ecs(lab, "CreateService", service).await;
}

async fn adopt(lab: &Lab, apply: bool) -> Report {
    adopt_only(lab, apply, &Only::default()).await
}

async fn adopt_only(lab: &Lab, apply: bool, only: &Only) -> Report {
    let clients = lab.clients().await;
    let adopter = Adopter {
        edges: &serve::adoption(&clients, serve::tables(&lab.config)),
        rule: lab.config.adopt.as_ref().unwrap(),
        policy: &lab.config.policy,
        clock: lab.clock.as_ref(),
        entropy: serve::entropy(),
    };
    adopter.run(only, apply).await.unwrap()
}

/// What a report says of each service, in a word.
fn told(report: &Report) -> Vec<(&str, &'static str)> {
    let word = |line: &lamplighter::adopt::Line| match (&line.candidate.verdict, &line.result) {
        (_, Err(_)) => "failed",
        (Verdict::Adopt(_), Ok(_)) => "adopt",
        (Verdict::Already, Ok(_)) => "already",
        (Verdict::Skip(_), Ok(_)) => "skip",
    };
    report
        .lines
        .iter()
        .map(|line| (line.candidate.seen.service.name.as_str(), word(line)))
        .collect()
}

/// Everything in ECS and in the tables that adopting may change.
async fn everything(lab: &Lab) -> String {
    let services: Vec<_> = lab
        .sim
        .world()
        .services()
        .into_iter()
        .map(|service| (service.name, service.tags, service.desired))
        .collect();
    let rows = lab.cloud.desired.rows().await.unwrap().rows;
    let state = lab.snapshot().await;
    format!("{services:?} {rows:?} {:?} {:?}", state.memories, state.claims)
}

fn nothing_was_built(lab: &Lab) {
    assert_eq!(lab.sim.world().builds(), []);
    assert!(!lab.sim.world().calls().contains_key("codebuild.StartBuild"));
}

/// Sweeps enough for whatever would be done wrongly to be done.
async fn a_while(lab: &Lab) {
    let from = lab.sweeps().await;
    lab.eventually("four sweeps", async || lab.sweeps().await >= from + 4)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_taken_over_while_a_daemon_runs_and_nothing_is_ever_built_for_it() {
    let lab = lab().await;
    old_service(&lab, "ann-old", "ann", "shop", 1).await;
    old_service(&lab, "bob-old", "bob", "shop", 0).await;
    old_service(&lab, "cid-old", "cid", "wiki", 3).await;
    old_service(&lab, "dee-old", "dee", "blog", 1).await;
    let unrelated = json!({"cluster": CLUSTER, "serviceName": "database", "taskDefinition": "old"});
    ecs(&lab, "CreateService", unrelated).await;
    lab.start().await;
    a_while(&lab).await;

    let before = everything(&lab).await;
    let dry = adopt(&lab, false).await;
    let expected = [
        ("ann-old", "adopt"),
        ("bob-old", "adopt"),
        ("cid-old", "adopt"),
        ("dee-old", "skip"),
    ];
    assert_eq!(told(&dry), expected);
    assert_eq!(everything(&lab).await, before, "a dry run changes nothing");
    assert!(!lab.sim.world().calls().contains_key("ecs.TagResource"));

    let made: Vec<_> = lab
        .sim
        .world()
        .services()
        .into_iter()
        .map(|s| (s.name, s.created))
        .collect();
    assert_eq!(told(&adopt(&lab, true).await), expected);
    lab.until("ann-old", Phase::Ready).await;
    lab.until("bob-old", Phase::Suspended).await;
    let cid = lab.until("cid-old", Phase::Ready).await;
    assert_eq!(cid.host_name.as_deref(), Some("cid-old.localhost"));
    a_while(&lab).await;
    nothing_was_built(&lab);
    let world = lab.sim.world();
    let now: Vec<_> = world
        .services()
        .into_iter()
        .map(|s| (s.name, s.created))
        .collect();
    assert_eq!(now, made, "no service is made anew");
    assert!(
        world.services().iter().all(|service| service.deployments == 1),
        "nothing is rolled out"
    );
    assert_eq!(
        world.service(CLUSTER, "cid-old").unwrap().desired,
        1,
        "as the catalogue has it"
    );
    assert_eq!(world.service(CLUSTER, "database").unwrap().tags.len(), 0);
    for id in ["ann-old", "bob-old", "cid-old"] {
        assert!(lab.holds_a_slot(id).await, "{id}");
    }

    let rows = lab.cloud.desired.rows().await.unwrap().rows;
    let again = adopt(&lab, true).await;
    assert!(
        told(&again)
            .iter()
            .all(|(name, what)| *what == "already" || *name == "dee-old"),
        "{again:?}"
    );
    assert_eq!(
        lab.cloud.desired.rows().await.unwrap().rows,
        rows,
        "a second run changes nothing"
    );
    assert_eq!(lab.sim.world().calls()["ecs.TagResource"], 3);

    // Resumed without a build, and destroyed by one.
    lab.put(
        "bob-old",
        &[("user", "bob"), ("app", "shop"), ("desired", "Running")],
    )
    .await;
    lab.until("bob-old", Phase::Ready).await;
    nothing_was_built(&lab);
    let options = ClientOptions {
        server: lab.api(),
        ..ClientOptions::default()
    };
    let destroy = ClientCommand::Apps(AppsCommand::Destroy {
        id: "ann-old".to_owned(),
        delete_row: false,
    });
    client::run(destroy, &options, &mut Vec::new()).await.unwrap();
    lab.until("ann-old", Phase::Destroyed).await;
    let builds = lab.sim.world().builds();
    assert_eq!(builds.len(), 1, "{builds:#?}");
    assert_eq!(builds[0].action.as_deref(), Some("destroy"));
    assert_eq!(builds[0].environment["RESOURCE_NAME"], "ann-old");
    assert_eq!(builds[0].host.as_deref(), Some("ann-old.localhost"));
    assert_eq!(
        world.service(CLUSTER, "ann-old").map(|s| s.status),
        Some(ServiceStatus::Inactive)
    );
    assert!(world.target_group("tg-of-ann-old").is_none());
    assert!(!lab.holds_a_slot("ann-old").await);
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_short_at_any_call_it_does_no_harm_and_is_completed_by_the_next_run() {
    let lab = lab().await;
    let calls = [
        "ecs.TagResource",
        "dynamodb.TransactWriteItems",
        "dynamodb.PutItem",
    ];
    let mut names = Vec::new();
    // Refused, and carried out although no answer ever comes.
    for (place, fault) in [Fault::AccessDenied, Fault::LoseResponse].into_iter().enumerate() {
        for (at, call) in calls.iter().enumerate() {
            let name = format!("u{place}{at}");
            old_service(&lab, &name, &name, "shop", 1).await;
            names.push(name.clone());
            lab.sim
                .faults()
                .set(FaultPlan::new().rate_of(call, 1.0, fault.clone()));
            let only = Only {
                id: Some(name.clone()),
                ..Only::default()
            };
            let report = adopt_only(&lab, true, &only).await;
            lab.sim.faults().set(FaultPlan::new());
            assert_eq!(told(&report), [(name.as_str(), "failed")], "{call}: {report:?}");
        }
    }
    let tagged = || {
        lab.sim
            .world()
            .services()
            .into_iter()
            .filter(|s| s.instance.is_some())
    };
    assert_eq!(tagged().count(), 5, "all but the one that was not to be tagged");
    // A daemon finds what is left of that, and leaves it as it is.
    lab.start().await;
    a_while(&lab).await;
    nothing_was_built(&lab);
    assert!(
        lab.sim
            .world()
            .services()
            .iter()
            .all(|service| service.running == 1)
    );
    for (name, reason) in [("u02", "Quarantined"), ("u11", "Quarantined"), ("u12", "Ready")] {
        lab.until_reason(name, reason).await;
    }
    for name in ["u00", "u01", "u10"] {
        assert!(lab.memory(name).await.is_none(), "{name}");
    }

    let report = adopt(&lab, true).await;
    assert!(!report.has_failures(), "{report:?}");
    for name in &names {
        lab.until(name, Phase::Ready).await;
    }
    a_while(&lab).await;
    nothing_was_built(&lab);
    assert!(
        told(&adopt(&lab, true).await)
            .iter()
            .all(|(_, what)| *what == "already")
    );
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_and_listings_that_are_minutes_old_lead_to_no_build() {
    let lab = lab().await;
    for name in ["e1", "e2", "e3", "e4"] {
        old_service(&lab, name, name, "shop", 1).await;
    }
    lab.start().await;
    a_while(&lab).await;
    let stale = Fault::StaleList(Duration::from_mins(10));
    let plan = FaultPlan::new()
        .rate_of("ecs.ListServices", 0.5, stale.clone())
        .rate_of("ecs.DescribeServices", 0.5, stale);
    lab.sim.faults().set(plan);
    tokio::join!(adopt(&lab, true), adopt(&lab, true));
    lab.eventually("all are taken over", async || {
        adopt(&lab, true).await;
        lab.cloud.desired.rows().await.unwrap().rows.len() == 4
    })
    .await;
    a_while(&lab).await;
    lab.sim.faults().set(FaultPlan::new());
    for name in ["e1", "e2", "e3", "e4"] {
        lab.until(name, Phase::Ready).await;
    }
    a_while(&lab).await;
    nothing_was_built(&lab);
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_is_lost_afterwards_is_brought_back_by_the_tags() {
    let lab = lab().await;
    old_service(&lab, "ann-old", "ann", "shop", 1).await;
    adopt(&lab, true).await;
    lab.start().await;
    lab.until("ann-old", Phase::Ready).await;
    lab.stop().await;
    let memory = lab.memory("ann-old").await.unwrap();
    let group = memory.deployment.unwrap().blueprint.target_group.clone();
    lab.lose_state_and_history().await;
    lab.start().await;
    lab.until("ann-old", Phase::Ready).await;
    a_while(&lab).await;
    nothing_was_built(&lab);
    let memory = lab.memory("ann-old").await.unwrap();
    assert_eq!(memory.deployment.unwrap().blueprint.target_group, group);
    lab.assert_sound();
    lab.stop().await;
}

fn run(config: &PathBuf, words: &[&str]) -> Output {
    Command::new(BINARY)
        .args(["adopt", "--config"])
        .arg(config)
        .args(words)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "lab")
        .env("AWS_SECRET_ACCESS_KEY", "lab")
        .output()
        .unwrap()
}

const CONFIG: &str = r#"
[aws]
region = "eu-west-1"
endpoint_url = "@AWS@"
[apps.shop]
project = "child-app"
cluster = "apps"
domain = "localhost"
url = "http://{host_name}:@PORT@"
target_group = "{resource_name}"
[apps.wiki]
project = "child-app"
cluster = "apps"
domain = "localhost"
url = "http://{host_name}:@PORT@"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_what_it_would_do_and_does_it_when_asked_to() {
    let lab = lab().await;
    old_service(&lab, "ann-old", "ann", "shop", 2).await;
    old_service(&lab, "bad", "x\u{1b}]0;t\u{7}\u{202e}y", "wiki", 1).await;
    let config = lab.write_config("adopt", &format!("{CONFIG}{ADOPT}"));
    let text = |output: &[u8]| String::from_utf8(output.to_vec()).unwrap();

    let dry = run(&config, &[]);
    let printed = text(&dry.stdout);
    assert_eq!(dry.status.code(), Some(0), "{}", text(&dry.stderr));
    let header: Vec<&str> = printed
        .lines()
        .next()
        .unwrap()
        .split("  ")
        .map(str::trim)
        .collect();
    assert_eq!(header.first(), Some(&"SERVICE"));
    for needle in [
        "apps/ann-old",
        "ann-old.localhost",
        "to adopt; its tasks go from 2 to 1, as the catalogue says",
        "left alone: it has the owner \"x\\u{1b}]0;t\\u{7}",
        "1 to adopt, 0 adopted already, 1 left alone. Nothing was changed; --apply does it.",
    ] {
        assert!(printed.contains(needle), "{needle} not in {printed}");
    }
    let unsafe_ = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!printed.contains(unsafe_), "{printed:?}");

    let whole = run(&config, &["-o", "json"]);
    let printed = text(&whole.stdout);
    assert!(!printed.contains(unsafe_), "{printed:?}");
    let json: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(json["dryRun"], true);
    assert_eq!(json["services"][0]["outcome"], "adopt");
    assert_eq!(json["services"][0]["hostName"], "ann-old.localhost");
    assert_eq!(json["services"][1]["skipped"]["reason"], "NotValid");
    assert_eq!((&json["adopted"], &json["skipped"]), (&json!(1), &json!(1)));

    let other = run(&config, &["--apply", "--id", "nobody"]);
    assert_eq!(
        text(&other.stdout),
        "None of 2 services is asked for: see adopt.where, and what was given.\n"
    );
    assert!(lab.memory("ann-old").await.is_none());
    let typo = run(&config, &["--app", "shpo"]);
    assert_eq!(typo.status.code(), Some(2));
    assert_eq!(
        text(&typo.stderr),
        "lamplighter: --app is not in the catalogue; the catalogue has shop, wiki\n"
    );

    let done = run(&config, &["--apply"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stdout));
    assert!(text(&done.stdout).contains("1 adopted, 0 adopted already, 1 left alone, 0 failed."));
    assert!(lab.cloud.desired.row(&app("ann-old")).await.unwrap().is_some());
    let again = text(&run(&config, &["--apply"]).stdout);
    assert!(again.contains("0 adopted, 1 adopted already"), "{again}");

    // What fails is told, and makes the command fail.
    old_service(&lab, "cid-old", "cid", "shop", 1).await;
    old_service(&lab, "eve-old", "eve", "shop", 1).await;
    lab.sim
        .faults()
        .set(FaultPlan::new().rate_of("ecs.TagResource", 1.0, Fault::AccessDenied));
    let denied = run(&config, &["--apply"]);
    assert_eq!(denied.status.code(), Some(1));
    let printed = text(&denied.stdout);
    for needle in [
        "failed: ecs.TagResource was denied",
        "failed: not tried, since ecs.TagResource was denied",
    ] {
        assert!(printed.contains(needle), "{needle} not in {printed}");
    }
    lab.sim
        .faults()
        .set(FaultPlan::new().rate_of("ecs.ListServices", 1.0, Fault::AccessDenied));
    let blind = run(&config, &["--apply"]);
    assert_eq!(blind.status.code(), Some(1));
    assert!(
        text(&blind.stderr).contains("; nothing was changed"),
        "{}",
        text(&blind.stderr)
    );

    let without = lab.write_config("adopt-without", CONFIG);
    let without = run(&without, &[]);
    assert_eq!(without.status.code(), Some(2));
    assert!(text(&without.stderr).contains("has no [adopt]"));
}
