//! The lenient pass over a parsed file: hands out values section by section, notes every mistake with its
//! place, and goes on. It learns which keys exist from being asked for them, so the list of known keys can't
//! differ from what is read. Never decides what a value means.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistakes::{Mistake, Place, printable};
use super::overrides::Outside;
use super::rule::{Rule, Wrong, nearest, range, show_number};
use super::source::Source;
use crate::model::row::quoted;

/// A key the configuration knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// What it takes, for people.
    pub takes: String,
    /// Whether it may be left out, and what holds then.
    pub absent: Absent,
}

/// What holds when a key is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// That is a mistake.
    Refused,
    /// Nothing is set.
    Nothing,
    /// This value holds.
    Default(String),
}

/// Where something is, before it is turned into a place.
#[derive(Clone)]
pub(super) enum Spot {
    Span(Range<usize>),
    At(Place),
}

/// What is shared by all sections.
pub(super) struct Book<'a> {
    pub source: &'a Source<'a>,
    pub outside: Outside<'a>,
    /// Whether the whole file was read. If not, what seems missing may be what was not understood.
    pub whole: bool,
    mistakes: RefCell<Vec<(Option<usize>, Mistake)>>,
    keys: RefCell<BTreeMap<String, KnownKey>>,
    /// Known keys by their last part, to tell where a misplaced one belongs.
    pub homes: BTreeMap<String, Vec<String>>,
}

impl<'a> Book<'a> {
    pub(super) fn new(source: &'a Source<'a>, outside: Outside<'a>, whole: bool) -> Self {
        Self {
            source,
            outside,
            whole,
            mistakes: RefCell::default(),
            keys: RefCell::default(),
            homes: BTreeMap::new(),
        }
    }

    pub(super) fn note(&self, spot: &Spot, key: String, Wrong { problem, remedy }: Wrong) {
        let noted = match spot {
            Spot::Span(span) => (
                Some(span.start),
                self.source.mistake(span, key, &problem, &remedy),
            ),
            Spot::At(place) => (None, Mistake::new(place.clone(), key, &problem, &remedy)),
        };
        self.mistakes.borrow_mut().push(noted);
    }

    fn is_mistaken(&self, key: &str) -> bool {
        self.mistakes
            .borrow()
            .iter()
            .any(|(_, mistake)| mistake.key == key)
    }

    /// Every mistake, with its offset in the file, and every key that was asked for.
    pub(super) fn close(self) -> (Vec<(Option<usize>, Mistake)>, BTreeMap<String, KnownKey>) {
        (self.mistakes.into_inner(), self.keys.into_inner())
    }
}

/// A table of the file, there or not.
pub(super) struct Section<'a> {
    book: &'a Book<'a>,
    /// As in the file: `apps.shop`.
    path: String,
    /// With free names replaced: `apps.NAME`.
    pattern: String,
    spot: Spot,
    table: Option<&'a DeTable<'a>>,
    asked: BTreeSet<&'static str>,
    /// Whether values in it may be secrets, so that they are not shown.
    secret: bool,
}

