//! Two rows that want the same: a user's one slot, or one host name. One lives, the other is told why not.

use jiff::SignedDuration;
use lamplighter::model::claim::{OnConflict, Scope};
use lamplighter::model::status::{ConditionKind, Phase, Status, Truth};

use crate::lab::{Lab, app, truth, wants};

/// A refusal names its field, the holder, since when, and every way out.
fn assert_refused(status: &Status, reason: &str, parts: &[&str]) {
    assert_eq!(
        (status.phase, status.reason.as_str()),
        (Phase::Refused, reason),
        "{status:#?}"
    );
    let accepted = status.condition(ConditionKind::Accepted).unwrap();
    assert_eq!(
        (accepted.status, accepted.reason.as_str()),
        (Truth::False, reason)
    );
    for part in parts {
        assert!(
            status.message.contains(part),
            "{part:?} is not in {:?}",
            status.message
        );
    }
    assert_eq!(status.url, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rows_of_one_user_exactly_one_lives() {
    let lab = Lab::new().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.put("two", &wants("ann", "wiki", "Running")).await;
    lab.start().await;

    let phases = async || (lab.status("one").await.phase, lab.status("two").await.phase);
    lab.eventually("one is ready and the other refused", async || {
        matches!(
            phases().await,
            (Phase::Ready, Phase::Refused) | (Phase::Refused, Phase::Ready)
        )
    })
    .await;
    assert_eq!(lab.sim.world().services().len(), 1);
    assert_eq!(
        lab.sim.world().builds().len(),
        1,
        "the refused one was never built"
    );
    let claims = lab.snapshot().await.claims;
    assert_eq!(claims.keys().filter(|key| key.is_slot()).count(), 1);
    assert_eq!(claims.len(), 3, "a refused row holds nothing: {claims:?}");
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_holder_and_the_ways_out_and_ends_by_itself_within_the_window() {
    let lab = Lab::new().await;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    lab.put("two", &wants("ann", "wiki", "Running")).await;

    let refused = lab.until("two", Phase::Refused).await;
    let since = lab
        .snapshot()
        .await
        .claims
        .into_iter()
        .find(|(key, _)| key.is_slot())
        .unwrap()
        .1
        .since;
    let since = since.strftime("since %Y-%m-%d %H:%M:%S UTC").to_string();
    let ways_out = [
        "Destroyed",
        "delete its row",
        "until its day ends",
        "Looked at again until",
    ];
    assert_refused(&refused, "SlotTaken", &["user:", "\"ann\"", "\"one\"", &since]);
    assert_refused(&refused, "SlotTaken", &ways_out);
    assert!(lab.status("one").await.url.is_some(), "the holder is not touched");

    lab.put("one", &wants("ann", "shop", "Destroyed")).await;
    lab.until("two", Phase::Ready).await;
    assert_eq!(lab.status("one").await.phase, Phase::Destroyed);
    let destroyed = lab.passed("one", "destroy")[0].ended.unwrap();
    assert!(
        lab.passed("two", "apply")[0].started >= destroyed,
        "never two at once"
    );
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_window_a_refused_row_needs_a_new_request() {
    let mut lab = Lab::new().await;
    lab.config.policy.timing.refusal_window = SignedDuration::from_secs(1);
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    lab.put("two", &wants("ann", "wiki", "Running")).await;
    let over = |status: &Status| status.message.contains("a new request is needed");
    let refused = lab.until_status("two", "end of the window", over).await;
    assert_refused(&refused, "SlotTaken", &["\"one\"", "Destroyed"]);

    lab.delete("one").await;
    lab.until("one", Phase::Destroyed).await;
    let waits = lab.until_reason("two", "NeedsNewRequest").await;
    assert_refused(&waits, "NeedsNewRequest", &["Request it again"]);
    assert_eq!(lab.builds("two"), []);

    let again = [&wants("ann", "wiki", "Running")[..], &[("generation", "2")]].concat();
    lab.put("two", &again).await;
    let ready = lab.until("two", Phase::Ready).await;
    assert_eq!(ready.observed_generation, Some(2));
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_scope_user_app_a_user_has_one_instance_of_each_app() {
    let mut lab = Lab::new().await;
    lab.config.policy.scope = Scope::UserApp;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.put("two", &wants("ann", "wiki", "Running")).await;
    lab.until("one", Phase::Ready).await;
    lab.until("two", Phase::Ready).await;
    lab.put("three", &wants("ann", "wiki", "Running")).await;
    assert_refused(
        &lab.until("three", Phase::Refused).await,
        "SlotTaken",
        &["\"two\""],
    );
    assert_eq!(lab.sim.world().services().len(), 2);
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_policy_is_to_replace_the_newest_request_takes_the_slot_and_gives_it_back_when_outbid() {
    let mut lab = Lab::new().await;
    lab.config.policy.on_conflict = OnConflict::Replace;
    lab.start().await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    lab.put("two", &wants("ann", "wiki", "Running")).await;

    lab.until("two", Phase::Ready).await;
    let parts = ["\"two\"", "a new request", "Nothing of it is left"];
    assert_refused(&lab.until_reason("one", "Superseded").await, "Superseded", &parts);
    let destroyed = lab.passed("one", "destroy")[0].ended.unwrap();
    assert!(
        lab.passed("two", "apply")[0].started >= destroyed,
        "never two at once"
    );

    let again = [&wants("ann", "shop", "Running")[..], &[("generation", "2")]].concat();
    lab.put("one", &again).await;
    let ready = lab.until("one", Phase::Ready).await;
    assert_eq!(ready.observed_generation, Some(2));
    assert_refused(
        &lab.until_reason("two", "Superseded").await,
        "Superseded",
        &["\"one\""],
    );
    lab.delete("one").await;
    lab.until("one", Phase::Destroyed).await;
    assert_eq!(
        lab.status("two").await.reason,
        "Superseded",
        "the winner's end brings nobody back"
    );
    assert_eq!(lab.passed("two", "apply").len(), 1);
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_belongs_to_one_app_until_its_row_is_gone() {
    let lab = Lab::new().await;
    lab.start().await;
    let named = |user| {
        [
            &wants(user, "shop", "Running")[..],
            &[("hostName", "shop.localhost")],
        ]
        .concat()
    };
    lab.put("one", &named("ann")).await;
    lab.until("one", Phase::Ready).await;
    lab.put("two", &named("ben")).await;
    let refused = lab.until("two", Phase::Refused).await;
    let parts = [
        "hostName:",
        "\"shop.localhost\"",
        "\"one\"",
        "Choose another name",
        "leave hostName out",
    ];
    assert_refused(&refused, "HostNameTaken", &parts);
    lab.put("three", &wants("cleo", "shop", "Running")).await;
    let other = lab.until("three", Phase::Ready).await;
    assert_ne!(other.host_name.as_deref(), Some("shop.localhost"));

    // The name outlives the app: somebody may have the link, and it must not lead to another user's app.
    lab.put(
        "one",
        &[
            &named("ann")[..2],
            &[("desired", "Destroyed"), ("hostName", "shop.localhost")],
        ]
        .concat(),
    )
    .await;
    lab.until("one", Phase::Destroyed).await;
    lab.until_reason("two", "HostNameTaken").await;
    lab.delete("one").await;
    let ready = lab.until("two", Phase::Ready).await;
    assert_eq!(ready.host_name.as_deref(), Some("shop.localhost"));
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_app_keeps_its_user_app_and_host_name_and_the_old_spec_runs_on() {
    let lab = Lab::new().await;
    lab.start().await;
    let mine = [
        ("user", "ann"),
        ("app", "shop"),
        ("desired", "Running"),
        ("hostName", "shop.localhost"),
    ];
    lab.put("one", &mine).await;
    let before = lab.until("one", Phase::Ready).await;
    for (field, value) in [("user", "ben"), ("app", "wiki"), ("hostName", "other.localhost")] {
        let mut changed = mine;
        changed.iter_mut().find(|(name, _)| *name == field).unwrap().1 = value;
        lab.put("one", &changed).await;
        let told = lab
            .until_status("one", field, |status| {
                let accepted = status.condition(ConditionKind::Accepted).unwrap();
                accepted.reason == "IdentityChanged"
                    && accepted.message.contains(&format!("{field} cannot change"))
            })
            .await;
        let said = &told.condition(ConditionKind::Accepted).unwrap().message;
        assert!(
            said.contains("set desired to Destroyed first") && said.contains("stays in force"),
            "{said}"
        );
        assert_eq!((told.phase, &told.url), (Phase::Ready, &before.url));
    }
    lab.put("one", &mine).await;
    let accepted = |status: &Status| truth(status, ConditionKind::Accepted) == Some(Truth::True);
    lab.until_status("one", "accepted again", accepted).await;
    assert_eq!(
        lab.sim.world().builds().len(),
        1,
        "nothing was built for any of it"
    );

    // The way out that the refusal names: destroyed first, the row may ask for anything.
    let other = |desired| [("user", "ben"), ("app", "wiki"), ("desired", desired)];
    lab.put("one", &other("Destroyed")).await;
    lab.until("one", Phase::Destroyed).await;
    lab.put("one", &other("Running")).await;
    let ready = lab.until("one", Phase::Ready).await;
    assert_ne!(ready.host_name.as_deref(), Some("shop.localhost"));
    let claims = lab.snapshot().await.claims;
    assert!(claims.values().all(|claim| claim.app == app("one")));
    assert_eq!(claims.len(), 3, "the old names are given back: {claims:?}");
    lab.assert_sound();
    lab.stop().await;
}
