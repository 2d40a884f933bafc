//! Exemptions over HTTP: given, ended, bounded by the week, and the same however often they are asked for.

use std::sync::Arc;

use jiff::SignedDuration;
use lamplighter::api::Access;
use lamplighter::model::keep::{Bounds, Given, Ledger};
use lamplighter::model::memory::Stop;
use lamplighter::model::name::{AppName, User};
use lamplighter::model::row::Desired;
use serde_json::{Value, json};

use crate::support::{self, Answer, Fake, NOW, Served, Trouble, id, time};

const KEEP: &str = "/api/v1/apps/a1/keep";
const JSON: [&str; 1] = ["Content-Type: application/json"];
const VIEWER: &str = "Authorization: Bearer viewer-token";

/// `a1` as it is once it was accepted: its day ends at 18:00 UTC, and its owner has ten hours a week.
fn fake() -> Arc<Fake> {
    let fake = Fake::with_apps();
    fake.accept_a1();
    fake
}

async fn served() -> Served {
    Served::with(fake(), Access::ThisMachine, std::time::Duration::from_secs(5)).await
}

async fn keep(served: &Served, body: &Value) -> Answer {
    served.ask("POST", KEEP, &JSON, &body.to_string()).await
}

fn ledger(served: &Served) -> Ledger {
    let keeps = served.fake.keeps.lock().unwrap();
    keeps
        .get(&User::parse("ann").unwrap())
        .cloned()
        .unwrap_or_default()
}

fn lines(served: &Served) -> Vec<(String, String, Option<String>)> {
    let events = served.fake.events.lock().unwrap();
    let about = events.iter().filter(|event| event.rule == "KeepUntil");
    about
        .map(|event| {
            (
                event.reason.clone(),
                event.message.clone(),
                event.requested_by.clone(),
            )
        })
        .collect()
}

#[tokio::test]
async fn an_exemption_is_given_told_and_ended() {
    let served = served().await;
    let body = json!({"until": "2026-11-20T21:00:00Z", "reason": "a demo", "by": "the desk"});
    let answer = keep(&served, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        answer.json(),
        json!({
            "id": "a1",
            "exemption": {"since": "2026-11-20T18:00:00Z", "until": "2026-11-20T21:00:00Z", "source": "Api", "by": "the desk", "reason": "a demo"},
            "asked": "2026-11-20T21:00:00Z",
            "message": "Kept until 2026-11-20 21:00:00 UTC. Reason: a demo.",
        })
    );
    assert_eq!(
        served.hints(),
        ["a1"],
        "it is looked at, so that its status says so"
    );
    let told = "Exempt from the end of its day: Kept until 2026-11-20 21:00:00 UTC. Reason: a demo.";
    let given = (
        "Exempted".to_owned(),
        told.to_owned(),
        Some("the desk".to_owned()),
    );
    assert_eq!(lines(&served), [given]);
    let history = served.get("/api/v1/apps/a1/events?limit=1").await.json();
    assert_eq!(history["events"][0]["requestedBy"], "the desk");

    for nth in 0..2 {
        let answer = served.ask("DELETE", KEEP, &[], "").await;
        let over = json!({"id": "a1", "message": "Nothing puts off the end of its day."});
        assert_eq!((answer.status, answer.json()), (200, over), "{nth}");
    }
    assert_eq!(lines(&served).len(), 2, "ended once");
    assert_eq!(ledger(&served).given(&id("a1")), None);
}

/// Who keeps it for two hours at noon may think that it is up until two.
#[tokio::test]
async fn an_exemption_that_ends_before_the_day_does_says_so() {
    let served = served().await;
    let answer = keep(&served, &json!({"until": "2026-11-20T18:00:00Z"})).await;
    assert_eq!(
        answer.json()["message"],
        "Kept until 2026-11-20 18:00:00 UTC. Its day ends only at 2026-11-20 18:00:00 UTC, so that puts nothing off."
    );
    let answer = keep(&served, &json!({"until": "2026-11-20T18:00:01Z"})).await;
    assert_eq!(answer.json()["message"], "Kept until 2026-11-20 18:00:01 UTC.");
}

