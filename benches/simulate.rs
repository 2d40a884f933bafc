//! How fast `lamplighter simulate` is: 10,000 apps over 365 days, in seconds, and as a ratio to what the daemon does anyway,
//! so that the figure means something on any machine: reading a row and deciding about it once, 10,000 times.
//!
//! `cargo bench --bench simulate` prints it. With `--check`, as tests run it, fewer apps are enough.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and fails by panicking"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use lamplighter::cloud::Rows;
use lamplighter::config::Config;
use lamplighter::model::name::AppId;
use lamplighter::model::policy::Policy;
use lamplighter::model::row::{RawValue, Row};
use lamplighter::planner::forecast::forecast;
use lamplighter::simulate::{Apps, Span, simulate};

const CONFIG: &str = r#"
[schedules.office]
time_zone = "Europe/Berlin"
teardown = "0 19 * * *"
action = "suspend"
closed_for = "12h"
wake = "30 7 * * MON-FRI"
days_off = ["2026-12-24..2027-01-01"]
warn_before = "30m"

[schedules.guarded]
time_zone = "America/New_York"
teardown = "0 20 * * *"
action = "suspend"
closed_for = "11h"
manual_start = "enforce"
wake = "0 8 * * *"

[apps.shop]
project = "child-app"
cluster = "child-apps"
domain = "apps.example.com"
schedule = "office"
"#;

/// Apps that were asked for at all times of the last month, a third of them with another schedule, some with another zone.
fn apps(many: usize, from: Timestamp) -> Apps {
    let zones = ["Asia/Tokyo", "Australia/Lord_Howe", "America/Los_Angeles"];
    let mut rows = Rows::default();
    for n in 0..many {
        let asked = jiff::SignedDuration::from_mins(i64::try_from(n * 7919 % 43_200).unwrap());
        let mut raw = BTreeMap::new();
        let mut set = |name: &str, value: &str| raw.insert(name.to_owned(), RawValue::Text(value.to_owned()));
        set("user", &format!("user-{n}"));
        set("app", "shop");
        set("desired", "Running");
        set("requestedAt", &(from - asked).to_string());
        if n % 3 == 0 {
            set("schedule", "guarded");
        }
        if n % 10 == 0 {
            set("timeZone", zones[n / 10 % zones.len()]);
        }
        let id = AppId::from_key(format!("app-{n}")).unwrap();
        rows.rows.insert(id.clone(), Row::read(id, raw));
    }
    Apps::of_rows(rows)
}

/// What one look at each row takes.
fn baseline(apps: &Apps, policy: &Policy, from: Timestamp) -> Duration {
    let began = tokio::time::Instant::now();
    let up = apps
        .apps
        .iter()
        .filter(|app| forecast(&app.row, None, policy, from).course.is_some());
    assert_eq!(up.count(), apps.apps.len());
    began.elapsed()
}

fn main() {
    let short = std::env::args().any(|argument| argument == "--check" || argument == "--test");
    let many = if short { 200 } else { 10_000 };
    let policy = Config::from_toml(CONFIG).unwrap().policy;
    let from: Timestamp = "2026-11-27T09:00:00Z".parse().unwrap();
    let apps = apps(many, from);
    let once = baseline(&apps, &policy, from);
    let began = tokio::time::Instant::now();
    let year = simulate(&apps, &policy, Span::of_days(from, 365));
    let took = began.elapsed();
    let changes: usize = year.lives.iter().map(|life| life.changes.len()).sum();
    assert!(changes > many * 500, "{changes} changes are too few for a year");
    let each = took.as_secs_f64() / changes as f64 * 1e9;
    let ratio = took.as_secs_f64() / once.as_secs_f64();
    println!(
        "{many} apps x 365 days: {:.2} s, {changes} changes, {each:.0} ns each",
        took.as_secs_f64()
    );
    println!(
        "one look at each: {:.3} s; the year is {ratio:.0} of these",
        once.as_secs_f64()
    );
}
