//! The operations, one file per family: read the input, ask or change the world, show the result. They hold no
//! state of their own.

pub(crate) mod codebuild;
pub(crate) mod codebuild_view;
pub(crate) mod create_service;
pub(crate) mod dynamodb;
pub(crate) mod ecs;
pub(crate) mod ecs_services;
pub(crate) mod ecs_tasks;
pub(crate) mod ecs_view;
pub(crate) mod elb;
pub(crate) mod projects;
pub(crate) mod start_build;
pub(crate) mod sts;

use serde::de::DeserializeOwned;

use crate::wire::Call;
use crate::wire::answer::{ApiError, Outcome};

/// The input of an operation. AWS: a value of the wrong type is a `SerializationException`.
pub(crate) fn input<T: DeserializeOwned>(call: &Call) -> Result<T, ApiError> {
    serde_json::from_value(call.input.clone())
        .map_err(|error| ApiError::client("SerializationException", error.to_string()))
}

pub(crate) fn unknown(call: &Call) -> Outcome {
    if call.service.speaks_query() {
        let text = format!("Could not find operation {}", call.operation);
        return Err(ApiError::client("InvalidAction", text));
    }
    let text = format!("simcloud does not know {}", call.name());
    Err(ApiError::client("UnknownOperationException", text))
}

/// The last part of an ARN, or the whole of what is not one.
pub(crate) fn last_part(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}
