//! Holds the shipped example and the reference against the keys that are really read.

use std::collections::{BTreeMap, BTreeSet};

use lamplighter::config::{Absent, Config, KnownKey, known_keys};
use lamplighter::model::policy::{BuildEnv, Timing};

const EXAMPLE: &str = include_str!("../../deploy/lamplighter.example.toml");
const REFERENCE: &str = include_str!("../../docs/configuration.md");

/// The keys a file sets, or shows in a comment as `# key = …`, each with the comment right above it.
fn keys_of(text: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let (mut table, mut comment) = (String::new(), String::new());
    for line in text.lines() {
        let bare = line.trim_start_matches(['#', ' ']);
        let key = bare.split_once(" = ").map(|(key, _)| key);
        if line.starts_with('[') {
            table = pattern(line.trim_matches(['[', ']']));
        } else if let (Some(_), "adopt.where") = (key, table.as_str()) {
            // These names are free.
            keys.insert(format!("{table}.NAME"), comment.clone());
            comment.clear();
        } else if let Some(key) = key.filter(|key| {
            key.bytes()
                .all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b))
        }) {
            keys.entry(format!("{table}.{key}"))
                .or_insert_with(|| comment.clone());
            comment.clear();
        } else if line.starts_with('#') {
            comment.push_str(line);
        } else {
            comment.clear();
        }
    }
    keys
}

/// A table's path with the names that are free replaced.
fn pattern(table: &str) -> String {
    let mut parts: Vec<&str> = table.split('.').collect();
    if matches!(parts[0], "apps" | "schedules") {
        for at in [1, 3] {
            if let Some(part) = parts.get_mut(at) {
                *part = "NAME";
            }
        }
    }
    parts.join(".")
}

#[test]
fn the_example_is_good_and_shows_every_key() {
    assert_eq!(super::mistakes_of(EXAMPLE), [""; 0]);
    let shown: BTreeSet<String> = keys_of(EXAMPLE).into_keys().collect();
    let known: BTreeSet<String> = known_keys().into_keys().collect();
    assert_eq!(
        shown.difference(&known).collect::<Vec<_>>(),
        [""; 0],
        "shown, but not known"
    );
    assert_eq!(
        known.difference(&shown).collect::<Vec<_>>(),
        [""; 0],
        "known, but not shown"
    );
}

#[test]
fn the_example_says_of_every_key_what_its_default_is() {
    // The two delays are explained above their tables.
    let explained_above = |key: &str| key.starts_with("policy.de") && key.contains("_retry.");
    for (key, comment) in keys_of(EXAMPLE)
        .into_iter()
        .filter(|(key, _)| !explained_above(key))
    {
        let said = match &known_keys()[&key].absent {
            Absent::Default(default) => format!("efault {default}."),
            Absent::Refused => "Required".to_owned(),
            Absent::Nothing => continue,
        };
        let said = said.replace("[].", "[]").trim_end_matches('.').to_owned();
        // Long comments are wrapped.
        let comment = comment.replace("# ", " ");
        assert!(comment.contains(&said), "{key}: {said} not in {comment}");
    }
}

#[test]
fn the_example_sets_defaults_where_there_are_any() {
    let example = Config::from_toml(EXAMPLE).expect("the example is good");
    let default = Config::from_toml("").expect("nothing is needed");
    assert_eq!(example.tables, default.tables);
    assert_eq!(example.admission, default.admission);
    assert_eq!(example.intervals, default.intervals);
    assert_eq!(example.workers, default.workers);
    assert_eq!(example.leases, default.leases);
    assert_eq!(example.shutdown_grace, default.shutdown_grace);
    assert_eq!(example.log, default.log);
    assert_eq!(example.api.public_addr, default.api.public_addr);
    assert_eq!(example.api.admin_addr, default.api.admin_addr);
    assert_eq!(example.policy.scope, default.policy.scope);
    assert_eq!(example.policy.on_conflict, default.policy.on_conflict);
    assert_eq!(example.policy.keep_max, default.policy.keep_max);
    assert_eq!(example.policy.orphans, default.policy.orphans);
    assert_eq!(example.policy.max_attempts, default.policy.max_attempts);
    assert_eq!(example.policy.timing, default.policy.timing);
    assert_eq!(example.policy.build_env, default.policy.build_env);
}

