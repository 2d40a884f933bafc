//! Every way to say no, as an RFC 9457 problem document with a code that stays. Never shows a caller what
//! AWS said: that goes to the log.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::dto::ProblemDocument;
use crate::cloud;
use crate::model::row::Problem;

/// What kind of no. The words are part of the API and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A query or a path that makes no sense.
    BadRequest,
    /// A body that is no JSON object.
    BadJson,
    /// No token, or none that is known.
    Unauthorized,
    /// The token's role does not reach that far.
    Forbidden,
    /// Without tokens: a Host that is not this machine's, or a client on another one.
    NotLocal,
    /// Without tokens: a write that a page of another origin asked for.
    CrossOrigin,
    /// Neither a row nor a memory of this id.
    NoSuchApp,
    /// Nothing at this path.
    NoSuchRoute,
    /// Not this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    BodyTimeout,
    /// No deletion is held.
    NothingHeld,
    /// An exemption that can't be given to the app as it is, or of which nothing is left.
    CannotKeep,
    /// More than 64 KB.
    BodyTooLarge,
    /// A body that does not say that it is JSON.
    NotJson,
    /// A row that cannot be carried out; each problem names its field and the way out.
    InvalidRow,
    /// Our own mistake.
    Internal,
    /// AWS refused what we asked of it.
    AwsRefused,
    /// As many watch as may.
    TooManyWatchers,
    /// No sweep has been complete yet.
    NotSwept,
    /// AWS cannot be reached or asks us to slow down.
    AwsUnavailable,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 20] = [
        Code::BadRequest,
        Code::BadJson,
        Code::Unauthorized,
        Code::Forbidden,
        Code::NotLocal,
        Code::CrossOrigin,
        Code::NoSuchApp,
        Code::NoSuchRoute,
        Code::MethodNotAllowed,
        Code::BodyTimeout,
        Code::NothingHeld,
        Code::CannotKeep,
        Code::BodyTooLarge,
        Code::NotJson,
        Code::InvalidRow,
        Code::Internal,
        Code::AwsRefused,
        Code::TooManyWatchers,
        Code::NotSwept,
        Code::AwsUnavailable,
    ];

    /// As the document spells it, with its HTTP status and title.
    pub fn parts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Code::BadRequest => ("bad-request", S::BAD_REQUEST, "The request makes no sense"),
            Code::BadJson => ("bad-json", S::BAD_REQUEST, "The body is not a JSON object"),
            Code::Unauthorized => ("unauthorized", S::UNAUTHORIZED, "A token is needed"),
            Code::Forbidden => ("forbidden", S::FORBIDDEN, "The token may only read"),
            Code::NotLocal => ("not-local", S::FORBIDDEN, "Only this machine may ask"),
            Code::CrossOrigin => ("cross-origin", S::FORBIDDEN, "Another site asked for this"),
            Code::NoSuchApp => ("no-such-app", S::NOT_FOUND, "There is no such app"),
            Code::NoSuchRoute => ("no-such-route", S::NOT_FOUND, "There is nothing here"),
            Code::MethodNotAllowed => (
                "method-not-allowed",
                S::METHOD_NOT_ALLOWED,
                "Not with this method",
            ),
            Code::BodyTimeout => ("body-timeout", S::REQUEST_TIMEOUT, "The body came too slowly"),
            Code::NothingHeld => ("nothing-held", S::CONFLICT, "No deletion is held"),
            Code::CannotKeep => ("cannot-keep", S::CONFLICT, "The app cannot be kept"),
            Code::BodyTooLarge => ("body-too-large", S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Code::NotJson => ("not-json", S::UNSUPPORTED_MEDIA_TYPE, "The body must be JSON"),
            Code::InvalidRow => (
                "invalid-row",
                S::UNPROCESSABLE_ENTITY,
                "The row cannot be carried out",
            ),
            Code::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "The daemon failed"),
            Code::AwsRefused => ("aws-refused", S::BAD_GATEWAY, "AWS refused"),
            Code::TooManyWatchers => ("too-many-watchers", S::SERVICE_UNAVAILABLE, "Too many watch"),
            Code::NotSwept => ("not-swept", S::SERVICE_UNAVAILABLE, "The fleet is not known yet"),
            Code::AwsUnavailable => ("aws-unavailable", S::SERVICE_UNAVAILABLE, "AWS cannot be reached"),
        }
    }

    /// As the document spells it.
    pub fn as_str(self) -> &'static str {
        self.parts().0
    }
}

/// A no on its way out.
#[derive(Debug)]
pub(super) struct Refused {
    code: Code,
    detail: String,
    problems: Vec<Problem>,
}

impl Refused {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            problems: Vec::new(),
        }
    }

    pub(super) fn invalid_row(problems: Vec<Problem>) -> Self {
        Self {
            code: Code::InvalidRow,
            detail: "Nothing was written.".to_owned(),
            problems,
        }
    }

    /// A read that failed.
    pub(super) fn read(error: &cloud::Error) -> Self {
        Self::cloud(error, "The tables could not be read.")
    }

    /// A write that failed, which may have happened all the same.
    pub(super) fn write(error: &cloud::Error) -> Self {
        Self::cloud(
            error,
            "The write failed or its answer was lost; sending it again is safe.",
        )
    }

    fn cloud(error: &cloud::Error, detail: &str) -> Self {
        tracing::warn!(error = error.chain(), "the API could not use a table");
        let code = if error.is_transient() {
            Code::AwsUnavailable
        } else {
            Code::AwsRefused
        };
        Self::new(code, detail)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (code, status, title) = self.code.parts();
        let document = ProblemDocument {
            kind: format!("urn:lamplighter:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: self.detail,
            problems: self.problems,
        };
        let mut response = (status, axum::Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self.code {
            Code::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::TooManyWatchers | Code::NotSwept | Code::AwsUnavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            // The rest of a body that was not read in time or in full is not worth waiting for.
            Code::BodyTimeout | Code::BodyTooLarge => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Code::BadRequest
            | Code::BadJson
            | Code::Forbidden
            | Code::NotLocal
            | Code::CrossOrigin
            | Code::NoSuchApp
            | Code::NoSuchRoute
            | Code::MethodNotAllowed
            | Code::NothingHeld
            | Code::CannotKeep
            | Code::NotJson
            | Code::InvalidRow
            | Code::Internal
            | Code::AwsRefused => {}
        }
        response
    }
}
