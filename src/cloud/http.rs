//! The HTTP client of what is not AWS: apps that are asked whether they answer, and webhooks. Each call has a
//! connection of its own, and follows no redirect.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

use super::aws;

/// How much of an answer is read. Whoever sends more has answered.
const BYTES_MAX: usize = 64 * 1024;

/// Asks over HTTP and HTTPS, by the certificates that the system trusts.
pub(super) type Client<B> = legacy::Client<HttpsConnector<HttpConnector<Resolver>>, B>;

/// A client. Fails when the system has no certificates it trusts.
pub(super) fn client<B>() -> io::Result<Client<B>>
where
    B: Body + Send,
    B::Data: Send,
{
    let mut http = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
    http.enforce_http(false);
    let https = HttpsConnectorBuilder::new()
        .with_native_roots()?
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(https))
}

/// Reads an answer to its end, or as much of it as is read of any.
pub(super) async fn read_out(answer: Response<Incoming>) -> Result<(), hyper::Error> {
    let mut body = answer.into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame?.data_ref().map_or(0, Bytes::len);
        if read > BYTES_MAX {
            break;
        }
    }
    Ok(())
}

/// The innermost cause says what happened; the outer ones say that something did.
pub(super) fn cause(error: &(dyn StdError + 'static)) -> String {
    aws::chain(error)
}

/// Asks the system for addresses, but for `localhost` and names below it, which are this machine by
/// definition (RFC 6761, section 6.3) although many systems do not resolve them.
#[derive(Clone, Debug)]
pub(super) struct Resolver(GaiResolver);

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
