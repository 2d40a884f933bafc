//! What the planner goes by in these tests: a catalogue with one app for each thing that can differ.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lamplighter::model::claim::{OnConflict, Scope};
use lamplighter::model::name::{AppName, ClusterName, ProjectName};
use lamplighter::model::policy::{
    BuildEnv, CatalogueEntry, Costs, Orphans, ParameterRule, Policy, Reporting, Template, Timing, Users,
};
use lamplighter::model::schedule::{Cron, CurfewAction, ManualStart, Schedule};

/// Apps: `shop` ends its day at 19:00 in Berlin, `night` is suspended then, `plain` has neither schedule nor target
/// group, `brief` lives for a day at most, `strict` needs a parameter. `only` may have the schedules `late` and `office`.
/// Rows choose the other schedules, as they may.
pub(crate) fn policy() -> Policy {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let cron = |text| Cron::parse(text).unwrap();
    let schedule = |name: &str, action| Schedule {
        action,
        ..Schedule::new(name, zone.clone(), cron("0 19 * * *"))
    };
    // Closed from the end of the day to 07:00; suspended until 07:30 on a weekday.
    let nights = |name: &str, manual_start| Schedule {
        closed_for: Some(SignedDuration::from_hours(12)),
        wake: Some(cron("30 7 * * MON-FRI")),
        manual_start,
        ..schedule(name, CurfewAction::Suspend)
    };
    let schedules = [
        schedule("office", CurfewAction::Destroy),
        schedule("nap", CurfewAction::Suspend),
        nights("naps", ManualStart::UntilNextStop),
        nights("kept", ManualStart::Keep),
        nights("guarded", ManualStart::Enforce),
        Schedule {
            wake: None,
            action: CurfewAction::Destroy,
            ..nights("strict", ManualStart::Enforce)
        },
        Schedule {
            destroy_after: Some(2),
            ..nights("brief", ManualStart::UntilNextStop)
        },
        Schedule {
            teardown: cron("0 22 * * *"),
            ..schedule("late", CurfewAction::Destroy)
        },
    ];
    let rule = |one_of: &[&str], required, default: Option<&str>| ParameterRule {
        max_bytes: 10,
        one_of: one_of.iter().map(|text| (*text).to_owned()).collect(),
        required,
        default: default.map(str::to_owned),
    };
    let entry = |name: &str, schedule: Option<&str>| CatalogueEntry {
        name: AppName::new(name),
        deploy_project: ProjectName::new("builder"),
        destroy_project: ProjectName::new("builder"),
        cluster: ClusterName::new("apps"),
        domain: "example.com".to_owned(),
        url: Template::parse("https://{host_name}/").unwrap(),
        health_path: "/healthz".to_owned(),
        target_group: (name != "plain").then(|| Template::parse("tg-{resource_name}").unwrap()),
        parameters: BTreeMap::from([
            ("SIZE".to_owned(), rule(&["small", "large"], false, Some("small"))),
            ("NOTE".to_owned(), rule(&[], false, None)),
        ]),
        build_timeout_minutes: 60,
        queue_timeout_minutes: 30,
        tasks: 2,
        schedule: schedule.map(str::to_owned),
        schedules: None,
        gate: true,
        cost_per_hour: None,
        max_lifetime: (name == "brief").then_some(SignedDuration::from_hours(24)),
    };
    let mut strict = entry("strict", None);
    strict.parameters.insert("KEY".to_owned(), rule(&[], true, None));
    let mut only = entry("only", Some("office"));
    only.schedules = Some(["late".to_owned()].into());
    let entries = [
        only,
        entry("shop", Some("office")),
        entry("night", Some("nap")),
        entry("plain", None),
        entry("brief", Some("nap")),
        strict,
    ];
    Policy {
        catalogue: entries
            .into_iter()
            .map(|entry| (entry.name.clone(), entry))
            .collect(),
        schedules: schedules.into_iter().map(|s| (s.name.clone(), s)).collect(),
        users: Users::default(),
        scope: Scope::User,
        on_conflict: OnConflict::Refuse,
        keep_max: SignedDuration::from_hours(72),
        costs: Costs::default(),
        reporting: Reporting::default(),
        webhook: false,
        keep_per_week: None,
        keep_zone: jiff::tz::TimeZone::UTC,
        timing: Timing::DEFAULT,
        max_attempts: 3,
        force_delete_after: 0,
        orphans: Orphans {
            reap: true,
            ..Orphans::DEFAULT
        },
        build_env: BuildEnv::default(),
        state_table: "lamplighter-state".to_owned(),
    }
}
