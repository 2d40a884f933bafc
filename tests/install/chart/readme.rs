//! The chart's README has a table of all values. It is made of `values.yaml`: each value with its default, and with the
//! comment above it. With `UPDATE_EXAMPLES=1` it is written anew instead of compared.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::chart;

const BEGIN: &str = "| value | default | meaning |\n| --- | --- | --- |\n";

/// A value that can be set: its path, its default as it is written, its comment.
#[derive(Debug)]
struct Setting {
    path: String,
    default: String,
    comment: String,
}

/// Every value of `values.yaml`: what has a default on its own line, or a comment above it.
fn settings() -> Vec<Setting> {
    let text = fs::read_to_string(chart().join("values.yaml")).expect("a chart has values");
    let mut found: Vec<Setting> = Vec::new();
    let mut above: Vec<&str> = Vec::new();
    let mut comment = String::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let depth = (line.len() - bare.len()) / 2;
        if let Some(said) = bare.strip_prefix('#') {
            comment.push_str(said);
        } else if bare.is_empty() {
            assert!(
                comment.is_empty(),
                "a comment stands right above what it is about: {comment}"
            );
        } else {
            let (key, default) = bare.split_once(':').expect("a key ends with a colon");
            above.truncate(depth);
            above.push(key);
            if comment.is_empty() {
                assert!(default.is_empty(), "{key} has no comment that says what it is");
                continue;
            }
            assert!(!default.is_empty(), "{key} has its default on its own line");
            found.push(Setting {
                path: above.join("."),
                default: default.trim().to_owned(),
                comment: std::mem::take(&mut comment).trim().to_owned(),
            });
        }
    }
    found
}

#[test]
fn the_readme_lists_every_value() {
    let path = chart().join("README.md");
    let held = fs::read_to_string(&path).expect("a chart has a README");
    let (before, rest) = held.split_once(BEGIN).expect("the README has a table of values");
    let after = rest.find("\n## ").map_or("", |end| &rest[end..]);
    let row = |setting: &Setting| {
        let Setting {
            path,
            default,
            comment,
        } = setting;
        format!("| `{path}` | `{default}` | {comment} |\n")
    };
    let rows: String = settings().iter().map(row).collect();
    let now = format!("{before}{BEGIN}{rows}{after}");
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        fs::write(&path, now).expect("the README is written");
    } else {
        assert_eq!(held, now, "UPDATE_EXAMPLES=1 writes it anew");
    }
}

/// The paths that a schema knows, without those below what is free.
fn paths(schema: &Value, whole: &Value, above: &str, found: &mut BTreeSet<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => whole
            .pointer(&reference[1..])
            .expect("a reference leads somewhere"),
        None => schema,
    };
    assert!(
        schema["type"] != "object"
            || schema.get("properties").is_none()
            || schema["additionalProperties"] == false,
        "{above} takes what it does not know"
    );
    let Some(properties) = schema["properties"].as_object() else {
        found.insert(above.to_owned());
        return;
    };
    for (name, inner) in properties {
        let path = if above.is_empty() {
            name.clone()
        } else {
            format!("{above}.{name}")
        };
        paths(inner, whole, &path, found);
    }
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let text = fs::read_to_string(chart().join("values.schema.json")).expect("a chart has a schema");
    let schema: Value = serde_json::from_str(&text).expect("the schema is JSON");
    let mut known = BTreeSet::new();
    paths(&schema, &schema, "", &mut known);
    // What Helm hands to every chart, and a table that is one value for readers.
    assert!(known.remove("global"));
    assert!(known.remove("resources.requests") && known.remove("resources.limits"));
    known.insert("resources".to_owned());
    let listed: BTreeSet<String> = settings().into_iter().map(|setting| setting.path).collect();
    assert_eq!(known, listed);
}
