//! Reads the value of one key by its rule, or by its type and range. A mistake is noted and the default, or
//! nothing, takes its place, so that the rest of the file is read too. Never looks at a second key.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::book::{Absent, KnownKey, Spot};
use super::mistakes::printable;
use super::rule::{Rule, Wrong, range, show_number};
use super::section::{Section, join};
use crate::model::row::quoted;

enum Given<'a> {
    Nothing,
    Outside(&'a str, Spot),
    File(&'a DeValue<'a>, Spot),
}

impl<'a> Section<'a> {
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
            Err(mut wrong) => {
                if !self.secret && !wrong.secret {
                    wrong.problem = format!("{} {}", quoted(text), wrong.problem);
                }
                self.book.note(spot, path, wrong);
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

    /// Text under names that are free; what is wrong in it is noted and left out.
    pub(super) fn free(
        &mut self,
        key: &'static str,
        names: &Rule<String>,
        values: &Rule<String>,
    ) -> BTreeMap<String, String> {
        let inner = self.section(key);
        let known = KnownKey {
            takes: values.takes.clone(),
            absent: Absent::Refused,
        };
        let pattern = join(&inner.pattern, "NAME");
        self.book.keys.borrow_mut().insert(pattern, known);
        let mut out = BTreeMap::new();
        for (name, value) in inner.table.into_iter().flatten() {
            let path = inner.join(name.get_ref());
            if let Err(mut wrong) = names.parse(name.get_ref()) {
                wrong.problem = format!("its name {} {}", quoted(name.get_ref()), wrong.problem);
                self.book.note(&Spot::Span(name.span()), path.clone(), wrong);
            }
            let spot = Spot::Span(value.span());
            match value.get_ref() {
                DeValue::String(text) => {
                    let text = self.judge(path, &spot, text, values);
                    out.extend(text.map(|text| (name.get_ref().to_string(), text)));
                }
                other => self.wrong_type(path, &spot, other, &values.takes),
            }
        }
        out
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

    pub(super) fn wrong_type(&self, path: String, spot: &Spot, found: &DeValue<'_>, takes: &str) {
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
        self.book.note(spot, path, Wrong::new(problem, remedy));
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
