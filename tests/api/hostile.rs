//! What hostile callers get: a problem, and no more.

use std::time::Duration;

use lamplighter::api::Access;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Answer, Served, exchange, row};

async fn served() -> Served {
    Served::start(Access::ThisMachine).await
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test]
async fn hostile_ids_are_only_text() {
    let served = served().await;
    let long = "x".repeat(2044);
    for id in [
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "a/b",
        "a\r\nSet-Cookie: x=1",
        "\0",
        "\u{202e}",
        "'; DROP TABLE",
        "{\"S\":\"a1\"}",
        "a1 ",
        "A1",
        "..",
        &long,
    ] {
        let path = format!("/api/v1/apps/{}", encoded(id));
        let answer = served.get(&path).await;
        answer.assert_problem(404, "no-such-app");
        assert!(!answer.headers.contains_key("set-cookie"));
        let events = served.get(&format!("{path}/events")).await;
        assert_eq!((events.status, events.json()), (200, json!({"events": []})));
        let body = json!({"user": "a", "app": "b", "desired": "Running"}).to_string();
        served.put(&path, body).await.assert_problem(422, "invalid-row");
        assert!(served.row(id).is_none());
        // A row under such a key can exist, since the portal writes the table, and must be deletable.
        let bad = row(id, json!({"user": "a"}));
        served.fake.rows.lock().unwrap().insert(bad.id.clone(), bad);
        assert_eq!(served.get(&path).await.json()["id"], id);
        assert_eq!(served.ask("DELETE", &path, &[], "").await.status, 204);
        assert!(served.row(id).is_none());
    }
    for path in [
        format!("/api/v1/apps/{}", "x".repeat(2045)),
        "/api/v1/apps/%ff%fe".to_owned(),
        "/api/v1/apps/%c3".to_owned(),
    ] {
        served.get(&path).await.assert_problem(400, "bad-request");
    }
}

#[tokio::test]
async fn hostile_bodies_change_nothing() {
    let served = served().await;
    let before = served.row("a1");
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"\"a\"".to_vec(),
        b"{} {}".to_vec(),
        b"{\"user\": \"\xff\xfe\"}".to_vec(),
        b"{\"user\": \"\\ud800\"}".to_vec(),
        b"{\"generation\": 1e999}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        deep.into_bytes(),
        "{\"a\":".repeat(10_000).into_bytes(),
        vec![b'1'; 60_000],
    ];
    for body in bodies {
        let start = String::from_utf8_lossy(&body[..body.len().min(30)]).into_owned();
        let answer = served.put("/api/v1/apps/a1", &body).await;
        assert_eq!(answer.status, 400, "{start}");
        answer.assert_problem(400, "bad-json");
    }
    let tags = json!({"user": "<script>", "app": "<img src=x>", "desired": "<b>", "<svg onload=x>": 1});
    let answer = served.put("/api/v1/apps/a1", tags.to_string()).await;
    answer.assert_problem(422, "invalid-row");
    let many: serde_json::Map<String, serde_json::Value> =
        (0..4000).map(|n| (format!("k{n}"), n.into())).collect();
    let answer = served
        .put("/api/v1/apps/a1", serde_json::Value::Object(many).to_string())
        .await;
    let document = answer.assert_problem(422, "invalid-row");
    assert!(document["problems"].as_array().unwrap().len() <= 40);
    assert_eq!(served.row("a1"), before);
    assert!(served.hints().is_empty());
}

#[tokio::test]
async fn a_body_larger_than_64_kb_is_refused_whether_it_says_so_or_not() {
    let served = served().await;
    let before = served.row("a1");
    let body = json!({"user": "a".repeat(1_000_000), "app": "b", "desired": "Running"}).to_string();
    served
        .put("/api/v1/apps/a1", &body)
        .await
        .assert_problem(413, "body-too-large");
    let head = format!(
        "PUT /api/v1/apps/a1 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        served.public
    );
    // A slow sender still gets to read the answer, instead of a connection that breaks while it sends.
    let mut stream = tokio::net::TcpStream::connect(served.public).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    for part in body.as_bytes().chunks(10_000) {
        let part = format!("{:x}\r\n{}\r\n", part.len(), str::from_utf8(part).unwrap());
        stream.write_all(part.as_bytes()).await.expect("still listening");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    stream.write_all(b"0\r\n\r\n").await.expect("still listening");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Answer::parse(&answer).assert_problem(413, "body-too-large");
    assert_eq!(served.row("a1"), before);

    let fits = json!({"user": "ann", "app": "b", "desired": "Running", "x-": "y".repeat(65_000)});
    served
        .put("/api/v1/apps/a1", fits.to_string())
        .await
        .assert_problem(422, "invalid-row");
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let served = served().await;
    let head = format!(
        "PUT /api/v1/apps/a1 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        served.public
    );
    let began = tokio::time::Instant::now();
    let answer = Answer::parse(&exchange(served.public, head.as_bytes()).await);
    answer.assert_problem(408, "body-timeout");
    assert!(began.elapsed() > Duration::from_secs(9), "it was given its time");
}

#[tokio::test]
async fn bytes_that_are_no_http_end_the_connection_and_nothing_else() {
    let served = served().await;
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET /api/v1/apps HTTP/1.1\r\nHost: localhost\r\nX: a\nb\x00c\r\n\r\n".to_vec(),
        [b"GET /".to_vec(), vec![b'a'; 700_000]].concat(),
    ] {
        let mut stream = tokio::net::TcpStream::connect(served.public).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(5), read)
            .await
            .expect("the connection ends");
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    assert_eq!(served.get("/api/v1/apps").await.status, 200);
}
