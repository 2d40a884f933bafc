//! How fast `lamplighter simulate` is: 10,000 apps over 365 days, in seconds, and as a ratio to what the daemon does anyway,
//! so that the figure means something on any machine: reading a row and deciding about it once, 10,000 times.
//!
//! `cargo bench --bench simulate` prints both, and ends with 1 if it takes more than [`CPU_MAX`] of processor time, or more
//! than [`RATIO_MAX`] looks. With `--check`, as tests run it, fewer apps are enough, and the ratio alone is judged: what is
//! built without optimization may take longer.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and fails by panicking"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
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

/// What the year of 10,000 apps may take of one processor.
const CPU_MAX: Duration = Duration::from_secs(10);
/// How many looks at each app the year may be worth. It has 750 changes for each app, so a look at each of them would be
/// five times as much.
const RATIO_MAX: f64 = 140.0;

/// How much processor time this thread has used. Where the system does not tell, time on the clock stands in.
fn used(began: tokio::time::Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| began.elapsed(), Duration::from_nanos)
}

/// What one look at each row takes, in the mean of as many as fill a fifth of a second: the system counts in ticks.
fn baseline(apps: &Apps, policy: &Policy, from: Timestamp) -> Duration {
    let clock = tokio::time::Instant::now();
    let began = used(clock);
    let mut rounds = 0;
    loop {
        let up = apps
            .apps
            .iter()
            .filter(|app| forecast(&app.row, None, None, policy, from).course.is_some());
        assert_eq!(up.count(), apps.apps.len());
        rounds += 1;
        let took = used(clock).saturating_sub(began);
        if took >= Duration::from_millis(200) {
            return took / rounds;
        }
    }
}

fn main() -> ExitCode {
    let short = std::env::args().any(|argument| argument == "--check" || argument == "--test");
    let many = if short { 200 } else { 10_000 };
    let policy = Config::from_toml(CONFIG).unwrap().policy;
    let from: Timestamp = "2026-11-27T09:00:00Z".parse().unwrap();
    let apps = apps(many, from);
    let once = baseline(&apps, &policy, from);
    let clock = tokio::time::Instant::now();
    let began = used(clock);
    let year = simulate(&apps, &policy, Span::of_days(from, 365));
    let took = used(clock).saturating_sub(began);
    let changes: usize = year.lives.iter().map(|life| life.changes.len()).sum();
    assert!(changes > many * 500, "{changes} changes are too few for a year");
    let each = took.as_secs_f64() / changes as f64 * 1e9;
    let ratio = took.as_secs_f64() / once.as_secs_f64();
    println!(
        "{many} apps x 365 days: {:.2} s, {changes} changes, {each:.0} ns each; at most {} s",
        took.as_secs_f64(),
        CPU_MAX.as_secs()
    );
    println!(
        "one look at each: {:.4} s; the year is {ratio:.0} of these, at most {RATIO_MAX:.0}",
        once.as_secs_f64()
    );
    let too_long = !short && took > CPU_MAX;
    let too_many = ratio > RATIO_MAX;
    for (wrong, what) in [
        (too_long, "it takes too long"),
        (too_many, "it takes too many looks"),
    ] {
        if wrong {
            println!("{what}");
        }
    }
    if too_long || too_many {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
