//! The lenient walk over a parsed file: finds tables, notes what is no table and which keys nobody knows, and
//! goes on. Never decides what a value means; see `field` for how one is read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::book::{Book, Spot};
use super::mistakes::Place;
use super::rule::{Rule, Wrong, nearest};
use crate::model::row::quoted;

/// A table of the file, there or not.
pub(super) struct Section<'a> {
    pub(super) book: &'a Book<'a>,
    /// As in the file: `apps.shop`.
    pub(super) path: String,
    /// With free names replaced: `apps.NAME`.
    pub(super) pattern: String,
    pub(super) spot: Spot,
    pub(super) table: Option<&'a DeTable<'a>>,
    pub(super) asked: BTreeSet<&'static str>,
    /// Whether values in it may be secrets, so that they are not shown.
    pub(super) secret: bool,
}

impl<'a> Section<'a> {
    pub(super) fn root(book: &'a Book<'a>, table: &'a DeTable<'a>) -> Self {
        Self {
            book,
            path: String::new(),
            pattern: String::new(),
            spot: Spot::At(Place::File),
            table: Some(table),
            asked: BTreeSet::new(),
            secret: false,
        }
    }

    /// Says that values of this section are never to be shown.
    pub(super) fn keep_secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// A table inside this one.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        self.asked.insert(key);
        let found = self.entry(key);
        let table = found.and_then(|(name, value)| {
            self.expect_table(
                self.join(key),
                name,
                value,
                &format!("a table beginning with [{}]", self.join(key)),
            )
        });
        let spot = found.map_or_else(|| self.spot.clone(), |(name, _)| Spot::Span(name.span()));
        self.below(self.join(key), join(&self.pattern, key), spot, table)
    }

    /// The tables inside this one's table `key`, by their own names.
    pub(super) fn named(&mut self, key: &'static str, rule: &Rule<String>) -> Vec<(String, Section<'a>)> {
        let inner = self.section(key);
        let Some(table) = inner.table else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for (name, value) in table {
            let path = inner.join(name.get_ref());
            let spot = Spot::Span(name.span());
            if let Err(mut wrong) = rule.parse(name.get_ref()) {
                wrong.problem = format!("its name {} {}", quoted(name.get_ref()), wrong.problem);
                self.book.note(&spot, path.clone(), wrong);
            }
            let takes = format!("a table beginning with [{path}]");
            if let Some(table) = self.expect_table(path.clone(), name, value, &takes) {
                let pattern = join(&inner.pattern, "NAME");
                out.push((
                    name.get_ref().to_string(),
                    inner.below(path, pattern, spot, Some(table)),
                ));
            }
        }
        out
    }

    /// The names that the table `key` has, as they are written.
    pub(super) fn keys_of(&self, key: &str) -> Vec<String> {
        let value = self.entry(key).map(|(_, value)| value.get_ref());
        match value {
            Some(DeValue::Table(table)) => table.iter().map(|(name, _)| name.get_ref().to_string()).collect(),
            Some(_) | None => Vec::new(),
        }
    }

    /// The tables of the list `key`.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<Section<'a>> {
        self.asked.insert(key);
        let Some((name, value)) = self.entry(key) else {
            return Vec::new();
        };
        let path = self.join(key);
        let takes = format!("a list of tables beginning with [[{path}]]");
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(path, &Spot::Span(name.span()), value.get_ref(), &takes);
            return Vec::new();
        };
        let mut out = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let path = format!("{path}[{at}]");
            let spot = Spot::Span(item.span());
            match item.get_ref() {
                DeValue::Table(table) => {
                    out.push(self.below(path, join(&self.pattern, key), spot, Some(table)));
                }
                other => self.wrong_type(path, &spot, other, "a table"),
            }
        }
        out
    }

    fn expect_table(
        &self,
        path: String,
        name: &Spanned<Cow<'a, str>>,
        value: &'a Spanned<DeValue<'a>>,
        takes: &str,
    ) -> Option<&'a DeTable<'a>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.wrong_type(path, &Spot::Span(name.span()), value.get_ref(), takes);
        None
    }

    fn below(
        &self,
        path: String,
        pattern: String,
        spot: Spot,
        table: Option<&'a DeTable<'a>>,
    ) -> Section<'a> {
        Section {
            book: self.book,
            path,
            pattern,
            spot,
            table,
            asked: BTreeSet::new(),
            secret: self.secret,
        }
    }

    /// Whether the file has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether the keys were read without a mistake so far, so that comparing them makes sense.
    pub(super) fn sound(&self, keys: &[&str]) -> bool {
        !keys.iter().any(|key| self.book.is_mistaken(&self.join(key)))
    }

    /// Notes a mistake at the value of `key`, or at this section when it has none.
    pub(super) fn wrong(&self, key: &str, wrong: Wrong) {
        let path = self.join(key);
        let spot = match self.book.outside.value(&path) {
            Some((_, place)) => Spot::At(place),
            None => self
                .entry(key)
                .map_or_else(|| self.spot.clone(), |(_, value)| Spot::Span(value.span())),
        };
        self.book.note(&spot, path, wrong);
    }

    /// Notes that `key` is missing, unless the part of the file that was not understood may hold it.
    pub(super) fn missing(&self, key: &str, remedy: &str) {
        if self.book.whole {
            self.wrong(key, Wrong::new("is missing", remedy));
        }
    }

    /// Notes that `key` refers to something missing, unless that may be in what was not understood.
    pub(super) fn dangling(&self, key: &str, wrong: Wrong) {
        if self.book.whole {
            self.wrong(key, wrong);
        }
    }

    /// Notes a mistake at this section's own name.
    pub(super) fn wrong_name(&self, wrong: Wrong) {
        self.book.note(&self.spot, self.path.clone(), wrong);
    }

    pub(super) fn entry(&self, key: &str) -> Option<(&'a Spanned<Cow<'a, str>>, &'a Spanned<DeValue<'a>>)> {
        self.table?.get_key_value(key)
    }

    pub(super) fn join(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(&self) {
        for (name, _) in self.table.into_iter().flatten() {
            let key: &str = name.get_ref();
            if self.asked.contains(key) {
                continue;
            }
            let wrong = Wrong::new("is not a key that is known here", self.way_out(key));
            self.book.note(&Spot::Span(name.span()), self.join(key), wrong);
        }
    }

    fn way_out(&self, key: &str) -> String {
        if let Some(near) = nearest(key, self.asked.iter().copied()) {
            return format!("did you mean {near}?");
        }
        if let Some(homes) = self.book.homes.get(key) {
            return format!("it belongs into [{}]", homes.join("] or ["));
        }
        let known: Vec<&str> = self.asked.iter().copied().collect();
        if self.pattern.is_empty() {
            format!("use one of the tables {}", known.join(", "))
        } else {
            format!("remove it; known here are {}", known.join(", "))
        }
    }
}

/// A path with one more part; a part that needs quotes in TOML gets them, escaped and cut.
pub(super) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key.len() <= 64
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let key = if bare { key.to_owned() } else { quoted(key) };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}
