//! What `lamplighter config check` prints, and that it holds no secret.

use std::collections::BTreeMap;
use std::path::Path;

use lamplighter::config::{Config, Overrides, check, summary};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/lamplighter.example.toml");

fn at(time: &str) -> jiff::Timestamp {
    time.parse().expect("a time")
}

#[test]
fn the_summary_names_apps_addresses_and_the_next_boundaries() {
    let told = check(
        Path::new(EXAMPLE),
        &Overrides::default(),
        &BTreeMap::new(),
        at("2026-10-23T17:00:00Z"),
    );
    assert_eq!(
        told.expect("the example is good"),
        "aws        region eu-central-1, endpoint as the AWS SDK finds it\n\
         tables     lamplighter-desired, lamplighter-state, lamplighter-events\n\
         api        http://127.0.0.1:8080, tokens: 1 operator, 0 viewer\n\
         admin      http://127.0.0.1:9090\n\
         builds     at most 5 at once, 1 of them for destroys only, 20 starts a minute\n\
         replicas   share 1 shard, each held by one of them on a lease of 15s\n\
         scope      one instance for each user, another is refused\n\
         schedule   office-hours: destroys at \"0 19 * * 1-5\" Europe/Berlin, next Mon 2026-10-26 19:00:00 +01:00 (2026-10-26T18:00:00Z), then closed for 11h, warns 30m before, 9 days off (next 2026-12-24)\n\
         schedule   weekend: suspends at \"0 20 * * 5\" Europe/Berlin, next Fri 2026-10-23 20:00:00 +02:00 (2026-10-23T18:00:00Z), wakes at \"0 7 * * 1\" (next Mon 2026-10-26 07:00:00 +01:00), \
         destroys after 4 nights more without a request\n\
         app        shop: project child-app, cluster child-apps, https://{host_name}, schedule office-hours, at most 14d, or what rows choose of weekend\n\
         app        wiki: projects wiki-apply and wiki-destroy, cluster child-apps, https://{host_name}, schedule weekend\n\
         note       schedule weekend destroys what it wakes: being woken and being visited are no requests, and after destroy_after = 4 without one an app is gone\n"
    );
}

#[test]
fn what_may_surprise_is_noted() {
    let text = "[daemon]\nlease_duration = \"2s\"\n[policy]\nconfirm_absence = \"5s\"\n[schedules.night]\ntime_zone = \"UTC\"\nteardown = \"0 19 * * *\"\n\
                [apps.shop]\nproject = \"pp\"\ncluster = \"c\"\ndomain = \"d\"\ngate = false\n\
                [[api.tokens]]\nname = \"a\"\nrole = \"viewer\"\nsha256 = \"abababababababababababababababababababababababababababababababab\"\n";
    let told = summary(
        &Config::from_toml(text).expect("it is good"),
        at("2026-10-23T17:00:00Z"),
    );
    let notes: Vec<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix("note       "))
        .collect();
    assert_eq!(
        notes,
        [
            "app shop has no gate: a call that CodeBuild gets late can start a second build beside another one",
            "app shop has neither schedule nor max_lifetime: it runs until somebody stops it",
            "no app uses schedule night, unless a row chooses it",
            "no token has the role operator, so nobody can change anything over the API",
            "daemon.lease_duration is 2s: a call that takes a second or two can lose the lease, so less than 5s is for tests",
            "policy.confirm_absence is 5s: ECS may answer with what was true a minute ago, so less than 1m is for tests",
        ]
    );
    let empty = summary(
        &Config::from_toml("").expect("it is good"),
        at("2026-10-23T17:00:00Z"),
    );
    assert!(
        empty.contains("note       there is no app, so every row will be refused: add [apps.NAME]"),
        "{empty}"
    );
}

#[test]
fn neither_summary_nor_debug_output_holds_a_hash() {
    let hash = "0123456789abcdef".repeat(4);
    let text = format!("[[api.tokens]]\nname = \"a\"\nrole = \"operator\"\nsha256 = \"{hash}\"\n");
    let config = Config::from_toml(&text).expect("it is good");
    assert_eq!(
        config.api.tokens[0].sha256.as_bytes()[..4],
        [0x01, 0x23, 0x45, 0x67]
    );
    let shown = format!(
        "{config:?}{config:#?}{}",
        summary(&config, at("2026-10-23T17:00:00Z"))
    );
    assert!(shown.contains("TokenHash(..)"));
    for secret in [&hash[..8], "0x01, 0x23", "[1, 35, 69"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}
