//! Who may do what: bearer tokens with two roles, or, without any, whoever is on this machine. Never holds
//! a token itself, only its hash.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::ApiState;
use super::problem::{Code, Refused};

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    Viewer,
    /// Everything.
    Operator,
}

/// A token that is known, by its hash.
#[derive(Clone)]
pub struct Token {
    /// What it may do.
    pub role: Role,
    /// What its holder is called in the history.
    name: Option<String>,
    sha256: [u8; 32],
}

/// Who asks, put into every request that is let through. `None`: whoever is on this machine, or a token without a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller(pub(super) Option<String>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?})", self.role)
    }
}

impl Token {
    /// A token by its SHA-256.
    pub fn new(role: Role, sha256: [u8; 32]) -> Self {
        Self {
            role,
            name: None,
            sha256,
        }
    }

    /// The same token, whose holder is called that.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..self
        }
    }

    /// A token by the 64 hex digits of its SHA-256; `None` when they are not that.
    pub fn from_sha256(role: Role, hex: &str) -> Option<Self> {
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut sha256 = [0; 32];
        for (at, byte) in sha256.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self::new(role, sha256))
    }
}

/// Who may use the public port.
#[derive(Clone, Debug)]
pub enum Access {
    /// No token is configured: whoever is on this machine is an operator. The configuration binds the port
    /// to loopback then; this refuses anybody else all the same, and pages of other sites in a browser here.
    ThisMachine,
    /// Whoever shows a token, as far as its role goes.
    Tokens(Vec<Token>),
}

/// Both ends of a connection, put into every request by the server.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The client.
    pub peer: SocketAddr,
    /// Us.
    pub own: SocketAddr,
}

/// Lets a request through, or says why not.
pub(super) async fn check(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    match admit(&state.access, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    }
}

fn admit(access: &Access, request: &Request) -> Result<Caller, Refused> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match access {
        Access::ThisMachine => local(request, reads).map(|()| Caller::default()),
        Access::Tokens(tokens) => match bearer(request.headers()).and_then(|token| known(tokens, token)) {
            None => Err(Refused::new(
                Code::Unauthorized,
                "Send a header `Authorization: Bearer` with a token that is configured here.",
            )),
            Some((Role::Operator, caller)) => Ok(caller),
            Some((Role::Viewer, caller)) if reads => Ok(caller),
            Some((Role::Viewer, _)) => Err(Refused::new(Code::Forbidden, "This needs an operator's token.")),
        },
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    // Two such headers could be read differently by a proxy and by us.
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The highest role among the tokens that match, and the name of the one that has it. Looks at all of them, whichever
/// matches, and at hashes only, so that the time it takes says nothing.
fn known(tokens: &[Token], shown: &str) -> Option<(Role, Caller)> {
    let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
    let (mut found, mut which) = (0u8, 0u64);
    for (at, token) in (0u64..).zip(tokens) {
        let rank = match token.role {
            Role::Viewer => 1,
            Role::Operator => 2,
        };
        let same: Choice = token.sha256.ct_eq(&shown);
        let better = same & Choice::from(u8::from(rank > found));
        found.conditional_assign(&rank, better);
        which.conditional_assign(&at, better);
    }
    let role = match found {
        0 => return None,
        1 => Role::Viewer,
        _ => Role::Operator,
    };
    let token = usize::try_from(which).ok().and_then(|at| tokens.get(at));
    Some((role, Caller(token.and_then(|token| token.name.clone()))))
}

/// Without tokens. A page whose own name was made to resolve to 127.0.0.1 reaches us from this machine, but
/// under its own name; a page that sends a form here reaches us under ours, but says where it is from.
fn local(request: &Request, reads: bool) -> Result<(), Refused> {
    let own = request.extensions().get::<Ends>();
    if !own.is_some_and(|ends| ends.peer.ip().to_canonical().is_loopback()) {
        return Err(Refused::new(
            Code::NotLocal,
            "No token is configured, so only clients on the daemon's own machine are served.",
        ));
    }
    let host = authority(request);
    if !host.is_some_and(|host| names_this_machine(host, own.map(|ends| ends.own.ip()))) {
        return Err(Refused::new(
            Code::NotLocal,
            "No token is configured, so the Host header must name this machine: localhost or 127.0.0.1.",
        ));
    }
    if reads {
        return Ok(());
    }
    let from_elsewhere = match request.headers().get(header::ORIGIN) {
        None => false,
        Some(origin) => {
            let origin = origin
                .to_str()
                .ok()
                .and_then(|origin| origin.strip_prefix("http://"));
            origin.is_none() || origin != host
        }
    };
    if from_elsewhere {
        return Err(Refused::new(
            Code::CrossOrigin,
            "The Origin header names another site.",
        ));
    }
    Ok(())
}

/// The one authority the request names: a second Host header, or a target that disagrees, is none.
fn authority(request: &Request) -> Option<&str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    let agrees = request
        .uri()
        .authority()
        .is_none_or(|target| target.as_str() == host);
    (hosts.next().is_none() && agrees).then_some(host)
}

fn names_this_machine(host: &str, own: Option<IpAddr>) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else {
        return false;
    };
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback() || Some(ip) == own,
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_names() {
        let own = "10.0.0.7".parse().ok();
        for good in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:80",
            "10.0.0.7:80",
        ] {
            assert!(names_this_machine(good, own), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil@127.0.0.1",
            "10.0.0.8",
            "[::2]",
            "localhost evil",
        ] {
            assert!(!names_this_machine(bad, own), "{bad}");
        }
    }

    #[test]
    fn without_tokens_a_client_on_another_machine_is_refused() {
        let check = |peer: &str, expected: bool| {
            let ends = Ends {
                peer: SocketAddr::new(peer.parse().expect("an address"), 1),
                own: SocketAddr::from(([127, 0, 0, 1], 8080)),
            };
            let mut request = Request::new(axum::body::Body::empty());
            request
                .headers_mut()
                .insert(header::HOST, header::HeaderValue::from_static("localhost"));
            assert!(
                admit(&Access::ThisMachine, &request).is_err(),
                "ends that are not known"
            );
            request.extensions_mut().insert(ends);
            assert_eq!(admit(&Access::ThisMachine, &request).is_ok(), expected, "{peer}");
        };
        check("127.0.0.1", true);
        check("::1", true);
        check("::ffff:127.0.0.1", true);
        check("192.168.1.9", false);
        check("::ffff:192.168.1.9", false);
    }

    #[test]
    fn a_hash_is_64_hex_digits() {
        assert!(Token::from_sha256(Role::Viewer, &"aB".repeat(32)).is_some());
        for bad in [
            "",
            &"a".repeat(63),
            &"a".repeat(65),
            &"g".repeat(64),
            &"é".repeat(32),
        ] {
            assert!(Token::from_sha256(Role::Viewer, bad).is_none(), "{bad}");
        }
    }
}
