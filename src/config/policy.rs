//! Reads what the planner goes by besides the catalogue: scope, limits, timing, the names of the build's
//! variables. The defaults of timing are the model's; none is repeated here.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::rule::{Wrong, choice, duration, show};
use super::section::Section;
use super::{values, variable};
use crate::model::backoff::Backoff;
use crate::model::claim::{OnConflict, Scope};
use crate::model::policy::{BuildEnv, Orphans, Timing};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The longest that anything may be put off.
pub(super) const LONGEST: SignedDuration = SignedDuration::from_hours(400 * 24);

const SCOPES: [(&str, Scope); 2] = [("user", Scope::User), ("user-app", Scope::UserApp)];
const CONFLICTS: [(&str, OnConflict); 2] = [("refuse", OnConflict::Refuse), ("replace", OnConflict::Replace)];

/// The part of the policy that `[policy]` holds.
pub(super) struct Rules {
    pub scope: Scope,
    pub on_conflict: OnConflict,
    pub keep_max: SignedDuration,
    pub keep_per_week: Option<SignedDuration>,
    pub keep_zone: TimeZone,
    pub max_attempts: u32,
    pub force_delete_after: u32,
    pub timing: Timing,
}

pub(super) fn rules(root: &mut Section<'_>) -> Rules {
    let mut section = root.section("policy");
    let rules = Rules {
        scope: section.or_default("scope", &choice(&SCOPES), "user"),
        on_conflict: section.or_default("on_conflict", &choice(&CONFLICTS), "refuse"),
        keep_max: section.or_default(
            "keep_max",
            &duration(SignedDuration::from_mins(1), DAY * 90),
            "3d",
        ),
        keep_per_week: section.optional("keep_per_week", &duration(SignedDuration::from_mins(1), DAY * 90)),
        keep_zone: section.or_default("keep_zone", &values::zone(), "UTC"),
        max_attempts: section.integer("max_attempts", &(1..=100), 5),
        force_delete_after: section.integer("force_delete_after", &(0..=100), 0),
        timing: timing(&mut section),
    };
    section.finish();
    rules
}

fn timing(section: &mut Section<'_>) -> Timing {
    let default = Timing::DEFAULT;
    let timing = Timing {
        confirm_absence: delay(section, "confirm_absence", SECOND, HOUR, default.confirm_absence),
        appear_grace: delay(section, "appear_grace", SECOND, HOUR, default.appear_grace),
        refusal_window: delay(section, "refusal_window", SECOND, DAY, default.refusal_window),
        refusal_recheck: delay(section, "refusal_recheck", SECOND, HOUR, default.refusal_recheck),
        ready_deadline: delay(section, "ready_deadline", SECOND, DAY, default.ready_deadline),
        build_overrun: delay(section, "build_overrun", SECOND, DAY, default.build_overrun),
        deploy_retry: backoff(section, "deploy_retry", default.deploy_retry),
        destroy_retry: backoff(section, "destroy_retry", default.destroy_retry),
        memory_retention: delay(
            section,
            "memory_retention",
            HOUR,
            LONGEST,
            default.memory_retention,
        ),
    };
    if section.sound(&["refusal_window", "refusal_recheck"]) && timing.refusal_recheck > timing.refusal_window
    {
        let window = show(timing.refusal_window);
        section.wrong(
            "refusal_recheck",
            Wrong::new(
                format!(
                    "{} is longer than refusal_window, {window}, so nothing would be looked at again",
                    show(timing.refusal_recheck)
                ),
                format!("give at most {window}"),
            ),
        );
    }
    timing
}

fn delay(
    section: &mut Section<'_>,
    key: &'static str,
    min: SignedDuration,
    max: SignedDuration,
    default: SignedDuration,
) -> SignedDuration {
    section.or_default(key, &duration(min, max), &show(default))
}

fn backoff(parent: &mut Section<'_>, key: &'static str, default: Backoff) -> Backoff {
    let mut section = parent.section(key);
    let backoff = Backoff {
        initial: delay(&mut section, "initial", SECOND, HOUR, default.initial),
        max: delay(&mut section, "max", SECOND, DAY * 7, default.max),
        multiplier: section.number("multiplier", &(1.0..=10.0), default.multiplier),
    };
    if section.sound(&["initial", "max"]) && backoff.max < backoff.initial {
        section.wrong(
            "max",
            Wrong::new(
                format!(
                    "{} is shorter than initial, {}",
                    show(backoff.max),
                    show(backoff.initial)
                ),
                "give at least as much as initial",
            ),
        );
    }
    section.finish();
    backoff
}

/// What `[orphans]` says.
pub(super) fn orphans(root: &mut Section<'_>) -> Orphans {
    let default = Orphans::DEFAULT;
    let mut section = root.section("orphans");
    let orphans = Orphans {
        reap: section.boolean("reap", default.reap),
        reap_after: delay(
            &mut section,
            "reap_after",
            SignedDuration::from_mins(1),
            LONGEST,
            default.reap_after,
        ),
        per_sweep: section.integer("per_sweep", &(1..=1_000), default.per_sweep),
    };
    section.finish();
    orphans
}

pub(super) fn build_env(root: &mut Section<'_>) -> BuildEnv {
    let mut section = root.section("build_env");
    let default = BuildEnv::default();
    let rule = variable::ours();
    let env = BuildEnv {
        action: section.or_default("action", &rule, &default.action),
        host_name: section.or_default("host_name", &rule, &default.host_name),
        resource_name: section.or_default("resource_name", &rule, &default.resource_name),
        instance_id: section.or_default("instance_id", &rule, &default.instance_id),
        user_id: section.or_default("user_id", &rule, &default.user_id),
        app: section.or_default("app", &rule, &default.app),
        spec_hash: section.or_default("spec_hash", &rule, &default.spec_hash),
    };
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    // Keys the file sets come last, so that a clash with a default is blamed on what was written.
    let (written, left): (Vec<_>, Vec<_>) = env.entries().into_iter().partition(|(key, _)| section.has(key));
    for (key, name) in left.into_iter().chain(written) {
        if !section.sound(&[key]) {
            continue;
        }
        if let Some(earlier) = seen.insert(name, key) {
            section.wrong(
                key,
                Wrong::new(
                    format!("\"{name}\" is the name build_env.{earlier} has too"),
                    "give each variable its own name",
                ),
            );
        }
    }
    section.finish();
    env
}
