//! A configuration for people: what `lamplighter config check` prints when all is well. Never prints a hash
//! of a token.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::rule::show;
use super::types::{Config, Role};
use crate::model::claim::{OnConflict, Scope};
use crate::model::policy::{CatalogueEntry, Users};
use crate::model::schedule::{CurfewAction, ManualStart, Schedule};

/// Describes `config`; the next boundary of each schedule is the first after `now`.
pub fn summary(config: &Config, now: Timestamp) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    let or_sdk = |value: &Option<String>| {
        value
            .clone()
            .unwrap_or_else(|| "as the AWS SDK finds it".to_owned())
    };
    line(format!(
        "aws        region {}, endpoint {}",
        or_sdk(&config.aws.region),
        or_sdk(&config.aws.endpoint_url)
    ));
    let tables = &config.tables;
    line(format!(
        "tables     {}, {}, {}",
        tables.desired, tables.state, tables.events
    ));
    line(format!(
        "api        http://{}, {}",
        config.api.public_addr,
        holders(config)
    ));
    line(format!("admin      http://{}", config.api.admin_addr));
    let admission = config.admission;
    line(format!(
        "builds     at most {} at once, {} of them for destroys only, {} starts a minute",
        admission.max_concurrent_builds, admission.reserved_for_destroys, admission.starts_per_minute
    ));
    if let Some(leases) = config.leases {
        let shards = if leases.shards == 1 { "shard" } else { "shards" };
        line(format!(
            "replicas   share {} {shards}, each held by one of them on a lease of {:?}",
            leases.shards, leases.duration
        ));
    }
    line(format!(
        "scope      one instance for each {}, {}",
        match config.policy.scope {
            Scope::User => "user",
            Scope::UserApp => "user and app",
        },
        match config.policy.on_conflict {
            OnConflict::Refuse => "another is refused",
            OnConflict::Replace => "the newest request replaces it",
        }
    ));
    if let Some(hours) = config.policy.keep_per_week {
        let zone = config.policy.keep_zone.iana_name().unwrap_or("UTC");
        line(format!(
            "exempt     at most {} at once, {} a week for each user, in weeks of {zone}",
            show(config.policy.keep_max),
            show(hours)
        ));
    }
    for schedule in config.policy.schedules.values() {
        line(format!("schedule   {}", describe_schedule(schedule, now)));
    }
    for app in config.policy.catalogue.values() {
        line(format!("app        {}", describe_app(app)));
    }
    for note in notes(config, now) {
        line(format!("note       {note}"));
    }
    out
}

fn holders(config: &Config) -> String {
    let count = |role| {
        config
            .api
            .tokens
            .iter()
            .filter(|token| token.role == role)
            .count()
    };
    match (count(Role::Operator), count(Role::Viewer)) {
        (0, 0) => "open to this machine only".to_owned(),
        (operators, viewers) => format!("tokens: {operators} operator, {viewers} viewer"),
    }
}

fn describe_schedule(schedule: &Schedule, now: Timestamp) -> String {
    let zone = &schedule.time_zone;
    let next = schedule.next_boundary(now, None).map_or_else(
        || "never again".to_owned(),
        |next| {
            format!(
                "next {} ({next})",
                next.to_zoned(zone.clone()).strftime("%a %F %T %:z")
            )
        },
    );
    let action = match schedule.action {
        CurfewAction::Destroy => "destroys",
        CurfewAction::Suspend => "suspends",
    };
    let mut text = format!(
        "{}: {action} at \"{}\" {}, {next}",
        schedule.name,
        schedule.teardown.as_str(),
        zone.iana_name().unwrap_or("in an unnamed zone"),
    );
    for part in describe_rest(schedule, now).into_iter().flatten() {
        text.push_str(", ");
        text.push_str(&part);
    }
    text
}

/// What else a schedule may have, each as a part of a sentence.
fn describe_rest(schedule: &Schedule, now: Timestamp) -> [Option<String>; 6] {
    let closed = schedule
        .closed_for
        .map(|length| format!("then closed for {}", show(length)));
    let wake = schedule.wake.as_ref().map(|wake| {
        let next = schedule.next_wake(now, None).map_or_else(
            || "never again".to_owned(),
            |next| {
                format!(
                    "next {}",
                    next.to_zoned(schedule.time_zone.clone()).strftime("%a %F %T %:z")
                )
            },
        );
        format!("wakes at \"{}\" ({next})", wake.as_str())
    });
    let nights = schedule.destroy_after.map(|nights| match nights {
        1 => "destroys after one night more without a request".to_owned(),
        nights => format!("destroys after {nights} nights more without a request"),
    });
    let warned = schedule
        .warn_before
        .map(|length| format!("warns {} before", show(length)));
    let today = now.to_zoned(schedule.time_zone.clone()).date();
    let off = schedule.days_off.len();
    let off = (off > 0).then(|| match schedule.days_off.range(today..).next() {
        Some(next) if off == 1 => format!("one day off ({next})"),
        Some(next) => format!("{off} days off (next {next})"),
        None => format!("{off} days off, all of them past"),
    });
    let manual = match schedule.manual_start {
        ManualStart::UntilNextStop => None,
        ManualStart::Keep => Some("the next stop spares who asks while it is closed"),
        ManualStart::Enforce => Some("who asks while it is closed waits until it opens"),
    };
    [closed, wake, nights, warned, off, manual.map(str::to_owned)]
}

