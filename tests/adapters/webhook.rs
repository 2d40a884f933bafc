//! The webhook against a receiver on this machine: what it is sent, that it can be believed, and that no receiver, however it
//! behaves, is waited for or followed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lamplighter::cloud::webhook::HttpWebhook;
use lamplighter::cloud::{Message, Sent, Webhook as _};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const KEY: &[u8] = b"twenty-four bytes of key";

/// A receiver that answers once, and what it was sent. An empty answer: it never gives one.
async fn receiver(answer: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://127.0.0.1:{}/hooks?x=1",
        listener.local_addr().unwrap().port()
    );
    let answer = answer.to_owned();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&heard).ends_with('}') {
            let read = stream.read(&mut buffer).await.unwrap();
            heard.extend_from_slice(&buffer[..read]);
        }
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(heard).unwrap()
    });
    (url, heard)
}

fn message() -> Message {
    Message {
        id: "msg_1".to_owned(),
        body: r#"{"type":"app.stop_soon","data":{"id":"a\u001b"}}"#.to_owned(),
    }
}

async fn send(url: &str) -> Sent {
    let webhook = HttpWebhook::new(url, KEY, Duration::from_millis(500)).unwrap();
    let at: Timestamp = "2026-11-20T17:45:00Z".parse().unwrap();
    webhook.send(&message(), at).await
}

/// HMAC as RFC 2104 writes it, so that the receiver does not rest on what the sender used.
fn hmac_by_hand(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| -> Vec<u8> { (0..64).map(|n| key.get(n).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([&padded(0x36), text].concat());
    Sha256::digest([&padded(0x5c)[..], &inner[..]].concat()).to_vec()
}

#[tokio::test]
async fn a_receiver_can_tell_that_a_message_is_ours_and_new() {
    let (url, heard) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(send(&url).await, Sent::Accepted);
    let whole = heard.await.unwrap();
    let (above, body) = whole.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, message().body);
    let mut lines = above.lines();
    assert_eq!(lines.next(), Some("POST /hooks?x=1 HTTP/1.1"));
    let header = |name: &str| {
        let found = above.lines().filter_map(|line| line.split_once(": "));
        let mut values = found.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.to_owned()).unwrap()
    };
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(
        (header("webhook-id"), header("webhook-timestamp")),
        ("msg_1".into(), "1795196700".into())
    );
    let signed = hmac_by_hand(KEY, format!("msg_1.1795196700.{body}").as_bytes());
    assert_eq!(
        header("webhook-signature"),
        format!("v1,{}", STANDARD.encode(signed))
    );
    assert!(!above.contains("twenty"), "the key stays here");
}

#[tokio::test]
async fn whatever_a_receiver_answers_is_taken_for_what_it_means() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Sent::Accepted),
        ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", Sent::Refused),
        (
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            Sent::Failed("HTTP 503 Service Unavailable".to_owned()),
        ),
        (
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            Sent::Failed("HTTP 400 Bad Request".to_owned()),
        ),
    ] {
        let (url, _heard) = receiver(answer).await;
        assert_eq!(send(&url).await, expected, "{answer}");
    }
    let (url, _heard) = receiver("garbage\r\n\r\n").await;
    assert!(matches!(send(&url).await, Sent::Failed(_)));
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    assert!(matches!(
        send(&format!("http://{nobody}/")).await,
        Sent::Failed(_)
    ));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = elsewhere.local_addr().unwrap();
    let answer =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{there}/\r\ncontent-length: 0\r\n\r\n");
    let (url, _heard) = receiver(&answer).await;
    assert_eq!(
        send(&url).await,
        Sent::Failed("HTTP 307 Temporary Redirect".to_owned())
    );
    let asked = tokio::time::timeout(Duration::from_millis(100), elsewhere.accept()).await;
    assert!(asked.is_err(), "nobody is told there");
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_not_waited_for() {
    let (url, _heard) = receiver("").await;
    let began = Instant::now();
    assert!(matches!(send(&url).await, Sent::Failed(why) if why.contains("no complete answer")));
    assert!(began.elapsed() < Duration::from_secs(5));
}
