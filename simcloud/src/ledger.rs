//! The cloud's own record of what it was asked and what it did. It writes nothing that differs between two runs of
//! the same seed: no signatures, no headers, and tokens an SDK made up only by their order of appearance.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use jiff::Timestamp;
use serde_json::Value;

use crate::wire::Call;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) calls: BTreeMap<String, u64>,
    /// How many things were asked for in all calls of an operation: ids, names, keys.
    pub(crate) items: BTreeMap<String, u64>,
    lines: VecDeque<String>,
    capacity: usize,
    tokens: BTreeMap<String, usize>,
}

impl Ledger {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }

    pub(crate) fn count(&mut self, call: &Call) {
        *self.calls.entry(call.name()).or_default() += 1;
        *self.items.entry(call.name()).or_default() += items_in(&call.input);
    }

    /// Something the world did by itself.
    pub(crate) fn note(&mut self, at: Timestamp, what: &str) {
        tracing::debug!(%at, what, "world");
        self.push(format!("{at} world {what}"));
    }

    /// A call and what became of it.
    pub(crate) fn call(&mut self, at: Timestamp, call: &Call, outcome: &str) {
        let mut input = String::new();
        self.canonical(&call.input, None, &mut input);
        tracing::debug!(%at, call = call.name(), outcome, "call");
        self.push(format!("{at} {} {input} -> {outcome}", call.name()));
    }

    fn push(&mut self, line: String) {
        if self.capacity == 0 {
            return;
        }
        if self.lines.len() >= self.capacity {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// JSON with sorted keys; tokens that SDKs fill in become `token#N`.
    fn canonical(&mut self, value: &Value, field: Option<&str>, out: &mut String) {
        match value {
            Value::Object(fields) => {
                let mut names: Vec<&String> = fields.keys().collect();
                names.sort_unstable();
                out.push('{');
                for (place, name) in names.into_iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    let _ = write!(out, "{comma}{}:", Value::from(name.as_str()));
                    self.canonical(&fields[name], Some(name), out);
                }
                out.push('}');
            }
            Value::Array(members) => {
                out.push('[');
                for (place, member) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    self.canonical(member, None, out);
                }
                out.push(']');
            }
            Value::String(text) if matches!(field, Some("ClientRequestToken" | "clientToken")) => {
                let next = self.tokens.len() + 1;
                let number = *self.tokens.entry(text.clone()).or_insert(next);
                let _ = write!(out, "\"token#{number}\"");
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let _ = write!(out, "{value}");
            }
        }
    }
}

/// The request as text that does not depend on the order of its keys.
pub(crate) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    Ledger::default().canonical(value, None, &mut out);
    out
}

/// How many things one call asks for: the longest list right below its input, or one.
fn items_in(input: &Value) -> u64 {
    let lists = input
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, value)| value.as_array());
    lists.map(Vec::len).max().unwrap_or(1).max(1) as u64
}
