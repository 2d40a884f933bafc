//! Reads `[adopt]`: which services of another tool `lamplighter adopt` takes over, and how it is told who they
//! are. Without the table nothing is ever taken over; the daemon does not look at it.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::{Rule, Wrong, nearest};
use super::section::Section;
use super::values;
use crate::model::adopt::{self, HostTemplate, NamePattern, Part, TagNames};
use crate::model::name::AppName;

/// What `[adopt]` says, `None` without it or with a mistake in it; `apps` are the catalogue's names.
pub(super) fn rule(root: &mut Section<'_>, apps: &BTreeSet<String>) -> Option<adopt::Rule> {
    let is_there = root.has("adopt");
    let mut section = root.section("adopt");
    let only = section.free("where", &tag_key(), &tag_value());
    let name = section.optional("name", &pattern());
    let app = fixed_app(&mut section, apps);
    let host_name = section.optional("host_name", &host());
    let mut tags = section.section("tags");
    let names = TagNames {
        id: tags.optional("id", &tag_key()),
        user: tags.optional("user", &tag_key()),
        app: tags.optional("app", &tag_key()),
        host_name: tags.optional("host_name", &tag_key()),
    };
    if is_there {
        if section.keys_of("where").is_empty() && section.sound(&["where"]) {
            let remedy = "name a tag that only the other tool's services have, for example where = { ManagedBy = \
                          \"old-tool\" }";
            section.missing("where", remedy);
        }
        check_sources(&section, &tags, name.as_ref());
    }
    tags.finish();
    section.finish();
    is_there.then_some(adopt::Rule {
        only,
        tags: names,
        name,
        app,
        host_name,
    })
}

/// Each of owner, app and host name is told by one thing, and so is an id that is told at all.
fn check_sources(section: &Section<'_>, tags: &Section<'_>, name: Option<&NamePattern>) {
    let by_name = |part| name.is_some_and(|name| name.tells(part));
    let parts = [
        ("id", "{id}", by_name(Part::Id)),
        ("user", "{user}", by_name(Part::User)),
        ("app", "{app}", by_name(Part::App)),
    ];
    for (key, part, in_name) in parts {
        if in_name && tags.has(key) {
            let problem = format!("is told by {part} in adopt.name too");
            tags.wrong(key, Wrong::new(problem, "keep one of the two"));
        }
    }
    if section.has("app") && (tags.has("app") || by_name(Part::App)) {
        let problem = "stands beside a tag or a part of adopt.name that tells the app";
        section.wrong("app", Wrong::new(problem, "keep one of them"));
    }
    if section.has("host_name") && tags.has("host_name") {
        let problem = "stands beside adopt.tags.host_name";
        section.wrong("host_name", Wrong::new(problem, "keep one of the two"));
    }
    // What a pattern with a mistake would have told is not known.
    if !section.sound(&["name"]) {
        return;
    }
    if !tags.has("user") && !by_name(Part::User) {
        tags.missing(
            "user",
            "name the tag that holds the owner, or use {user} in adopt.name",
        );
    }
    if !tags.has("app") && !by_name(Part::App) && !section.has("app") {
        let remedy = "name the tag that holds the app, use {app} in adopt.name, or give adopt.app";
        tags.missing("app", remedy);
    }
    if !tags.has("host_name") && !section.has("host_name") {
        let remedy =
            "name the tag that holds the host name, or give adopt.host_name, for example \"{name}.{domain}\"";
        tags.missing("host_name", remedy);
    }
}

fn fixed_app(section: &mut Section<'_>, known: &BTreeSet<String>) -> Option<AppName> {
    let found = section.optional("app", &values::label())?;
    if !known.contains(&found) {
        let remedy = match nearest(&found, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("add [apps.{found}], or tell the app otherwise"),
        };
        section.dangling(
            "app",
            Wrong::new(format!("\"{found}\" is not in the catalogue"), remedy),
        );
    }
    Some(AppName::new(found))
}

/// AWS: 1 to 128 characters; tags that begin with `aws:` are AWS's own, and may be looked for like others.
fn tag_key() -> Rule<String> {
    Rule::new("the key of a tag, 1 to 128 characters", |text| {
        if (1..=128).contains(&text.chars().count()) {
            Ok(text.to_owned())
        } else {
            Err(Wrong::new(
                "is not the key of a tag",
                "give 1 to 128 characters, as AWS allows",
            ))
        }
    })
}

/// AWS: up to 256 characters.
fn tag_value() -> Rule<String> {
    Rule::new("the value of a tag, at most 256 characters", |text| {
        if text.chars().count() <= 256 {
            Ok(text.to_owned())
        } else {
            Err(Wrong::new(
                "is longer than the value of a tag",
                "give at most 256 characters, as AWS allows",
            ))
        }
    })
}

fn pattern() -> Rule<NamePattern> {
    Rule::new("a pattern with {id}, {user} or {app}", |text| {
        NamePattern::parse(text).map_err(|problem| {
            let remedy = "write for example \"{app}-{user}\"";
            Wrong::new(problem, remedy)
        })
    })
}

fn host() -> Rule<HostTemplate> {
    Rule::new(
        "a host name with {name}, {id}, {user}, {app} or {domain}",
        |text| {
            HostTemplate::parse(text).map_err(|problem| {
                let remedy = "write for example \"{name}.{domain}\"";
                Wrong::new(problem, remedy)
            })
        },
    )
}

/// The names of the catalogue, also of entries with mistakes.
pub(super) fn names(apps: &BTreeMap<AppName, impl Sized>, root: &Section<'_>) -> BTreeSet<String> {
    let written = root.keys_of("apps");
    apps.keys().map(ToString::to_string).chain(written).collect()
}
