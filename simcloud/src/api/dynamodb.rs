//! `DynamoDB` and its streams, passed on to the embedded database: in process, synchronously, with the words of
//! the wire on both sides.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{ApiError, Good, Outcome};

pub(crate) fn perform(sim: &mut Sim, call: &Call) -> Outcome {
    match dispatch(&sim.config.database, call) {
        None => Err(ApiError::client(
            "com.amazon.coral.service#UnknownOperationException",
            "",
        )),
        Some(Ok(body)) => Ok(Good::Written {
            status: 200,
            code: None,
            body,
        }),
        Some(Err(error)) => {
            let code = error
                .error_type()
                .rsplit('#')
                .next()
                .unwrap_or_default()
                .to_owned();
            Ok(Good::Written {
                status: error.status_code(),
                code: Some(code),
                body: error.to_json(),
            })
        }
    }
}

type Answer = Result<String, DynoxideError>;

/// Reads the request, lets the database act, writes the answer.
fn run<I, O>(call: &Call, act: impl FnOnce(I) -> dynoxide::Result<O>) -> Answer
where
    I: DeserializeOwned,
    O: Serialize,
{
    // From text and not from the value: the database's own readers expect to be fed text.
    let text = call.input.to_string();
    let request = serde_json::from_str(&text).map_err(|error| enveloped(unreadable(&error), call))?;
    let answer = act(request).map_err(|error| enveloped(error, call))?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// The database tags its reading errors with what they are to be on the wire.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let marks = [
        "missing field",
        "unknown variant",
        "invalid type: null",
        "AttributeValue",
    ];
    match text.split_once(':') {
        Some(("VALIDATION_REQUEST", rest)) => DynoxideError::EnvelopedValidation(rest.to_owned()),
        Some((tag, rest)) if tag.starts_with("VALIDATION") => {
            DynoxideError::ValidationException(rest.to_owned())
        }
        Some((tag, rest)) if tag.starts_with("SERIALIZATION") => {
            DynoxideError::SerializationException(rest.to_owned())
        }
        _ if marks.iter().any(|mark| text.contains(mark)) => {
            DynoxideError::ValidationException(text.to_owned())
        }
        _ => DynoxideError::SerializationException(text.to_owned()),
    }
}

/// `DynamoDB` wraps one family of its validation errors, on the writes of single items only.
fn enveloped(error: DynoxideError, call: &Call) -> DynoxideError {
    match error {
        DynoxideError::EnvelopedValidation(text) => {
            let wraps = ["PutItem", "UpdateItem", "DeleteItem"].contains(&call.operation.as_str());
            let envelope = if wraps {
                "1 validation error detected: "
            } else {
                ""
            };
            DynoxideError::ValidationException(format!("{envelope}{text}"))
        }
        other => other,
    }
}

/// The answer of one operation, or nothing if there is no such operation.
fn dispatch(db: &Database, call: &Call) -> Option<Answer> {
    Some(match call.operation.as_str() {
        "CreateTable" => run(call, |request| db.create_table(request)),
        "DeleteTable" => run(call, |request| db.delete_table(request)),
        "DescribeTable" => run(call, |request| db.describe_table(request)),
        "ListTables" => run(call, |request| db.list_tables(request)),
        "UpdateTable" => run(call, |request| db.update_table(request)),
        "PutItem" => run(call, |request| db.put_item(request)),
        "GetItem" => run(call, |request| db.get_item(request)),
        "DeleteItem" => run(call, |request| db.delete_item(request)),
        "UpdateItem" => run(call, |request| db.update_item(request)),
        "Query" => run(call, |request| db.query(request)),
        "Scan" => run(call, |request| db.scan(request)),
        "BatchGetItem" => run(call, |request| db.batch_get_item(request)),
        "BatchWriteItem" => run(call, |request| db.batch_write_item(request)),
        "TransactWriteItems" => run(call, |request| db.transact_write_items(request)),
        "TransactGetItems" => run(call, |request| db.transact_get_items(request)),
        "ListStreams" => run(call, |request| db.list_streams(request)),
        "DescribeStream" => run(call, |request| db.describe_stream(request)),
        "GetShardIterator" => run(call, |request| db.get_shard_iterator(request)),
        "GetRecords" => run(call, |request| db.get_records(request)),
        "UpdateTimeToLive" => run(call, |request| db.update_time_to_live(request)),
        "DescribeTimeToLive" => run(call, |request| db.describe_time_to_live(request)),
        "ExecuteStatement" => run(call, |request| db.execute_statement(request)),
        "ExecuteTransaction" => run(call, |request| db.execute_transaction(request)),
        "BatchExecuteStatement" => run(call, |request| db.batch_execute_statement(request)),
        "TagResource" => run(call, |request| db.tag_resource(request)),
        "UntagResource" => run(call, |request| db.untag_resource(request)),
        "ListTagsOfResource" => run(call, |request| db.list_tags_of_resource(request)),
        _ => return None,
    })
}

/// Whether a call changes nothing and does not ask for the latest state.
pub(crate) fn reads_eventually(call: &Call) -> bool {
    let consistent = call
        .input
        .get("ConsistentRead")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    ["Scan", "Query", "GetItem"].contains(&call.operation.as_str()) && !consistent
}
