//! What is written about the modules: the tables of each README are its variables and outputs, messages name the value
//! that they refuse, and every validation has a case that it fails.

use std::collections::BTreeSet;

use super::MODULES;
use crate::support::repository;

#[track_caller]
fn read(path: &str) -> String {
    let path = repository().join("deploy/terraform").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks `kind "NAME" { … }` of a file, each with its name.
fn blocks(text: &str, kind: &str) -> Vec<(String, String)> {
    let begin = format!("{kind} \"");
    let mut found = Vec::new();
    for block in text.split("\n}").map(str::trim_start) {
        let Some(at) = block
            .find(&begin)
            .filter(|at| *at == 0 || block.as_bytes()[at - 1] == b'\n')
        else {
            continue;
        };
        let rest = &block[at + begin.len()..];
        let (name, body) = rest.split_once('"').expect("a name ends");
        found.push((name.to_owned(), body.to_owned()));
    }
    found
}

/// What a block says of itself.
#[track_caller]
fn description(name: &str, body: &str) -> String {
    let line = body
        .lines()
        .find_map(|line| line.trim().strip_prefix("description = \""));
    let line = line.unwrap_or_else(|| panic!("{name} has no description"));
    line.strip_suffix('"').expect("it ends").replace("\\\"", "\"")
}

/// The row of a README's table.
fn row(name: &str, body: &str) -> String {
    let needed = if body.contains("\n  default ") {
        "no"
    } else {
        "yes"
    };
    format!("| `{name}` | {needed} | {} |", description(name, body))
}

#[test]
fn the_tables_of_each_readme_are_the_variables_and_outputs() {
    for module in MODULES {
        let readme = read(&format!("{module}/README.md"));
        let inputs = blocks(&read(&format!("{module}/variables.tf")), "variable");
        let outputs = blocks(&read(&format!("{module}/outputs.tf")), "output");
        assert!(!inputs.is_empty() && !outputs.is_empty(), "{module}");
        let inputs = inputs.iter().map(|(name, body)| row(name, body));
        let outputs = outputs
            .iter()
            .map(|(name, body)| format!("| `{name}` | {} |", description(name, body)));
        let wanted = format!(
            "## Inputs\n\n| name | needed | meaning |\n| --- | --- | --- |\n{}\n\n## Outputs\n\n| name | meaning |\n| --- | --- |\n{}\n",
            inputs.collect::<Vec<_>>().join("\n"),
            outputs.collect::<Vec<_>>().join("\n"),
        );
        assert!(readme.contains(&wanted), "{module}/README.md needs\n{wanted}");
    }
}

#[test]
fn a_refusal_names_the_variable_and_its_value() {
    for module in MODULES {
        for (name, body) in blocks(&read(&format!("{module}/variables.tf")), "variable") {
            for line in body
                .lines()
                .filter_map(|line| line.trim().strip_prefix("error_message = \""))
            {
                assert!(
                    line.starts_with(&name),
                    "{module}: a message of {name} begins with its name: {line}"
                );
                let shows = line.contains("${")
                    || line.starts_with(&format!("{name}.subnet_ids is empty"))
                    || line.contains("has no table [apps.");
                assert!(
                    shows,
                    "{module}: a message of {name} shows what was given: {line}"
                );
            }
        }
    }
}

/// How often a variable is expected to refuse is how many validations it has, no less.
#[test]
fn every_validation_has_a_case() {
    let mut without = BTreeSet::new();
    for module in &MODULES[..3] {
        let cases = read(&format!("{module}/tests/validation.tftest.hcl"));
        let expected: String = cases
            .lines()
            .filter(|line| line.contains("expect_failures"))
            .collect::<Vec<_>>()
            .join(",");
        for (name, body) in blocks(&read(&format!("{module}/variables.tf")), "variable") {
            let validations = body.matches("validation {").count();
            let refused = expected
                .split([',', '[', ']', ' '])
                .filter(|word| *word == format!("var.{name}"))
                .count();
            assert!(
                refused >= validations,
                "{module}: {name} has {validations} validations and {refused} cases"
            );
            if validations == 0 {
                without.insert(name);
            }
        }
    }
    // A yes or no can't be wrong.
    let booleans = ["deletion_protection", "events", "force_delete"].map(str::to_owned);
    assert_eq!(without, BTreeSet::from(booleans));
}
