//! What AWS holds and nothing asks for, as it is listed.

use jiff::SignedDuration;
use lamplighter::api::{Access, AppSummary};
use lamplighter::inventory::Stray;
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::claim::{Identity, Scope};
use lamplighter::model::memory::{Deployment, Failures, Found, Leftover, Memory};
use lamplighter::model::name::{AppName, ClusterName, HostName, User};
use lamplighter::model::policy::{Deletions, Orphans};
use serde_json::{Value, json};

use crate::support::{self, NOW, Served, time};

fn identity(user: &str) -> Identity {
    let host = HostName::parse(&format!("{user}.example.com")).unwrap();
    Identity::new(
        Scope::User,
        User::parse(user).unwrap(),
        AppName::new("shop"),
        host,
    )
}

/// An orphan that was found then.
fn orphan(id: &str, found: &str) -> Memory {
    let mut memory = Memory::new(support::id(id));
    memory.version = 1;
    memory.found = Some(Found { since: time(found) });
    memory.deployment = Some(Deployment {
        blueprint: blueprint(id).into(),
        complete: true,
        at: time(found),
    });
    memory
}

fn blueprint(user: &str) -> lamplighter::model::blueprint::Blueprint {
    serde_json::from_value(json!({
        "identity": identity(user), "specHash": "", "deployProject": "p", "destroyProject": "p", "cluster": "apps",
        "tasks": 1, "url": "", "healthUrl": "", "actionVariable": "ACTION", "environment": {},
        "buildTimeoutMinutes": 5, "queueTimeoutMinutes": 5,
    }))
    .unwrap()
}

fn stray(id: &str, known: bool, has_row: bool) -> Stray {
    Stray {
        id: support::id(id),
        cluster: Some(ClusterName::new("apps")),
        service: Some(identity(id).resource_name),
        identity: known.then(|| identity(id)),
        has_row,
        seen_since: None,
    }
}

async fn served(memories: Vec<Memory>, strays: Vec<Stray>, policy: Orphans) -> Served {
    let served = Served::start(Access::ThisMachine).await;
    let mut fleet = served.fake.fleet.lock().unwrap();
    for memory in memories {
        let summary = AppSummary {
            id: memory.id.clone(),
            row: None,
            memory: Some(memory),
        };
        fleet.apps.insert(summary.id.clone(), summary);
    }
    fleet.strays = strays;
    fleet.orphan_policy = policy;
    drop(fleet);
    served
}

fn states(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let orphans = list["orphans"].as_array().unwrap().iter();
    orphans
        .map(|one| (text(&one["id"]), text(&one["state"])))
        .collect()
}

fn expect(list: &Value, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(id, state)| ((*id).to_owned(), (*state).to_owned()))
        .collect();
    assert_eq!(states(list), expected);
}

const DAY: Orphans = Orphans {
    reap: true,
    reap_after: SignedDuration::from_hours(24),
    per_sweep: 3,
};

#[tokio::test]
async fn each_orphan_is_told_with_its_owner_and_what_becomes_of_it() {
    let mut wanted = orphan("row", "2026-11-10T10:00:00Z");
    wanted.found = None;
    let memories = vec![
        orphan("young", "2026-11-20T09:00:00Z"),
        orphan("old", "2026-11-19T10:00:00Z"),
        wanted,
    ];
    let strays = vec![
        stray("seen", true, false),
        stray("nobodys", false, false),
        stray("claimed", true, true),
    ];
    let served = served(memories, strays, DAY).await;
    let list = served.get("/api/v1/orphans").await.json();
    let expected = [
        ("nobodys", "Unidentified"),
        ("old", "Due"),
        ("seen", "Found"),
        ("young", "Quarantined"),
    ];
    expect(&list, &expected);
    let young = &list["orphans"][3];
    assert_eq!(
        *young,
        json!({
            "id": "young", "state": "Quarantined", "since": "2026-11-20T09:00:00Z", "user": "young", "app": "shop",
            "hostName": "young.example.com", "cluster": "apps", "resourceName": identity("young").resource_name,
            "due": "2026-11-21T09:00:00Z",
        })
    );
    assert_eq!(list["orphans"][0]["user"], Value::Null);
    assert_eq!(list["asOf"], NOW);
    assert_eq!(
        list["reaping"],
        json!({"enabled": true, "afterSeconds": 86_400, "perSweep": 3})
    );
    assert_eq!(list["leftovers"], json!([]));

    served.fake.fleet.lock().unwrap().deletions = Deletions::Held {
        vanished: 9,
        known: 20,
        since: time(NOW),
    };
    let list = served.get("/api/v1/orphans").await.json();
    assert!(
        states(&list).contains(&("old".to_owned(), "Held".to_owned())),
        "{list}"
    );
}

#[tokio::test]
async fn without_reaping_an_orphan_stays_in_quarantine_and_the_list_is_a_dry_run() {
    let memories = vec![orphan("old", "2026-11-01T10:00:00Z")];
    let served = served(memories, Vec::new(), Orphans { reap: false, ..DAY }).await;
    let list = served.get("/api/v1/orphans").await.json();
    expect(&list, &[("old", "Quarantined")]);
    assert_eq!(
        list["orphans"][0]["due"], "2026-11-02T10:00:00Z",
        "when it would go"
    );
}

#[tokio::test]
async fn what_survived_its_destroy_is_listed_with_the_next_try() {
    let mut left = orphan("left", "2026-11-20T09:00:00Z");
    left.found = None;
    left.leftover = Some(Leftover {
        since: time("2026-11-20T09:30:00Z"),
        what: "Service \u{1b}[31mleft".to_owned(),
        destroys: 2,
    });
    left.failures = Some(Failures {
        kind: BuildKind::Destroy,
        count: 2,
        message: String::new(),
        retry_at: time("2026-11-20T10:05:00Z"),
    });
    let served = served(vec![left], Vec::new(), DAY).await;
    let list = served.get("/api/v1/orphans").await.json();
    assert_eq!(
        list["leftovers"],
        json!([{
            "id": "left", "what": "Service \u{1b}[31mleft", "since": "2026-11-20T09:30:00Z", "destroys": 2,
            "retryAt": "2026-11-20T10:05:00Z",
        }])
    );
    assert_eq!(list["orphans"], json!([]));
}

#[tokio::test]
async fn before_the_first_sweep_no_list_is_shown() {
    let served = served(Vec::new(), Vec::new(), DAY).await;
    served.fake.fleet.lock().unwrap().as_of = None;
    served
        .get("/api/v1/orphans")
        .await
        .assert_problem(503, "not-swept");
}
