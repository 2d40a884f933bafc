//! Rows that cannot be carried out, of every kind: each is told its field, what is wrong and the way out, and
//! concerns nobody else.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue::{self, B, Bool, L, N, Null, Ss};
use lamplighter::model::status::{ConditionKind, Phase, Truth};

use crate::lab::wire::{get, m, n, s};
use crate::lab::{Lab, truth, wants};

type Attributes = Vec<(String, AttributeValue)>;

/// An attribute in place of that of a good row, and what the row is then told.
struct Case {
    id: String,
    attributes: Attributes,
    told: &'static [&'static str],
}

fn good() -> Attributes {
    [("user", "ann"), ("app", "shop"), ("desired", "Running")]
        .map(|(name, v)| (name.to_owned(), s(v)))
        .into()
}

fn with(id: &str, name: &str, value: AttributeValue, told: &'static [&'static str]) -> Case {
    let mut attributes = good();
    attributes.retain(|(known, _)| known != name);
    attributes.push((name.to_owned(), value));
    Case {
        id: id.to_owned(),
        attributes,
        told,
    }
}

fn without(id: &str, name: &str, told: &'static [&'static str]) -> Case {
    let mut attributes = good();
    attributes.retain(|(known, _)| known != name);
    Case {
        id: id.to_owned(),
        attributes,
        told,
    }
}

#[rustfmt::skip] // One case a line.
fn required_attributes() -> Vec<Case> {
    let all = &["user is missing", "app is missing", "desired is missing"];
    vec![
        Case { id: "bare".to_owned(), attributes: Vec::new(), told: all },
        without("no-user", "user", &["user is missing: name the owner"]),
        without("no-app", "app", &["app is missing: name an entry of the catalogue"]),
        without("no-desired", "desired", &["desired is missing: use Running, Suspended or Destroyed"]),
        with("empty-user", "user", s(""), &["user \"\" is empty"]),
        with("empty-app", "app", s(""), &["app \"\" is empty"]),
        with("number-user", "user", n("7"), &["user is a number, not a string"]),
        with("set-user", "user", Ss(vec!["ann".into(), "ben".into()]), &["user is a set, not a string"]),
        with("bool-app", "app", Bool(true), &["app is a boolean, not a string"]),
        with("map-app", "app", m([("name", "shop")]), &["app is a map, not a string"]),
        with("list-desired", "desired", L(vec![s("Running")]), &["desired is a list, not a string"]),
        with("null-desired", "desired", Null(true), &["desired is null, not a string"]),
        with("other-app", "app", s("shopp"), &["app \"shopp\" is not in the catalogue", "use one of shop, wiki"]),
        with("lower-case", "desired", s("running"), &["desired \"running\" is none of the desired states"]),
        with("control-user", "user", s("a\u{1b}[31m\r\nb"), &["user \"a\\u{1b}[31m\\r\\nb\" holds control"]),
    ]
}

#[rustfmt::skip] // One case a line.
fn optional_attributes() -> Vec<Case> {
    let time = &["is not a time that exists", "use RFC 3339"];
    vec![
        with("text-generation", "generation", s("3"), &["generation is a string, not a number"]),
        with("minus-generation", "generation", n("-1"), &["generation \"-1\" is not in range"]),
        with("huge-generation", "generation", N("9".repeat(38)), &["is not in range", "use a whole number"]),
        with("half-generation", "generation", n("1.5"), &["generation \"1.5\" is not in range"]),
        with("no-such-day", "requestedAt", s("2026-02-30T10:00:00Z"), time),
        with("no-such-hour", "keepUntil", s("2026-02-03T25:00:00Z"), time),
        with("no-offset", "expiresAt", s("2026-02-03T10:00:00"), time),
        with("words", "expiresAt", s("tomorrow"), &["expiresAt \"tomorrow\" is not a time"]),
        with("number-time", "keepUntil", n("1800000000"), &["keepUntil is a number, not a string"]),
        with("no-zone", "timeZone", s("Mars/Olympus"), &["timeZone \"Mars/Olympus\" is not a known time zone", "IANA"]),
        with("path-zone", "timeZone", s("../../etc/passwd"), &["is not a known time zone"]),
        with("empty-zone", "timeZone", s(""), &["timeZone \"\" is not a known time zone"]),
        with("empty-host", "hostName", s(""), &["hostName \"\" is empty"]),
        with("shell-host", "hostName", s("$(reboot).localhost"), &["is not a lower-case DNS name", "or leave it out"]),
        with("upper-host", "hostName", s("Shop.localhost"), &["is not a lower-case DNS name"]),
        with("binary-host", "hostName", B(Blob::new([0, 159])), &["hostName is binary, not a string"]),
        with("metadata-host", "hostName", s("169.254.169.254"), &["hostName \"169.254.169.254\" is not below \"localhost\"", "ends with .localhost"]),
        with("other-domain", "hostName", s("shop.localhost.evil.example"), &["is not below", "or leave it out"]),
        with("long-host", "hostName", s("a.".repeat(200)), &["is longer than 253 characters"]),
        with("lines-reason", "keepReason", s("a\r\nSet-Cookie: b"), &["keepReason", "holds control characters"]),
        with("long-by", "requestedBy", s("x".repeat(257)), &["requestedBy", "is longer than 256 characters"]),
        with("near-name", "keepuntil", s("x"), &["keepuntil is not an attribute of a row: did you mean keepUntil?"]),
        with("html-name", "<b>x</b>", s("x"), &["<b>x</b> is not an attribute of a row: remove it"]),
        with("lines-name", "a\r\nb", s("x"), &["a\\r\\nb is not an attribute of a row"]),
    ]
}

