//! Tables that are lost while apps run: nobody's apps are found, listed with their owners, and reaped when policy
//! says so; whatever has a row is an app like any other again, without a build.

use jiff::SignedDuration;
use lamplighter::model::status::Phase;
use serde_json::Value;
use tokio::process::Command;

use crate::lab::process::BINARY;
use crate::lab::wire::{get, s};
use crate::lab::{CLUSTER, Lab, wants};

async fn listed(lab: &Lab) -> Value {
    get(&format!("{}/api/v1/orphans", lab.api())).await.json()
}

/// Id, state and owner of each orphan; none before the first sweep, when there is no list.
fn orphans(list: &Value) -> Vec<(&str, &str, &str)> {
    let all = list["orphans"].as_array().into_iter().flatten();
    all.map(|one| {
        let [id, state, user] = ["id", "state", "user"].map(|name| one[name].as_str().unwrap_or("-"));
        (id, state, user)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asks_for_any_more_is_listed_with_its_owner_and_reaped_after_its_time() {
    let mut lab = Lab::new().await;
    lab.config.policy.orphans.reap_after = SignedDuration::from_mins(90);
    lab.start().await;
    for id in ["one", "two"] {
        lab.put(id, &wants(id, "shop", "Running")).await;
        lab.until(id, Phase::Ready).await;
    }
    lab.stop().await;
    // The row of one goes while the daemon is down, and everything that was remembered.
    lab.delete("one").await;
    lab.lose_state_and_history().await;
    lab.start().await;
    lab.eventually("it is found", async || {
        orphans(&listed(&lab).await) == [("one", "Quarantined", "one")]
    })
    .await;
    lab.until("two", Phase::Ready).await;
    let told = lab.status("one").await;
    assert_eq!((told.reason.as_str(), told.url), ("Quarantined", None));
    let quarantined = "lamplighter_orphans{state=\"Quarantined\"}";
    lab.eventually("counted", async || lab.metric(quarantined).await == 1)
        .await;
    lab.clock.shift(SignedDuration::from_mins(5));
    let orphaned = async || {
        let text = get(&format!("{}/metrics", lab.admin())).await.body;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix("lamplighter_orphan_time_seconds_total "));
        value.unwrap().parse::<f64>().unwrap() >= 300.0
    };
    lab.eventually("its time is counted", orphaned).await;
    lab.stop().await;

    lab.config.policy.orphans.reap = true;
    lab.start().await;
    let before = lab.sweeps().await;
    lab.eventually("it sweeps", async || lab.sweeps().await > before + 1)
        .await;
    assert_eq!(
        orphans(&listed(&lab).await),
        [("one", "Quarantined", "one")],
        "not yet"
    );
    assert_eq!(lab.passed("one", "destroy").len(), 0);
    lab.clock.shift(SignedDuration::from_mins(91));
    lab.until("one", Phase::Destroyed).await;
    assert_eq!(lab.passed("one", "destroy").len(), 1);
    assert_eq!(orphans(&listed(&lab).await), []);
    assert_eq!(lab.status("two").await.phase, Phase::Ready);
    assert_eq!(
        lab.passed("two", "apply").len(),
        1,
        "what has a row is not built again"
    );
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_that_gets_a_row_is_an_app_again_and_a_service_nobody_knows_is_left_to_people() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    let service = lab.until("one", Phase::Ready).await.resource_name.unwrap();
    lab.stop().await;
    lab.delete("one").await;
    lab.lose_state_and_history().await;
    for build in lab.builds("one") {
        lab.sim.world().forget_build(&build.id);
    }
    lab.start().await;
    lab.eventually("it is listed", async || {
        orphans(&listed(&lab).await) == [("one", "Unidentified", "-")]
    })
    .await;
    let printed = Command::new(BINARY)
        .args(["orphans", "--server", &lab.api()])
        .env_clear()
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.contains("one  Unidentified") && printed.contains(&service),
        "{printed}"
    );
    let list = listed(&lab).await;
    assert_eq!(list["orphans"][0]["resourceName"], service, "{list}");
    assert_eq!(list["orphans"][0]["cluster"], CLUSTER, "{list}");
    lab.put_raw(
        "one",
        [("user", s("ann")), ("app", s("shop")), ("desired", s("Running"))],
    )
    .await;
    lab.until("one", Phase::Ready).await;
    assert_eq!(lab.status("one").await.resource_name, Some(service));
    assert_eq!(lab.builds("one").len(), 1, "nothing was built again");
    assert_eq!(orphans(&listed(&lab).await), []);
    lab.assert_sound();
    lab.stop().await;
}
