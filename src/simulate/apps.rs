//! Which apps are looked at: those of a table, or for want of rows one made-up app for each schedule.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::cloud::{Rows, StateSnapshot};
use crate::model::keep::{self, Exempt, Given, Ledger};
use crate::model::memory::Memory;
use crate::model::name::{AppId, User};
use crate::model::policy::{CatalogueEntry, Policy};
use crate::model::row::{Desired, RawValue, Row};

/// The apps, by id.
#[derive(Clone, Debug, Default)]
pub struct Apps {
    /// Each with its row.
    pub apps: Vec<App>,
    /// What is to be known of them together.
    pub notes: Vec<String>,
}

/// One app.
#[derive(Clone, Debug)]
pub struct App {
    /// Its row.
    pub row: Row,
    /// What is remembered of it.
    pub memory: Option<Memory>,
    /// The exemptions of its owner's apps that were given through the API.
    pub keeps: Option<Ledger>,
}

impl App {
    /// One of which nothing but its row is known.
    fn of_row(row: Row) -> Self {
        Self {
            row,
            memory: None,
            keeps: None,
        }
    }
}

impl Apps {
    /// Those of a table of which nothing is remembered.
    pub fn of_rows(rows: Rows) -> Self {
        let notes = too_long(rows.unreadable);
        let apps = rows.rows.into_values().map(App::of_row);
        Self {
            apps: apps.collect(),
            notes: notes.into_iter().collect(),
        }
    }

    /// Those of both tables.
    pub fn live(rows: Rows, mut state: StateSnapshot) -> Self {
        let mut notes: Vec<String> = too_long(rows.unreadable).into_iter().collect();
        let apps: Vec<App> = rows
            .rows
            .into_iter()
            .map(|(id, row)| {
                let memory = state.memories.remove(&id);
                let owner = keep::owner(Some(&row), memory.as_ref());
                let keeps = owner.and_then(|owner| state.keeps.get(owner).cloned());
                App { row, memory, keeps }
            })
            .collect();
        let holds = |memory: &Memory| memory.holds_slot() || memory.deployment.is_some();
        let without = state.memories.values().filter(|memory| holds(memory)).count();
        if without > 0 {
            notes.push(format!(
                "Apps without a row that hold something: {without}. They are left out; what becomes of them is not a matter of time."
            ));
        }
        if !state.unreadable.is_empty() {
            notes.push(format!(
                "Items of the state table that cannot be read: {}. Their apps are taken for new; `lamplighter holds` lists them.",
                state.unreadable.len()
            ));
        }
        if state.pauses.fleet.is_some() {
            notes.push("The fleet is paused: none of this is carried out until it is resumed.".to_owned());
        }
        let paused: Vec<&str> = state.pauses.apps.keys().map(AppId::as_str).collect();
        if !paused.is_empty() {
            notes.push(format!(
                "Paused, so that nothing of this is carried out until they are resumed: {}.",
                paused.join(", ")
            ));
        }
        Self { apps, notes }
    }

    /// One for each catalogue entry, and one for each schedule that none of these has; all are asked for at `from`.
    pub fn made_up(policies: &[&Policy], from: Timestamp) -> Self {
        let mut rows: BTreeMap<AppId, Row> = BTreeMap::new();
        for policy in policies {
            let mut seen = BTreeSet::new();
            for entry in policy.catalogue.values() {
                seen.extend(entry.schedule.as_ref());
                add(&mut rows, entry, None, from);
            }
            for schedule in policy.schedules.keys().filter(|name| !seen.contains(name)) {
                if let Some(entry) = policy.catalogue.values().find(|entry| entry.allows(schedule)) {
                    add(&mut rows, entry, Some(schedule), from);
                }
            }
        }
        Self {
            apps: rows.into_values().map(App::of_row).collect(),
            notes: vec!["The apps are made up: one for each catalogue entry and schedule, asked for at the beginning.".to_owned()],
        }
    }
}

