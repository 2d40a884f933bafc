//! Tells somebody about every call: which, how it ended, in how many attempts and how long it took.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use tokio::time::Instant;

use super::error;

/// Is told of every call to AWS once it is over.
pub trait CallObserver: Debug + Send + Sync {
    /// A call to `operation` of `service` (the SDK's names, for example `CodeBuild` and `StartBuild`) ended
    /// as `outcome`: `ok`, `conflict` (a condition was not met, or another write was in the way),
    /// `throttled`, `limit_reached`, `denied`, `not_found`, `rejected` or `unavailable`.
    fn observe(
        &self,
        service: &str,
        operation: &str,
        outcome: &'static str,
        attempts: u32,
        elapsed: Duration,
    );
}

/// Listens to nothing.
#[derive(Debug)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn observe(&self, _: &str, _: &str, _: &'static str, _: u32, _: Duration) {}
}

/// Codes by which DynamoDB says that somebody else was there first: part of every day, and no fault.
const CONFLICTS: [&str; 5] = [
    "ConditionalCheckFailedException",
    "IdempotentParameterMismatchException",
    "ReplicatedWriteConflictException",
    "TransactionCanceledException",
    "TransactionConflictException",
];

/// The hook that the SDK calls.
#[derive(Debug)]
pub(super) struct Recorder {
    observer: Arc<dyn CallObserver>,
}

impl Recorder {
    pub(super) fn new(observer: Arc<dyn CallObserver>) -> Self {
        Self { observer }
    }
}

/// One call under way.
#[derive(Clone, Debug)]
struct Call {
    began: Instant,
    attempts: u32,
}

impl Storable for Call {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "lamplighter::Recorder"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(Call {
            began: Instant::now(),
            attempts: 0,
        });
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = cfg.load::<Call>().cloned() {
            cfg.interceptor_state().store_put(Call {
                attempts: call.attempts + 1,
                ..call
            });
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (Some(call), Some(metadata)) = (cfg.load::<Call>(), cfg.load::<Metadata>()) else {
            return Ok(());
        };
        let outcome = match context.output_or_error() {
            Some(Ok(_)) => "ok",
            // Nothing came back this time, and what an earlier attempt was answered must not count for it.
            Some(Err(error)) if error.is_timeout_error() || error.is_connector_error() => "unavailable",
            Some(Err(_)) | None => context.response().map_or("unavailable", outcome_of),
        };
        self.observer.observe(
            metadata.service(),
            metadata.name(),
            outcome,
            call.attempts,
            call.began.elapsed(),
        );
        Ok(())
    }
}

/// How a call ended that was answered with an error. The error itself is of a type that differs for every
/// operation, so its code is read from the answer.
fn outcome_of(response: &HttpResponse) -> &'static str {
    let (code, message) = error::read_body(response);
    if code.as_deref().is_some_and(|code| CONFLICTS.contains(&code)) {
        return "conflict";
    }
    error::classify(
        code.as_deref(),
        message.as_deref(),
        Some(response.status().as_u16()),
    )
    .as_str()
}
