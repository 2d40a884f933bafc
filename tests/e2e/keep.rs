//! Exemptions given through the API: they outlive what portals write, end by themselves, and two at once share what the
//! week has, whichever replica is asked.

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use lamplighter::model::claim::Scope;
use lamplighter::model::name::User;
use lamplighter::model::status::{Phase, Status};
use serde_json::{Value, json};

use crate::lab::wire::{Answer, ask, get};
use crate::lab::{Lab, wants};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

async fn keep(server: &str, id: &str, body: Value) -> Answer {
    ask(
        Method::POST,
        &format!("{server}/api/v1/apps/{id}/keep"),
        Some(&body),
    )
    .await
}

fn stops_at(at: &str, rule: &str) -> impl Fn(&Status) -> bool {
    let (at, rule) = (time(at), rule.to_owned());
    move |status| {
        let next = status.next_change.as_ref();
        next.is_some_and(|next| next.at == at && next.rule == rule)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_outlives_the_rows_that_portals_write_and_goes_when_that_lapses() {
    let lab = Lab::new().await;
    lab.start().await;
    let shop = wants("ann", "shop", "Running");
    lab.put("one", &shop).await;
    lab.put("two", &wants("ben", "shop", "Running")).await;
    for id in ["one", "two"] {
        lab.until(id, Phase::Ready).await;
    }
    let hostile = "'); DROP <b>${x}</b> \u{202e}";
    let body = json!({"until": "2027-02-10T20:00:00Z", "reason": hostile, "by": "the desk"});
    for id in ["one", "two"] {
        let kept = keep(&lab.api(), id, body.clone()).await;
        assert_eq!(kept.status, 200, "{}", kept.body);
        lab.until_status(id, "kept", stops_at("2027-02-10T20:00:00Z", "KeepUntil"))
            .await;
    }
    // The portal puts the whole row again, and the daemon starts anew.
    lab.put("one", &shop).await;
    lab.stop().await;
    lab.start().await;
    lab.clock.set(time("2027-02-10T19:30:00Z"));
    let app = get(&format!("{}/api/v1/apps/one", lab.api())).await.json();
    assert_eq!(
        app["status"]["exemption"],
        json!({
            "since": "2027-02-10T18:00:00Z", "until": "2027-02-10T20:00:00Z", "source": "Api", "by": "the desk",
            "reason": hostile,
        })
    );
    // One is ended early, and is due at once; the other goes by itself.
    let url = format!("{}/api/v1/apps/two/keep", lab.api());
    assert_eq!(ask(Method::DELETE, &url, None).await.status, 200);
    let gone = lab.until("two", Phase::Destroyed).await;
    assert!(
        gone.message.contains("Its day ended at 2027-02-10 18:00"),
        "{}",
        gone.message
    );
    assert_eq!(lab.status("one").await.phase, Phase::Ready);
    lab.clock.set(time("2027-02-10T20:00:01Z"));
    let gone = lab.until("one", Phase::Destroyed).await;
    assert!(
        gone.message.contains("Its exemption ended at"),
        "{}",
        gone.message
    );
    assert_eq!(gone.exemption, None);
    let late = keep(&lab.api(), "one", json!({"for": "3h"})).await;
    assert_eq!(
        (late.status, late.json()["code"].clone()),
        (409, json!("cannot-keep"))
    );
    let events = get(&format!("{}/api/v1/apps/one/events", lab.api())).await.json();
    let given: Vec<&Value> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["reason"] == "Exempted")
        .collect();
    assert_eq!(given.len(), 1, "{events}");
    assert_eq!(given[0]["requestedBy"], "the desk");
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_of_two_replicas_are_granted_no_more_than_the_week_has() {
    let mut lab = Lab::new().await;
    lab.config.policy.keep_per_week = Some(hours(4));
    lab.config.policy.scope = Scope::UserApp;
    lab.start().await;
    let first = lab.api();
    lab.start().await;
    let second = lab.api();
    lab.put("shop", &wants("ann", "shop", "Running")).await;
    lab.put("wiki", &wants("ann", "wiki", "Running")).await;
    for id in ["shop", "wiki"] {
        lab.until(id, Phase::Ready).await;
    }
    // Each wants three hours beyond 18:00, and asks twice, as who heard no answer.
    let body = json!({"until": "2027-02-10T21:00:00Z"});
    let answers = tokio::join!(
        keep(&first, "shop", body.clone()),
        keep(&second, "wiki", body.clone()),
        keep(&second, "shop", body.clone()),
        keep(&first, "wiki", body.clone()),
    );
    let untils: Vec<Timestamp> = [answers.0, answers.1, answers.2, answers.3]
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{}", answer.body);
            time(answer.json()["exemption"]["until"].as_str().unwrap())
        })
        .collect();
    assert_eq!((untils[0], untils[1]), (untils[2], untils[3]), "asked twice");
    let mut of_both = [untils[0], untils[1]];
    of_both.sort_unstable();
    assert_eq!(
        of_both,
        [time("2027-02-10T19:00:00Z"), time("2027-02-10T21:00:00Z")]
    );
    let ann = User::parse("ann").unwrap();
    let ledger = lab.cloud.state.keeps(&ann).await.unwrap().unwrap();
    assert_eq!(
        ledger.used(time("2027-02-10T12:00:00Z"), &jiff::tz::TimeZone::UTC),
        hours(4)
    );
    for (id, until) in [("shop", untils[0]), ("wiki", untils[1])] {
        lab.until_status(id, "kept", stops_at(&until.to_string(), "KeepUntil"))
            .await;
    }
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exemptions_of_rows_count_too_and_are_noted_once() {
    let mut lab = Lab::new().await;
    lab.config.policy.keep_per_week = Some(hours(4));
    lab.config.policy.scope = Scope::UserApp;
    lab.start().await;
    let keeping = |app, until| [&wants("ann", app, "Running")[..], &[("keepUntil", until)]].concat();
    lab.put("shop", &keeping("shop", "2027-02-10T21:00:00Z")).await;
    lab.until("shop", Phase::Ready).await;
    let ann = User::parse("ann").unwrap();
    let noted = async || lab.cloud.state.keeps(&ann).await.unwrap().is_some();
    lab.eventually("the ledger has it", noted).await;
    lab.put("wiki", &keeping("wiki", "2027-02-10T22:00:00Z")).await;
    lab.until_status("wiki", "cut", stops_at("2027-02-10T19:00:00Z", "KeepUntil"))
        .await;
    let kept = keep(&lab.api(), "wiki", json!({"until": "2027-02-10T23:00:00Z"})).await;
    assert_eq!(
        kept.json()["exemption"]["until"],
        "2027-02-10T19:00:00Z",
        "{}",
        kept.body
    );
    let sweeps = lab.sweeps().await;
    lab.eventually("three more sweeps", async || lab.sweeps().await >= sweeps + 3)
        .await;
    let ledger = lab.cloud.state.keeps(&ann).await.unwrap().unwrap();
    assert_eq!(
        ledger.used(time("2027-02-10T12:00:00Z"), &jiff::tz::TimeZone::UTC),
        hours(4)
    );
    assert_eq!(
        ledger.version, 3,
        "two rows and a request, and nothing again and again"
    );
    lab.clock.set(time("2027-02-10T19:00:01Z"));
    lab.until("wiki", Phase::Suspended).await;
    assert_eq!(lab.status("shop").await.phase, Phase::Ready);
    lab.assert_sound();
    lab.stop().await;
}