fn too_long(keys: usize) -> Option<String> {
    (keys > 0).then(|| format!("Rows that are left out, since their keys are no ids or too long: {keys}."))
}

fn add(rows: &mut BTreeMap<AppId, Row>, entry: &CatalogueEntry, schedule: Option<&String>, from: Timestamp) {
    let name = schedule.map_or_else(
        || entry.name.to_string(),
        |schedule| format!("{}-{schedule}", entry.name),
    );
    let Some(id) = AppId::from_key(as_id(&name)) else {
        return;
    };
    let mut row = Row::read(id.clone(), BTreeMap::new());
    row.problems.clear();
    row.user = User::parse("somebody").ok();
    row.app = Some(entry.name.clone());
    row.desired = Some(Desired::Running);
    row.requested_at = Some(from);
    row.schedule = schedule.cloned();
    let needed = entry
        .parameters
        .iter()
        .filter(|(_, rule)| rule.required && rule.default.is_none());
    row.parameters = needed
        .map(|(name, rule)| (name.clone(), rule.one_of.first().cloned().unwrap_or_default()))
        .collect();
    rows.entry(id).or_insert(row);
}

/// A name as an id.
fn as_id(name: &str) -> String {
    let lower = name.chars().map(|c| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() => c,
        _ => '-',
    });
    let id: String = lower.take(60).collect();
    id.trim_start_matches('-').to_owned()
}

/// The apps of a list as `lamplighter apps list -o json` prints it: the attributes of each, beside what the API adds. Of
/// that, the exemption is read which no row says, since it was given through the API.
pub fn of_list(list: Vec<BTreeMap<String, RawValue>>) -> Result<Apps, String> {
    let mut apps: BTreeMap<AppId, App> = BTreeMap::new();
    for (n, mut attributes) in list.into_iter().enumerate() {
        let has_row = attributes.remove("hasRow");
        let status = attributes.remove("status");
        attributes.remove("problems");
        let id = match attributes.get("id") {
            Some(RawValue::Text(id)) => AppId::from_key(id),
            _ => None,
        };
        let id = id.ok_or_else(|| format!("apps[{n}].id is not the id of an app: give each its id"))?;
        if has_row == Some(RawValue::Bool(false)) {
            continue;
        }
        let given = given(status.as_ref()).map_err(|why| format!("apps[{n}].status.exemption.{why}"))?;
        let app = App {
            keeps: given.map(|exempt| Ledger {
                apps: [(id.clone(), exempt)].into(),
                ..Ledger::default()
            }),
            ..App::of_row(Row::read(id.clone(), attributes))
        };
        if apps.insert(id, app).is_some() {
            return Err(format!("apps[{n}].id is there twice: keep one of the two"));
        }
    }
    Ok(Apps {
        apps: apps.into_values().collect(),
        notes: Vec::new(),
    })
}

/// What a status says was given through the API. `None`: nothing.
fn given(status: Option<&RawValue>) -> Result<Option<Exempt>, String> {
    let Some(RawValue::Map(status)) = status else {
        return Ok(None);
    };
    let Some(RawValue::Map(exemption)) = status.get("exemption") else {
        return Ok(None);
    };
    if exemption.get("source") != Some(&RawValue::Text("Api".to_owned())) {
        return Ok(None);
    }
    let wrong = |name: &str| {
        format!("{name} is no time: leave the list as `lamplighter apps list -o json` prints it")
    };
    let time = |name: &str| match exemption.get(name) {
        None => Ok(None),
        Some(RawValue::Text(at)) => at.parse::<Timestamp>().map(Some).map_err(|_| wrong(name)),
        Some(_) => Err(wrong(name)),
    };
    let until = time("until")?.ok_or_else(|| wrong("until"))?;
    Ok(Some(Exempt {
        since: time("since")?.unwrap_or(until),
        row: None,
        given: Some(Given {
            until,
            asked: until,
            at: until,
            by: None,
            reason: None,
            key: None,
        }),
    }))
}
