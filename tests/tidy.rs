//! Rules about the text of the project that a machine can check: who imports whom, what deciding code may not
//! touch, what a source file looks like, and whether the documents say what the code does.
//!
//! Reads files only: no network, no cargo, no clock. Every rule is a function from text to complaints, and has
//! a test that shows it a bad snippet; `the_tree_keeps_every_rule…` below shows it the tree. A complaint names
//! the file, the line and what to do. Where a rule has an exception, the exception stands beside it with its
//! reason.

#[path = "tidy/contract.rs"]
mod contract;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/proofs.rs"]
mod proofs;
#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/tree.rs"]
mod tree;

use tree::{Complaint, Source, sources, texts};

/// Fails with every complaint at once, so that one run shows all there is to mend.
#[track_caller]
fn nothing_to_complain_about(complaints: &[Complaint]) {
    let list: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    assert!(
        list.is_empty(),
        "{} to mend:\n  {}",
        list.len(),
        list.join("\n  ")
    );
}

fn check_sources(roots: &[&str], rule: impl Fn(&Source) -> Vec<Complaint>) {
    let found = sources(roots);
    assert!(!found.is_empty(), "no source found below {roots:?}");
    nothing_to_complain_about(&found.iter().flat_map(rule).collect::<Vec<_>>());
}

#[test]
fn the_tree_keeps_to_who_may_import_whom() {
    check_sources(&["src"], imports::check);
    check_sources(&["simcloud/src"], imports::check_simcloud);
}

#[test]
fn the_tree_plants_every_bug_that_it_lists() {
    nothing_to_complain_about(&planted::check(&sources(&["src"])));
}

#[test]
fn the_tree_decides_without_waiting_clocks_or_chance() {
    check_sources(&["src/planner", "src/model"], purity::check_deciding);
}

#[test]
fn the_tree_reads_wall_time_in_one_place() {
    check_sources(&["src", "simcloud/src"], purity::check_clock);
}

#[test]
fn the_tree_names_the_crate_backoff_in_one_place() {
    check_sources(&["src"], purity::check_backoff);
}

#[test]
fn the_tree_keeps_sdk_types_at_the_edge() {
    check_sources(&["src"], purity::check_sdk);
}

#[test]
fn the_tree_has_no_unwrap_outside_tests_and_nothing_left_undone() {
    check_sources(&["src", "simcloud/src"], shape::check_unwrap);
    check_sources(&["src", "simcloud", "tests"], shape::check_leftovers);
}

#[test]
fn the_tree_has_short_files_that_say_what_they_are() {
    check_sources(&["src", "simcloud", "tests"], shape::check_head);
    check_sources(&["src", "simcloud", "tests"], shape::check_length);
}

#[test]
fn the_documents_link_to_what_is_there() {
    let documents = texts(|path| has_ending(path, "md"));
    assert!(!documents.is_empty(), "there are documents");
    nothing_to_complain_about(&documents::check_links(&documents, &|path| {
        tree::root().join(path).exists()
    }));
}

#[test]
fn what_is_named_as_holding_a_claim_is_there() {
    let read = |path: &str| {
        let path = tree::root().join(path);
        let folder = path.is_dir().then(String::new);
        folder.or_else(|| std::fs::read_to_string(path).ok())
    };
    for document in ["docs/security.md", "CONTRIBUTING.md"] {
        nothing_to_complain_about(&proofs::check(&tree::text(document), &read));
    }
}

#[test]
fn the_decisions_are_numbered_without_a_gap() {
    let decisions = texts(|path| path.starts_with("docs/adr/") && has_ending(path, "md"));
    assert!(!decisions.is_empty(), "there are decisions");
    nothing_to_complain_about(&documents::check_numbering(&decisions));
}

#[test]
fn no_file_names_a_place_on_somebodys_machine_or_a_registry() {
    nothing_to_complain_about(
        &texts(|_| true)
            .iter()
            .flat_map(documents::check_places)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_contract_says_what_the_code_does() {
    let contract = tree::text("docs/contract.md");
    let readme = tree::text("deploy/child-app/README.md");
    let planner = sources(&["src/planner"]);
    nothing_to_complain_about(&contract::check_variables(&contract));
    nothing_to_complain_about(&contract::check_variables(&readme));
    nothing_to_complain_about(&contract::check_attributes(&contract));
    nothing_to_complain_about(&contract::check_phases(&contract));
    nothing_to_complain_about(&contract::check_reasons(&contract, &planner));
}

fn has_ending(path: &str, ending: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, last)| last == ending)
}
