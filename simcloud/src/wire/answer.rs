//! What the cloud answers, and how that looks over HTTP in the protocol of the service asked.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::Service;
use super::xml::{self, Xml};

/// The body of an answer, which may break off: what comes of it, and whether it is whole.
#[derive(Debug)]
pub(crate) struct Bytewise {
    left: Option<Bytes>,
    breaks_off: bool,
}

impl Bytewise {
    /// All of it.
    pub(crate) fn whole(body: Bytes) -> Self {
        Self {
            left: Some(body),
            breaks_off: false,
        }
    }

    /// Its first half, and then the end of the connection.
    pub(crate) fn half(body: &Bytes) -> Self {
        Self {
            left: Some(body.slice(..body.len() / 2)),
            breaks_off: true,
        }
    }
}

/// An answer that is lost on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost, as the fault plan asks")]
pub(crate) struct Lost;

impl hyper::body::Body for Bytewise {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Lost>>> {
        match self.left.take() {
            Some(bytes) => Poll::Ready(Some(Ok(hyper::body::Frame::data(bytes)))),
            None if std::mem::take(&mut self.breaks_off) => Poll::Ready(Some(Err(Lost))),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match &self.left {
            Some(bytes) if !self.breaks_off => hyper::body::SizeHint::with_exact(bytes.len() as u64),
            Some(_) | None => hyper::body::SizeHint::default(),
        }
    }
}

/// What becomes of one request.
#[derive(Debug)]
pub enum Reply {
    /// An answer.
    Response(Response<Bytes>),
    /// The head of an answer and half of its body; then the connection is reset.
    Reset(Response<Bytes>),
    /// No answer: the connection is closed. Whether the request took effect is not told.
    Dropped,
    /// No answer, ever.
    Hangs,
}

impl Reply {
    /// The answer, if there is one.
    pub fn response(self) -> Option<Response<Bytes>> {
        match self {
            Self::Response(response) => Some(response),
            Self::Reset(_) | Self::Dropped | Self::Hangs => None,
        }
    }
}

/// An error as AWS shapes it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// A mistake of the caller; nearly all errors of AWS' JSON services carry status 400.
    pub(crate) fn client(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }
}

/// A good answer, before it is put on the wire.
#[derive(Debug, Clone)]
pub(crate) enum Good {
    Json(Value),
    Xml(Xml),
    /// An answer of the database, already in the words of the wire.
    Written {
        status: u16,
        code: Option<String>,
        body: String,
    },
}

pub(crate) type Outcome = Result<Good, ApiError>;

/// One answer on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) body: Bytes,
    pub(crate) request_id: String,
}

impl Answer {
    pub(crate) fn new(
        service: Option<Service>,
        operation: &str,
        outcome: Outcome,
        request_id: String,
    ) -> Self {
        let kind = match service {
            Some(service) if service.speaks_query() => "text/xml",
            Some(Service::DynamoDb | Service::DynamoDbStreams) => "application/x-amz-json-1.0",
            _ => "application/x-amz-json-1.1",
        };
        let namespace = match service {
            Some(Service::Sts) => "https://sts.amazonaws.com/doc/2011-06-15/",
            _ => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
        };
        let (status, code, body) = match outcome {
            Ok(Good::Json(value)) => (200, None, value.to_string()),
            Ok(Good::Xml(value)) => (
                200,
                None,
                xml::document(namespace, operation, &value, &request_id),
            ),
            Ok(Good::Written { status, code, body }) => (status, code, body),
            Err(error) if kind == "text/xml" => {
                let body = xml::error(namespace, error.status, &error.code, &error.message, &request_id);
                (error.status, Some(error.code), body)
            }
            Err(error) => {
                let body = json!({"__type": error.code, "message": error.message}).to_string();
                (error.status, Some(error.code), body)
            }
        };
        Self {
            status,
            code,
            kind,
            body: body.into(),
            request_id,
        }
    }

    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(self.kind),
        );
        if let Ok(id) = http::HeaderValue::from_str(&self.request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

/// A page for people: `text/html` or `text/plain`.
pub(crate) fn page(status: u16, kind: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

impl Answer {
    /// How the ledger tells it: `200`, or `400 ThrottlingException`.
    pub(crate) fn outcome(&self) -> String {
        match &self.code {
            None => self.status.to_string(),
            Some(code) => format!("{} {code}", self.status),
        }
    }
}
