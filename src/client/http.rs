//! One request, one answer. Never retries: who asked decides whether to ask again.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::args::{ClientOptions, Token};
use super::error::ClientError;
use super::paper::shown;
use crate::api::dto::ProblemDocument;

const PATIENCE: Duration = Duration::from_secs(30);
/// Some ten thousand apps.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A daemon's public port.
pub(super) struct Api {
    /// Scheme, authority and any path in front, without a slash at the end.
    server: String,
    token: Option<HeaderValue>,
    transport: Transport,
}

enum Transport {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Api {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        let bad = || {
            let text = shown(&options.server);
            ClientError::Usage(format!(
                "--server {text} is not a URL such as http://127.0.0.1:8080"
            ))
        };
        let uri: Uri = options.server.parse().map_err(|_| bad())?;
        let builder = Client::builder(TokioExecutor::new());
        let transport = match uri.scheme_str() {
            Some("http") => Transport::Plain(builder.build_http()),
            Some("https") => {
                let connector = HttpsConnectorBuilder::new()
                    .with_native_roots()
                    .map_err(|error| {
                        ClientError::Usage(format!("no certificate authorities for https: {error}"))
                    })?
                    .https_only()
                    .enable_http1()
                    .build();
                Transport::Tls(builder.build(connector))
            }
            _ => return Err(bad()),
        };
        if uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(bad());
        }
        let token = options.token.as_ref().map(bearer).transpose()?;
        Ok(Self {
            server: options.server.trim_end_matches('/').to_owned(),
            token,
            transport,
        })
    }

    /// Asks for something that always comes with an answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let answer = self.send(method, path, body).await?;
        answer.ok_or_else(|| self.unexpected("an empty answer"))
    }

    /// Asks; `None` is an answer without content.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<T>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("lamplighter/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let bytes = match body {
            None => Bytes::new(),
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
        };
        let request = request
            .body(Full::new(bytes))
            .map_err(|error| ClientError::Usage(format!("this cannot be asked over HTTP: {error}")))?;
        let asking = async {
            let answer = self
                .transport
                .request(request)
                .await
                .map_err(|error| self.unreachable(chain(&error)))?;
            self.read(answer).await
        };
        let within = tokio::time::timeout(PATIENCE, asking).await;
        let (status, bytes) = within.unwrap_or_else(|_| {
            let why = format!("no answer within {} seconds", PATIENCE.as_secs());
            Err(self.unreachable(why))
        })?;
        if status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(match serde_json::from_slice::<ProblemDocument>(&bytes) {
                Ok(document) => ClientError::Refused(Box::new(document)),
                Err(_) => self.unexpected(&format!("HTTP {status}")),
            });
        }
        match serde_json::from_slice(&bytes) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => Err(self.unexpected(&format!("HTTP {status}, {error}"))),
        }
    }

    async fn read<B>(&self, answer: Response<B>) -> Result<(StatusCode, Bytes), ClientError>
    where
        B: hyper::body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let status = answer.status();
        match Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await {
            Ok(read) => Ok((status, read.to_bytes())),
            Err(error) => Err(self.unexpected(&format!("HTTP {status}, then {error}"))),
        }
    }

    fn unreachable(&self, why: String) -> ClientError {
        ClientError::Unreachable {
            server: shown(&self.server),
            why,
        }
    }

    fn unexpected(&self, what: &str) -> ClientError {
        ClientError::Unexpected {
            server: shown(&self.server),
            what: shown(what),
        }
    }
}

fn bearer(token: &Token) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.as_str().trim()))
        .map_err(|_| ClientError::Usage("the token holds characters no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Transport {
    fn request(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match self {
            Transport::Plain(client) => client.request(request),
            Transport::Tls(client) => client.request(request),
        }
    }
}

/// The innermost cause, which is the one that tells: `Connection refused (os error 111)`.
pub(super) fn chain(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

/// Text as one segment of a path or one value of a query: all but the unreserved characters of RFC 3986
/// percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
