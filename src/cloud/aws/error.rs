//! The one place where an error of AWS becomes one of ours, by what the caller does next.

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::cloud::Error;
use crate::cloud::text::{SENTENCE_MAX, one_line};

/// What kind of answer an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Throttled,
    Limit,
    Denied,
    NotFound,
    Rejected,
    Unavailable,
}

impl Kind {
    /// As metrics spell it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Throttled => "throttled",
            Kind::Limit => "limit_reached",
            Kind::Denied => "denied",
            Kind::NotFound => "not_found",
            Kind::Rejected => "rejected",
            Kind::Unavailable => "unavailable",
        }
    }
}

/// AWS: a quota, not a rate. The SDK does not retry it, and neither should we soon.
const LIMITS: [&str; 2] = ["AccountLimitExceededException", "ServiceQuotaExceededException"];

/// Codes that ask for another policy, other credentials or another account.
const DENIALS: [&str; 17] = [
    "AccessDenied",
    "AccessDeniedException",
    "AccountSuspendedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClient",
    "UnrecognizedClientException",
];

/// Codes that say that what the call names is not there.
const ABSENCES: [&str; 8] = [
    "ClusterNotFoundException",
    "LoadBalancerNotFound",
    "ResourceNotFoundException",
    "ServiceNotFoundException",
    "TableNotFoundException",
    "TargetGroupNotFound",
    "TargetGroupNotFoundException",
    "TaskNotFoundException",
];

/// Codes of a service that could not do it now, whatever status they come with.
const FAILURES: [&str; 6] = [
    "HealthUnavailable",
    "InternalFailure",
    "InternalServerError",
    "ServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

/// Codes of a collision with somebody else's write. Nothing was changed, and a moment later it would work.
const COLLISIONS: [&str; 2] = ["ReplicatedWriteConflictException", "TransactionConflictException"];

/// What an answer means, by its code, its sentence and its HTTP status.
pub(super) fn classify(code: Option<&str>, message: Option<&str>, status: Option<u16>) -> Kind {
    let Some(code) = code else {
        return match status {
            Some(429) => Kind::Throttled,
            // A proxy in front of AWS refuses in its own words.
            Some(401 | 403 | 407) => Kind::Denied,
            Some(_) | None => Kind::Unavailable,
        };
    };
    if THROTTLING_ERRORS.contains(&code) || COLLISIONS.contains(&code) || wraps_a_throttle(code, message) {
        Kind::Throttled
    } else if LIMITS.contains(&code) {
        Kind::Limit
    } else if DENIALS.contains(&code) {
        Kind::Denied
    } else if ABSENCES.contains(&code) {
        Kind::NotFound
    } else if FAILURES.contains(&code)
        || TRANSIENT_ERRORS.contains(&code)
        || status.is_some_and(|status| status >= 500)
    {
        Kind::Unavailable
    } else {
        Kind::Rejected
    }
}

/// AWS: ECS can wrap a throttle that EC2 gave it: the code then says that the parameters were wrong, and
/// only the sentence says "Rate exceeded".
fn wraps_a_throttle(code: &str, message: Option<&str>) -> bool {
    matches!(code, "InvalidParameterException" | "ClientException")
        && message.is_some_and(|message| message.contains("Rate exceeded"))
}

/// Turns the SDK's error for `call` (service and operation, for example `codebuild.StartBuild`) into ours.
pub(in crate::cloud) fn map<E>(call: &'static str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let (code, message) = match &error {
        SdkError::ServiceError(context) => (context.err().code(), context.err().message()),
        SdkError::ConstructionFailure(_) => {
            let message = one_line(&chain(&error), SENTENCE_MAX);
            let code = "ConstructionFailure".to_owned();
            return Error::Rejected { call, code, message };
        }
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => {
            return match missing_credentials(&error) {
                Some(message) => Error::Denied { call, message },
                None => Error::Unavailable {
                    call,
                    cause: Box::new(error),
                },
            };
        }
        SdkError::ResponseError(_) | _ => (None, None),
    };
    let answer = Answer::new(code, message, error.raw_response());
    match classify(code, message, answer.status) {
        Kind::Throttled => Error::Throttled {
            call,
            cause: Box::new(answer),
        },
        Kind::Limit => Error::LimitReached {
            call,
            message: answer.said,
        },
        Kind::Denied => Error::Denied {
            call,
            message: answer.to_string(),
        },
        Kind::NotFound => Error::NotFound {
            call,
            what: answer.said,
        },
        Kind::Rejected => Error::Rejected {
            call,
            code: answer.code.unwrap_or_default(),
            message: answer.said,
        },
        Kind::Unavailable if answer.code.is_some() => Error::Unavailable {
            call,
            cause: Box::new(answer),
        },
        Kind::Unavailable => Error::Unavailable {
            call,
            cause: Box::new(Unreadable { answer, error }),
        },
    }
}

