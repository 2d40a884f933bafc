//! What may stand in a row or an answer: good values, nearly good ones, and what only an attacker or a bug writes.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// Text that has broken programs before.
const HOSTILE: [&str; 24] = [
    "",
    " ",
    "\0",
    "a\0b",
    "\r\nSet-Cookie: a=b",
    "\u{1b}[2J",
    "\u{202e}gpj.exe",
    "\u{feff}",
    "\u{10ffff}",
    "e\u{301}\u{301}\u{301}",
    "../../etc/passwd",
    "${jndi:ldap://a}",
    "$(reboot)",
    "'; DROP TABLE rows; --",
    "<script>alert(1)</script>",
    "{\"S\": \"x\"}",
    "%s%n%p",
    "NaN",
    "null",
    "xn--",
    "-",
    "..",
    "app#a1",
    "closed",
];

/// Times at the edges of what there is.
const TIMES: [&str; 14] = [
    "2026-11-20T09:00:00Z",
    "2026-11-20T18:00:00+01:00",
    "2026-11-21T09:00:00.999999999Z",
    "2027-03-28T02:30:00+01:00",
    "1970-01-01T00:00:00Z",
    "9999-12-30T22:00:00Z",
    "9999-12-30T22:00:00.999999999Z",
    "-009999-01-02T01:59:59Z",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "2026-06-30T23:59:60Z",
    "2026-11-20T09:00:00",
    "2026-11-20T09:00:00[Europe/Berlin]",
    "2026-11-20T09:00:00+99:99",
];

/// Numbers as DynamoDB writes them, up to its 38 digits, and some as it never would.
const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "-1",
    "3.5",
    "1E+2",
    "9007199254740991",
    "9007199254740992",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "9.9999999999999999999999999999999999999E+125",
    "1E-130",
    "-9223372036854775809",
    "NaN",
];

pub(crate) fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => select(&HOSTILE[..]).prop_map(str::to_owned),
        2 => select(&TIMES[..]).prop_map(str::to_owned),
        1 => select(&NUMBERS[..]).prop_map(str::to_owned),
        3 => "[a-z0-9.-]{0,12}",
        2 => vec(any::<char>(), 0..8).prop_map(String::from_iter),
        1 => (any::<char>(), 1_usize..3_000).prop_map(|(c, count)| c.to_string().repeat(count)),
    ]
    .boxed()
}

/// An attribute of any type, nested as it likes.
pub(crate) fn attribute() -> BoxedStrategy<Value> {
    let number = || select(&NUMBERS[..]);
    let leaf = prop_oneof![
        6 => text().prop_map(|text| json!({"S": text})),
        3 => number().prop_map(|number| json!({"N": number})),
        1 => any::<bool>().prop_map(|truth| json!({"BOOL": truth})),
        1 => Just(json!({"NULL": true})),
        1 => Just(json!({"B": "AAECgP8="})),
        1 => vec(text(), 1..3).prop_map(|texts| json!({"SS": texts})),
        1 => vec(number(), 1..3).prop_map(|numbers| json!({"NS": numbers})),
        1 => Just(json!({"BS": ["AA==", "/w=="]})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|list| json!({"L": list})),
            btree_map(text(), inner, 0..4).prop_map(|map| json!({"M": map})),
        ]
    })
    .boxed()
}

/// Any JSON at all.
pub(crate) fn anything() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| serde_json::Number::from_f64(number).map_or(Value::Null, Value::from)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
    .boxed()
}

/// A good value of an attribute of rows.
fn good(name: &'static str) -> BoxedStrategy<Value> {
    let texts = |texts: &'static [&'static str]| select(texts).prop_map(|text| json!({"S": text})).boxed();
    match name {
        "user" => texts(&["ann", "bob", "Ann Müller"]),
        "app" => texts(&["shop", "wiki", "desk", "nosuch"]),
        "desired" => texts(&["Running", "Running", "Suspended", "Destroyed"]),
        "generation" => (0_u64..5).prop_map(|n| json!({"N": n.to_string()})).boxed(),
        "hostName" => texts(&[
            "tea.example.com",
            "rum.example.com",
            "a.b.example.com",
            "example.org",
        ]),
        "parameters" => select(&["small", "large", "huge"][..])
            .prop_map(|size| json!({"M": {"SIZE": {"S": size}}}))
            .boxed(),
        "timeZone" => texts(&["Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "UTC"]),
        "requestedAt" | "keepUntil" | "expiresAt" => texts(&TIMES),
        _ => texts(&["because", "carol"]),
    }
}

const NAMES: [&str; 12] = [
    "user",
    "app",
    "desired",
    "generation",
    "requestedAt",
    "hostName",
    "parameters",
    "timeZone",
    "keepUntil",
    "keepReason",
    "expiresAt",
    "requestedBy",
];

/// What one attribute of a row is: mostly as it should be.
fn of(name: &'static str) -> BoxedStrategy<Option<Value>> {
    let needed = matches!(name, "user" | "app" | "desired");
    prop_oneof![
        if needed { 12 } else { 3 } => good(name).prop_map(Some),
        if needed { 1 } else { 12 } => Just(None),
        1 => text().prop_map(|text| Some(json!({"S": text}))),
        1 => attribute().prop_map(Some),
    ]
    .boxed()
}

/// The attributes of a row without its id.
pub(crate) fn row() -> BoxedStrategy<Map<String, Value>> {
    let known: Vec<_> = NAMES.map(of).into();
    let others = prop_oneof![
        8 => Just(Map::new()),
        2 => btree_map(
            prop_oneof![text(), select(&["keepuntil", "x-note", "Desired", "id"][..]).prop_map(str::to_owned)],
            attribute(),
            1..4
        )
        .prop_map(|map| map.into_iter().collect()),
    ];
    (known, others)
        .prop_map(|(known, others): (_, Map<String, Value>)| {
            let mut row = others;
            row.retain(|name, _| name != "id");
            for (name, value) in NAMES.into_iter().zip(known) {
                row.extend(value.map(|value| (name.to_owned(), value)));
            }
            row
        })
        .boxed()
}

/// The key of a row: good, bad, or of the wrong kind.
pub(crate) fn key() -> BoxedStrategy<Value> {
    prop_oneof![
        8 => "[a-z][a-z0-9]{0,2}".prop_map(|id| json!({"S": id})),
        2 => text().prop_map(|id| json!({"S": id})),
        1 => attribute(),
    ]
    .boxed()
}
