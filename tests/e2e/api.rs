//! The daemon from outside: its HTTP API, the CLI against it, and what its probes and metrics say.

use hyper::Method;
use lamplighter::model::observed::Probe;
use lamplighter::model::status::{Phase, Status};
use serde_json::{Value, json};
use simcloud::{Fault, FaultPlan};
use tokio::process::Command;

use crate::lab::process::BINARY;
use crate::lab::wire::{ask, get};
use crate::lab::{Lab, wants};

/// One run of the CLI: exit code, standard output, standard error.
async fn cli(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String, String) {
    run(&lab.api(), arguments).await
}

async fn run(server: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = Command::new(BINARY)
        .arg("apps")
        .args(arguments)
        .args(["--server", server])
        .env_clear()
        .output()
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_can_be_put_watched_and_deleted_over_http() {
    let lab = Lab::new().await;
    lab.start().await;
    let url = format!("{}/api/v1/apps/one", lab.api());
    assert_eq!(
        (get(&url).await.status, get(&url).await.json()["code"].clone()),
        (404, json!("no-such-app"))
    );

    let bad = json!({"user": "ann", "app": "shop", "desired": "Up", "colour": "red"});
    let refused = ask(Method::PUT, &url, Some(&bad)).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    let fields: Vec<Value> = refused.json()["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["field"].clone())
        .collect();
    assert_eq!(
        fields,
        [json!("colour"), json!("desired")],
        "every mistake at once"
    );

    let row = json!({"user": "ann", "app": "shop", "desired": "Running", "parameters": {"SIZE": "small"}});
    let put = ask(Method::PUT, &url, Some(&row)).await;
    assert_eq!(put.status, 202, "{}", put.body);
    lab.until("one", Phase::Ready).await;
    let shown = get(&url).await.json();
    assert_eq!(
        (&shown["user"], &shown["parameters"]["SIZE"]),
        (&json!("ann"), &json!("small"))
    );
    assert_eq!(
        (&shown["status"]["phase"], &shown["hasRow"]),
        (&json!("Ready"), &json!(true))
    );
    let link = shown["status"]["url"].as_str().unwrap().to_owned();
    assert_eq!(
        lab.cloud.prober.probe(&link).await.present(),
        Some(&Probe::Answered),
        "the URL works"
    );
    let list = get(&format!("{}/api/v1/apps?phase=Ready", lab.api()))
        .await
        .json();
    assert_eq!(list["apps"][0], get(&url).await.json());

    assert_eq!(ask(Method::DELETE, &url, None).await.status, 202);
    lab.until("one", Phase::Destroyed).await;
    let gone = get(&url).await.json();
    assert_eq!(
        (&gone["status"]["reason"], &gone["hasRow"]),
        (&json!("Gone"), &json!(false))
    );
    let events = get(&format!("{url}/events")).await.json();
    assert!(events["events"].as_array().unwrap().len() > 4, "{events}");
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_lists_shows_and_destroys() {
    let lab = Lab::new().await;
    lab.start().await;
    let apply = [
        "apply",
        "--id",
        "one",
        "--user",
        "ann",
        "--app",
        "shop",
        "--desired",
        "running",
    ];
    let (code, said, error) = cli(&lab, &apply).await;
    assert_eq!((code, error.as_str()), (Some(0), ""), "{said}");
    assert!(said.starts_with("one is asked to be Running; it is "), "{said}");
    let url = lab.until("one", Phase::Ready).await.url.unwrap();

    let (code, table, _) = cli(&lab, &["list"]).await;
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = table.lines().collect();
    let columns: Vec<&str> = lines[0]
        .split("  ")
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(
        columns,
        ["ID", "APP", "USER", "PHASE", "URL", "REASON", "NEXT CHANGE"]
    );
    for cell in ["one", "shop", "ann", "Ready", &url, "Destroy", "2027-02-10"] {
        assert!(lines[1].contains(cell), "{cell} is not in {:?}", lines[1]);
    }
    let (_, listed, _) = cli(&lab, &["list", "-o", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (&listed["apps"][0]["id"], &listed["apps"][0]["status"]["url"]),
        (&json!("one"), &json!(url))
    );

    let (_, shown, _) = cli(&lab, &["get", "one"]).await;
    for part in ["DESIRED", "Running", &url, "Accepted", "RouteHealthy"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let (_, shown, _) = cli(&lab, &["get", "one", "-o", "json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&shown).unwrap()["status"]["phase"],
        "Ready"
    );

    let (code, _, error) = cli(&lab, &["apply", "--id", "one", "--param", "COLOUR="]).await;
    assert_eq!(
        (code, error.as_str()),
        (Some(0), ""),
        "whether a parameter is known, the planner tells"
    );
    let told = |status: &Status| {
        status.conditions[0]
            .message
            .contains("parameters.COLOUR is not a parameter")
    };
    lab.until_status("one", "told", told).await;
    let (code, _, error) = cli(&lab, &["apply", "--id", "one", "--time-zone", "Mars/Olympus"]).await;
    assert_eq!(code, Some(1));
    assert!(
        error.contains("timeZone") && error.contains("is not a known time zone"),
        "{error}"
    );

    let (code, said, _) = cli(&lab, &["destroy", "one"]).await;
    assert_eq!(
        (code, said.starts_with("one is asked to be Destroyed")),
        (Some(0), true),
        "{said}"
    );
    lab.until("one", Phase::Destroyed).await;
    let (code, said, _) = cli(&lab, &["destroy", "one", "--delete-row"]).await;
    assert_eq!(
        (code, said.starts_with("The row of one is deleted")),
        (Some(0), true),
        "{said}"
    );
    let (code, _, error) = cli(&lab, &["get", "nobody"]).await;
    assert_eq!((code, error.contains("no-such-app")), (Some(1), true), "{error}");
    let (code, _, error) = run("http://127.0.0.1:1", &["list"]).await;
    assert_eq!(
        (code, error.contains("no daemon answers at http://127.0.0.1:1")),
        (Some(3), true),
        "{error}"
    );
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_aws_denies_or_does_not_answer_is_not_ready_and_says_which_call() {
    for (fault, says) in [
        (
            Fault::AccessDenied,
            &["dynamodb.Scan", "not authorized to perform: dynamodb:Scan"][..],
        ),
        (Fault::LoseRequest, &["dynamodb.Scan"]),
    ] {
        let lab = Lab::new().await;
        lab.sim
            .faults()
            .set(FaultPlan::new().rate_of("dynamodb", 1.0, fault));
        lab.start().await;
        let ready = async || get(&format!("{}/readyz", lab.admin())).await;
        lab.eventually("it says why", async || {
            let answer = ready().await;
            assert_eq!((answer.status, &answer.json()["ready"]), (503, &json!(false)));
            says.iter().all(|part| answer.body.contains(part))
        })
        .await;
        assert_eq!(
            get(&format!("{}/healthz", lab.admin())).await.status,
            200,
            "a restart would not help"
        );
        let list = get(&format!("{}/api/v1/apps", lab.api())).await;
        assert_eq!(
            (list.status, &list.json()["code"]),
            (503, &json!("not-swept")),
            "{}",
            list.body
        );

        lab.sim.faults().clear();
        lab.eventually("it is ready", async || ready().await.status == 200)
            .await;
        lab.put("one", &wants("ann", "shop", "Running")).await;
        lab.until("one", Phase::Ready).await;
        lab.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_may_not_list_builds_is_not_ready_and_says_so() {
    let lab = Lab::new().await;
    lab.sim.faults().set(FaultPlan::new().rate_of(
        "codebuild.ListBuildsForProject",
        1.0,
        Fault::AccessDenied,
    ));
    lab.start().await;
    let ready = async || get(&format!("{}/readyz", lab.admin())).await;
    lab.eventually("it says why", async || {
        let answer = ready().await;
        assert_eq!(answer.status, 503);
        answer
            .body
            .contains("the builds of project child-app cannot be listed")
            && answer.body.contains("codebuild:ListBuildsForProject")
    })
    .await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let waits = |status: &Status| status.message.contains("have not been listed yet");
    lab.until_status("one", "that it waits", waits).await;
    lab.sim.faults().clear();
    lab.until("one", Phase::Ready).await;
    assert_eq!(ready().await.status, 200);
    // What was listed once is good for a while.
    lab.sim.faults().set(FaultPlan::new().rate_of(
        "codebuild.ListBuildsForProject",
        1.0,
        Fault::AccessDenied,
    ));
    let before = lab.sweeps().await;
    lab.eventually("it sweeps", async || lab.sweeps().await > before + 1)
        .await;
    assert_eq!(ready().await.status, 200);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_may_not_read_the_history_does_nothing_and_says_so() {
    let lab = Lab::new().await;
    let denied = FaultPlan::new().rate_of("dynamodb.Query", 1.0, Fault::AccessDenied);
    lab.sim.faults().set(denied);
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.start().await;
    let ready = async || get(&format!("{}/readyz", lab.admin())).await;
    lab.eventually("it says why", async || {
        let answer = ready().await;
        answer.status == 503 && answer.body.contains("the history cannot be read")
    })
    .await;
    assert_eq!(lab.memory("one").await, None);
    lab.sim.faults().clear();
    lab.until("one", Phase::Ready).await;
    assert_eq!(ready().await.status, 200);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_start_build_is_told_to_the_app_that_waits_for_it() {
    let lab = Lab::new().await;
    lab.sim
        .faults()
        .set(FaultPlan::new().rate_of("codebuild.StartBuild", 1.0, Fault::AccessDenied));
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let denied = |status: &Status| {
        status
            .message
            .contains("not authorized to perform: codebuild:StartBuild")
    };
    let told = lab.until_status("one", "denied", denied).await;
    assert_eq!(told.phase, Phase::Deploying);
    assert!(told.message.contains("child-app"), "{}", told.message);
    lab.sim.faults().clear();
    lab.until("one", Phase::Ready).await;
    assert_eq!(lab.builds("one").len(), 1);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_move_with_the_work() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.eventually("it sweeps", async || lab.sweeps().await > 0).await;
    let started = "lamplighter_builds_started_total{kind=\"apply\"}";
    assert_eq!(lab.metric(started).await, 0);
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    assert_eq!(lab.metric(started).await, 1);
    for (name, least) in [
        (
            "lamplighter_aws_requests_total{operation=\"StartBuild\",outcome=\"ok\",service=\"codebuild\"}",
            1,
        ),
        (
            "lamplighter_aws_requests_total{operation=\"DescribeServices\",outcome=\"ok\",service=\"ecs\"}",
            1,
        ),
        ("lamplighter_reconcile_total{result=\"acted\"}", 2),
        ("lamplighter_time_to_ready_seconds_count", 1),
        ("lamplighter_workqueue_adds_total", 3),
        ("lamplighter_ready", 1),
        ("lamplighter_shards", 1),
        ("lamplighter_builds_limit", 1),
    ] {
        assert!(lab.metric(name).await >= least, "{name}");
    }
    lab.eventually("the gauge shows it", async || {
        lab.metric("lamplighter_apps{phase=\"Ready\"}").await == 1
    })
    .await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_says_why_and_when_over_http_and_at_the_terminal() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    let why = get(&format!("{}/api/v1/apps/one/why", lab.api())).await.json();
    let next = lab.status("one").await.next_change.unwrap();
    assert_eq!(why["next"], json!(next));
    assert_eq!(why["now"]["phase"], "Ready");
    let decisions = why["decisions"].as_array().unwrap();
    assert!(decisions.len() >= 3, "{why}");
    for line in decisions {
        assert_eq!(line["inputs"]["desired"], "Running", "{line}");
        assert!(line["inputs"]["requestedAt"].is_string(), "{line}");
    }
    let server = lab.api();
    for verb in ["why", "when"] {
        let told = get(&format!("{server}/api/v1/apps/one/{verb}")).await.json();
        let command = [verb, "one", "--server", &server];
        let done = Command::new(BINARY)
            .args(command)
            .env_clear()
            .output()
            .await
            .unwrap();
        assert!(done.status.success());
        assert_eq!(
            String::from_utf8(done.stdout).unwrap(),
            told["text"].as_str().unwrap(),
            "{verb}"
        );
    }
    let times = get(&format!("{server}/api/v1/schedule/next")).await.json();
    let boundaries = times["schedules"].as_array().unwrap();
    let at = json!(next.at);
    assert!(
        boundaries.iter().any(|schedule| schedule["boundary"] == at),
        "{times}"
    );
}

/// What the simulator reads of the tables is what the daemon has decided, and reading changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_foretells_what_the_daemon_promises() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    let next = lab.status("one").await.next_change.unwrap();
    let config = "[aws]\nregion = \"eu-west-1\"\nendpoint_url = \"@AWS@\"\n[schedules.office]\ntime_zone = \"Europe/Berlin\"\n\
        teardown = \"0 19 * * *\"\n[apps.shop]\nproject = \"child-app\"\ncluster = \"apps\"\ndomain = \"localhost\"\n\
        schedule = \"office\"\n[apps.shop.parameters.SIZE]\n";
    let file = lab.write_config("simulate", config);
    let hour_before = next.at - jiff::SignedDuration::from_hours(1);
    let done = Command::new(BINARY)
        .args([
            "simulate", "--rows", "live", "--format", "json", "--days", "1", "--config",
        ])
        .arg(&file)
        .args(["--at", &hour_before.to_string()])
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "lab")
        .env("AWS_SECRET_ACCESS_KEY", "lab")
        .output()
        .await
        .unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told: Value = serde_json::from_str(&told).unwrap();
    let life = &told["apps"][0];
    assert_eq!(
        (&life["id"], &life["first"]["level"]),
        (&json!("one"), &json!("Running")),
        "{told}"
    );
    let change = &life["changes"][0];
    assert_eq!(
        (&change["at"], &change["action"], &change["rule"]),
        (&json!(next.at), &json!("destroy"), &json!(next.rule))
    );
    assert_eq!(lab.status("one").await.phase, Phase::Ready);
}
