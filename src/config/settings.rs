//! Reads what concerns the daemon itself: AWS, tables, API, admission, intervals, workers and log. Nothing
//! here is known to the planner; see `policy` and `catalogue` for what is.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::SignedDuration;

use super::rule::{Rule, Wrong, choice, duration};
use super::section::Section;
use super::types::{
    AdmissionLimits, ApiConfig, AwsSettings, Intervals, LeaseSettings, LogConfig, LogFormat, Role, Tables,
    Token,
};
use super::values;

pub(super) fn aws(root: &mut Section<'_>) -> AwsSettings {
    let mut aws = root.section("aws");
    let settings = AwsSettings {
        region: aws.optional("region", &values::region()),
        endpoint_url: aws.optional("endpoint_url", &values::endpoint()),
    };
    aws.finish();
    settings
}

pub(super) fn tables(root: &mut Section<'_>) -> Tables {
    let mut section = root.section("tables");
    let rule = values::table();
    let tables = Tables {
        desired: section.or_default("desired", &rule, "lamplighter-desired"),
        state: section.or_default("state", &rule, "lamplighter-state"),
        events: section.or_default("events", &rule, "lamplighter-events"),
    };
    let Tables {
        desired,
        state,
        events,
    } = &tables;
    if section.sound(&["desired", "state", "events"]) {
        let remedy = "each table has its own writers; give each its own name";
        if state == desired {
            section.wrong("state", Wrong::new("is the same table as tables.desired", remedy));
        }
        if events == desired {
            section.wrong(
                "events",
                Wrong::new("is the same table as tables.desired", remedy),
            );
        } else if events == state {
            section.wrong("events", Wrong::new("is the same table as tables.state", remedy));
        }
    }
    section.finish();
    tables
}

/// Where metrics and probes listen, which the table `api` says.
pub(super) fn admin_addr(api: &mut Section<'_>) -> SocketAddr {
    api.or_default("admin_addr", &values::address(), "127.0.0.1:9090")
}

pub(super) fn api(root: &mut Section<'_>) -> ApiConfig {
    let mut section = root.section("api");
    let public_addr = section.or_default("public_addr", &values::address(), "127.0.0.1:8080");
    let admin_addr = admin_addr(&mut section);
    let listed = section.list("tokens");
    let open = listed.is_empty();
    let mut tokens: Vec<Token> = Vec::new();
    for entry in listed {
        tokens.extend(token(entry, &tokens));
    }
    if section.sound(&["public_addr", "tokens"]) && open && !values::is_loopback(&public_addr) {
        section.dangling(
            "public_addr",
            Wrong::new(
                format!("\"{public_addr}\" can be reached from other machines, but no token is configured, so anybody there could start and stop apps"),
                "add an [[api.tokens]] entry, or listen on \"127.0.0.1\" only",
            ),
        );
    }
    let one_takes_all = public_addr.ip().is_unspecified() || admin_addr.ip().is_unspecified();
    if section.sound(&["public_addr", "admin_addr"])
        && public_addr.port() == admin_addr.port()
        && public_addr.port() != 0
        && (public_addr.ip() == admin_addr.ip() || one_takes_all)
    {
        section.wrong(
            "admin_addr",
            Wrong::new(
                format!("\"{admin_addr}\" has the same port as api.public_addr"),
                "give each its own port; metrics and probes are not for the public",
            ),
        );
    }
    section.finish();
    ApiConfig {
        public_addr,
        admin_addr,
        tokens,
    }
}

const ROLES: [(&str, Role); 2] = [("viewer", Role::Viewer), ("operator", Role::Operator)];

fn token(entry: Section<'_>, earlier: &[Token]) -> Option<Token> {
    let mut entry = entry.keep_secret();
    let name = entry.required("name", &values::label());
    let role = entry.required("role", &choice(&ROLES));
    let sha256 = entry.required("sha256", &values::token_hash());
    if let Some(name) = &name
        && earlier.iter().any(|token| token.name == *name)
    {
        entry.wrong(
            "name",
            Wrong::new(
                "is the name of an earlier token too",
                "give each its own name, so that the audit can tell them apart",
            ),
        );
    }
    if let Some(twin) = earlier.iter().find(|token| Some(token.sha256) == sha256) {
        entry.wrong(
            "sha256",
            Wrong::new(
                format!("is the hash of the token of {} too", twin.name),
                "make each holder a token of their own",
            ),
        );
    }
    entry.finish();
    Some(Token {
        name: name?,
        role: role?,
        sha256: sha256?,
    })
}

