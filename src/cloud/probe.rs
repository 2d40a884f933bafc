//! Asks an app whether it answers: one HTTP GET, bounded in time and size, each over a connection of its own.

use std::io;
use std::time::Duration;

use ::http::{Method, Request, StatusCode, Uri, header};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Empty;

use super::text::{self, SENTENCE_MAX};
use super::{Prober, http};
use crate::model::observed::{Observed, Probe};

/// How long an app may take for its whole answer.
const LIMIT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!("lamplighter-probe/", env!("CARGO_PKG_VERSION"));

type Body = Empty<Bytes>;

/// [`Prober`] over HTTP and HTTPS, by the certificates that the system trusts.
#[derive(Clone, Debug)]
pub struct HttpProber {
    client: http::Client<Body>,
}

impl HttpProber {
    /// A prober. Fails when the system has no certificates it trusts.
    pub fn new() -> io::Result<Self> {
        // No connection is kept: one that is still open would say little about reaching the app anew.
        Ok(Self {
            client: http::client()?,
        })
    }

    /// The status of a complete answer, or why there is none.
    async fn ask(&self, url: &str) -> Result<StatusCode, String> {
        let uri: Uri = url.parse().map_err(|e| format!("the URL cannot be read: {e}"))?;
        let request = Request::builder()
            .method(Method::GET)
            .uri(uri)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "*/*")
            .body(Body::new())
            .map_err(|e| format!("the URL cannot be asked: {e}"))?;
        let answer = self.client.request(request).await.map_err(|e| http::cause(&e))?;
        let status = answer.status();
        let whole = http::read_out(answer).await;
        whole.map_err(|e| format!("HTTP {}, broken off: {}", status.as_u16(), http::cause(&e)))?;
        Ok(status)
    }
}

#[async_trait]
impl Prober for HttpProber {
    async fn probe(&self, url: &str) -> Observed<Probe> {
        let failed = |said: &str| Probe::Failed(text::one_line(said, SENTENCE_MAX));
        Observed::Present(match tokio::time::timeout(LIMIT, self.ask(url)).await {
            // A redirect is an answer, and following it would ask somebody else.
            Ok(Ok(status)) if status.is_success() || status.is_redirection() => Probe::Answered,
            Ok(Ok(status)) => failed(&format!("HTTP {status}")),
            Ok(Err(why)) => failed(&why),
            Err(_) => failed(&format!("no complete answer within {} s", LIMIT.as_secs())),
        })
    }
}