fn describe_app(app: &CatalogueEntry) -> String {
    let projects = if app.deploy_project == app.destroy_project {
        format!("project {}", app.deploy_project)
    } else {
        format!("projects {} and {}", app.deploy_project, app.destroy_project)
    };
    let end = match (&app.schedule, app.max_lifetime) {
        (Some(schedule), Some(life)) => format!("schedule {schedule}, at most {}", show(life)),
        (Some(schedule), None) => format!("schedule {schedule}"),
        (None, Some(life)) => format!("at most {}", show(life)),
        (None, None) => "no end".to_owned(),
    };
    let choices = match &app.schedules {
        None => String::new(),
        Some(names) if names.is_empty() => ", of which rows have no choice".to_owned(),
        Some(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!(", or what rows choose of {}", names.join(", "))
        }
    };
    let url = app.url.fill("{host_name}", "{resource_name}");
    format!(
        "{}: {projects}, cluster {}, {url}, {end}{choices}",
        app.name, app.cluster
    )
}

/// What is no mistake but may surprise.
fn notes(config: &Config, now: Timestamp) -> Vec<String> {
    let policy = &config.policy;
    let mut notes = Vec::new();
    if policy.catalogue.is_empty() {
        notes.push("there is no app, so every row will be refused: add [apps.NAME]".to_owned());
    }
    for app in policy.catalogue.values() {
        if !app.gate {
            notes.push(format!(
                "app {} has no gate: a call that CodeBuild gets late can start a second build beside another one",
                app.name
            ));
        }
        if app.schedule.is_none() && app.max_lifetime.is_none() {
            notes.push(format!(
                "app {} has neither schedule nor max_lifetime: it runs until somebody stops it",
                app.name
            ));
        }
    }
    for (name, schedule) in &policy.schedules {
        let used = |app: &CatalogueEntry| {
            let chosen = app.schedules.as_ref().is_some_and(|names| names.contains(name));
            chosen || app.schedule.as_ref() == Some(name)
        };
        if !policy.catalogue.values().any(used) {
            notes.push(format!("no app uses schedule {name}, unless a row chooses it"));
        }
        if let (Some(_), Some(nights)) = (&schedule.wake, schedule.destroy_after) {
            notes.push(format!(
                "schedule {name} destroys what it wakes: being woken and being visited are no requests, and after destroy_after = \
                 {nights} without one an app is gone"
            ));
        }
        let last = schedule.days_off.last();
        let today = now.to_zoned(schedule.time_zone.clone()).date();
        if let Some(last) = last.filter(|last| **last < today) {
            notes.push(format!(
                "schedule {name} has no day off to come: the last one was {last}"
            ));
        }
    }
    notes.extend(users(&policy.users));
    let tokens = &config.api.tokens;
    if !tokens.is_empty() && !tokens.iter().any(|token| token.role == Role::Operator) {
        notes.push("no token has the role operator, so nobody can change anything over the API".to_owned());
    }
    if let Some(leases) = config
        .leases
        .filter(|leases| leases.duration < Duration::from_secs(5))
    {
        notes.push(format!(
            "daemon.lease_duration is {:?}: a call that takes a second or two can lose the lease, so less than 5s is for tests",
            leases.duration
        ));
    }
    let confirm = policy.timing.confirm_absence;
    if confirm < SignedDuration::from_secs(60) {
        notes.push(format!(
            "policy.confirm_absence is {}: ECS may answer with what was true a minute ago, so less than 1m is for tests",
            show(confirm)
        ));
    }
    notes
}

/// Lists of users stop apps as soon as a daemon reads them, so they are never to surprise.
fn users(users: &Users) -> Vec<String> {
    let mut notes = Vec::new();
    let count = |many: usize| match many {
        1 => "one user".to_owned(),
        many => format!("{many} users"),
    };
    if !users.deny.is_empty() {
        notes.push(format!(
            "users.deny names {}: whatever apps they have are destroyed at once, exempt or not",
            count(users.deny.len())
        ));
    }
    if let Some(allow) = &users.allow {
        notes.push(format!(
            "users.allow names {}: whatever apps anybody else has are destroyed at once, exempt or not",
            count(allow.len())
        ));
    }
    notes
}
