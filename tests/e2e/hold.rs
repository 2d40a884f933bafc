//! A desired table that loses its rows: nothing is torn down for that until the rows are back or an operator
//! says so, and the end of the day comes all the same.

use std::time::Duration;

use hyper::Method;
use lamplighter::model::status::{Phase, Status};
use serde_json::{Value, json};

use crate::lab::wire::{ask, get};
use crate::lab::{Lab, wants};

const SHOPS: [&str; 3] = ["s1", "s2", "s3"];
const WIKIS: [&str; 4] = ["w1", "w2", "w3", "w4"];

fn all() -> impl Iterator<Item = &'static str> {
    SHOPS.into_iter().chain(WIKIS)
}

async fn write_all(lab: &Lab) {
    for id in all() {
        let app = if id.starts_with('s') { "shop" } else { "wiki" };
        lab.put(id, &wants(id, app, "Running")).await;
    }
}

/// Seven apps that are ready, and then a table without rows, which the daemon has noticed.
async fn lab_with_an_emptied_table() -> Lab {
    let lab = Lab::new().await;
    lab.start().await;
    write_all(&lab).await;
    for id in all() {
        lab.until(id, Phase::Ready).await;
    }
    for id in all() {
        lab.delete(id).await;
    }
    until_held(&lab).await;
    lab
}

async fn deletions(lab: &Lab) -> Value {
    get(&format!("{}/api/v1/holds", lab.api())).await.json()["deletions"].clone()
}

async fn until_held(lab: &Lab) {
    lab.eventually("deletions are held", async || {
        deletions(lab).await["vanished"] == 7
    })
    .await;
    for id in all() {
        let told = |status: &Status| status.message.contains("7 of 7 rows have vanished since");
        let status = lab.until_status(id, "told of the hold", told).await;
        assert!(
            status.message.contains("lamplighter approve"),
            "{}",
            status.message
        );
    }
}

/// For a while every app of these is up, and no destroy was begun.
async fn assert_left_alone(lab: &Lab, ids: &[&str]) {
    let up = async || {
        ids.iter().all(|id| {
            let seen = lab.services(id);
            lab.passed(id, "destroy").is_empty() && seen.len() == 1 && seen[0].up
        })
    };
    lab.throughout(Duration::from_millis(2500), "all are up", up)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_table_is_emptied_nothing_is_torn_down_and_rows_that_come_back_end_the_hold() {
    let lab = lab_with_an_emptied_table().await;
    let ids: Vec<&str> = all().collect();
    let held = deletions(&lab).await;
    assert_eq!((&held["state"], &held["known"]), (&json!("Held"), &json!(7)));
    assert_left_alone(&lab, &ids).await;

    // A restart holds as well: the judgement is made from what the tables say.
    lab.stop().await;
    lab.start().await;
    until_held(&lab).await;
    assert_left_alone(&lab, &ids).await;

    write_all(&lab).await;
    lab.eventually("the hold ends", async || {
        deletions(&lab).await["state"] == "Clear"
    })
    .await;
    for id in all() {
        let ready = |status: &Status| status.phase == Phase::Ready && !status.message.contains("vanished");
        lab.until_status(id, "as before", ready).await;
        assert_eq!(lab.builds(id).len(), 1);
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_hold_the_day_still_ends_and_an_approval_lets_the_deletions_go_on() {
    let lab = lab_with_an_emptied_table().await;
    lab.clock.set("2027-02-10T18:00:01Z".parse().unwrap());
    for id in SHOPS {
        lab.eventually("it is destroyed", async || lab.services(id).is_empty())
            .await;
    }
    for id in WIKIS {
        lab.until(id, Phase::Suspended).await;
        assert_eq!(
            lab.passed(id, "destroy"),
            [],
            "its day ends with a suspension, no more"
        );
    }
    let approve = format!("{}/api/v1/holds/deletions/approve", lab.api());
    let refused = ask(Method::POST, &approve, None).await;
    assert_eq!(
        refused.status, 415,
        "a browser cannot be made to approve: {}",
        refused.body
    );
    lab.eventually("still held", async || deletions(&lab).await["state"] == "Held")
        .await;

    let approved = ask(Method::POST, &approve, Some(&json!({}))).await;
    assert_eq!(approved.status, 202, "{}", approved.body);
    for id in all() {
        lab.until(id, Phase::Destroyed).await;
    }
    lab.eventually("every claim is given back", async || {
        lab.snapshot().await.claims.is_empty()
    })
    .await;
    lab.eventually("nothing is held", async || {
        deletions(&lab).await["state"] == "Clear"
    })
    .await;
    let again = ask(Method::POST, &approve, Some(&json!({}))).await;
    assert_eq!(
        (again.status, &again.json()["code"]),
        (409, &json!("nothing-held")),
        "{}",
        again.body
    );
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stands_by_shows_the_hold_and_takes_the_approval() {
    let lab = lab_with_an_emptied_table().await;
    // The newest of them is asked, and the one shard is taken.
    lab.start().await;
    let shards = async || get(&format!("{}/readyz", lab.admin())).await.json()["shards"]["held"].clone();
    lab.eventually("deletions are held", async || {
        deletions(&lab).await["vanished"] == 7
    })
    .await;
    assert_eq!(shards().await, json!([]), "it stands by");
    let url = format!("{}/api/v1/holds/deletions/approve", lab.api());
    let approved = ask(Method::POST, &url, Some(&json!({}))).await;
    assert_eq!(approved.status, 202, "{}", approved.body);
    for id in all() {
        lab.until(id, Phase::Destroyed).await;
    }
    lab.assert_sound();
    lab.stop().await;
}
