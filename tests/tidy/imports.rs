//! Who may import whom. The table is the architecture; `ARCHITECTURE.md` explains it.

use crate::paths::{self, Named};
use crate::tree::{Complaint, Source};

/// What one module may name of the others.
struct Rule {
    module: &'static str,
    /// A module as a whole (`model`), or what of it may be named (`planner::AppView`).
    may: &'static [&'static str],
}

/// The data that a decision is made from and becomes; `planner::plan` itself is not among it.
macro_rules! with {
    ($($more:literal),*) => {
        &["model", $($more),*]
    };
}

const TABLE: [Rule; 17] = [
    // A macro, and with the feature of its name a list. Whoever plants a bug names only the macro.
    Rule {
        module: "planted",
        may: &[],
    },
    Rule {
        module: "model",
        may: &[],
    },
    Rule {
        module: "clock",
        may: &[],
    },
    // What is logged, and how that changes.
    Rule {
        module: "logging",
        may: &[],
    },
    Rule {
        module: "planner",
        may: with!(),
    },
    Rule {
        module: "cloud",
        may: with!(),
    },
    // Which directives can be read is for the one to say who logs by them.
    Rule {
        module: "config",
        may: with!("logging::check"),
    },
    // What the report says of money, metrics show at all times.
    Rule {
        module: "metrics",
        may: with!("report"),
    },
    // Tells what became of a day from plain data; whoever wants a report gathers that.
    Rule {
        module: "report",
        may: with!(),
    },
    // A view is what the planner is given, so whoever builds one has to name it.
    Rule {
        module: "inventory",
        may: with!("cloud", "clock", "planner::AppView"),
    },
    Rule {
        module: "executor",
        may: with!("cloud", "planner::Action"),
    },
    Rule {
        module: "recorder",
        may: with!(
            "cloud",
            "executor::Outcome",
            "planner::Action",
            "planner::AppView",
            "planner::Decision",
            "planner::Plan"
        ),
    },
    // The controller takes three plain structs of settings.
    Rule {
        module: "controller",
        may: with!(
            "clock",
            "cloud",
            "config::AdmissionLimits",
            "config::Intervals",
            "config::LeaseSettings",
            "executor",
            "inventory",
            "metrics",
            "planner",
            "recorder",
            "report"
        ),
    },
    // The two tables, and not CodeBuild or ECS: the API asks for things by writing rows, like any portal. Of
    // the controller it knows a trait of five methods.
    Rule {
        module: "api",
        may: with!(
            "cloud::DesiredStore",
            "cloud::Error",
            "cloud::Result",
            "cloud::StateStore",
            "cloud::WriteError",
            "controller::handle",
            "logging",
            "metrics",
            "report"
        ),
    },
    // A verb of its own: it asks the planner, and writes as the daemon writes. Of the executor it names what a
    // record is told about an action, and it prints as the other verbs do.
    Rule {
        module: "adopt",
        may: with!(
            "client::Format",
            "client::paper",
            "clock",
            "cloud",
            "executor::Outcome",
            "planner::adopt",
            "recorder"
        ),
    },
    // A verb of its own: it asks the planner about days to come, about what both tables told, and prints as the other
    // verbs do.
    Rule {
        module: "simulate",
        may: with!(
            "client::paper",
            "cloud::Rows",
            "cloud::StateSnapshot",
            "planner::forecast"
        ),
    },
    // The CLI is a client of the HTTP API and could live in another repository.
    Rule {
        module: "client",
        may: &["api::dto"],
    },
];

/// Where the parts are put together: they may name everything, and are the only ones that name an adapter.
const COMPOSES: [&str; 4] = ["lib", "main", "serve", "dev"];

/// The modules of `cloud` that talk to AWS. What else is in `cloud` is traits and errors.
const ADAPTERS: [&str; 7] = [
    "cloud::aws",
    "cloud::codebuild",
    "cloud::dynamodb",
    "cloud::ecs",
    "cloud::elb",
    "cloud::probe",
    "cloud::webhook",
];

/// Complaints about a file of `src/`.
pub(crate) fn check(source: &Source) -> Vec<Complaint> {
    let module = paths::module_of(&source.path)
        .first()
        .cloned()
        .unwrap_or_else(|| "lib".to_owned());
    if COMPOSES.contains(&module.as_str()) {
        return Vec::new();
    }
    let Some(rule) = TABLE.iter().find(|rule| rule.module == module) else {
        let text = format!(
            "the module {module} is in no row of the table of tests/tidy/imports.rs: add a row with what it may \
             name, and say in ARCHITECTURE.md what it is for"
        );
        return vec![source.complain(1, text)];
    };
    paths::outside_tests(source)
        .iter()
        .filter_map(|named| {
            let why = forbidden(rule, named)?;
            Some(source.complain(named.line, why))
        })
        .collect()
}

