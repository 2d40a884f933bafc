//! Pauses: nothing is begun while one lasts, whoever asks, also across a restart; then everything goes on.

use std::time::Duration;

use hyper::Method;
use lamplighter::model::status::{ConditionKind, Phase, Truth};
use serde_json::json;

use crate::lab::wire::{ask, get};
use crate::lab::{Lab, truth, wants};

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_fleet_and_a_paused_app_are_left_as_they_are() {
    let lab = Lab::new().await;
    lab.start().await;
    let fleet = format!("{}/api/v1/holds/pause", lab.api());
    let paused = ask(Method::PUT, &fleet, Some(&json!({"reason": "a move"}))).await;
    assert_eq!(paused.status, 200, "{}", paused.body);
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let held = lab.until_reason("one", "Paused").await;
    assert_eq!((held.phase, held.next_change.clone()), (Phase::Pending, None));
    assert!(held.message.contains("(a move)"), "{}", held.message);
    assert!(held.message.contains("deploying it"), "{}", held.message);
    assert_eq!(truth(&held, ConditionKind::Paused), Some(Truth::True));

    lab.stop().await;
    lab.start().await;
    let idle = async || lab.builds("one").is_empty();
    lab.throughout(Duration::from_millis(1500), "nothing is built", idle)
        .await;

    let fleet = format!("{}/api/v1/holds/pause", lab.api());
    let resumed = ask(Method::DELETE, &fleet, None).await;
    assert_eq!((resumed.status, resumed.json()), (200, json!({})));
    let ready = lab.until("one", Phase::Ready).await;
    assert_eq!(truth(&ready, ConditionKind::Paused), Some(Truth::False));

    let alone = format!("{}/api/v1/apps/one/pause", lab.api());
    assert_eq!(ask(Method::PUT, &alone, Some(&json!({}))).await.status, 200);
    lab.put("two", &wants("bob", "shop", "Running")).await;
    lab.until("two", Phase::Ready).await;
    lab.delete("one").await;
    lab.until_reason("one", "Paused").await;
    let up = async || lab.services("one").len() == 1 && lab.passed("one", "destroy").is_empty();
    lab.throughout(Duration::from_millis(1500), "it stays up", up)
        .await;
    let holds = get(&format!("{}/api/v1/holds", lab.api())).await.json();
    assert!(holds["pauses"]["apps"]["one"].is_object(), "{holds}");

    assert_eq!(ask(Method::DELETE, &alone, None).await.status, 200);
    lab.until("one", Phase::Destroyed).await;
    lab.assert_sound();
    lab.stop().await;
}
