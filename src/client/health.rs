//! Asks a daemon's admin port once how it is, for whoever has nothing else to ask with: the image holds no other program.
//! Short, so that a check ends before whoever runs it loses patience.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::http::chain;
use super::paper::shown;
use crate::api::dto::Ready;

/// Less than the five seconds that the image and the Terraform module give a check.
const PATIENCE: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What a daemon is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether the process lives: `/healthz`.
    Alive,
    /// Whether it does its work: `/readyz`.
    Ready,
}

/// Why a daemon is not well, in one line.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// There is no telling where to ask.
    #[error(
        "api.admin_addr \"{0}\" takes any port that is free, so nobody knows where to ask; give it a port"
    )]
    AnyPort(SocketAddr),
    /// Nothing answered.
    #[error("no daemon answers at {url} ({why})")]
    Silent {
        /// Who was asked.
        url: String,
        /// The cause.
        why: String,
    },
    /// It said that it is not well, or something else answered.
    #[error("{url} answered {status}: {said}")]
    Said {
        /// Who was asked.
        url: String,
        /// With what.
        status: StatusCode,
        /// And which words.
        said: String,
    },
}

/// Asks the daemon whose admin port listens on `address`.
pub async fn health(address: SocketAddr, question: Question) -> Result<(), Unwell> {
    if address.port() == 0 {
        return Err(Unwell::AnyPort(address));
    }
    let path = match question {
        Question::Alive => "/healthz",
        Question::Ready => "/readyz",
    };
    let url = format!("http://{}{path}", on_this_machine(address));
    let silent = |why: String| Unwell::Silent {
        url: url.clone(),
        why,
    };
    let within = tokio::time::timeout(PATIENCE, ask(&url)).await;
    let (status, body) = within
        .map_err(|_| silent(format!("no answer within {} seconds", PATIENCE.as_secs())))?
        .map_err(silent)?;
    if status == StatusCode::OK {
        return Ok(());
    }
    let said = match serde_json::from_slice::<Ready>(&body) {
        Ok(ready) => ready.reasons.join("; "),
        Err(_) => String::from_utf8_lossy(&body).trim().to_owned(),
    };
    let said = shown(&said);
    Err(Unwell::Said { url, status, said })
}

async fn ask(url: &str) -> Result<(StatusCode, Bytes), String> {
    let uri: Uri = url.parse().expect("an address and a fixed path are a URL");
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(uri).await.map_err(|error| chain(&error))?;
    let status = answer.status();
    let read = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = read.map_err(|error| format!("HTTP {status}, then {error}"))?;
    Ok((status, body.to_bytes()))
}

/// Who listens on all addresses is asked on loopback.
fn on_this_machine(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::on_this_machine;

    #[test]
    fn who_listens_on_all_addresses_is_asked_on_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.0.0.7:9090", "10.0.0.7:9090"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            let listens = listens.parse().expect("an address");
            assert_eq!(on_this_machine(listens).to_string(), asked);
        }
    }
}