enum Given<'a> {
    Nothing,
    Outside(&'a str, Spot),
    File(&'a DeValue<'a>, Spot),
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

    /// Text that must be there. `None`: it is not, or it is wrong; noted.
    pub(super) fn required<T>(&mut self, key: &'static str, rule: &Rule<T>) -> Option<T> {
        let given = self.ask(key, &rule.takes, Absent::Refused);
        if matches!(given, Given::Nothing) {
            self.missing(key, &format!("give {}", rule.takes));
        }
        self.text(key, rule, given)
    }

    /// Text that may be there. `None`: it is not, or it is wrong; noted.
    pub(super) fn optional<T>(&mut self, key: &'static str, rule: &Rule<T>) -> Option<T> {
        let given = self.ask(key, &rule.takes, Absent::Nothing);
        self.text(key, rule, given)
    }

    /// Text, or else the default.
    pub(super) fn or_default<T>(&mut self, key: &'static str, rule: &Rule<T>, default: &str) -> T {
        let given = self.ask(key, &rule.takes, Absent::Default(format!("\"{default}\"")));
        self.text(key, rule, given)
            .unwrap_or_else(|| rule.parse(default).expect("every default keeps to its own rule"))
    }

    fn text<T>(&self, key: &str, rule: &Rule<T>, given: Given<'a>) -> Option<T> {
        let (text, spot) = match given {
            Given::Nothing => return None,
            Given::Outside(text, spot) => (text, spot),
            Given::File(DeValue::String(text), spot) => (&**text, spot),
            Given::File(other, spot) => {
                self.wrong_type(self.join(key), &spot, other, &rule.takes);
                return None;
            }
        };
        self.judge(self.join(key), &spot, text, rule)
    }

    fn judge<T>(&self, path: String, spot: &Spot, text: &str, rule: &Rule<T>) -> Option<T> {
        match rule.parse(text) {
            Ok(value) => Some(value),
            Err(Wrong { problem, remedy }) => {
                let problem = if self.secret {
                    problem
                } else {
                    format!("{} {problem}", quoted(text))
                };
                self.book.note(spot, path, Wrong { problem, remedy });
                None
            }
        }
    }

    /// A whole number, or else the default.
    pub(super) fn integer<T>(&mut self, key: &'static str, bounds: &RangeInclusive<T>, default: T) -> T
    where
        T: Copy + PartialOrd + Display + TryFrom<i64>,
    {
        self.integer_or(key, bounds, &default.to_string())
            .unwrap_or(default)
    }

    /// A whole number; `default` says what holds without it.
    pub(super) fn integer_or<T>(
        &mut self,
        key: &'static str,
        bounds: &RangeInclusive<T>,
        default: &str,
    ) -> Option<T>
    where
        T: Copy + PartialOrd + Display + TryFrom<i64>,
    {
        let takes = range("a whole number", bounds.start(), bounds.end());
        let (value, spot) = match self.ask(key, &takes, Absent::Default(default.to_owned())) {
            Given::File(value, spot) => (value, spot),
            Given::Nothing | Given::Outside(..) => return None,
        };
        let DeValue::Integer(number) = value else {
            self.wrong_type(self.join(key), &spot, value, &takes);
            return None;
        };
        let found = i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| bounds.contains(number));
        if found.is_none() {
            let problem = format!("{} is out of range", printable(number.as_str()));
            self.book.note(
                &spot,
                self.join(key),
                Wrong::new(problem, format!("give {takes}")),
            );
        }
        found
    }

    /// A number, or else the default.
    pub(super) fn number(&mut self, key: &'static str, bounds: &RangeInclusive<f64>, default: f64) -> f64 {
        let takes = range(
            "a number",
            show_number(*bounds.start()),
            show_number(*bounds.end()),
        );
        let (value, spot) = match self.ask(key, &takes, Absent::Default(show_number(default))) {
            Given::File(value, spot) => (value, spot),
            Given::Nothing | Given::Outside(..) => return default,
        };
        let text = match value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            other => {
                self.wrong_type(self.join(key), &spot, other, &takes);
                return default;
            }
        };
        match text.parse::<f64>() {
            Ok(number) if bounds.contains(&number) => number,
            Ok(_) | Err(_) => {
                let problem = format!("{} is out of range", printable(text));
                self.book.note(
                    &spot,
                    self.join(key),
                    Wrong::new(problem, format!("give {takes}")),
                );
                default
            }
        }
    }

    /// `true` or `false`, or else the default.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let takes = "true or false";
        match self.ask(key, takes, Absent::Default(default.to_string())) {
            Given::File(DeValue::Boolean(value), _) => *value,
            Given::File(other, spot) => {
                self.wrong_type(self.join(key), &spot, other, takes);
                default
            }
            Given::Nothing | Given::Outside(..) => default,
        }
    }

    /// A list of text, empty when absent; what is wrong in it is noted and left out.
    pub(super) fn texts(&mut self, key: &'static str, rule: &Rule<String>) -> Vec<String> {
        let takes = format!("a list of {}", rule.takes);
        let items = match self.ask(key, &takes, Absent::Default("[]".to_owned())) {
            Given::File(DeValue::Array(items), _) => items,
            Given::File(other, spot) => {
                self.wrong_type(self.join(key), &spot, other, &takes);
                return Vec::new();
            }
            Given::Nothing | Given::Outside(..) => return Vec::new(),
        };
        let mut out = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let path = format!("{}[{at}]", self.join(key));
            let spot = Spot::Span(item.span());
            match item.get_ref() {
                DeValue::String(text) => out.extend(self.judge(path, &spot, text, rule)),
                other => self.wrong_type(path, &spot, other, &rule.takes),
            }
        }
        out
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
            if let Err(Wrong { problem, remedy }) = rule.parse(name.get_ref()) {
                let problem = format!("its name {} {problem}", quoted(name.get_ref()));
                self.book.note(&spot, path.clone(), Wrong { problem, remedy });
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
        name: &Spanned<std::borrow::Cow<'a, str>>,
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

    fn wrong_type(&self, path: String, spot: &Spot, found: &DeValue<'_>, takes: &str) {
        let problem = format!("is {}, not {takes}", kind(found));
        let remedy = match found {
            DeValue::Integer(_) | DeValue::Float(_) if takes.starts_with("a duration") => {
                "write it with its unit and in quotes, for example \"90s\"".to_owned()
            }
            DeValue::String(_) if takes.starts_with("a whole number") || takes.starts_with("a number") => {
                format!("write {takes}, without quotes")
            }
            _ => format!("give {takes}"),
        };
        self.book.note(spot, path, Wrong { problem, remedy });
    }

    fn ask(&mut self, key: &'static str, takes: &str, absent: Absent) -> Given<'a> {
        self.asked.insert(key);
        let known = KnownKey {
            takes: takes.to_owned(),
            absent,
        };
        self.book
            .keys
            .borrow_mut()
            .insert(join(&self.pattern, key), known);
        if let Some((text, place)) = self.book.outside.value(&self.join(key)) {
            return Given::Outside(text, Spot::At(place));
        }
        match self.entry(key) {
            Some((_, value)) => Given::File(value.get_ref(), Spot::Span(value.span())),
            None => Given::Nothing,
        }
    }

    fn entry(&self, key: &str) -> Option<(&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>)> {
        self.table?.get_key_value(key)
    }

    fn join(&self, key: &str) -> String {
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

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A path with one more part; a part that needs quotes in TOML gets them, escaped and cut.
fn join(path: &str, key: &str) -> String {
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
