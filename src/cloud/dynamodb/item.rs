//! How our values look as DynamoDB items, in both directions.
//!
//! The item of a memory has `pk` (`app#<id>`), `version` and `status` at the top level, because conditions
//! and the portal read them there, and everything else of it in the map `memory`, which is ours alone.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use crate::cloud::text;
use crate::model::claim::{Bid, Claim};
use crate::model::history::Event;
use crate::model::keep::Ledger;
use crate::model::lease::{Lease, Shard};
use crate::model::memory::Memory;
use crate::model::name::{AppId, BuildId, OperationId, User};
use crate::model::observed::Gate;
use crate::model::pause::{Pause, PauseScope, Pauses, REASON_MAX};
use crate::model::policy::Approvals;
use crate::model::row::{RawValue, Row};

#[allow(
    clippy::disallowed_types,
    reason = "the SDK's items are hash maps; nothing of ours depends on their order"
)]
pub(super) type Item = std::collections::HashMap<String, AttributeValue>;

/// What the `build` of a gate says once we closed it. No build id looks like it: those hold a colon.
pub(super) const CLOSED: &str = "closed";
/// The key of the item that holds an operator's approval of a mass deletion.
pub(super) const DELETIONS: &str = "control#deletions";
/// The key of the item that says up to which time days are reported.
pub(super) const REPORTED: &str = "control#report";
/// What is paused: `fleet`, and `app#<id>` for each app. That an attribute is there is what counts.
pub(super) const PAUSE: &str = "control#pause";
const FLEET: &str = "fleet";

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: &impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn memory_key(id: &AppId) -> String {
    format!("app#{id}")
}

pub(super) fn gate_key(operation: &OperationId) -> String {
    format!("gate#{operation}")
}

/// The memory as it is stored.
pub(super) fn of_memory(memory: &Memory) -> Result<Item, String> {
    let mut rest: Item = to_item(memory).map_err(|e| e.to_string())?;
    let mut item = Item::new();
    item.insert("pk".to_owned(), text(memory_key(&memory.id)));
    for top in ["version", "status"] {
        if let Some(value) = rest.remove(top) {
            item.insert(top.to_owned(), value);
        }
    }
    rest.remove("id");
    item.insert("memory".to_owned(), AttributeValue::M(rest));
    Ok(item)
}

/// The memory of the app `id`, from its item.
pub(super) fn read_memory(id: &AppId, mut item: Item) -> Result<Memory, String> {
    let mut whole = match item.remove("memory") {
        Some(AttributeValue::M(map)) => map,
        Some(_) => return Err("memory is not a map".to_owned()),
        None => return Err("memory is missing".to_owned()),
    };
    for top in ["version", "status"] {
        let value = item.remove(top).ok_or_else(|| format!("{top} is missing"))?;
        whole.insert(top.to_owned(), value);
    }
    whole.insert("id".to_owned(), text(id.as_str()));
    let memory: Memory = decode(whole)?;
    // Each write raises it, and the condition of the next one is that nobody else has.
    if memory.version == u64::MAX {
        return Err("version is the last that there is".to_owned());
    }
    Ok(memory)
}

/// An item as one of our types. `serde_dynamo` panics at an attribute of a type that the SDK does not know.
fn decode<T: DeserializeOwned>(item: Item) -> Result<T, String> {
    if !item.values().all(has_known_types) {
        return Err("it holds an attribute of an unknown type".to_owned());
    }
    from_item(item).map_err(|e| text::one_line(&e.to_string(), text::SENTENCE_MAX))
}

fn has_known_types(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::M(map) => map.values().all(has_known_types),
        AttributeValue::L(list) => list.iter().all(has_known_types),
        AttributeValue::S(_)
        | AttributeValue::N(_)
        | AttributeValue::B(_)
        | AttributeValue::Bool(_)
        | AttributeValue::Null(_)
        | AttributeValue::Ss(_)
        | AttributeValue::Ns(_)
        | AttributeValue::Bs(_) => true,
        _ => false,
    }
}

