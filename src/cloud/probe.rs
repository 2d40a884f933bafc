//! Asks an app whether it answers: one HTTP GET, bounded in time and size, each over a connection of its own.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

use super::Prober;
use super::aws;
use super::text::{self, SENTENCE_MAX};
use crate::model::observed::{Observed, Probe};

/// How long an app may take for its whole answer.
const LIMIT: Duration = Duration::from_secs(5);
/// How much of an answer is read. An app that sends more has answered.
const BYTES_MAX: usize = 64 * 1024;
const USER_AGENT: &str = concat!("lamplighter-probe/", env!("CARGO_PKG_VERSION"));

type Body = Empty<Bytes>;

/// [`Prober`] over HTTP and HTTPS, by the certificates that the system trusts.
#[derive(Clone, Debug)]
pub struct HttpProber {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Body>,
}

impl HttpProber {
    /// A prober. Fails when the system has no certificates it trusts.
    pub fn new() -> io::Result<Self> {
        let mut http = HttpConnector::new_with_resolver(Resolver::new());
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        // No connection is kept: one that is still open would say little about reaching the app anew.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(https);
        Ok(Self { client })
    }

    /// The status of a complete answer, or why there is none.
    async fn ask(&self, url: &str) -> Result<http::StatusCode, String> {
        let uri: Uri = url.parse().map_err(|e| format!("the URL cannot be read: {e}"))?;
        let request = Request::builder()
            .method(Method::GET)
            .uri(uri)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "*/*")
            .body(Body::new())
            .map_err(|e| format!("the URL cannot be asked: {e}"))?;
        let answer = self.client.request(request).await.map_err(|e| cause(&e))?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| format!("HTTP {}, broken off: {}", status.as_u16(), cause(&e)))?;
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > BYTES_MAX {
                break;
            }
        }
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

/// The innermost cause says what happened; the outer ones say that something did.
pub(super) fn cause(error: &(dyn StdError + 'static)) -> String {
    aws::chain(error)
}

/// Asks the system for addresses, but for `localhost` and names below it, which are this machine by
/// definition (RFC 6761, section 6.3) although many systems do not resolve them.
#[derive(Clone, Debug)]
pub(super) struct Resolver(GaiResolver);

impl Resolver {
    pub(super) fn new() -> Self {
        Self(GaiResolver::new())
    }
}

type Addresses = std::vec::IntoIter<SocketAddr>;

impl Service<Name> for Resolver {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if is_loopback(name.as_str()) {
            let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            return Box::pin(async move { Ok(vec![here].into_iter()) });
        }
        let asked = self.0.call(name);
        Box::pin(async move { Ok(asked.await?.collect::<Vec<_>>().into_iter()) })
    }
}

fn is_loopback(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}
