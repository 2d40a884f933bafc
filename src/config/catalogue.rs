//! Reads the catalogue: the apps that can be asked for, and the parameters a row may pass. Whether a project
//! or cluster exists is not asked here; see `lamplighter check`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::policy::LONGEST;
use super::rule::{Rule, Wrong, duration, nearest};
use super::section::Section;
use super::{cost, values, variable};
use crate::model::name::{AppName, ClusterName, ProjectName};
use crate::model::policy::{BuildEnv, CatalogueEntry, ParameterRule};
use crate::model::row::{PARAMETER_BYTES_MAX, PARAMETERS_MAX};

pub(super) fn apps(
    root: &mut Section<'_>,
    schedules: &BTreeSet<String>,
    env: &BuildEnv,
) -> BTreeMap<AppName, CatalogueEntry> {
    root.named("apps", &values::label())
        .into_iter()
        .filter_map(|(name, section)| entry(&name, section, schedules, env))
        .map(|entry| (entry.name.clone(), entry))
        .collect()
}

fn entry(
    name: &str,
    mut section: Section<'_>,
    schedules: &BTreeSet<String>,
    env: &BuildEnv,
) -> Option<CatalogueEntry> {
    let projects = projects(&mut section);
    let cluster = section.required("cluster", &values::cluster());
    let domain = section.required("domain", &values::domain());
    let url = section.or_default("url", &values::url(), "https://{host_name}");
    let health_path = section.or_default("health_path", &values::health_path(), "/");
    let target_group = section.optional("target_group", &values::target_group());
    let build_timeout_minutes = section.or_default("build_timeout", &minutes(5, 2160), "30m");
    let queue_timeout_minutes = section.or_default("queue_timeout", &minutes(5, 480), "30m");
    // ECS: at most 5,000 tasks in a service.
    let tasks = section.integer("tasks", &(1..=5_000), 1);
    let schedule = schedule(&mut section, schedules);
    let choices = choices(&mut section, schedules);
    let lifetime = duration(SignedDuration::from_mins(10), LONGEST);
    let max_lifetime = section.optional("max_lifetime", &lifetime);
    let gate = section.boolean("gate", true);
    let cost_per_hour = section.optional("cost_per_hour", &cost::amount());
    let parameters = parameters(&mut section, env);
    section.finish();
    let (deploy_project, destroy_project) = projects?;
    Some(CatalogueEntry {
        name: AppName::new(name),
        deploy_project,
        destroy_project,
        cluster: ClusterName::new(cluster?),
        domain: domain?,
        url,
        health_path,
        target_group,
        parameters,
        build_timeout_minutes,
        queue_timeout_minutes,
        tasks,
        schedule,
        schedules: choices,
        max_lifetime,
        gate,
        cost_per_hour,
    })
}

/// One project for both ways, or one for each.
fn projects(section: &mut Section<'_>) -> Option<(ProjectName, ProjectName)> {
    let rule = values::project();
    let both = section.optional("project", &rule);
    let deploy = section.optional("deploy_project", &rule);
    let destroy = section.optional("destroy_project", &rule);
    let remedy = "give either project, or deploy_project and destroy_project";
    let one_of_two = section.has("deploy_project") || section.has("destroy_project");
    if section.has("project") {
        if one_of_two {
            section.wrong(
                "project",
                Wrong::new("stands beside deploy_project or destroy_project", remedy),
            );
        }
        return both.map(|project| (ProjectName::new(project.clone()), ProjectName::new(project)));
    }
    let missing = match (section.has("deploy_project"), section.has("destroy_project")) {
        (true, true) => None,
        (false, true) => Some("deploy_project"),
        (true, false) => Some("destroy_project"),
        (false, false) => Some("project"),
    };
    if let Some(key) = missing {
        section.missing(key, remedy);
    }
    Some((ProjectName::new(deploy?), ProjectName::new(destroy?)))
}

fn schedule(section: &mut Section<'_>, known: &BTreeSet<String>) -> Option<String> {
    let found = section.optional("schedule", &values::label())?;
    exists(section, "schedule", &found, known);
    Some(found)
}

/// The schedules that rows may choose. An empty list is none, no list is any.
fn choices(section: &mut Section<'_>, known: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let found = section.texts("schedules", &values::label());
    for name in &found {
        exists(section, "schedules", name, known);
    }
    section.has("schedules").then(|| found.into_iter().collect())
}