/// The gate that an item stands for.
pub(super) fn read_gate(item: &Item) -> Result<Gate, String> {
    match item.get("build") {
        None => Ok(Gate::Open),
        Some(AttributeValue::S(build)) if build == CLOSED => Ok(Gate::Closed),
        Some(AttributeValue::S(build)) if !build.is_empty() => Ok(Gate::Held(BuildId::new(build))),
        Some(_) => Err("build is not the id of a build".to_owned()),
    }
}

/// Where a claim carries the newest request for it. Releases before these were known leave both alone.
pub(super) const BIDDER: &str = "bidder";
pub(super) const BID_AT: &str = "bidAt";

/// The claim that an item stands for.
pub(super) fn read_claim(item: &Item) -> Result<Claim, String> {
    let app = AppId::from_key(string(item, "app")?).ok_or("app is not an id")?;
    let since = timestamp(item, "since")?;
    let bid = match item.get(BIDDER) {
        None => None,
        Some(_) => Some(Bid {
            app: AppId::from_key(string(item, BIDDER)?).ok_or("bidder is not an id")?,
            at: timestamp(item, BID_AT)?,
        }),
    };
    Ok(Claim { app, since, bid })
}

pub(super) fn lease_key(shard: Shard) -> String {
    format!("lease#{shard}")
}

/// The lease that an item stands for.
pub(super) fn read_lease(item: &Item) -> Result<Lease, String> {
    let optional = |name| match item.get(name) {
        None => Ok(None),
        Some(_) => string(item, name).map(Some),
    };
    let counter = |name: &str| match item.get(name) {
        Some(AttributeValue::N(digits)) => digits.parse().map_err(|_| format!("{name} is no count")),
        Some(_) => Err(format!("{name} is not a number")),
        None => Err(format!("{name} is missing")),
    };
    Ok(Lease {
        owner: optional("owner")?,
        epoch: counter("epoch")?,
        beat: counter("beat")?,
        asked: optional("asked")?,
    })
}

/// Up to which time days are reported; what cannot be read says nothing, and the last day is told once more.
pub(super) fn read_reported(item: &Item) -> Option<Timestamp> {
    timestamp(item, "until").ok()
}

/// How deletions were approved, from the control item. One of an older release tells of a single approval.
pub(super) fn read_approvals(item: &Item) -> Result<Approvals, String> {
    let count = match item.get("approvals") {
        None => 1,
        Some(AttributeValue::N(number)) => number.parse().map_err(|_| "approvals is out of range")?,
        Some(_) => return Err("approvals is not a number".to_owned()),
    };
    Ok(Approvals {
        count,
        latest: Some(timestamp(item, "approvedAt")?),
    })
}

/// The attribute that stands for a pause.
pub(super) fn pause_name(scope: &PauseScope) -> String {
    match scope {
        PauseScope::Fleet => FLEET.to_owned(),
        PauseScope::App(id) => memory_key(id),
    }
}

pub(super) fn of_pause(pause: &Pause) -> AttributeValue {
    let since = pause.since.map(|at| ("since".to_owned(), text(at.to_string())));
    let reason = pause.reason.clone().map(|why| ("reason".to_owned(), text(why)));
    AttributeValue::M(since.into_iter().chain(reason).collect())
}

/// Every pause in the control item. Total: a person in need may have written it by hand, and whatever is there
/// pauses, even where its details cannot be read.
pub(super) fn read_pauses(item: &Item) -> Pauses {
    let mut pauses = Pauses::default();
    for (name, value) in item {
        let details = value.as_m().ok();
        let pause = Pause {
            since: details.and_then(|details| timestamp(details, "since").ok()),
            reason: details
                .and_then(|details| string(details, "reason").ok())
                .map(|reason| text::one_line(&reason, REASON_MAX)),
        };
        if name == FLEET {
            pauses.fleet = Some(pause);
        } else if let Some(id) = name.strip_prefix("app#").and_then(AppId::from_key) {
            pauses.apps.insert(id, pause);
        }
    }
    pauses
}

/// What the key of a user's exemptions begins with.
pub(super) const KEEPS: &str = "keeps#";

pub(super) fn keeps_key(user: &User) -> String {
    format!("{KEEPS}{user}")
}

