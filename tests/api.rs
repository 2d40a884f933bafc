//! The HTTP surface over real loopback connections: every route, every refusal, who may do what, and what
//! hostile callers get.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "api/access.rs"]
mod access;
#[path = "api/hostile.rs"]
mod hostile;
#[path = "api/keeps.rs"]
mod keeps;
#[path = "api/log.rs"]
mod log;
#[path = "api/orphans.rs"]
mod orphans;
#[path = "api/report.rs"]
mod report;
#[path = "api/shutdown.rs"]
mod shutdown;
#[path = "api/support.rs"]
mod support;
#[path = "api/watch.rs"]
mod watch;
#[path = "api/why.rs"]
mod why;

use lamplighter::api::Access;
use lamplighter::api::problem::Code;
use lamplighter::model::policy::Deletions;
use lamplighter::model::row::Desired;
use serde_json::json;
use support::{NOW, Served, Trouble, row, time};

async fn served() -> Served {
    Served::start(Access::ThisMachine).await
}

fn ids(answer: &support::Answer) -> Vec<String> {
    let list = answer.json();
    let apps = list["apps"].as_array().unwrap();
    apps.iter()
        .map(|app| app["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_list_shows_every_app_and_can_be_narrowed() {
    let served = served().await;
    let all = served.get("/api/v1/apps").await;
    assert_eq!(
        (all.status, ids(&all)),
        (200, vec!["a1".into(), "b2".into(), "c3".into()])
    );
    assert_eq!(all.json()["asOf"], NOW);
    assert_eq!(all.headers["content-type"], "application/json");
    let check = async |query: &str, expected: &[&str]| {
        assert_eq!(
            ids(&served.get(&format!("/api/v1/apps?{query}")).await),
            expected,
            "{query}"
        );
    };
    check("phase=Ready", &["a1"]).await;
    check("phase=Pending", &["b2"]).await;
    check("user=bob", &["b2"]).await;
    check("user=bob&phase=Ready", &[]).await;
    check("user=%3Cscript%3E", &[]).await;
    check("user=%ff", &[]).await;
    for query in [
        "phase=ready",
        "phase=%0d%0a",
        "uesr=bob",
        "phase=Ready&phase=Ready",
    ] {
        let answer = served.get(&format!("/api/v1/apps?{query}")).await;
        answer.assert_problem(400, "bad-request");
    }
}

#[tokio::test]
async fn a_fleet_that_was_never_swept_is_not_shown_as_empty() {
    let served = served().await;
    served.fake.fleet.lock().unwrap().as_of = None;
    let answer = served.get("/api/v1/apps").await;
    answer.assert_problem(503, "not-swept");
    assert_eq!(answer.headers["retry-after"], "5");
}

#[tokio::test]
async fn an_app_is_shown_with_its_row_and_the_status_of_the_table() {
    let served = served().await;
    let app = served.get("/api/v1/apps/a1").await.json();
    let expected = json!({
        "id": "a1", "hasRow": true, "user": "ann", "app": "shop", "desired": "Running", "generation": 3,
        "requestedAt": "2026-11-20T09:00:00Z", "hostName": "a.example.com", "parameters": {"SIZE": "small"},
        "keepUntil": "2026-11-20T22:00:00Z",
        "status": {
            "observedGeneration": 3, "phase": "Ready", "reason": "Answering", "message": "The app answers.",
            "url": "https://a.example.com", "hostName": "a.example.com", "conditions": [],
            "nextChange": {"at": "2026-11-20T19:00:00Z", "action": "Destroy", "rule": "Curfew"},
        },
    });
    assert_eq!(app, expected);
    let unseen = served.get("/api/v1/apps/b2").await.json();
    assert_eq!(
        unseen,
        json!({"id": "b2", "hasRow": true, "user": "bob", "app": "wiki", "desired": "Running", "status": null})
    );
    let gone = served.get("/api/v1/apps/c3").await.json();
    assert_eq!(
        (&gone["hasRow"], &gone["status"]["phase"]),
        (&json!(false), &json!("Destroying"))
    );
    served
        .get("/api/v1/apps/nobody")
        .await
        .assert_problem(404, "no-such-app");
}

#[tokio::test]
async fn an_app_is_read_from_the_tables_and_not_from_the_snapshot() {
    let served = served().await;
    let changed = row(
        "a1",
        json!({"user": "ann", "app": "shop", "desired": "Suspended"}),
    );
    served
        .fake
        .rows
        .lock()
        .unwrap()
        .insert(support::id("a1"), changed);
    assert_eq!(served.get("/api/v1/apps/a1").await.json()["desired"], "Suspended");
}

#[tokio::test]
async fn a_row_with_problems_shows_them() {
    let served = served().await;
    let bad = row(
        "bad",
        json!({"user": "ann", "desired": "Running", "keepuntil": "x"}),
    );
    served.fake.rows.lock().unwrap().insert(support::id("bad"), bad);
    let app = served.get("/api/v1/apps/bad").await.json();
    assert_eq!(app["problems"][0]["field"], "app", "{app}");
    assert_eq!(app["problems"][1]["remedy"], "did you mean keepUntil?", "{app}");
}

#[tokio::test]
async fn a_put_writes_the_whole_row_stamps_it_and_hints() {
    let served = served().await;
    let body = json!({"id": "a1", "user": "ann", "app": "shop", "desired": "Suspended"});
    let answer = served.put("/api/v1/apps/a1", body.to_string()).await;
    assert_eq!(answer.status, 202);
    let app = answer.json();
    assert_eq!(
        (&app["desired"], &app["requestedAt"]),
        (&json!("Suspended"), &json!(NOW))
    );
    assert_eq!(app["status"]["phase"], "Ready", "what it still is");
    let row = served.row("a1").unwrap();
    assert_eq!(
        (row.desired, row.requested_at),
        (Some(Desired::Suspended), Some(time(NOW)))
    );
    assert_eq!((row.keep_until, row.generation), (None, None), "a put replaces");
    assert_eq!(served.hints(), ["a1"]);

    let body =
        json!({"user": "eve", "app": "shop", "desired": "Running", "requestedAt": "2026-11-20T08:00:00Z"});
    let answer = served.put("/api/v1/apps/new-1", body.to_string()).await;
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!(null)));
    assert_eq!(
        served.row("new-1").unwrap().requested_at,
        Some(time("2026-11-20T08:00:00Z"))
    );
}

