//! Why, when, and the next times of schedules, over HTTP.

use lamplighter::api::Access;
use lamplighter::model::history::Inputs;
use serde_json::json;

use crate::support::Served;

#[tokio::test]
async fn an_app_tells_why_it_is_as_it_is_and_when_that_changes() {
    let served = Served::start(Access::ThisMachine).await;
    served
        .fake
        .change("a1", |memory| memory.decision = "Row/Answering".to_owned());
    let inputs = Inputs {
        schedule: Some("office".to_owned()),
        failures: 2,
        ..Inputs::default()
    };
    served.fake.events.lock().unwrap()[2].inputs = Some(inputs);
    let why = served.get("/api/v1/apps/a1/why").await.json();
    assert_eq!(why["now"]["rule"], "Row");
    assert_eq!(
        why["next"],
        json!({"at": "2026-11-20T19:00:00Z", "action": "Destroy", "rule": "Curfew"})
    );
    assert_eq!(why["decisions"].as_array().unwrap().len(), 3);
    assert_eq!(
        why["decisions"][0]["inputs"],
        json!({"schedule": "office", "failures": 2})
    );
    let text = why["text"].as_str().unwrap();
    assert!(
        text.contains("Next: Destroy at 2026-11-20 19:00:00 UTC, by Curfew."),
        "{text}"
    );
    assert!(text.contains("schedule office, 2 failed in a row"), "{text}");
    let when = served.get("/api/v1/apps/a1/when").await.json();
    assert_eq!((&when["next"], &when["changes"]), (&why["next"], &why["changes"]));
}

#[tokio::test]
async fn an_app_that_nobody_has_looked_at_says_so_and_an_unknown_one_is_a_problem() {
    let served = Served::start(Access::ThisMachine).await;
    for verb in ["why", "when"] {
        let answer = served.get(&format!("/api/v1/apps/b2/{verb}")).await.json();
        assert_eq!((&answer["id"], &answer["next"]), (&json!("b2"), &json!(null)));
        assert!(
            answer["text"]
                .as_str()
                .unwrap()
                .contains("not known before it was looked at"),
            "{answer}"
        );
        let unknown = served.get(&format!("/api/v1/apps/nobody/{verb}")).await;
        assert_eq!(unknown.status, 404);
        assert_eq!(unknown.json()["code"], "no-such-app");
    }
}

#[tokio::test]
async fn the_next_times_of_every_schedule_are_told() {
    let served = Served::start(Access::ThisMachine).await;
    let next = served.get("/api/v1/schedule/next").await.json();
    let office = json!({
        "schedule": "office", "timeZone": "Europe/Berlin", "action": "suspend",
        "boundary": "2026-11-20T18:00:00Z", "wake": "2026-11-21T06:30:00Z",
    });
    assert_eq!(next, json!({"schedules": [office]}));
}