#[rustfmt::skip] // One case a line.
fn parameters() -> Vec<Case> {
    let many: Vec<String> = (0..51).map(|n| format!("P{n}")).collect();
    let many = m(many.iter().map(|name| (name.as_str(), "x")));
    vec![
        with("text-map", "parameters", s("SIZE=small"), &["parameters is a string, not a map"]),
        with(
            "other-parameter",
            "parameters",
            m([("COLOUR", "red")]),
            &["parameters.COLOUR is not a parameter of this app: use SIZE"],
        ),
        with(
            "wrong-parameter",
            "parameters",
            m([("SIZE", "huge")]),
            &["parameters.SIZE \"huge\" is not allowed: use one of small, large"],
        ),
        with(
            "number-parameter",
            "parameters",
            AttributeValue::M([("SIZE".to_owned(), n("3"))].into()),
            &["parameters.SIZE is a number, not a string"],
        ),
        with("nul-parameter", "parameters", m([("SIZE", "a\0b")]), &["parameters.SIZE holds a NUL character"]),
        with(
            "our-parameter",
            "parameters",
            m([("LAMPLIGHTER_OPERATION_ID", "x")]),
            &["parameters.LAMPLIGHTER_OPERATION_ID is not a parameter"],
        ),
        with("lines-parameter", "parameters", m([("A\r\nB", "x")]), &["parameters.A\\r\\nB is not a parameter"]),
        with("many-parameters", "parameters", many, &["parameters has 51 entries, more than 50"]),
    ]
}

/// Rows of nearly 400 KB, which is as much as DynamoDB takes.
fn large() -> Vec<Case> {
    let large = || "x".repeat(390_000);
    let mut many = good();
    many.extend((0..30_000).map(|n| (format!("n{n:05}"), s("x"))));
    vec![
        with(
            "large-user",
            "user",
            s(large()),
            &["user \"xxx", "is longer than 128 characters"],
        ),
        with(
            "large-other",
            "blob",
            s(large()),
            &["blob is not an attribute of a row"],
        ),
        with(
            "large-name",
            &"n".repeat(60_000),
            s("x"),
            &["nnn… is not an attribute of a row"],
        ),
        with(
            "large-parameter",
            "parameters",
            m([("SIZE", large().as_str())]),
            &["parameters.SIZE has 390000 bytes"],
        ),
        Case {
            id: "many-attributes".to_owned(),
            attributes: many,
            told: &["n00000 is not an attribute"],
        },
    ]
}

/// A key is what it is: the row is told, under that very key.
fn ids() -> Vec<Case> {
    let long = "a".repeat(64);
    let longest = "a".repeat(2044);
    [
        "Upper",
        "-leading",
        "under_score",
        "ünïcode",
        "a b",
        "../../etc/passwd",
        "<script>alert(1)</script>",
    ]
    .into_iter()
    .chain(["a\r\nb", "$(reboot)", "slot#ann", "💥", &long, &longest])
    .map(|id| Case {
        id: id.to_owned(),
        attributes: good(),
        told: &["is not an instance id", "1 to 63 of a-z"],
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_carried_out_is_told_why_and_concerns_nobody_else() {
    let lab = Lab::new().await;
    lab.start().await;
    let cases: Vec<Case> = [
        required_attributes(),
        optional_attributes(),
        parameters(),
        large(),
        ids(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for case in &cases {
        let attributes = case
            .attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        lab.put_raw(&case.id, attributes).await;
    }
    // A key that is too long to remember anything by can only be counted.
    let unreadable = "k".repeat(2046);
    lab.put_raw(&unreadable, [("user", s("ann"))]).await;
    lab.put("good", &wants("ann", "shop", "Running")).await;
    lab.until("good", Phase::Ready).await;

    for case in &cases {
        let status = lab.until(&case.id, Phase::Refused).await;
        let accepted = status.condition(ConditionKind::Accepted).unwrap();
        assert_eq!(
            (accepted.status, accepted.reason.as_str()),
            (Truth::False, "InvalidRow"),
            "{:?}",
            case.id
        );
        for part in case.told {
            assert!(
                accepted.message.contains(part),
                "{part:?} is not in {:?}",
                accepted.message
            );
        }
        assert!(
            accepted.message.contains(": "),
            "every problem comes with a way out: {}",
            accepted.message
        );
        assert!(accepted.message.len() < 8_000, "{:?} is told too much", case.id);
        assert!(
            !accepted.message.chars().any(char::is_control),
            "{:?}",
            accepted.message
        );
    }
    assert_eq!(
        lab.sim.world().builds().len(),
        1,
        "nothing was built but the good one"
    );
    assert_eq!(lab.snapshot().await.claims.len(), 3, "no bad row holds anything");
    lab.eventually("the one is counted", async || {
        lab.metric("lamplighter_rows_unreadable").await == 1
    })
    .await;
    let list = get(&format!("{}/api/v1/apps", lab.api())).await;
    assert_eq!(
        list.json()["apps"].as_array().unwrap().len(),
        cases.len() + 1,
        "all are listed"
    );

    // Mended, a row is like any other.
    lab.put("no-user", &wants("ben", "shop", "Running")).await;
    let mended = lab.until("no-user", Phase::Ready).await;
    assert_eq!(truth(&mended, ConditionKind::Accepted), Some(Truth::True));
    lab.delete("bare").await;
    lab.until("bare", Phase::Destroyed).await;
    lab.assert_sound();
    lab.stop().await;
}