#[tokio::test]
async fn a_put_that_is_wrong_names_every_field_and_writes_nothing() {
    let served = served().await;
    let before = served.row("a1");
    let body = json!({
        "id": "other", "user": "", "desired": "running", "generation": "3", "hostName": "-",
        "keepuntil": "x", "parameters": {"A": 1}, "x-mine": 1,
    });
    let document = served
        .put("/api/v1/apps/a1", body.to_string())
        .await
        .assert_problem(422, "invalid-row");
    let problems = document["problems"].as_array().unwrap();
    let mut fields: Vec<&str> = problems.iter().map(|p| p["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    let expected = [
        "app",
        "desired",
        "generation",
        "hostName",
        "id",
        "keepuntil",
        "parameters.A",
        "user",
        "x-mine",
    ];
    assert_eq!(fields, expected);
    for problem in problems {
        assert!(!problem["problem"].as_str().unwrap().is_empty(), "{problem}");
        assert!(!problem["remedy"].as_str().unwrap().is_empty(), "{problem}");
    }
    assert_eq!(served.row("a1"), before);
    assert!(served.hints().is_empty());

    let good = json!({"user": "a", "app": "b", "desired": "Running"}).to_string();
    let document = served.put("/api/v1/apps/Not%20An%20Id", &good).await;
    assert_eq!(
        document.assert_problem(422, "invalid-row")["problems"][0]["field"],
        "id"
    );
}

#[tokio::test]
async fn a_delete_deletes_hints_and_may_be_repeated() {
    let served = served().await;
    let first = served.ask("DELETE", "/api/v1/apps/a1", &[], "").await;
    assert_eq!((first.status, &first.json()["hasRow"]), (202, &json!(false)));
    assert!(served.row("a1").is_none());
    let again = served.ask("DELETE", "/api/v1/apps/a1", &[], "").await;
    assert_eq!(again.status, 202);
    let never = served.ask("DELETE", "/api/v1/apps/nobody", &[], "").await;
    assert_eq!((never.status, never.text.as_str()), (204, ""));
    assert_eq!(served.hints(), ["a1", "a1", "nobody"]);
}

#[tokio::test]
async fn history_comes_newest_first_and_no_longer_than_asked() {
    let served = served().await;
    let all = served.get("/api/v1/apps/a1/events").await.json();
    let reasons: Vec<&str> = all["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["Step2", "Step1", "Step0"]);
    assert!(all["events"][0].get("ttl").is_none(), "{all}");
    let one = served.get("/api/v1/apps/a1/events?limit=1").await.json();
    assert_eq!(one["events"].as_array().unwrap().len(), 1);
    let none = served.get("/api/v1/apps/nobody/events").await;
    assert_eq!((none.status, none.json()), (200, json!({"events": []})));
    for limit in ["0", "201", "-1", "x", "99999999999999999999", ""] {
        let answer = served.get(&format!("/api/v1/apps/a1/events?limit={limit}")).await;
        answer.assert_problem(400, "bad-request");
    }
    assert_eq!(served.get("/api/v1/apps/a1/events?limit=200").await.status, 200);
}

#[tokio::test]
async fn a_mass_deletion_waits_for_an_approval() {
    let served = served().await;
    let json_body = ["Content-Type: application/json"];
    let approve = "/api/v1/holds/deletions/approve";
    served
        .ask("POST", approve, &json_body, "{}")
        .await
        .assert_problem(409, "nothing-held");
    assert_eq!(served.fake.approvals.lock().unwrap().count, 0);

    served.fake.fleet.lock().unwrap().deletions = Deletions::Held {
        vanished: 9,
        known: 20,
        since: time(NOW),
    };
    let holds = served.get("/api/v1/holds").await.json();
    assert_eq!(
        holds,
        json!({
            "deletions": {"state": "Held", "vanished": 9, "known": 20, "since": NOW},
            "withoutRow": ["c3"],
        })
    );
    served
        .ask("POST", approve, &["Content-Type: text/plain"], "{}")
        .await
        .assert_problem(415, "not-json");
    assert_eq!(served.fake.approvals.lock().unwrap().count, 0);
    let answer = served.ask("POST", approve, &json_body, "").await;
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({"approvedAt": NOW, "vanished": 9, "known": 20}))
    );
    let approvals = *served.fake.approvals.lock().unwrap();
    assert_eq!((approvals.count, approvals.latest), (1, Some(time(NOW))));
    assert_eq!(served.get("/api/v1/holds").await.json()["approvedAt"], NOW);
}