/// What AWS answered: enough to look it up in AWS's own records.
#[derive(Debug)]
struct Answer {
    status: Option<u16>,
    code: Option<String>,
    said: String,
    request: Option<String>,
}

impl Answer {
    fn new(code: Option<&str>, message: Option<&str>, response: Option<&HttpResponse>) -> Self {
        let request = response.and_then(|response| {
            let headers = response.headers();
            headers
                .get("x-amzn-requestid")
                .or_else(|| headers.get("x-amz-request-id"))
        });
        Self {
            status: response.map(|response| response.status().as_u16()),
            code: code.map(|code| one_line(code, 100)),
            said: message
                .map(|said| one_line(said, SENTENCE_MAX))
                .unwrap_or_default(),
            request: request.map(|id| one_line(id, 100)),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.status) {
            (Some(code), _) => f.write_str(code)?,
            (None, Some(status)) => write!(f, "HTTP {status}")?,
            (None, None) => f.write_str("no answer")?,
        }
        if !self.said.is_empty() {
            write!(f, ": {}", self.said)?;
        }
        match &self.request {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl StdError for Answer {}

/// An answer without a code, and what the SDK made of it.
#[derive(Debug, thiserror::Error)]
#[error("{answer}")]
struct Unreadable<E: StdError + 'static> {
    answer: Answer,
    #[source]
    error: E,
}

/// What is wrong with our credentials, if the call was never sent because there were none. A provider that
/// could not be asked is another matter: that passes.
fn missing_credentials(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<CredentialsError>() {
            Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)) => {
                return Some(one_line(&chain(error), SENTENCE_MAX));
            }
            Some(_) | None => next = error.source(),
        }
    }
    None
}

/// An error and its causes, each once.
pub(in crate::cloud) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// Code and sentence of an error answer: JSON has them as `__type` and `message`, with whatever precedes a
/// `#` in the code naming the model; ELBv2 answers in XML.
pub(super) fn read_body(response: &HttpResponse) -> (Option<String>, Option<String>) {
    let header = response.headers().get("x-amzn-errortype");
    let body = response.body().bytes().unwrap_or_default();
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let field = |names: &[&str]| {
        let found = names.iter().find_map(|name| json.as_ref()?.get(*name)?.as_str());
        found.map(str::to_owned)
    };
    let code = header.map(str::to_owned).or_else(|| field(&["__type", "code"]));
    let code = code.map(|code| bare_code(&code).to_owned());
    let text = std::str::from_utf8(body).unwrap_or_default();
    let xml = |name: &str| {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let (_, rest) = text.split_once(&open)?;
        Some(rest.split_once(&close)?.0.to_owned())
    };
    if json.is_some() {
        (code, field(&["message", "Message"]))
    } else {
        (code.or_else(|| xml("Code")), xml("Message"))
    }
}

/// `com.amazonaws.dynamodb.v20120810#ThrottlingException:http://…` is `ThrottlingException`.
fn bare_code(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code)
}
