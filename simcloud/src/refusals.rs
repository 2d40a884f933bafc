//! The words in which each service refuses a call for reasons that lie outside the call.

use serde_json::json;

use crate::api::start_build::account_limit;
use crate::config::SimConfig;
use crate::faults::{Fault, ServerError};
use crate::wire::answer::{ApiError, Good, Outcome};
use crate::wire::{Call, Service};

pub(crate) fn of(fault: &Fault, call: &Call, config: &SimConfig) -> Outcome {
    match fault {
        Fault::AccessDenied => Err(access_denied(call, config)),
        Fault::AccountLimitExceeded => Err(account_limit(config.concurrent_builds.saturating_mul(5))),
        Fault::TransactionConflict if call.operation != "TransactWriteItems" => {
            let text = "Transaction is ongoing for the item";
            Err(ApiError::client(
                "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
                text,
            ))
        }
        Fault::TransactionConflict => Ok(cancelled(call, "TransactionConflict")),
        Fault::Cancelled(reason) => Ok(cancelled(call, reason.code())),
        Fault::ExpiredCredentials => Err(expired(call)),
        Fault::InternalError(ServerError::Unavailable503) => Err(ApiError::new(
            503,
            "ServiceUnavailable",
            "The service is temporarily unavailable.",
        )),
        Fault::InternalError(_) => {
            let code = match call.service {
                Service::Ecs => "ServerException",
                Service::DynamoDb | Service::DynamoDbStreams => "InternalServerError",
                Service::CodeBuild | Service::Elb | Service::Sts => "InternalFailure",
            };
            Err(ApiError::new(
                500,
                code,
                "The request processing has failed because of an unknown error.",
            ))
        }
        // AWS: ThrottlingException, HTTP 400, "Rate exceeded"; the query services say Throttling.
        _ if call.service.speaks_query() => Err(ApiError::client("Throttling", "Rate exceeded")),
        _ => Err(ApiError::client("ThrottlingException", "Rate exceeded")),
    }
}

fn access_denied(call: &Call, config: &SimConfig) -> ApiError {
    let service = match call.service {
        Service::Elb => "elasticloadbalancing",
        Service::DynamoDbStreams => "dynamodb",
        other => other.name(),
    };
    let text = format!(
        "User: arn:aws:iam::{}:user/simcloud is not authorized to perform: {service}:{} \
         because no identity-based policy allows the {service}:{} action",
        config.account, call.operation, call.operation
    );
    match call.service {
        Service::Ecs | Service::DynamoDb | Service::DynamoDbStreams => {
            ApiError::new(400, "AccessDeniedException", text)
        }
        // AWS: AccessDeniedException 403 among CodeBuild's common errors.
        Service::CodeBuild => ApiError::new(403, "AccessDeniedException", text),
        Service::Elb | Service::Sts => ApiError::new(403, "AccessDenied", text),
    }
}

/// AWS: common errors; the query services say `ExpiredToken`.
fn expired(call: &Call) -> ApiError {
    let text = "The security token included in the request is expired";
    if call.service.speaks_query() {
        ApiError::new(403, "ExpiredToken", text)
    } else {
        ApiError::client("ExpiredTokenException", text)
    }
}

/// AWS: a transaction is cancelled with one reason per item in request order, and "None" where an item is not to
/// blame. Here it is the first.
fn cancelled(call: &Call, why: &str) -> Good {
    let items = call
        .input
        .get("TransactItems")
        .and_then(|items| items.as_array())
        .map_or(1, Vec::len);
    let message = match why {
        "TransactionConflict" => "Transaction is ongoing for the item".to_owned(),
        other => format!("{other} for the item"),
    };
    let reason = |place: usize| match place {
        0 => json!({"Code": why, "Message": message}),
        _ => json!({"Code": "None"}),
    };
    let codes: Vec<&str> = (0..items)
        .map(|place| if place == 0 { why } else { "None" })
        .collect();
    let code = "TransactionCanceledException";
    let body = json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", ")),
        "CancellationReasons": (0..items).map(reason).collect::<Vec<_>>(),
    });
    Good::Written {
        status: 400,
        code: Some(code.to_owned()),
        body: body.to_string(),
    }
}

/// What a read by name answers when it finds none of what it names.
pub(crate) fn nothing_found(call: &Call) -> Good {
    let named = |list: &str| {
        let names = call.input.get(list).and_then(|names| names.as_array()).cloned();
        names.unwrap_or_default()
    };
    if call.operation == "BatchGetBuilds" {
        return Good::Json(json!({"builds": [], "buildsNotFound": named("ids")}));
    }
    let missing = |name| json!({"arn": name, "reason": "MISSING"});
    let failures: Vec<_> = named("services").into_iter().map(missing).collect();
    Good::Json(json!({"services": [], "failures": failures}))
}