/// A user's exemptions as they are stored. DynamoDB forgets the item when nothing in it counts any more.
pub(super) fn of_keeps(user: &User, ledger: &Ledger) -> Result<Item, String> {
    let mut item: Item = to_item(ledger).map_err(|e| e.to_string())?;
    item.insert("pk".to_owned(), text(keeps_key(user)));
    item.insert("ttl".to_owned(), number(&ledger.forgotten_at().as_second()));
    Ok(item)
}

pub(super) fn read_keeps(item: Item) -> Result<Ledger, String> {
    decode(item)
}

pub(super) fn of_event(event: &Event) -> Result<Item, String> {
    to_item(event).map_err(|e| e.to_string())
}

pub(super) fn read_event(item: Item) -> Result<Event, String> {
    decode(item)
}

/// A string attribute.
pub(super) fn string(item: &Item, name: &str) -> Result<String, String> {
    match item.get(name) {
        Some(AttributeValue::S(value)) => Ok(value.clone()),
        Some(_) => Err(format!("{name} is not a string")),
        None => Err(format!("{name} is missing")),
    }
}

fn timestamp(item: &Item, name: &str) -> Result<Timestamp, String> {
    let value = string(item, name)?;
    value.parse().map_err(|_| format!("{name} is not a time"))
}

/// The row as it is stored: an attribute that a row has not is left out.
pub(super) fn of_row(row: &Row) -> Item {
    let mut item = Item::new();
    item.insert("id".to_owned(), text(row.id.as_str()));
    let desired = row.desired.map(|desired| desired.to_string());
    let texts = [
        ("user", row.user.as_ref().map(ToString::to_string)),
        ("app", row.app.as_ref().map(ToString::to_string)),
        ("desired", desired),
        ("requestedAt", row.requested_at.as_ref().map(ToString::to_string)),
        ("hostName", row.host_name.as_ref().map(ToString::to_string)),
        ("timeZone", row.time_zone.clone()),
        ("schedule", row.schedule.clone()),
        ("keepUntil", row.keep_until.as_ref().map(ToString::to_string)),
        ("keepReason", row.keep_reason.clone()),
        ("expiresAt", row.expires_at.as_ref().map(ToString::to_string)),
        ("requestedBy", row.requested_by.clone()),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            item.insert(name.to_owned(), text(value));
        }
    }
    if let Some(generation) = row.generation {
        item.insert("generation".to_owned(), number(&generation));
    }
    if let Some(active) = row.owner_active {
        item.insert("ownerActive".to_owned(), AttributeValue::Bool(active));
    }
    if !row.parameters.is_empty() {
        let parameters = row.parameters.iter().map(|(k, v)| (k.clone(), text(v)));
        item.insert("parameters".to_owned(), AttributeValue::M(parameters.collect()));
    }
    item
}

/// The row of a table key. Never fails: what is wrong with an attribute becomes a problem of the row.
pub(super) fn read_row(id: AppId, item: Item) -> Row {
    let raw: BTreeMap<String, RawValue> = item.into_iter().map(|(k, v)| (k, raw(v))).collect();
    Row::read(id, raw)
}

/// An attribute before it is understood. Total and exact, which decoding into a type could not be: a number
/// may have 38 digits, and a set or a binary value has no place in a row but must not fail its page.
fn raw(value: AttributeValue) -> RawValue {
    match value {
        AttributeValue::S(text) => RawValue::Text(text),
        AttributeValue::N(number) => RawValue::Number(number),
        AttributeValue::M(map) => RawValue::Map(map.into_iter().map(|(k, v)| (k, raw(v))).collect()),
        AttributeValue::Bool(value) => RawValue::Bool(value),
        AttributeValue::Null(_) => RawValue::Other("null"),
        AttributeValue::L(_) => RawValue::Other("a list"),
        AttributeValue::B(_) => RawValue::Other("binary"),
        AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_) => RawValue::Other("a set"),
        // The enum of the SDK is open; a type that DynamoDB may get one day is no more legible than these.
        _ => RawValue::Other("of an unknown type"),
    }
}