fn exists(section: &Section<'_>, key: &str, name: &str, known: &BTreeSet<String>) {
    if known.contains(name) {
        return;
    }
    let remedy = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("add [schedules.{name}], or leave {key} out"),
    };
    section.dangling(key, Wrong::new(format!("\"{name}\" is not a schedule"), remedy));
}

/// A CodeBuild timeout, which counts in whole minutes.
fn minutes(min: i64, max: i64) -> Rule<u16> {
    let bounds = duration(SignedDuration::from_mins(min), SignedDuration::from_mins(max));
    Rule::new(format!("{}, in whole minutes", bounds.takes), move |text| {
        let found = bounds.parse(text)?;
        if found.as_secs() % 60 != 0 {
            return Err(Wrong::new(
                "is not in whole minutes",
                "round it; CodeBuild counts in minutes",
            ));
        }
        u16::try_from(found.as_mins()).map_err(|_| Wrong::new("is too long", "give less"))
    })
}

fn parameters(section: &mut Section<'_>, env: &BuildEnv) -> BTreeMap<String, ParameterRule> {
    let free = Rule::new("the name of an environment variable", |text| Ok(text.to_owned()));
    let found = section.named("parameters", &free);
    if found.len() > PARAMETERS_MAX {
        section.wrong(
            "parameters",
            Wrong::new(
                format!("has {} entries, more than {PARAMETERS_MAX}", found.len()),
                "a row may pass no more; put several into one value",
            ),
        );
    }
    let mut parameters = BTreeMap::new();
    for (name, mut section) in found {
        if let Err(wrong) = variable::check_parameter(&name, env) {
            section.wrong_name(wrong);
        }
        parameters.insert(name, parameter(&mut section));
        section.finish();
    }
    parameters
}

fn parameter(section: &mut Section<'_>) -> ParameterRule {
    let value = Rule::new(format!("text of at most {PARAMETER_BYTES_MAX} bytes"), |text| {
        let problem = if text.len() > PARAMETER_BYTES_MAX {
            "is longer than a parameter may be"
        } else if text.contains('\0') {
            "holds a NUL character, which no environment variable can"
        } else {
            return Ok(text.to_owned());
        };
        Err(Wrong::new(
            problem,
            format!("give at most {PARAMETER_BYTES_MAX} bytes without NUL"),
        ))
    });
    let rule = ParameterRule {
        max_bytes: section.integer("max_bytes", &(1..=PARAMETER_BYTES_MAX), 256),
        one_of: section.texts("one_of", &value),
        required: section.boolean("required", false),
        default: section.optional("default", &value),
    };
    if section.sound(&["max_bytes", "one_of"])
        && let Some(long) = rule.one_of.iter().find(|choice| choice.len() > rule.max_bytes)
    {
        let problem = format!(
            "offers {}, which has {} bytes, more than max_bytes",
            shown(long),
            long.len()
        );
        section.wrong("one_of", Wrong::new(problem, "raise max_bytes or shorten it"));
    }
    if rule.one_of.is_empty() && section.has("one_of") && section.sound(&["one_of"]) {
        section.wrong(
            "one_of",
            Wrong::new("is empty", "list the values, or leave one_of out to allow any"),
        );
    }
    if let Some(default) = &rule.default {
        default_fits(section, &rule, default);
    }
    rule
}

fn default_fits(section: &Section<'_>, rule: &ParameterRule, default: &str) {
    if !section.sound(&["max_bytes", "one_of", "required"]) {
        return;
    }
    let wrong = if rule.required {
        Wrong::new(
            "is never used, since a row must bring the value",
            "leave out default or required",
        )
    } else if default.len() > rule.max_bytes {
        Wrong::new(
            format!("has {} bytes, more than max_bytes", default.len()),
            "raise max_bytes or shorten it",
        )
    } else if !rule.one_of.is_empty() && !rule.one_of.iter().any(|choice| choice == default) {
        Wrong::new(
            format!("{} is none of one_of", shown(default)),
            "add it to one_of, or choose one of these",
        )
    } else {
        return;
    };
    section.wrong("default", wrong);
}

fn shown(text: &str) -> String {
    crate::model::row::quoted(text)
}
