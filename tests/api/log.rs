//! What is logged, changed over HTTP: for a while, by operators, and only to what can be read.

use lamplighter::api::Access;
use serde_json::json;

use crate::support::{Fake, OPERATOR, Served, VIEWER, tokens};

const PATH: &str = "/api/v1/log";

#[tokio::test]
async fn it_is_changed_for_a_while_and_set_back() {
    let served = Served::start(Access::ThisMachine).await;
    let configured = json!({"configured": "info"});
    assert_eq!(served.get(PATH).await.json(), configured);
    let changed = served
        .put(PATH, r#"{"filter": "warn,lamplighter=debug", "for": "30m"}"#)
        .await;
    let expected =
        json!({"configured": "info", "filter": "warn,lamplighter=debug", "until": "2026-11-20T10:30:00Z"});
    assert_eq!((changed.status, changed.json()), (200, expected.clone()));
    assert_eq!(served.get(PATH).await.json(), expected);
    let reset = served.ask("DELETE", PATH, &[], "").await;
    assert_eq!((reset.status, reset.json()), (200, configured));
    let short = served.put(PATH, r#"{"filter": "warn"}"#).await.json();
    assert_eq!(
        short["until"], "2026-11-20T10:15:00Z",
        "a quarter of an hour, unless it says otherwise"
    );
}

#[tokio::test(start_paused = true)]
async fn after_that_while_it_is_as_configured() {
    let served = Served::start(Access::ThisMachine).await;
    served.put(PATH, r#"{"filter": "warn", "for": "1h"}"#).await;
    // Also where the clock on the wall has gone back meanwhile.
    *served.fake.later.lock().unwrap() = jiff::SignedDuration::from_mins(-5);
    tokio::time::sleep(std::time::Duration::from_secs(3601)).await;
    assert_eq!(served.get(PATH).await.json(), json!({"configured": "info"}));
}

#[tokio::test]
async fn what_cannot_be_read_changes_nothing_and_says_how_it_is_written() {
    let served = Served::start(Access::ThisMachine).await;
    for (body, field) in [
        (
            json!({"filter": "lamplighter=loud"}),
            "filter: \"lamplighter=loud\" is not",
        ),
        (json!({"filter": ""}), "filter: \"\" is empty"),
        (json!({"filter": "\u{e9}"}), "filter: "),
        (
            json!({"filter": "info", "for": "2d"}),
            "for: \"2d\" is no duration of at most a day",
        ),
        (json!({"filter": "info", "for": "-1h"}), "for: "),
    ] {
        let answer = served.put(PATH, body.to_string()).await;
        assert_eq!(
            (answer.status, answer.json()["code"].clone()),
            (400, json!("bad-request"))
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.starts_with(field) && detail.contains("write for example"),
            "{detail}"
        );
    }
    assert_eq!(
        served.put(PATH, r#"{"filter": "info", "level": 1}"#).await.status,
        400
    );
    assert_eq!(served.get(PATH).await.json(), json!({"configured": "info"}));
}

#[tokio::test]
async fn viewers_see_it_and_only_operators_change_it() {
    let fake = Fake::with_apps();
    let served = Served::with(fake, tokens(), std::time::Duration::from_secs(5)).await;
    let ask = async |method, token: &str, body: &str| {
        let bearer = format!("Authorization: Bearer {token}");
        served
            .ask(method, PATH, &[&bearer, "Content-Type: application/json"], body)
            .await
            .status
    };
    assert_eq!(ask("GET", VIEWER, "").await, 200);
    assert_eq!(ask("PUT", VIEWER, r#"{"filter": "trace"}"#).await, 403);
    assert_eq!(ask("DELETE", VIEWER, "").await, 403);
    assert_eq!(ask("PUT", OPERATOR, r#"{"filter": "trace"}"#).await, 200);
}