#[tokio::test]
async fn the_same_request_twice_counts_once() {
    let served = served().await;
    let body = json!({"until": "2026-11-20T21:00:00Z"});
    let first = keep(&served, &body).await;
    let again = keep(&served, &body).await;
    assert_eq!((first.status, first.json()), (200, again.json()));
    assert_eq!((ledger(&served).version, lines(&served).len()), (1, 1));
    // A length of time is another time each time, so it needs a key.
    let keyed = ["Content-Type: application/json", "Idempotency-Key: k1"];
    let body = json!({"for": "12h"}).to_string();
    for _ in 0..2 {
        let answer = served.ask("POST", KEEP, &keyed, &body).await;
        assert_eq!(answer.json()["exemption"]["until"], "2026-11-20T22:00:00Z");
        *served.fake.later.lock().unwrap() += SignedDuration::from_mins(7);
    }
    assert_eq!((ledger(&served).version, lines(&served).len()), (2, 2));
}

#[tokio::test]
async fn what_policy_does_not_allow_is_cut_and_says_so() {
    let served = served().await;
    let answer = keep(&served, &json!({"until": "2026-11-22T10:00:00Z"}))
        .await
        .json();
    assert_eq!(
        answer["exemption"]["until"], "2026-11-21T04:00:00Z",
        "ten hours from 18:00 on"
    );
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.contains("it was cut to 2026-11-21 04:00:00 UTC, where the 10 hours a week"),
        "{message}"
    );
    assert!(lines(&served)[0].1.contains("was cut to"), "{:?}", lines(&served));
    assert_eq!(
        ledger(&served).used(time(NOW), &jiff::tz::TimeZone::UTC),
        SignedDuration::from_hours(10)
    );
    // A second one has nothing to add, and changes nothing.
    let more = keep(&served, &json!({"for": "2d"})).await.json();
    assert_eq!(more["exemption"]["until"], "2026-11-21T04:00:00Z");
    assert_eq!(ledger(&served).version, 1);
}

/// Two at once, of which one alone fits: who comes second sees what the first has left.
#[tokio::test]
async fn what_somebody_else_is_granted_in_between_is_not_granted_twice() {
    let served = served().await;
    let until = time("2026-11-21T03:00:00Z");
    let bounds = Bounds {
        most: SignedDuration::from_hours(72),
        per_week: Some(SignedDuration::from_hours(10)),
        zone: &jiff::tz::TimeZone::UTC,
    };
    let given = Given {
        until,
        asked: until,
        at: time(NOW),
        by: None,
        reason: None,
        key: None,
    };
    let other = Ledger::default().give(&id("a9"), given, time("2026-11-20T18:00:00Z"), &bounds, time(NOW));
    let other = other.ledger.to_store(&bounds, time(NOW));
    *served.fake.in_between.lock().unwrap() = Some((User::parse("ann").unwrap(), other));
    let answer = keep(&served, &json!({"until": "2026-11-20T22:00:00Z"}))
        .await
        .json();
    assert_eq!(answer["exemption"]["until"], "2026-11-20T19:00:00Z", "{answer}");
    let both = ledger(&served);
    assert_eq!(both.version, 2);
    assert_eq!(
        both.used(time(NOW), &jiff::tz::TimeZone::UTC),
        SignedDuration::from_hours(10)
    );
}

#[tokio::test]
async fn what_cannot_be_kept_says_why() {
    let check = async |change: &dyn Fn(&Fake), what: &str| {
        let fake = fake();
        change(&fake);
        let served = Served::with(fake, Access::ThisMachine, std::time::Duration::from_secs(5)).await;
        let answer = keep(&served, &json!({"for": "12h"})).await;
        let problem = answer.assert_problem(409, "cannot-keep");
        assert!(problem["detail"].as_str().unwrap().contains(what), "{problem}");
        assert_eq!(ledger(&served), Ledger::default());
    };
    let memory = |fake: &Fake, change: &dyn Fn(&mut lamplighter::model::memory::Memory)| {
        change(fake.memories.lock().unwrap().get_mut(&id("a1")).unwrap());
    };
    check(
        &|fake| memory(fake, &|memory| memory.accepted = None),
        "Nothing was accepted",
    )
    .await;
    check(
        &|fake| {
            memory(fake, &|memory| {
                memory.accepted.as_mut().unwrap().desired = Desired::Destroyed;
            });
        },
        "starts nothing",
    )
    .await;
    check(
        &|fake| {
            memory(fake, &|memory| {
                let accepted = memory.accepted.as_mut().unwrap();
                accepted.schedule = None;
                Arc::make_mut(&mut accepted.blueprint).identity.app = AppName::new("not-in-the-catalogue");
            });
        },
        "No schedule ends its day",
    )
    .await;
    let stop = Stop {
        away_since: None,
        due: time(NOW),
        rule: "Curfew".to_owned(),
        at_most: Desired::Destroyed,
        by: None,
    };
    check(
        &|fake| memory(fake, &|memory| memory.stop = Some(stop.clone())),
        "undoes no stop",
    )
    .await;
    // Its day has ended, and nobody has noticed yet.
    check(
        &|fake| *fake.later.lock().unwrap() = SignedDuration::from_hours(9),
        "Its day ended at 2026-11-20 18:00:00 UTC",
    )
    .await;
}

