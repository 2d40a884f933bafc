//! The end of the day, on a clock that the tests put forward: what is due goes out, however late anybody
//! looks, and what was asked for since, or is kept for a reason, stays.

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::status::{ConditionKind, Phase, Status, Truth};

use crate::lab::wire::s;
use crate::lab::{CLUSTER, Lab, truth, wants};

/// Seven in the evening in Berlin, when both schedules of the lab end their day.
const EVENING: &str = "2027-02-10T18:00:00Z";
const NEXT_EVENING: &str = "2027-02-11T18:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What a running shop's row says, with more to it.
fn shop<'a>(user: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&wants(user, "shop", "Running")[..], more].concat()
}

async fn lab_with(rows: &[(&str, &[(&str, &str)])]) -> Lab {
    let lab = Lab::new().await;
    lab.start().await;
    for (id, fields) in rows {
        lab.put(id, fields).await;
    }
    for (id, _) in rows {
        lab.until(id, Phase::Ready).await;
    }
    lab
}

/// After the next complete sweep, which has seen what the clock shows now.
async fn a_sweep_later(lab: &Lab) {
    let sweeps = async || lab.sweeps().await;
    let before = sweeps().await;
    lab.eventually("two more sweeps", async || sweeps().await >= before + 2)
        .await;
}

