//! Short pages of the database: the request is cut before the database sees it, so that what it answers is right, and
//! what was cut off is handed back to the caller as still to be asked for.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::wire::answer::Reply;
use crate::wire::{Call, Service};

/// Cuts a request to `page` items. Returns the keys a caller has to ask for again.
pub(crate) fn shorten(call: &mut Call, page: usize) -> Option<Value> {
    if call.service != Service::DynamoDb {
        return None;
    }
    if call.operation != "BatchGetItem" {
        let limit = call
            .input
            .get("Limit")
            .and_then(Value::as_u64)
            .unwrap_or(u64::MAX);
        call.input["Limit"] = Value::from(limit.min(page as u64));
        return None;
    }
    let tables = call.input.get_mut("RequestItems")?.as_object_mut()?;
    let mut left = json!({});
    for (name, asked) in tables {
        let Some(keys) = asked.get_mut("Keys").and_then(Value::as_array_mut) else {
            continue;
        };
        if keys.len() <= page {
            continue;
        }
        let rest = keys.split_off(page);
        // Everything else about the table is asked for in the same way again.
        let mut again = asked.clone();
        again["Keys"] = Value::from(rest);
        left[name] = again;
    }
    Some(left)
}

/// Adds what was cut off to a good answer.
pub(crate) fn put_back(reply: Reply, left: Option<Value>) -> Reply {
    let (Some(left), Reply::Response(response)) = (left, &reply) else {
        return reply;
    };
    let answer = serde_json::from_slice::<Value>(response.body());
    let (true, Ok(mut answer)) = (response.status().is_success(), answer) else {
        return reply;
    };
    answer["UnprocessedKeys"] = left;
    match reply {
        Reply::Response(response) => Reply::Response(response.map(|_| Bytes::from(answer.to_string()))),
        other => other,
    }
}