#[tokio::test]
async fn a_pause_is_set_shown_and_ended() {
    let served = served().await;
    let json_body = ["Content-Type: application/json"];
    let (fleet, app) = ("/api/v1/holds/pause", "/api/v1/apps/a1/pause");
    let answer = served
        .ask("PUT", app, &json_body, r#"{"reason": "a demo"}"#)
        .await;
    let of_app = json!({"apps": {"a1": {"since": NOW, "reason": "a demo"}}});
    assert_eq!((answer.status, answer.json()), (200, of_app.clone()));
    assert_eq!(
        served.hints(),
        ["a1"],
        "it is looked at, so that its status says so"
    );
    assert_eq!(served.get("/api/v1/holds").await.json()["pauses"], of_app);

    let answer = served.ask("PUT", fleet, &json_body, "{}").await;
    assert_eq!(answer.json()["fleet"], json!({"since": NOW}));
    assert_eq!(served.hints(), ["a1", "a1", "b2", "c3"]);
    let answer = served.ask("DELETE", fleet, &[], "").await;
    assert_eq!((answer.status, answer.json()), (200, of_app));
    for _ in 0..2 {
        let answer = served.ask("DELETE", app, &[], "").await;
        assert_eq!((answer.status, answer.json()), (200, json!({})));
    }

    let long = json!({"reason": "x".repeat(257)}).to_string();
    for (path, body, status, code) in [
        ("/api/v1/apps/nosuch/pause", "{}", 404, "no-such-app"),
        (app, long.as_str(), 400, "bad-request"),
        (app, r#"{"reason": "a\nb"}"#, 400, "bad-request"),
        (app, r#"{"reason": 1}"#, 400, "bad-json"),
        (fleet, r#"{"raeson": "typo"}"#, 400, "bad-json"),
        (fleet, "[]", 400, "bad-json"),
    ] {
        let answer = served.ask("PUT", path, &json_body, body).await;
        answer.assert_problem(status, code);
    }
    served
        .ask("PUT", fleet, &["Content-Type: text/plain"], "{}")
        .await
        .assert_problem(415, "not-json");
    assert!(
        served.fake.pauses.lock().unwrap().is_empty(),
        "nothing was paused"
    );
}

#[tokio::test]
async fn trouble_with_aws_is_a_problem_without_its_secrets() {
    let paths = [
        ("GET", "/api/v1/apps/a1"),
        ("PUT", "/api/v1/apps/a1"),
        ("DELETE", "/api/v1/apps/a1"),
        ("GET", "/api/v1/apps/a1/events"),
        ("GET", "/api/v1/holds"),
    ];
    let body = json!({"user": "a", "app": "b", "desired": "Running"}).to_string();
    let served = served().await;
    for (trouble, status, code) in [
        (Trouble::Down, 503, "aws-unavailable"),
        (Trouble::Denied, 502, "aws-refused"),
        (Trouble::Panic, 500, "internal"),
    ] {
        served.trouble(trouble);
        for (method, path) in paths {
            let body = if method == "PUT" { body.as_str() } else { "" };
            let answer = served
                .ask(method, path, &["Content-Type: application/json"], body)
                .await;
            answer.assert_problem(status, code);
            assert!(!answer.text.contains("secret"), "{answer:?}");
        }
        assert!(served.hints().is_empty(), "nothing was written");
    }
    assert!(
        served
            .metrics
            .render()
            .unwrap()
            .contains("lamplighter_panics_total 5")
    );
}

#[tokio::test]
async fn a_write_that_is_done_is_not_taken_back_by_a_read_that_fails() {
    let served = served().await;
    served.trouble(Trouble::StateDown);
    let body = json!({"user": "ann", "app": "shop", "desired": "Suspended"}).to_string();
    let answer = served.put("/api/v1/apps/a1", body).await;
    assert_eq!(
        (answer.status, &answer.json()["status"]["phase"]),
        (202, &json!("Ready"))
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let served = served().await;
    for path in [
        "/",
        "/api",
        "/api/v1/apps/",
        "/api/v1/apps/a1/",
        "/api/v2/apps",
        "/metrics",
        "//",
        "/%2e%2e/x",
    ] {
        served.get(path).await.assert_problem(404, "no-such-route");
    }
    for (method, path) in [
        ("POST", "/api/v1/apps"),
        ("PATCH", "/api/v1/apps/a1"),
        ("GET", "/api/v1/holds/deletions/approve"),
        ("OPTIONS", "/api/v1/apps/a1"),
        ("BREW", "/api/v1/apps"),
    ] {
        let answer = served.ask(method, path, &[], "").await;
        answer.assert_problem(405, "method-not-allowed");
        assert!(answer.headers.contains_key("allow"), "{answer:?}");
    }
    served
        .admin("/api/v1/apps")
        .await
        .assert_problem(404, "no-such-route");
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let served = served().await;
    for answer in [
        served.get("/api/v1/apps").await,
        served.get("/nowhere").await,
        served.admin("/metrics").await,
        served.admin("/healthz").await,
    ] {
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.headers["content-security-policy"].contains("default-src 'none'"));
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    }
}

#[tokio::test]
async fn machines_see_metrics_life_and_readiness() {
    let served = served().await;
    let metrics = served.admin("/metrics").await;
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4");
    assert!(
        metrics
            .text
            .contains("lamplighter_build_info{version=\"1.2.3\"} 1"),
        "{}",
        metrics.text
    );
    assert_eq!(served.admin("/healthz").await.status, 200);
    let ready = served.admin("/readyz").await;
    assert_eq!(
        (ready.status, ready.json()),
        (
            200,
            json!({"ready": true, "reasons": [], "shards": {"of": 2, "held": [1]}})
        )
    );

    *served.fake.readiness.lock().unwrap() = lamplighter::api::Readiness {
        ready: false,
        reasons: vec!["the last complete sweep is 4 minutes old".to_owned()],
        shards: None,
    };
    let ready = served.admin("/readyz").await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.json()["reasons"][0],
        "the last complete sweep is 4 minutes old"
    );
    assert_eq!(
        served.admin("/healthz").await.status,
        200,
        "not being ready is no reason to restart"
    );
    *served.fake.stands_still.lock().unwrap() = true;
    assert_eq!(served.admin("/healthz").await.status, 503);
}

#[test]
fn every_code_is_documented_with_its_status() {
    let docs = include_str!("../docs/api.md");
    for code in Code::ALL {
        let (word, status, _) = code.parts();
        let line = format!("| `{word}` | {} |", status.as_u16());
        assert!(docs.contains(&line), "{line} is not in docs/api.md");
    }
    let documented = docs
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 4);
    let codes = documented.filter(|line| line.split('|').nth(2).unwrap().trim().parse::<u16>().is_ok());
    assert_eq!(
        codes.count(),
        Code::ALL.len(),
        "docs/api.md has codes that are not there"
    );
}