fn forbidden(rule: &Rule, named: &Named) -> Option<String> {
    let module = rule.module;
    let (first, ours) = named.path.split_first()?;
    if first == "simcloud" || first == "dynoxide" {
        return Some(format!(
            "{module} names {first}; only serve, dev and main may know the simulated cloud: pass in a trait of \
             cloud instead"
        ));
    }
    if first != "crate" || ours.first().is_none_or(|top| top == module) {
        return None;
    }
    let inside = Named {
        line: named.line,
        path: ours.to_vec(),
    };
    let text = inside.text();
    if ADAPTERS.iter().any(|adapter| inside.is_below(adapter)) {
        return Some(format!(
            "{module} names the adapter {text}; only serve, dev and main may: use the trait in cloud/mod.rs"
        ));
    }
    // A module that is imported by itself is judged by what is then named through it.
    let module_alone = inside.path.len() == 1 && rule.may.iter().any(|may| inside.is_prefix_of(may));
    if module_alone || rule.may.iter().any(|may| inside.is_below(may)) {
        return None;
    }
    let may = if rule.may.is_empty() {
        "nothing of ours".to_owned()
    } else {
        rule.may.join(", ")
    };
    Some(format!(
        "{module} names {text}; it may name {may}: pass the value in from the controller, move plain data to \
         model, or change the table in tests/tidy/imports.rs and say why in ARCHITECTURE.md"
    ))
}

impl Named {
    fn is_prefix_of(&self, path: &str) -> bool {
        let mut parts = path.split("::");
        self.path.iter().all(|own| parts.next() == Some(own))
    }
}

/// Complaints about a file of `simcloud/src/`: it is a simulator of AWS and knows nothing of us, so that it
/// cannot be bent to what the daemon happens to do.
pub(crate) fn check_simcloud(source: &Source) -> Vec<Complaint> {
    paths::everywhere(source)
        .iter()
        .filter(|named| named.path.first().is_some_and(|first| first == "lamplighter"))
        .map(|named| {
            let text = format!(
                "simcloud names {}; it may know nothing of Lamplighter: take what it needs as a setting",
                named.text()
            );
            source.complain(named.line, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, code: &str) -> Vec<String> {
        check(&Source::new(path, code))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn bad(path: &str, code: &str, says: &str) {
        let found = complaints(path, code);
        assert_eq!(found.len(), 1, "{code}: {found:#?}");
        assert!(found[0].contains(says), "{found:#?}");
    }

    fn good(path: &str, code: &str) {
        assert_eq!(complaints(path, code), Vec::<String>::new(), "{code}");
    }

    #[test]
    fn the_model_names_nothing_of_ours() {
        bad(
            "src/model/row.rs",
            "use crate::clock::Clock;",
            "it may name nothing of ours",
        );
        good(
            "src/model/row.rs",
            "use super::name::AppId; use crate::model::memory;",
        );
    }

    #[test]
    fn the_planner_knows_the_model_only() {
        bad(
            "src/planner/build.rs",
            "use crate::cloud::Error;",
            "planner names cloud::Error",
        );
        bad(
            "src/planner/build.rs",
            "fn f(c: &super::super::cloud::Cloud) {}",
            "planner names cloud::Cloud",
        );
        good(
            "src/planner/build.rs",
            "use super::draft::Draft; use crate::model::row::Row;",
        );
    }

    #[test]
    fn inventory_executor_and_recorder_never_decide() {
        bad(
            "src/executor.rs",
            "use crate::planner::plan;",
            "executor names planner::plan",
        );
        bad(
            "src/inventory/sweep.rs",
            "use crate::planner; fn f() { planner::plan(v, p, n); }",
            "inventory names planner::plan",
        );
        good("src/recorder.rs", "use crate::planner::{Action, AppView, Plan};");
    }

    #[test]
    fn the_controller_names_no_adapter_and_three_settings() {
        bad(
            "src/controller/mod.rs",
            "use crate::cloud::{Cloud, dynamodb::DynamoDb};",
            "names the adapter cloud::dynamodb::DynamoDb",
        );
        bad(
            "src/controller/mod.rs",
            "fn f() { crate::config::load(p, o, e); }",
            "controller names config::load",
        );
        good(
            "src/controller/mod.rs",
            "use crate::config::{AdmissionLimits, Intervals};",
        );
    }

    #[test]
    fn the_api_cannot_reach_builds_and_the_cli_cannot_reach_the_daemon() {
        bad(
            "src/api/apps.rs",
            "use crate::cloud::Builds;",
            "api names cloud::Builds",
        );
        bad(
            "src/api/apps.rs",
            "fn f(e: crate::executor::Executor) {}",
            "api names executor::Executor",
        );
        bad(
            "src/client/http.rs",
            "use crate::model::row::Row;",
            "client names model::row::Row",
        );
        good("src/client/http.rs", "use crate::api::dto::App;");
    }

    #[test]
    fn the_simulated_cloud_is_known_to_dev_only_and_knows_nothing_of_us() {
        bad(
            "src/controller/pass.rs",
            "use simcloud::SimCloud;",
            "controller names simcloud",
        );
        good(
            "src/dev.rs",
            "use simcloud::SimCloud; use crate::cloud::aws::Clients;",
        );
        let found = check_simcloud(&Source::new(
            "simcloud/src/world/mod.rs",
            "use lamplighter::model::name::AppId;",
        ));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_module_without_a_row_is_asked_for_one() {
        bad("src/helpers/mod.rs", "fn f() {}", "in no row of the table");
    }

    #[test]
    fn tests_inside_a_file_may_name_what_they_like() {
        good(
            "src/planner/build.rs",
            "#[cfg(test)] mod tests { use crate::cloud::Error; }",
        );
    }
}