#[tokio::test]
async fn hostile_requests_are_refused_and_hostile_words_stay_words() {
    let served = served().await;
    let long = "x".repeat(257);
    for (body, code) in [
        (json!({}), "bad-request"),
        (
            json!({"until": "2026-11-20T21:00:00Z", "for": "3h"}),
            "bad-request",
        ),
        (json!({"until": "tomorrow"}), "bad-request"),
        (json!({"until": "2026-11-20T21:00:00"}), "bad-request"),
        (json!({"until": NOW}), "bad-request"),
        (json!({"for": "-3h"}), "bad-request"),
        (json!({"for": "0s"}), "bad-request"),
        (json!({"for": "3 parsecs"}), "bad-request"),
        (json!({"for": "1mo"}), "bad-request"),
        (json!({"for": "999999999h"}), "bad-request"),
        (json!({"for": "3h", "reason": "a\nb"}), "bad-request"),
        (json!({"for": "3h", "reason": long}), "bad-request"),
        (json!({"for": "3h", "by": "a\u{1b}[31m"}), "bad-request"),
        (json!({"for": 3}), "bad-json"),
        (json!({"fro": "3h"}), "bad-json"),
        (json!([]), "bad-json"),
    ] {
        let answer = keep(&served, &body).await;
        answer.assert_problem(400, code);
    }
    let key = format!("Idempotency-Key: {}", "k".repeat(129));
    for keys in [
        [JSON[0], key.as_str(), "X: y"],
        [JSON[0], "Idempotency-Key: a", "Idempotency-Key: b"],
    ] {
        let answer = served.ask("POST", KEEP, &keys, r#"{"for": "12h"}"#).await;
        answer.assert_problem(400, "bad-request");
    }
    let plain = served
        .ask("POST", KEEP, &["Content-Type: text/plain"], "{}")
        .await;
    plain.assert_problem(415, "not-json");
    let nobody = served
        .ask("POST", "/api/v1/apps/nosuch/keep", &JSON, r#"{"for": "3h"}"#)
        .await;
    nobody.assert_problem(404, "no-such-app");
    assert_eq!(ledger(&served), Ledger::default());

    let words = "'; DROP TABLE apps;-- <script>${jndi:x}</script> \u{202e}";
    let answer = keep(&served, &json!({"for": "12h", "reason": words}))
        .await
        .json();
    assert_eq!(answer["exemption"]["reason"], words);
    *served.fake.trouble.lock().unwrap() = Some(Trouble::StateDown);
    keep(&served, &json!({"for": "13h"}))
        .await
        .assert_problem(503, "aws-unavailable");
}

#[tokio::test]
async fn history_has_the_name_of_the_token_whoever_its_holder_says_he_is() {
    let served = Served::with(fake(), support::tokens(), std::time::Duration::from_secs(5)).await;
    let operator = "Authorization: Bearer operator-token";
    for (body, who) in [
        (json!({"for": "12h"}), "operator-token"),
        (
            json!({"for": "13h", "by": "viewer-token"}),
            "viewer-token (token operator-token)",
        ),
    ] {
        let answer = served
            .ask("POST", KEEP, &[JSON[0], operator], &body.to_string())
            .await;
        assert_eq!(answer.json()["exemption"]["by"], who);
    }
    served.ask("DELETE", KEEP, &[operator], "").await;
    let by: Vec<_> = lines(&served).into_iter().map(|(_, _, by)| by.unwrap()).collect();
    assert_eq!(
        by,
        [
            "operator-token",
            "viewer-token (token operator-token)",
            "operator-token"
        ]
    );
}

#[tokio::test]
async fn a_viewer_gives_and_ends_nothing() {
    let served = Served::with(fake(), support::tokens(), std::time::Duration::from_secs(5)).await;
    for (method, body) in [("POST", r#"{"for": "12h"}"#), ("DELETE", "")] {
        let answer = served.ask(method, KEEP, &[JSON[0], VIEWER], body).await;
        answer.assert_problem(403, "forbidden");
    }
    assert_eq!(ledger(&served), Ledger::default());
}
