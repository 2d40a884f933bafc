//! Who may do what.

use lamplighter::api::Access;
use serde_json::json;

use crate::support::{OPERATOR, Served, VIEWER, tokens};

const JSON: &str = "Content-Type: application/json";

/// Every route that the daemon has, about the app `a1`: with a body that it takes, and whether it changes something. What
/// ends the app comes last.
fn routes() -> Vec<(String, String, String, bool)> {
    let mut all: Vec<_> = lamplighter::api::routes()
        .map(|(method, path)| {
            let body = match (method.as_str(), path) {
                ("PUT", "/api/v1/apps/{id}") => json!({"user": "a", "app": "b", "desired": "Running"}),
                ("POST", "/api/v1/apps/{id}/keep") => json!({"for": "1h"}),
                ("PUT", "/api/v1/log") => json!({"filter": "debug"}),
                ("PUT" | "POST", _) => json!({}),
                _ => json!(null),
            };
            let body = if body.is_null() {
                String::new()
            } else {
                body.to_string()
            };
            let writes = !method.is_safe();
            (method.to_string(), path.replace("{id}", "a1"), body, writes)
        })
        .collect();
    all.push(("HEAD".to_owned(), "/api/v1/apps".to_owned(), String::new(), false));
    all.sort_by_key(|(method, path, ..)| method == "DELETE" && path == "/api/v1/apps/a1");
    all
}

/// News have no end, so who is let in is seen by asking for their head alone.
fn that_ends<'m>(method: &'m str, path: &str) -> &'m str {
    if path == "/api/v1/watch" { "HEAD" } else { method }
}

#[test]
fn the_documentation_has_every_route() {
    let docs = include_str!("../../docs/api.md");
    for (method, path) in lamplighter::api::routes() {
        let told = docs
            .lines()
            .filter(|line| line.starts_with("### "))
            .any(|line| line.contains(method.as_str()) && path_in(line, path));
        assert!(told, "docs/api.md has no heading for {method} {path}");
    }
}

/// Whether a heading has this very path, and not a longer one.
fn path_in(line: &str, path: &str) -> bool {
    line.match_indices(path)
        .any(|(at, _)| line[at + path.len()..].starts_with(['`', '?']))
}

#[tokio::test]
async fn a_role_reaches_as_far_as_it_says() {
    let served = Served::start(tokens()).await;
    for (method, path, body, writes) in routes() {
        let ask = async |method: &str, authorization: Option<String>| {
            let mut headers = vec![JSON.to_owned()];
            headers.extend(authorization.map(|value| format!("Authorization: {value}")));
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            served.ask(method, &path, &headers, &body).await
        };
        let refused = [
            None,
            Some("Bearer wrong".to_owned()),
            Some("Bearer".to_owned()),
            Some("Bearer ".to_owned()),
            Some(format!("Basic {OPERATOR}")),
            Some(format!("Bearer {OPERATOR}x")),
            Some(OPERATOR.to_owned()),
            Some(format!("Bearer {OPERATOR}\r\nAuthorization: Bearer {VIEWER}")),
        ];
        for authorization in refused {
            let answer = ask(&method, authorization.clone()).await;
            assert_eq!(answer.status, 401, "{method} {path} {authorization:?}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            if method != "HEAD" {
                answer.assert_problem(401, "unauthorized");
            }
        }
        let viewer = ask(that_ends(&method, &path), Some(format!("Bearer {VIEWER}"))).await;
        if writes {
            viewer.assert_problem(403, "forbidden");
            assert!(served.hints().is_empty());
        } else {
            assert_eq!(viewer.status, 200, "{method} {path}");
        }
    }
    assert!(
        served.row("a1").is_some_and(|row| row.generation == Some(3)),
        "nothing was changed"
    );
    for (method, path, body, _) in routes() {
        let headers = [JSON, &format!("authorization: bearer  {OPERATOR}")];
        let answer = served.ask(that_ends(&method, &path), &path, &headers, body).await;
        assert!(
            [200, 202, 409].contains(&answer.status),
            "{method} {path}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn without_a_token_even_unknown_paths_say_nothing() {
    let served = Served::start(tokens()).await;
    served.get("/api/v2").await.assert_problem(401, "unauthorized");
    assert_eq!(served.admin("/healthz").await.status, 200, "machines need none");
}

#[tokio::test]
async fn with_tokens_the_host_may_be_any() {
    let served = Served::start(tokens()).await;
    let headers = [
        "Host: apps.example.com",
        &format!("Authorization: Bearer {VIEWER}"),
    ];
    assert_eq!(served.ask("GET", "/api/v1/apps", &headers, "").await.status, 200);
}

#[tokio::test]
async fn without_tokens_only_a_host_of_this_machine_is_served() {
    let served = Served::start(Access::ThisMachine).await;
    for host in [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil@127.0.0.1",
        "192.168.1.1",
        "127.0.0.1\r\nHost: evil.example",
        "",
    ] {
        let header = format!("Host: {host}");
        let answer = served.ask("GET", "/api/v1/apps", &[&header], "").await;
        if answer.status == 400 {
            continue; // hyper itself refuses some of them
        }
        answer.assert_problem(403, "not-local");
    }
    for host in ["localhost", "LocalHost:1", "127.0.0.1", "[::1]:8080"] {
        let header = format!("Host: {host}");
        assert_eq!(
            served.ask("GET", "/api/v1/apps", &[&header], "").await.status,
            200,
            "{host}"
        );
    }
    // An absolute target that names another host than the header.
    let target = "http://evil.example/api/v1/apps";
    served.get(target).await.assert_problem(403, "not-local");
}

#[tokio::test]
async fn without_tokens_pages_of_other_sites_change_nothing() {
    let served = Served::start(Access::ThisMachine).await;
    let row = json!({"user": "a", "app": "b", "desired": "Running"}).to_string();
    let before = served.row("a1");
    for origin in [
        "http://evil.example",
        "https://127.0.0.1",
        "null",
        "http://localhost:1",
    ] {
        let origin = format!("Origin: {origin}");
        for (method, path, body, writes) in routes() {
            if writes {
                let answer = served.ask(&method, &path, &[JSON, &origin], body).await;
                answer.assert_problem(403, "cross-origin");
            }
        }
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "x",
    ] {
        let kind = format!("Content-Type: {kind}");
        let answer = served.ask("PUT", "/api/v1/apps/a1", &[&kind], &row).await;
        answer.assert_problem(415, "not-json");
    }
    served
        .ask("PUT", "/api/v1/apps/a1", &[], &row)
        .await
        .assert_problem(415, "not-json");
    assert_eq!(served.row("a1"), before);
    assert!(served.hints().is_empty());

    let own = format!("Origin: http://{}", served.public);
    let json = "Content-Type: Application/JSON; charset=utf-8";
    assert_eq!(
        served
            .ask("PUT", "/api/v1/apps/a1", &[json, &own], &row)
            .await
            .status,
        202
    );
}
