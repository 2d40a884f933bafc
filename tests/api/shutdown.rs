//! Stopping: what is in hand ends, and nothing outlasts the grace period.

use std::time::Duration;

use lamplighter::api::Access;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::{Answer, Fake, Served};

const GRACE: Duration = Duration::from_secs(2);

async fn connected(served: &Served, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(served.public).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

fn request(served: &Served) -> String {
    format!("GET /api/v1/apps/a1 HTTP/1.1\r\nHost: {}\r\n\r\n", served.public)
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let mut served = Served::with(Fake::with_apps(), Access::ThisMachine, GRACE).await;
    let _silent = connected(&served, "").await;
    let mut idle = connected(&served, &request(&served)).await;
    let mut buffer = [0; 4096];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    let began = Instant::now();
    served.stop();
    served.ended.await.unwrap().unwrap();
    assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());
    assert_eq!(idle.read(&mut buffer).await.unwrap(), 0, "it was closed");
}

#[tokio::test]
async fn an_answer_under_way_is_finished() {
    let fake = Fake::with_apps();
    *fake.slow.lock().unwrap() = Duration::from_millis(500);
    let mut served = Served::with(fake, Access::ThisMachine, GRACE).await;
    let mut busy = connected(&served, &request(&served)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    served.stop();
    let mut answer = Vec::new();
    busy.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Answer::parse(&answer).status, 200);
    served.ended.await.unwrap().unwrap();
    assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_left_at_the_deadline_is_cut() {
    let fake = Fake::with_apps();
    *fake.slow.lock().unwrap() = Duration::from_mins(1);
    let mut served = Served::with(fake, Access::ThisMachine, GRACE).await;
    let mut busy = connected(&served, &request(&served)).await;
    let mut half = connected(&served, "GET /api/v1/apps HTT").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    served.stop();
    timeout(GRACE + Duration::from_secs(2), served.ended)
        .await
        .expect("it ends within the grace period")
        .unwrap()
        .unwrap();
    assert!(began.elapsed() >= GRACE, "the busy one was given its time");
    let mut rest = Vec::new();
    for stream in [&mut busy, &mut half] {
        let read = timeout(Duration::from_secs(1), stream.read_to_end(&mut rest)).await;
        let _ = read.expect("the connection is closed");
    }
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn nobody_new_is_let_in() {
    let fake = Fake::with_apps();
    *fake.slow.lock().unwrap() = Duration::from_mins(1);
    let mut served = Served::with(fake, Access::ThisMachine, GRACE).await;
    let _busy = connected(&served, &request(&served)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(TcpStream::connect(served.public).await.is_err());
    assert!(TcpStream::connect(served.admin).await.is_err());
}
