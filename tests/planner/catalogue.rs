//! What the planner goes by in these tests: a catalogue with one app for each thing that can differ.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lamplighter::model::claim::{OnConflict, Scope};
use lamplighter::model::name::{AppName, ClusterName, ProjectName};
use lamplighter::model::policy::{
    BuildEnv, CatalogueEntry, Orphans, ParameterRule, Policy, Template, Timing,
};
use lamplighter::model::schedule::{Cron, CurfewAction, Schedule};

/// Four apps: `shop` ends its day at 19:00 in Berlin, `night` is suspended then, `plain` has neither
/// schedule nor target group, `brief` lives for a day at most.
pub(crate) fn policy() -> Policy {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let schedule = |name: &str, action| Schedule {
        name: name.to_owned(),
        time_zone: zone.clone(),
        teardown: Cron::parse("0 19 * * *").unwrap(),
        action,
    };
    let schedules = [
        schedule("office", CurfewAction::Destroy),
        schedule("nap", CurfewAction::Suspend),
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
        gate: true,
        max_lifetime: (name == "brief").then_some(SignedDuration::from_hours(24)),
    };
    let mut strict = entry("strict", None);
    strict.parameters.insert("KEY".to_owned(), rule(&[], true, None));
    let entries = [
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
        scope: Scope::User,
        on_conflict: OnConflict::Refuse,
        keep_max: SignedDuration::from_hours(72),
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
