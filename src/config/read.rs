//! Reads a whole file: parses it, has every section read, and gathers the mistakes of all. Never stops at the
//! first one; what can't be judged after a syntax error is left unsaid.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use toml::de::DeTable;

use super::book::{Book, KnownKey, Spot};
use super::mistakes::{Mistake, Mistakes};
use super::overrides::{OVERRIDABLE, Outside, Overrides};
use super::rule::{Wrong, nearest};
use super::section::Section;
use super::source::Source;
use super::types::Config;
use super::{Place, adopt, catalogue, cost, policy, schedules, settings, users, webhook};
use crate::model::policy::Policy;

/// Reads `text`, which `file` holds.
pub(super) fn config(file: &str, text: &str, outside: Outside<'_>) -> Result<Config, Mistakes> {
    let source = Source::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut book = Book::new(&source, outside, errors.is_empty());
    book.homes = homes();
    misspelt_variables(&book);
    let config = all(Section::root(&book, table.get_ref()));
    judged(file, &source, &errors, book, config)
}

/// Reads where metrics and probes listen, and nothing else.
pub(super) fn admin_addr(file: &str, text: &str, outside: Outside<'_>) -> Result<SocketAddr, Mistakes> {
    let source = Source::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let book = Book::new(&source, outside, errors.is_empty());
    let address = settings::admin_addr(&mut Section::root(&book, table.get_ref()).section("api"));
    judged(file, &source, &errors, book, address)
}

/// What was read, if there is no mistake in it.
fn judged<T>(
    file: &str,
    source: &Source<'_>,
    errors: &[toml::de::Error],
    book: Book<'_>,
    read: T,
) -> Result<T, Mistakes> {
    let (noted, _) = book.close();
    let shadows = Shadows::of(source, errors);
    let mut list: Vec<Mistake> = noted
        .into_iter()
        .filter(|noted| noted.at.is_none_or(|at| !shadows.cover(at)))
        .map(|noted| noted.mistake)
        .collect();
    list.extend(shadows.mistakes);
    if list.is_empty() {
        Ok(read)
    } else {
        Err(Mistakes::new(file, list))
    }
}

fn all(mut root: Section<'_>) -> Config {
    let root = &mut root;
    let aws = settings::aws(root);
    let tables = settings::tables(root);
    let admission = settings::admission(root);
    let intervals = settings::intervals(root);
    let daemon = settings::daemon(root, admission);
    let api = settings::api(root);
    let log = settings::log(root);
    let rules = policy::rules(root);
    let orphans = policy::orphans(root);
    let build_env = policy::build_env(root);
    let (schedules, names) = schedules::schedules(root);
    let catalogue = catalogue::apps(root, &names, &build_env);
    let users = users::users(root);
    let webhook = webhook::webhook(root);
    let costs = cost::costs(root);
    let reporting = cost::reporting(root);
    let adopt = adopt::rule(root, &adopt::names(&catalogue, root));
    root.finish();
    Config {
        adopt,
        policy: Policy {
            catalogue,
            schedules,
            users,
            scope: rules.scope,
            on_conflict: rules.on_conflict,
            keep_max: rules.keep_max,
            keep_per_week: rules.keep_per_week,
            keep_zone: rules.keep_zone,
            costs,
            reporting,
            webhook: webhook.is_some(),
            timing: rules.timing,
            max_attempts: rules.max_attempts,
            force_delete_after: rules.force_delete_after,
            orphans,
            build_env,
            state_table: tables.state.clone(),
        },
        aws,
        tables,
        admission,
        intervals,
        workers: daemon.workers,
        leases: Some(daemon.leases),
        api,
        webhook,
        shutdown_grace: daemon.shutdown_grace,
        log,
    }
}

/// One of everything that has a name of its own, so that every key is asked for.
const ONE_OF_EACH: &str = "[[api.tokens]]\n[schedules.NAME]\n[apps.NAME.parameters.NAME]\n";

/// Every key there is, by its path; `NAME` stands for names that are free.
pub fn known_keys() -> BTreeMap<String, KnownKey> {
    let source = Source::new(ONE_OF_EACH);
    let (table, _) = DeTable::parse_recoverable(ONE_OF_EACH);
    let outside = Outside {
        folder: Path::new("."),
        flags: &Overrides::default(),
        environment: &BTreeMap::new(),
    };
    let book = Book::new(&source, outside, true);
    all(Section::root(&book, table.get_ref()));
    book.close().1
}

/// The tables each last part of a known path is in.
fn homes() -> BTreeMap<String, Vec<String>> {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in known_keys().into_keys() {
        if let Some((table, key)) = path.rsplit_once('.') {
            homes.entry(key.to_owned()).or_default().push(table.to_owned());
        }
    }
    homes
}

/// A variable that is nearly one of ours was probably meant to be one; to ignore it in silence could mean to
/// work on the wrong account.
fn misspelt_variables(book: &Book<'_>) {
    let known = || OVERRIDABLE.iter().map(|setting| setting.variable);
    let of_kubernetes = ["LAMPLIGHTER_PORT", "LAMPLIGHTER_SERVICE"];
    for name in book.outside.environment.keys() {
        let ours = name.starts_with("LAMPLIGHTER_")
            && !of_kubernetes.iter().any(|prefix| name.starts_with(prefix))
            && !known().any(|known| known == name);
        if let Some(near) = ours.then(|| nearest_variable(name, known())).flatten() {
            let wrong = Wrong::new("is read by nothing", format!("did you mean {near}?"));
            book.note(&Spot::At(Place::Environment(name.clone())), String::new(), wrong);
        }
    }
}

/// Compares what follows the common prefix, which would make all names alike.
fn nearest_variable<'c>(name: &str, known: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let prefix = "LAMPLIGHTER_";
    let tails = known.filter_map(|known| known.strip_prefix(prefix));
    let near = nearest(name.strip_prefix(prefix)?, tails)?;
    OVERRIDABLE
        .iter()
        .map(|setting| setting.variable)
        .find(|known| known.strip_prefix(prefix) == Some(near))
}

/// Syntax errors, and the parts of the file that they leave in doubt: from the line of an error to the next
/// header, since the parser may have taken what is there for something else.
struct Shadows {
    mistakes: Vec<Mistake>,
    ranges: Vec<std::ops::Range<usize>>,
}

impl Shadows {
    fn of(source: &Source<'_>, errors: &[toml::de::Error]) -> Self {
        let mut shadows = Self {
            mistakes: Vec::new(),
            ranges: Vec::new(),
        };
        let mut lines = BTreeSet::new();
        for error in errors {
            let span = error
                .span()
                .unwrap_or_else(|| source.text().len()..source.text().len());
            let line = source.line(span.start);
            // Later errors of a line mostly follow from its first.
            if !lines.insert(line) {
                continue;
            }
            let duplicate = error.message().starts_with("duplicate key");
            if !duplicate {
                shadows
                    .ranges
                    .push(source.start_of(line)..source.next_header(line));
            }
            let remedy = if duplicate {
                "keep one of the two"
            } else {
                "correct it here; what follows up to the next [table] was not checked"
            };
            let problem = format!("is not TOML: {}", error.message());
            shadows
                .mistakes
                .push(source.mistake(&span, String::new(), &problem, remedy));
        }
        shadows
    }

    fn cover(&self, at: usize) -> bool {
        self.ranges.iter().any(|range| range.contains(&at))
    }
}
