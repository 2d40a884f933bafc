//! One HTTP request over a connection of its own, to this machine whatever the host name says.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.status, self.body))
    }
}

/// GETs a URL.
pub(crate) fn get(url: &str) -> Result<Answer, String> {
    request("GET", url, &[], "")
}

/// POSTs to a URL.
pub(crate) fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, String> {
    request("POST", url, headers, body)
}

fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, String> {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("not a http URL: {url}"));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, port) = host.rsplit_once(':').unwrap_or_else(|| panic!("no port: {url}"));
    assert!(
        name == "127.0.0.1" || name.ends_with("localhost"),
        "a test asks this machine only, not {name}"
    );
    let failed = |error: std::io::Error| format!("{url}: {error}");
    let mut connection = TcpStream::connect(format!("127.0.0.1:{port}")).map_err(failed)?;
    connection
        .set_read_timeout(Some(Duration::from_secs(20)))
        .map_err(failed)?;
    let mut head = format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\n\r\n{body}", body.len());
    connection.write_all(head.as_bytes()).map_err(failed)?;
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("half an answer")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or("no status")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Ok(Answer { status, body })
}

/// What the chunks hold. Their sizes count bytes, so that this is for text without surprises.
fn unchunked(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|_| size > 0) else {
            break;
        };
        whole.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    whole
}
