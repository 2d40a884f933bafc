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
        Fault::TransactionConflict => conflict(call),
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

/// AWS: a plain write says `TransactionConflictException`; a transaction is cancelled, with one reason per item in
/// request order, and "None" where an item is not to blame.
fn conflict(call: &Call) -> Outcome {
    if call.operation != "TransactWriteItems" {
        let text = "Transaction is ongoing for the item";
        return Err(ApiError::client(
            "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
            text,
        ));
    }
    let items = call
        .input
        .get("TransactItems")
        .and_then(|items| items.as_array())
        .map_or(1, Vec::len);
    let reason = |place: usize| match place {
        0 => json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}),
        _ => json!({"Code": "None"}),
    };
    let codes: Vec<&str> = (0..items)
        .map(|place| if place == 0 { "TransactionConflict" } else { "None" })
        .collect();
    let code = "TransactionCanceledException";
    let body = json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes.join(", ")),
        "CancellationReasons": (0..items).map(reason).collect::<Vec<_>>(),
    });
    Ok(Good::Written {
        status: 400,
        code: Some(code.to_owned()),
        body: body.to_string(),
    })
}
