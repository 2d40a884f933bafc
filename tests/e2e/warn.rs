//! Stops that are told beforehand: once for each deadline, to history, watchers and webhook, whatever becomes of the
//! receiver or of the daemon meanwhile. And what one replica does, who watches another hears of.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use lamplighter::config::{Webhook, WebhookSecret};
use lamplighter::model::status::Phase;
use lamplighter::model::warned::Delivery;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::lab::wire::{ask, get};
use crate::lab::{Lab, wants};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Somebody who is sent warnings, and answers what it is told to.
pub struct Receiver {
    pub url: String,
    /// Id and body of each message.
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    status: Arc<Mutex<u16>>,
}

impl Receiver {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let (heard, status) = (
            Arc::<Mutex<Vec<(String, Value)>>>::default(),
            Arc::new(Mutex::new(200)),
        );
        let (written, answers) = (heard.clone(), status.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = String::new();
                let mut buffer = [0; 8192];
                while !text.ends_with('}') {
                    let read = stream.read(&mut buffer).await.unwrap();
                    text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                }
                let (lines, body) = text.split_once("\r\n\r\n").unwrap();
                let id = lines
                    .lines()
                    .find_map(|line| line.strip_prefix("webhook-id: "))
                    .unwrap();
                written
                    .lock()
                    .unwrap()
                    .push((id.to_owned(), serde_json::from_str(body).unwrap()));
                let answer = format!(
                    "HTTP/1.1 {} X\r\ncontent-length: 0\r\n\r\n",
                    *answers.lock().unwrap()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, heard, status }
    }

    /// Has warnings of a lab that has not started yet sent here.
    pub fn is_told_by(&self, lab: &mut Lab) {
        lab.config.policy.webhook = true;
        lab.config.webhook = Some(Webhook {
            url: self.url.clone(),
            secret: WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
            timeout: Duration::from_secs(2),
            give_up_after: SignedDuration::from_mins(15),
        });
    }

    pub fn heard(&self) -> Vec<(String, Value)> {
        self.heard.lock().unwrap().clone()
    }

    fn answers(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }
}

/// A lab whose shops are warned of a quarter of an hour before, with its receiver.
async fn lab() -> (Lab, Receiver) {
    let receiver = Receiver::new().await;
    let mut lab = Lab::new().await;
    let office = lab.config.policy.schedules.get_mut("office").unwrap();
    office.warn_before = Some(SignedDuration::from_mins(15));
    receiver.is_told_by(&mut lab);
    lab.start().await;
    (lab, receiver)
}

async fn warnings(lab: &Lab, id: &str) -> usize {
    let events = get(&format!("{}/api/v1/apps/{id}/events?limit=200", lab.api()))
        .await
        .json();
    let events = events["events"].as_array().unwrap();
    events
        .iter()
        .filter(|event| event["reason"] == "StopSoon")
        .count()
}

async fn delivery(lab: &Lab, id: &str) -> Option<Delivery> {
    lab.memory(id).await.unwrap().warned?.webhook
}