#[test]
fn the_defaults_are_those_of_the_model() {
    let default = Config::from_toml("").expect("nothing is needed");
    assert_eq!(default.policy.timing, Timing::DEFAULT);
    assert_eq!(default.policy.build_env, BuildEnv::default());
    assert_eq!(default.policy.state_table, default.tables.state);
}

#[test]
fn the_example_becomes_the_catalogue_it_describes() {
    let config = Config::from_toml(EXAMPLE).expect("the example is good");
    let apps: BTreeMap<&str, _> = config
        .policy
        .catalogue
        .iter()
        .map(|(name, app)| (name.as_str(), app))
        .collect();
    let (shop, wiki) = (apps["shop"], apps["wiki"]);
    assert_eq!(shop.name.as_str(), "shop");
    assert_eq!(
        (shop.deploy_project.as_str(), shop.destroy_project.as_str()),
        ("child-app", "child-app")
    );
    assert_eq!(
        (wiki.deploy_project.as_str(), wiki.destroy_project.as_str()),
        ("wiki-apply", "wiki-destroy")
    );
    assert_eq!((shop.build_timeout_minutes, shop.queue_timeout_minutes), (30, 30));
    assert_eq!(shop.url.fill("a.example.com", "a-1"), "https://a.example.com");
    assert_eq!(
        shop.target_group
            .as_ref()
            .map(|group| group.fill("a", "a-1"))
            .as_deref(),
        Some("a-1")
    );
    assert_eq!(shop.schedule.as_deref(), Some("office-hours"));
    assert_eq!(shop.max_lifetime, Some(jiff::SignedDuration::from_hours(14 * 24)));
    let size = &shop.parameters["TF_VAR_size"];
    assert_eq!(
        (size.max_bytes, size.required, size.default.as_deref()),
        (16, false, Some("small"))
    );
    assert_eq!(size.one_of, ["small", "medium", "large"]);
    assert!(shop.parameters["TF_VAR_image_tag"].required);
    assert_eq!(
        (
            wiki.target_group.as_ref(),
            wiki.max_lifetime,
            wiki.health_path.as_str()
        ),
        (None, None, "/")
    );
}

#[test]
fn the_reference_lists_every_key_with_its_range_and_default() {
    let known = known_keys();
    for (key, KnownKey { takes, absent }) in &known {
        let default = match absent {
            Absent::Refused => "required".to_owned(),
            Absent::Nothing => "–".to_owned(),
            Absent::Default(text) if text.contains(' ') && !text.starts_with('"') => text.clone(),
            Absent::Default(text) => format!("`{text}`"),
        };
        let row = format!("| `{key}` | {takes} | {default} | ");
        assert!(
            REFERENCE.lines().any(|line| line.starts_with(&row)),
            "no row begins with {row}"
        );
    }
    for row in REFERENCE
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches(" | ").count() > 2)
    {
        let key = row
            .trim_start_matches("| `")
            .split('`')
            .next()
            .unwrap_or_default();
        assert!(
            known.contains_key(key),
            "the reference lists {key}, which is not known"
        );
    }
}

#[test]
fn the_reference_lists_every_variable_and_flag() {
    let command =
        <lamplighter::config::Overrides as clap::Args>::augment_args(clap::Command::new("lamplighter"));
    for argument in command.get_arguments() {
        let flag = argument.get_long().unwrap_or_default();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let variable = help
            .split("[env: ")
            .nth(1)
            .unwrap_or_default()
            .trim_end_matches(']');
        let end = format!("| `{variable}` | `--{flag}` |");
        assert!(
            REFERENCE.lines().any(|line| line.ends_with(&end)),
            "no row ends with {end}"
        );
    }
}
