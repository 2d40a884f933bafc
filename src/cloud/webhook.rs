//! Sends warnings to somebody else's URL, signed as Standard Webhooks has it. One attempt, bounded in time and size;
//! follows no redirect, which would send what is signed to who knows whom.

use std::io;
use std::time::Duration;

use ::http::{Method, Request, StatusCode, Uri, header};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use jiff::Timestamp;

use super::text::{self, SENTENCE_MAX};
use super::{Message, Sent, Webhook, http};

const USER_AGENT: &str = concat!("lamplighter-webhook/", env!("CARGO_PKG_VERSION"));

/// [`Webhook`] over HTTP and HTTPS, by the certificates that the system trusts.
pub struct HttpWebhook {
    client: http::Client<Full<Bytes>>,
    url: Uri,
    key: Vec<u8>,
    limit: Duration,
}

impl HttpWebhook {
    /// A webhook at `url`, whose messages are signed with `key`; an attempt takes at most `limit`. Fails when the URL
    /// can't be read or the system has no certificates it trusts.
    pub fn new(url: &str, key: &[u8], limit: Duration) -> io::Result<Self> {
        Ok(Self {
            client: http::client()?,
            url: url.parse().map_err(io::Error::other)?,
            key: key.to_vec(),
            limit,
        })
    }

    async fn attempt(&self, message: &Message, at: Timestamp) -> Result<StatusCode, String> {
        let seconds = at.as_second();
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header(
                "webhook-signature",
                signature(&self.key, &message.id, seconds, &message.body),
            )
            .body(Full::from(message.body.clone()))
            .map_err(|error| format!("it cannot be sent: {error}"))?;
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| http::cause(&error))?;
        let status = answer.status();
        // Its status is all that counts, whatever becomes of the rest.
        let _ = http::read_out(answer).await;
        Ok(status)
    }
}

#[async_trait]
impl Webhook for HttpWebhook {
    async fn send(&self, message: &Message, at: Timestamp) -> Sent {
        let failed = |said: &str| Sent::Failed(text::one_line(said, SENTENCE_MAX));
        match tokio::time::timeout(self.limit, self.attempt(message, at)).await {
            Ok(Ok(status)) if status.is_success() => Sent::Accepted,
            // Standard Webhooks: the receiver wants no more of it.
            Ok(Ok(StatusCode::GONE)) => Sent::Refused,
            Ok(Ok(status)) => failed(&format!("HTTP {status}")),
            Ok(Err(why)) => failed(&why),
            Err(_) => failed(&format!("no complete answer within {} s", self.limit.as_secs())),
        }
    }
}

/// Standard Webhooks: `v1,` and base64 of the HMAC-SHA256 of id, time in seconds and body, with full stops between.
fn signature(key: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("a key of HMAC may have any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The vector that the specification's own libraries are tested with.
    #[test]
    fn messages_are_signed_as_standard_webhooks_has_it() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
