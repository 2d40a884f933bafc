//! The probe against real sockets on this machine.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lamplighter::cloud::Prober as _;
use lamplighter::cloud::probe::HttpProber;
use lamplighter::model::observed::{Observed, Probe};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every connection with `answer`, then closes it, or holds it open. Gives the port, and what was
/// asked.
async fn serve(answer: Vec<u8>, hold: bool) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (answer, seen) = (answer.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                let read = socket.read(&mut buffer).await.unwrap_or(0);
                seen.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                // The prober may hang up before all is sent.
                let _ = socket.write_all(&answer).await;
                if hold {
                    tokio::time::sleep(Duration::from_mins(1)).await;
                }
            });
        }
    });
    (port, asked)
}

fn http(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

async fn probe(url: &str) -> Probe {
    match HttpProber::new().unwrap().probe(url).await {
        Observed::Present(probe) => probe,
        other => panic!("{other:?}"),
    }
}

async fn failure(url: &str) -> String {
    match probe(url).await {
        Probe::Failed(why) => {
            assert!(!why.contains('\n') && why.chars().count() <= 301, "{why}");
            why
        }
        Probe::Answered => panic!("{url} answered"),
    }
}

#[tokio::test]
async fn an_app_answers_with_2xx_or_3xx_and_nothing_else() {
    for (status, answered) in [
        ("200 OK", true),
        ("204 No Content", true),
        ("302 Found", true),
        ("401 Unauthorized", false),
        ("404 Not Found", false),
        ("503 Service Unavailable", false),
    ] {
        let (port, _) = serve(http(status, ""), false).await;
        let url = format!("http://127.0.0.1:{port}/healthz");
        if answered {
            assert_eq!(probe(&url).await, Probe::Answered, "{status}");
        } else {
            assert_eq!(failure(&url).await, format!("HTTP {status}"));
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, visited) = serve(http("500 Oops", ""), false).await;
    let redirect =
        format!("HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    let (port, _) = serve(redirect.into_bytes(), false).await;
    assert_eq!(probe(&format!("http://127.0.0.1:{port}/")).await, Probe::Answered);
    assert!(visited.lock().unwrap().is_empty());
}

#[tokio::test]
async fn it_says_who_asks_for_what_at_which_host() {
    let (port, asked) = serve(http("200 OK", "ok"), false).await;
    probe(&format!("http://shop.apps.localhost:{port}/healthz?full=1")).await;
    let asked = asked.lock().unwrap()[0].to_ascii_lowercase();
    assert!(asked.starts_with("get /healthz?full=1 http/1.1\r\n"), "{asked}");
    assert!(
        asked.contains(&format!("host: shop.apps.localhost:{port}\r\n")),
        "{asked}"
    );
    let agent = format!("user-agent: lamplighter-probe/{}\r\n", env!("CARGO_PKG_VERSION"));
    assert!(asked.contains(&agent), "{asked}");
}

#[tokio::test]
async fn names_below_localhost_are_this_machine() {
    let (port, _) = serve(http("200 OK", ""), false).await;
    for host in ["localhost", "a.localhost", "deep.er.LOCALHOST", "dot.localhost."] {
        assert_eq!(
            probe(&format!("http://{host}:{port}/")).await,
            Probe::Answered,
            "{host}"
        );
    }
    // A name that only looks like it is asked of the system, which does not know it.
    let why = failure(&format!("http://notlocalhost.invalid:{port}/")).await;
    assert!(why.contains("dns"), "{why}");
}

#[tokio::test]
async fn a_failure_names_its_cause() {
    let unused = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = unused.local_addr().unwrap().port();
    drop(unused);
    let refused = failure(&format!("http://127.0.0.1:{port}/")).await;
    assert!(refused.contains("Connection refused"), "{refused}");

    let (port, _) = serve(b"not http at all\r\n\r\n".to_vec(), false).await;
    let garbage = failure(&format!("http://127.0.0.1:{port}/")).await;
    assert!(garbage.contains("invalid HTTP"), "{garbage}");

    let tls = failure(&format!("https://127.0.0.1:{port}/")).await;
    assert!(
        tls.contains("InvalidContentType") || tls.to_lowercase().contains("corrupt message"),
        "{tls}"
    );

    let (port, _) = serve(Vec::new(), false).await;
    let closed = failure(&format!("http://127.0.0.1:{port}/")).await;
    assert!(closed.contains("closed"), "{closed}");

    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let (port, _) = serve(short, false).await;
    let broken = failure(&format!("http://127.0.0.1:{port}/")).await;
    assert!(broken.starts_with("HTTP 200, broken off: "), "{broken}");

    for url in [
        "",
        "/healthz",
        "http://",
        "shop",
        "ftp://127.0.0.1/",
        "http://[::1",
    ] {
        assert!(!failure(url).await.is_empty(), "{url}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_read_up_to_a_limit_only() {
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.extend(std::iter::repeat_n(b'x', 4_000_000));
    let (port, _) = serve(answer, true).await;
    #[allow(clippy::disallowed_methods, reason = "real sockets take real time")]
    let began = Instant::now();
    assert_eq!(probe(&format!("http://127.0.0.1:{port}/")).await, Probe::Answered);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_app_that_hangs_has_failed_after_five_seconds() {
    let hung: [&[u8]; 2] = [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"];
    let mut probes = tokio::task::JoinSet::new();
    #[allow(clippy::disallowed_methods, reason = "real sockets take real time")]
    let began = Instant::now();
    for answer in hung {
        let (port, _) = serve(answer.to_vec(), true).await;
        probes.spawn(async move { failure(&format!("http://127.0.0.1:{port}/")).await });
    }
    for why in probes.join_all().await {
        assert_eq!(why, "no complete answer within 5 s");
    }
    let took = began.elapsed();
    assert!(
        (Duration::from_millis(4900)..Duration::from_secs(9)).contains(&took),
        "{took:?}"
    );
}
