//! The wire: tells requests apart, turns them into [`Call`]s, and turns answers back into HTTP. Knows the
//! protocols and none of the operations.

pub(crate) mod answer;
pub(crate) mod query;
pub(crate) mod xml;

use bytes::Bytes;
use http::Request;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use answer::ApiError;

/// The simulated services. Their names are the ones in [`World::calls`](crate::World::calls).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Service {
    CodeBuild,
    Ecs,
    Elb,
    DynamoDb,
    DynamoDbStreams,
    Sts,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CodeBuild => "codebuild",
            Self::Ecs => "ecs",
            Self::Elb => "elbv2",
            Self::DynamoDb => "dynamodb",
            Self::DynamoDbStreams => "dynamodbstreams",
            Self::Sts => "sts",
        }
    }

    /// Whether answers are XML (the AWS query protocol) rather than JSON.
    pub(crate) fn speaks_query(self) -> bool {
        matches!(self, Self::Elb | Self::Sts)
    }

    fn by_target_prefix(prefix: &str) -> Option<Self> {
        match prefix {
            "CodeBuild_20161006" => Some(Self::CodeBuild),
            "AmazonEC2ContainerServiceV20141113" => Some(Self::Ecs),
            "DynamoDB_20120810" => Some(Self::DynamoDb),
            "DynamoDBStreams_20120810" => Some(Self::DynamoDbStreams),
            _ => None,
        }
    }
}

/// One call of one operation, free of its transport.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) operation: String,
    pub(crate) input: Value,
}

impl Call {
    /// `codebuild.StartBuild`.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.service.name(), self.operation)
    }

    /// Whether it may change more than the database, which keeps itself.
    pub(crate) fn changes_the_world(&self) -> bool {
        let of_the_world = matches!(self.service, Service::CodeBuild | Service::Ecs | Service::Elb);
        let looks = ["BatchGet", "Describe", "List"]
            .iter()
            .any(|verb| self.operation.starts_with(verb));
        of_the_world && !looks
    }
}

/// What a request turned out to be.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A call of an AWS operation.
    Aws(Call),
    /// A call that no operation can be found for, with the answer it deserves.
    Refused(&'static str, Option<Service>, ApiError),
    /// Neither: a person's browser, or a health probe.
    Page { host: String, path: String },
}

const LARGEST_BODY: usize = 16 * 1024 * 1024;

pub(crate) fn read(request: &Request<Bytes>) -> Incoming {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if request.body().len() > LARGEST_BODY {
        let error = ApiError::new(413, "RequestEntityTooLargeException", "the body is too large");
        return Incoming::Refused("too large", None, error);
    }
    if request.headers().contains_key("x-amz-target") {
        return read_json(header("x-amz-target").unwrap_or(""), request.body());
    }
    let is_form = header("content-type")
        .is_some_and(|kind| kind.trim().starts_with("application/x-www-form-urlencoded"));
    let query = request.uri().query().unwrap_or("");
    let signed = header("authorization").is_some_and(|value| value.starts_with("AWS4-"));
    if is_form && (signed || query::mentions_action(request.body())) {
        return read_query(request.body());
    }
    if query::mentions_action(query.as_bytes()) {
        return read_query(query.as_bytes());
    }
    if signed {
        let error = ApiError::new(400, "UnknownOperationException", "no operation is named");
        return Incoming::Refused("unknown", None, error);
    }
    Incoming::Page {
        host: host_of(request),
        path: request.uri().path().to_owned(),
    }
}

/// The host a request is for, without its port.
fn host_of(request: &Request<Bytes>) -> String {
    let named = request
        .headers()
        .get(http::header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
        .unwrap_or("");
    let host = match named.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => named,
    };
    host.to_ascii_lowercase()
}

/// Operation names are short words; anything else is not looked up, logged or echoed.
fn is_operation_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn read_json(target: &str, body: &Bytes) -> Incoming {
    let unknown = || ApiError::new(400, "UnknownOperationException", "");
    let Some((prefix, operation)) = target.split_once('.') else {
        return Incoming::Refused("unknown", None, unknown());
    };
    let Some(service) = Service::by_target_prefix(prefix) else {
        return Incoming::Refused("unknown", None, unknown());
    };
    if !is_operation_name(operation) {
        return Incoming::Refused("unknown", Some(service), unknown());
    }
    let input = if body.is_empty() {
        Ok(Value::Object(serde_json::Map::new()))
    } else {
        serde_json::from_slice::<Value>(body)
    };
    match input {
        Ok(input) if input.is_object() => Incoming::Aws(Call {
            service,
            operation: operation.to_owned(),
            input,
        }),
        _ => Incoming::Refused(
            "malformed",
            Some(service),
            ApiError::new(400, "SerializationException", "the body is not a JSON object"),
        ),
    }
}

fn read_query(form: &[u8]) -> Incoming {
    let Ok(mut fields) = query::read(form) else {
        let error = ApiError::new(400, "MalformedQueryString", "the form cannot be read");
        return Incoming::Refused("malformed", Some(Service::Elb), error);
    };
    let mut take = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (operation, version) = (take("Action"), take("Version"));
    let service = match version.as_str() {
        "2011-06-15" => Service::Sts,
        _ => Service::Elb,
    };
    if !is_operation_name(&operation) || !["2011-06-15", "2015-12-01"].contains(&version.as_str()) {
        let text = "Could not find the operation or version that was asked for";
        let error = ApiError::new(400, "InvalidAction", text);
        return Incoming::Refused("unknown", Some(service), error);
    }
    Incoming::Aws(Call {
        service,
        operation,
        input: Value::Object(fields),
    })
}
