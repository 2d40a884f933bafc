//! News as server-sent events: told, taken up again, missed and said so, and ended.

use std::sync::Arc;
use std::time::Duration;

use lamplighter::api::{Access, AppSummary, Feed, Handle as _, News};
use lamplighter::model::memory::Memory;
use lamplighter::model::status::Phase;
use lamplighter::model::warned::Warned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Served, id, row, time};

/// One who watches.
struct Client {
    stream: TcpStream,
    /// What came and was not looked at yet.
    text: String,
}

#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Client {
    async fn connect(served: &Served, query: &str, after: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(served.public).await.unwrap();
        let after = after.map_or_else(String::new, |after| format!("last-event-id: {after}\r\n"));
        let head = format!("GET /api/v1/watch{query} HTTP/1.1\r\nhost: localhost\r\n{after}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let text = String::new();
        Self { stream, text }
    }

    /// The next event; `None` at the end of the stream.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.at_hand() {
                return Some(event);
            }
            let mut buffer = vec![0; 64 * 1024];
            let read = tokio::time::timeout(Duration::from_secs(10), self.stream.read(&mut buffer));
            match read.await.expect("something comes in time").unwrap() {
                0 => return None,
                read => self.text.push_str(&String::from_utf8_lossy(&buffer[..read])),
            }
        }
    }

    /// The sizes of chunks lie on lines of their own, which no field of an event looks like.
    fn at_hand(&mut self) -> Option<Event> {
        let begin = self.text.find("event: ")?;
        let length = self.text[begin..].find("\n\n")?;
        let block = self.text[begin..begin + length].to_owned();
        self.text.drain(..begin + length);
        let field = |name: &str| {
            let lines = block.lines().filter_map(|line| line.split_once(": "));
            let mut found = lines.filter(|(field, _)| *field == name);
            found
                .next()
                .map(|(_, value)| value.to_owned())
                .unwrap_or_default()
        };
        let data = serde_json::from_str(&field("data")).unwrap_or(Value::Null);
        Some(Event {
            name: field("event"),
            id: field("id"),
            data,
        })
    }

    async fn named(&mut self, name: &str) -> Event {
        let event = self.event().await.expect("the stream goes on");
        assert_eq!(event.name, name, "{event:?}");
        event
    }
}

async fn served() -> Served {
    Served::start(Access::ThisMachine).await
}

fn feed(served: &Served) -> Arc<Feed> {
    served.fake.feed()
}

fn app(name: &str, message: &str) -> Box<AppSummary> {
    let mut memory = Memory::new(id(name));
    memory.status.phase = Phase::Ready;
    message.clone_into(&mut memory.status.message);
    Box::new(AppSummary {
        id: id(name),
        row: Some(row(
            name,
            json!({"user": "ann", "app": "shop", "desired": "Running"}),
        )),
        memory: Some(memory),
    })
}

#[tokio::test]
async fn what_becomes_known_is_told_with_a_place_to_go_on_from() {
    let served = served().await;
    let mut client = Client::connect(&served, "", None).await;
    let open = client.named("open").await;
    assert!(
        client.text.is_empty() || !client.text.contains("event"),
        "{}",
        client.text
    );
    feed(&served).publish(News::Changed(app("a1", "one\ndata: forged\n\nevent: forged")));
    let told = client.named("app").await;
    assert_eq!(told.data["id"], "a1");
    assert_eq!(
        told.data["status"]["message"], "one\ndata: forged\n\nevent: forged",
        "text stays text"
    );
    let warned = Warned {
        deadline: time("2026-11-20T18:00:00Z"),
        rule: "Curfew".to_owned(),
        action: "Destroy".to_owned(),
        at: time("2026-11-20T17:45:00Z"),
        webhook: None,
    };
    feed(&served).publish(News::StopSoon {
        app: app("a1", ""),
        warned,
    });
    let soon = client.named("stop-soon").await;
    let expected = json!({
        "id": "a1", "user": "ann", "app": "shop", "action": "Destroy", "at": "2026-11-20T18:00:00Z", "rule": "Curfew",
    });
    assert_eq!(soon.data, expected);
    drop(client);
    feed(&served).publish(News::Gone(id("a1")));

    // Whoever comes back is told what came meanwhile; from the first place on, everything.
    let mut back = Client::connect(&served, "", Some(&soon.id)).await;
    back.named("open").await;
    assert_eq!(back.named("gone").await.data, json!({"id": "a1"}));
    let mut back = Client::connect(&served, "", Some(&open.id)).await;
    for name in ["open", "app", "stop-soon", "gone"] {
        back.named(name).await;
    }
}

#[tokio::test]
async fn who_watches_one_app_hears_of_that_alone() {
    let served = served().await;
    let mut client = Client::connect(&served, "?app=b2", None).await;
    client.named("open").await;
    feed(&served).publish(News::Changed(app("a1", "")));
    feed(&served).publish(News::Changed(app("b2", "")));
    assert_eq!(client.named("app").await.data["id"], "b2");
    served
        .get("/api/v1/watch?ap=b2")
        .await
        .assert_problem(400, "bad-request");
}

#[tokio::test]
async fn a_place_that_is_not_known_is_a_gap_and_told() {
    let served = served().await;
    for place in ["0123456789abcdef-7", "nonsense", "-"] {
        let mut client = Client::connect(&served, "", Some(place)).await;
        client.named("open").await;
        let missed = client.named("missed").await;
        assert!(
            missed.data["detail"].as_str().unwrap().contains("list the apps"),
            "{missed:?}"
        );
        // From there it goes on.
        feed(&served).publish(News::Gone(id("a1")));
        client.named("gone").await;
    }
}

/// Whoever does not read costs no more than a place: what they can't be told they are told to have missed.
#[tokio::test]
async fn a_client_that_does_not_read_is_told_that_it_missed_something() {
    let served = served().await;
    let mut slow = Client::connect(&served, "", None).await;
    slow.named("open").await;
    let large = "x".repeat(100_000);
    for n in 0..1300 {
        // First as much as no buffer between here and there holds, then more than is kept.
        let message = if n < 200 { large.as_str() } else { "" };
        feed(&served).publish(News::Changed(app("a1", message)));
        if n < 200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let (mut heard, mut missed) = (0, 0);
    while heard + missed < 1024 {
        match slow.event().await.expect("the stream goes on").name.as_str() {
            "app" => heard += 1,
            "missed" => missed += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(missed, 1, "{heard}");
}

#[tokio::test]
async fn at_the_end_everybody_is_told_and_nobody_is_waited_for() {
    let mut served = served().await;
    let mut client = Client::connect(&served, "", None).await;
    client.named("open").await;
    feed(&served).publish(News::Gone(id("a1")));
    served.stop();
    client.named("gone").await;
    client.named("end").await;
    assert_eq!(client.event().await, None, "the connection is closed");
    let ended = tokio::time::timeout(Duration::from_secs(3), &mut served.ended).await;
    ended.expect("well within the grace period").unwrap().unwrap();
}

#[tokio::test]
async fn no_more_watch_than_may() {
    let served = served().await;
    let feed = feed(&served);
    let all: Vec<_> = std::iter::from_fn(|| feed.watch(None)).collect();
    served
        .get("/api/v1/watch")
        .await
        .assert_problem(503, "too-many-watchers");
    drop(all);
    Client::connect(&served, "", None).await.named("open").await;
}