pub(super) fn admission(root: &mut Section<'_>) -> AdmissionLimits {
    let mut section = root.section("admission");
    // CodeBuild's published default is one build at once with a queue of five times as many, so that four
    // more than the quota still find a place in it.
    let max_concurrent_builds = section.integer("max_concurrent_builds", &(1..=5_000), 5_u32);
    let reserved = section.integer_or(
        "reserved_for_destroys",
        &(0..=4_999),
        "1, or 0 if max_concurrent_builds is 1",
    );
    let starts_per_minute = section.integer("starts_per_minute", &(1..=600), 20);
    let reserved_for_destroys = reserved.unwrap_or((max_concurrent_builds - 1).min(1));
    if section.sound(&["max_concurrent_builds", "reserved_for_destroys"])
        && reserved_for_destroys >= max_concurrent_builds
    {
        section.wrong(
            "reserved_for_destroys",
            Wrong::new(
                format!("{reserved_for_destroys} leaves nothing of max_concurrent_builds = {max_concurrent_builds} for deploying"),
                format!("give at most {}", max_concurrent_builds - 1),
            ),
        );
    }
    section.finish();
    AdmissionLimits {
        max_concurrent_builds,
        reserved_for_destroys,
        starts_per_minute,
    }
}

/// A duration for a timer.
fn timer(min_secs: i64, max: SignedDuration) -> Rule<Duration> {
    let rule = duration(SignedDuration::from_secs(min_secs), max);
    Rule::new(rule.takes.clone(), move |text| {
        let found = rule.parse(text)?;
        Ok(found.try_into().expect("no rule allows a negative duration"))
    })
}

pub(super) fn intervals(root: &mut Section<'_>) -> Intervals {
    let mut section = root.section("intervals");
    let minutes = SignedDuration::from_mins;
    let intervals = Intervals {
        sweep: section.or_default("sweep", &timer(5, minutes(60)), "1m"),
        progress: section.or_default("progress", &timer(1, minutes(5)), "5s"),
        row_poll: section.or_default("row_poll", &timer(1, minutes(5)), "5s"),
        ready_recheck: section.or_default("ready_recheck", &timer(5, minutes(60)), "1m"),
    };
    section.finish();
    intervals
}

/// What a process is and does.
pub(super) struct Daemon {
    pub(super) workers: usize,
    pub(super) shutdown_grace: Duration,
    pub(super) leases: LeaseSettings,
}

/// Workers, shutdown grace and leases. Each shard has a part of the budget in `admission`, which must be enough
/// for a build.
pub(super) fn daemon(root: &mut Section<'_>, admission: AdmissionLimits) -> Daemon {
    let mut section = root.section("daemon");
    let workers = section.integer("workers", &(1..=256), 8);
    // Kubernetes kills 30 seconds after SIGTERM unless told otherwise.
    let grace = section.or_default("shutdown_grace", &timer(1, SignedDuration::from_mins(15)), "25s");
    let shards = section.integer("shards", &(1..=256), 1_u16);
    let duration = section.or_default("lease_duration", &timer(1, SignedDuration::from_mins(5)), "15s");
    let deploys = admission
        .max_concurrent_builds
        .saturating_sub(admission.reserved_for_destroys);
    let most = deploys.min(admission.starts_per_minute);
    // If nothing at all can be deployed, that is a mistake of its own.
    if section.sound(&["shards"]) && most > 0 && u32::from(shards) > most {
        section.wrong(
            "shards",
            Wrong::new(
                format!("{shards} are more than [admission] has builds for: each shard needs one of its own"),
                format!(
                    "give at most {most}, or raise admission.max_concurrent_builds above reserved_for_destroys, or starts_per_minute"
                ),
            ),
        );
    }
    section.finish();
    Daemon {
        workers,
        shutdown_grace: grace,
        leases: LeaseSettings::new(shards, duration),
    }
}

const FORMATS: [(&str, LogFormat); 2] = [("json", LogFormat::Json), ("pretty", LogFormat::Pretty)];

pub(super) fn log(root: &mut Section<'_>) -> LogConfig {
    let mut section = root.section("log");
    let log = LogConfig {
        format: section.or_default("format", &choice(&FORMATS), "json"),
        filter: section.or_default("filter", &values::log_filter(), "info"),
    };
    section.finish();
    log
}