#[track_caller]
fn assert_curfew(status: &Status, due: &str) {
    assert!(status.message.contains("Its day ended at"), "{}", status.message);
    assert!(
        status
            .message
            .contains(&time(due).strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_the_day_an_app_is_destroyed_or_suspended_as_its_schedule_says() {
    let wiki = wants("ben", "wiki", "Running");
    let lab = lab_with(&[("shop", &shop("ann", &[])), ("wiki", &wiki)]).await;
    for (id, action) in [("shop", "Destroy"), ("wiki", "Suspend")] {
        let next = lab.status(id).await.next_change.unwrap();
        assert_eq!(
            (next.at, next.action.as_str(), next.rule.as_str()),
            (time(EVENING), action, "Curfew")
        );
    }
    lab.clock.set(time("2027-02-10T17:59:30Z"));
    a_sweep_later(&lab).await;
    for id in ["shop", "wiki"] {
        assert_eq!(lab.status(id).await.phase, Phase::Ready, "{id} a little before");
    }
    lab.clock.set(time("2027-02-10T18:00:01Z"));
    assert_curfew(&lab.until("shop", Phase::Destroyed).await, EVENING);
    let asleep = lab.until("wiki", Phase::Suspended).await;
    assert_curfew(&asleep, EVENING);
    let service = lab
        .sim
        .world()
        .service(CLUSTER, &asleep.resource_name.unwrap())
        .unwrap();
    assert_eq!((service.desired, service.running), (0, 0));
    assert!(!lab.holds_a_slot("shop").await && lab.holds_a_slot("wiki").await);

    // A new request starts it again, until the end of the next day.
    lab.put("shop", &shop("ann", &[("generation", "2")])).await;
    lab.put("wiki", &[&wiki[..], &[("generation", "2")]].concat())
        .await;
    for id in ["shop", "wiki"] {
        assert_eq!(
            lab.until(id, Phase::Ready).await.next_change.unwrap().at,
            time(NEXT_EVENING)
        );
    }
    assert_eq!(lab.builds("wiki").len(), 1, "waking up takes no build");
    lab.clock.set(time("2027-02-11T18:00:01Z"));
    lab.until("shop", Phase::Destroyed).await;
    lab.until("wiki", Phase::Suspended).await;
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_down_at_the_end_of_the_day_does_it_later_and_spares_what_was_asked_since() {
    let lab = lab_with(&[("due", &shop("ann", &[])), ("asked", &shop("ben", &[]))]).await;
    lab.stop().await;
    lab.clock.set(time("2027-02-10T18:20:00Z"));
    lab.put("asked", &shop("ben", &[("requestedAt", "2027-02-10T18:10:00Z")]))
        .await;
    lab.start().await;
    assert_curfew(&lab.until("due", Phase::Destroyed).await, EVENING);
    let next = |status: &Status| {
        status.phase == Phase::Ready
            && status
                .next_change
                .as_ref()
                .is_some_and(|n| n.at == time(NEXT_EVENING))
    };
    lab.until_status("asked", "good until the next evening", next)
        .await;
    assert_eq!(lab.builds("asked").len(), 1, "it was never touched");
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_in_the_future_does_not_dodge_the_end_of_the_day_nor_does_an_identical_rewrite() {
    let dodger = shop("ann", &[("requestedAt", "2027-02-20T09:00:00Z")]);
    let plain = shop("ben", &[("generation", "7")]);
    let lab = lab_with(&[("dodger", &dodger), ("plain", &plain)]).await;
    lab.clock.set(time("2027-02-10T18:00:01Z"));
    lab.put("plain", &plain).await;
    lab.put("dodger", &dodger).await;
    for id in ["dodger", "plain"] {
        assert_curfew(&lab.until(id, Phase::Destroyed).await, EVENING);
    }
    lab.put("dodger", &dodger).await;
    a_sweep_later(&lab).await;
    assert_eq!(
        lab.status("dodger").await.phase,
        Phase::Destroyed,
        "no request, no light"
    );
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zone_of_the_row_decides_when_its_day_ends() {
    let lab = lab_with(&[
        ("berlin", &shop("ann", &[])),
        ("new-york", &shop("ben", &[("timeZone", "America/New_York")])),
    ])
    .await;
    lab.clock.set(time("2027-02-10T23:59:00Z"));
    lab.until("berlin", Phase::Destroyed).await;
    assert_eq!(lab.status("new-york").await.phase, Phase::Ready);
    lab.clock.set(time("2027-02-11T00:00:01Z"));
    assert_curfew(
        &lab.until("new-york", Phase::Destroyed).await,
        "2027-02-11T00:00:00Z",
    );
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_app_stays_until_its_exemption_lapses_which_policy_bounds() {
    let kept = shop(
        "ann",
        &[("keepUntil", "2027-02-10T20:00:00Z"), ("keepReason", "a demo")],
    );
    let greedy = shop("ben", &[("keepUntil", "2027-12-24T20:00:00Z")]);
    let lab = lab_with(&[
        ("kept", &kept),
        ("greedy", &greedy),
        ("plain", &shop("cleo", &[])),
    ])
    .await;
    let next = lab.status("kept").await.next_change.unwrap();
    assert_eq!(
        (next.at, next.rule.as_str()),
        (time("2027-02-10T20:00:00Z"), "KeepUntil")
    );
    let clamped = lab.status("greedy").await;
    let cut = clamped.next_change.unwrap().at;
    assert!(
        cut <= time("2027-02-13T09:01:00Z"),
        "three days after the request, not {cut}"
    );
    let note = clamped
        .conditions
        .iter()
        .find(|c| c.kind == ConditionKind::Accepted)
        .unwrap();
    assert!(
        note.status == Truth::True && note.message.contains("keepUntil was cut to 2027-02-13"),
        "{note:?}"
    );

    lab.clock.set(time("2027-02-10T19:59:00Z"));
    lab.until("plain", Phase::Destroyed).await;
    assert_eq!(lab.status("kept").await.phase, Phase::Ready);
    lab.clock.set(time("2027-02-10T20:00:01Z"));
    lab.until("kept", Phase::Destroyed).await;
    assert_eq!(lab.status("greedy").await.phase, Phase::Ready);
    lab.clock.set(time("2027-02-13T09:05:00Z"));
    lab.until("greedy", Phase::Destroyed).await;
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_is_absolute() {
    let row = shop(
        "ann",
        &[
            ("expiresAt", "2027-02-10T11:00:00Z"),
            ("keepUntil", "2027-02-12T11:00:00Z"),
        ],
    );
    let lab = lab_with(&[("one", &row)]).await;
    let next = lab.status("one").await.next_change.unwrap();
    assert_eq!(
        (next.at, next.rule.as_str()),
        (time("2027-02-10T11:00:00Z"), "ExpiresAt")
    );
    lab.clock.set(time("2027-02-10T11:00:01Z"));
    let gone = lab.until("one", Phase::Destroyed).await;
    assert!(
        gone.message.contains("It expired at 2027-02-10 11:00:00 UTC"),
        "{}",
        gone.message
    );
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_row_became_invalid_still_goes_out_at_the_end_of_its_day() {
    let lab = lab_with(&[("one", &shop("ann", &[]))]).await;
    let row = [
        ("user", s("ann")),
        ("app", s("shop")),
        ("desired", s("Running")),
        ("colour", s("red")),
    ];
    lab.put_raw("one", row).await;
    let refused = |status: &Status| truth(status, ConditionKind::Accepted) == Some(Truth::False);
    let told = lab.until_status("one", "refused", refused).await;
    assert_eq!(told.phase, Phase::Ready, "what was accepted before runs on");
    lab.clock.shift(SignedDuration::from_hours(9));
    let gone = lab.until("one", Phase::Destroyed).await;
    assert_curfew(&gone, EVENING);
    assert_eq!(
        truth(&gone, ConditionKind::Accepted),
        Some(Truth::False),
        "and it still says what is wrong"
    );
    assert_eq!(lab.services("one"), []);
    lab.assert_sound();
    lab.stop().await;
}
