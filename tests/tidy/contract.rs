//! Whether `docs/contract.md` and the code say the same: variables of a build, attributes of a row, phases,
//! conditions and reasons, each in both directions.

use std::collections::BTreeSet;

use lamplighter::model::policy::BuildEnv;
use lamplighter::model::row::ATTRIBUTES;
use lamplighter::model::status::Phase;

use crate::tree::{Complaint, Source, Text};

/// Complaints about a document's table of the build's environment: it begins with `| variable |`.
pub(crate) fn check_variables(document: &Text) -> Vec<Complaint> {
    let env = BuildEnv::default();
    let ours: Vec<String> = env.always_given().map(str::to_owned).collect();
    same(document, "| variable | holds |", "a build is given", &set(&ours))
}

/// Complaints about the table of a row's attributes: it begins with `| attribute | type |`.
pub(crate) fn check_attributes(document: &Text) -> Vec<Complaint> {
    same(
        document,
        "| attribute | type |",
        "a row may have",
        &set(&ATTRIBUTES),
    )
}

/// Complaints about the table of phases: it begins with `| phase |`.
pub(crate) fn check_phases(document: &Text) -> Vec<Complaint> {
    let phases: BTreeSet<String> = Phase::ALL.iter().map(ToString::to_string).collect();
    same(document, "| phase |", "an app can be in", &phases)
}

/// Words that the planner writes and that are no reason: actions of `nextChange`.
const NO_REASONS: [&str; 5] = ["Destroy", "Suspend", "Resume", "Start", "Retry"];

/// Complaints about the tables of reasons and rules (`| reason |`, `| rule |`): together they hold every
/// CamelCase word that the planner can tell, and nothing else.
pub(crate) fn check_reasons(document: &Text, planner: &[Source]) -> Vec<Complaint> {
    let told: BTreeSet<String> = planner
        .iter()
        .filter(|source| !source.path.ends_with("invariants.rs"))
        .flat_map(|source| &source.code.literals)
        .filter(|literal| is_reason(&literal.text) && !NO_REASONS.contains(&literal.text.as_str()))
        .map(|literal| literal.text.clone())
        .collect();
    let mut listed = first_column(&document.text, "| reason |");
    listed.extend(first_column(&document.text, "| rule |"));
    compare(document, "the planner tells", &told, &listed)
}

/// One CamelCase word.
fn is_reason(text: &str) -> bool {
    text.len() > 2
        && text.chars().next().is_some_and(|c| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
        && text.chars().any(|c| c.is_ascii_lowercase())
}

fn set(names: &[impl ToString]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn same(document: &Text, table: &str, what: &str, code: &BTreeSet<String>) -> Vec<Complaint> {
    compare(document, what, code, &first_column(&document.text, table))
}

fn compare(
    document: &Text,
    what: &str,
    code: &BTreeSet<String>,
    listed: &BTreeSet<String>,
) -> Vec<Complaint> {
    let missing = code
        .difference(listed)
        .map(|name| format!("does not list `{name}`, which {what}: add it to the table"));
    let stale = listed
        .difference(code)
        .map(|name| format!("lists `{name}` among what {what}, and the code has no such thing: take it out"));
    missing
        .chain(stale)
        .map(|text| Complaint::new(&document.path, 1, text))
        .collect()
}

/// The names in backticks in the first column of every table whose first line begins with `head`.
fn first_column(text: &str, head: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with(head) {
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside {
            let first = line.split('|').nth(1).unwrap_or_default();
            names.extend(first.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Text {
        Text {
            path: "docs/contract.md".to_owned(),
            text: text.to_owned(),
        }
    }

    fn has(complaints: &[Complaint], says: &str) -> bool {
        complaints.iter().any(|complaint| complaint.text.contains(says))
    }

    #[test]
    fn a_variable_is_listed_exactly_if_a_build_gets_it() {
        let found = check_variables(&document(
            "| variable | holds |\n| --- | --- |\n| `ACTON` | apply |\n",
        ));
        assert!(has(&found, "does not list `ACTION`"), "{found:?}");
        assert!(has(&found, "lists `ACTON`"), "{found:?}");
    }

    #[test]
    fn an_attribute_is_listed_exactly_if_a_row_may_have_it() {
        let found = check_attributes(&document(
            "| attribute | type |\n| --- | --- |\n| `keepuntil` | S |\n",
        ));
        assert!(has(&found, "does not list `keepUntil`"), "{found:?}");
        assert!(has(&found, "lists `keepuntil`"), "{found:?}");
    }

    #[test]
    fn a_phase_is_listed_exactly_if_there_is_one() {
        let found = check_phases(&document(
            "| phase | meaning |\n| --- | --- |\n| `Lit` | it burns |\n",
        ));
        assert!(has(&found, "does not list `Ready`"), "{found:?}");
        assert!(has(&found, "lists `Lit`"), "{found:?}");
    }

    #[test]
    fn a_reason_is_listed_exactly_if_the_planner_tells_it() {
        let planner = [Source::new(
            "src/planner/a.rs",
            "fn f() { Step::wait(Phase::Failed, \"NotTold\", \"A sentence.\"); }
             #[cfg(test)] mod tests { fn f() { g(\"OnlyTested\"); } }",
        )];
        let text = "| reason | phase |\n| --- | --- |\n| `Known` | x |\n\n| rule |\n| --- |\n| `Curfew` |\n";
        let found = check_reasons(&document(text), &planner);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(has(&found, "does not list `NotTold`"), "{found:?}");
        assert!(
            has(&found, "lists `Known`") && has(&found, "lists `Curfew`"),
            "{found:?}"
        );
    }
}