/// Hears news of one app until there is one that contains this.
pub async fn hears(watch: &mut TcpStream, text: &mut String, what: &str) {
    let listening = async {
        while !text.contains(what) {
            let mut buffer = [0; 8192];
            let read = watch.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the stream ended without {what}: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(20), listening).await;
    assert!(heard.is_ok(), "never heard {what}: {text}");
}

pub async fn watch(lab: &Lab, id: &str) -> TcpStream {
    let server = lab.api();
    let mut stream = TcpStream::connect(server.trim_start_matches("http://"))
        .await
        .unwrap();
    let head = format!("GET /api/v1/watch?app={id} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn each_deadline_is_told_once_to_history_watchers_and_webhook() {
    let (lab, receiver) = lab().await;
    receiver.answers(503);
    let (mut watching, mut news) = (watch(&lab, "one").await, String::new());
    hears(&mut watching, &mut news, "event: open").await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.put("wiki", &wants("ben", "wiki", "Running")).await;
    for id in ["one", "wiki"] {
        lab.until(id, Phase::Ready).await;
    }
    hears(&mut watching, &mut news, "\"phase\":\"Ready\"").await;
    assert_eq!(receiver.heard().len(), 0);
    lab.clock.set(time("2027-02-10T17:46:00Z"));
    hears(&mut watching, &mut news, "event: stop-soon").await;
    // It is tried again until the receiver has it, under the same id.
    lab.eventually("two attempts", async || receiver.heard().len() >= 2)
        .await;
    receiver.answers(200);
    let delivered = async || delivery(&lab, "one").await == Some(Delivery::Delivered);
    lab.eventually("it is delivered", delivered).await;
    let heard = receiver.heard();
    assert!(heard.iter().all(|message| *message == heard[0]), "{heard:?}");
    assert_eq!(heard[0].1["type"], "app.stop_soon");
    assert_eq!(
        (
            &heard[0].1["data"]["id"],
            &heard[0].1["data"]["at"],
            &heard[0].1["data"]["rule"]
        ),
        (&json!("one"), &json!("2027-02-10T18:00:00Z"), &json!("Curfew"))
    );

    // Neither a sweep nor a daemon that starts anew tells it again.
    lab.stop().await;
    hears(&mut watching, &mut news, "event: end").await;
    lab.start().await;
    let sweeps = lab.sweeps().await;
    lab.eventually("three more sweeps", async || lab.sweeps().await >= sweeps + 3)
        .await;
    assert_eq!(
        (warnings(&lab, "one").await, receiver.heard().len()),
        (1, heard.len())
    );
    assert_eq!(warnings(&lab, "wiki").await, 0, "its schedule warns of nothing");

    // A stop that moves is told where it went, under an id of its own.
    let url = format!("{}/api/v1/apps/one/keep", lab.api());
    let body = json!({"until": "2027-02-10T20:00:00Z"});
    assert_eq!(ask(Method::POST, &url, Some(&body)).await.status, 200);
    lab.clock.set(time("2027-02-10T19:50:00Z"));
    lab.eventually("the second one", async || receiver.heard().len() > heard.len())
        .await;
    let second = receiver.heard().last().unwrap().clone();
    assert_ne!(second.0, heard[0].0);
    assert_eq!(second.1["data"]["at"], "2027-02-10T20:00:00Z");
    assert_eq!(warnings(&lab, "one").await, 2);
    assert!(lab.metric("lamplighter_warnings_total").await >= 1);
    lab.clock.set(time("2027-02-10T20:00:01Z"));
    lab.until("one", Phase::Destroyed).await;
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_holds_up_no_stop_and_what_was_not_sent_is_taken_up() {
    let (lab, receiver) = lab().await;
    receiver.answers(500);
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.put("two", &wants("ben", "shop", "Running")).await;
    for id in ["one", "two"] {
        lab.until(id, Phase::Ready).await;
    }
    lab.clock.set(time("2027-02-10T17:46:00Z"));
    let tried = async |id: &str| receiver.heard().iter().any(|(_, body)| body["data"]["id"] == *id);
    lab.eventually("both are tried", async || {
        tried("one").await && tried("two").await
    })
    .await;
    // The next process goes on with what stands in memory.
    lab.stop().await;
    let before = receiver.heard().len();
    lab.start().await;
    lab.eventually("it goes on", async || receiver.heard().len() > before)
        .await;
    let ids: std::collections::BTreeSet<String> = receiver.heard().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2, "one for each app and deadline");
    // One is kept, so its warning is moot; the other's stop comes although nobody has heard of it.
    let url = format!("{}/api/v1/apps/two/keep", lab.api());
    let body = json!({"until": "2027-02-10T20:00:00Z"});
    assert_eq!(ask(Method::POST, &url, Some(&body)).await.status, 200);
    let moot = async || delivery(&lab, "two").await == Some(Delivery::Withdrawn);
    lab.eventually("it is withdrawn", moot).await;
    lab.clock.set(time("2027-02-10T18:00:01Z"));
    lab.until("one", Phase::Destroyed).await;
    assert_ne!(delivery(&lab, "one").await, Some(Delivery::Pending));
    assert_eq!(lab.status("two").await.phase, Phase::Ready);
    lab.assert_sound();
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_a_replica_that_stands_by_hears_of_what_the_other_does() {
    let (lab, receiver) = lab().await;
    lab.start().await;
    // Of the two, the last one stands by: the first holds the lease.
    let (mut watching, mut news) = (watch(&lab, "one").await, String::new());
    hears(&mut watching, &mut news, "event: open").await;
    lab.put("one", &wants("ann", "shop", "Running")).await;
    lab.until("one", Phase::Ready).await;
    hears(&mut watching, &mut news, "\"phase\":\"Ready\"").await;
    lab.clock.set(time("2027-02-10T17:46:00Z"));
    hears(&mut watching, &mut news, "event: stop-soon").await;
    lab.eventually("it is delivered", async || receiver.heard().len() == 1)
        .await;
    let sweeps = lab.sweeps().await;
    lab.eventually("two more sweeps", async || lab.sweeps().await >= sweeps + 2)
        .await;
    assert_eq!((receiver.heard().len(), warnings(&lab, "one").await), (1, 1));
    assert_eq!(news.matches("event: stop-soon").count(), 1);
    lab.stop().await;
}
