//! What is noted while a file is read: its mistakes, and the keys that were asked for, so that the list of
//! known keys can't differ from what is read. Never reads a value itself; see `section` and `field`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use super::mistakes::{Mistake, Place};
use super::overrides::Outside;
use super::rule::Wrong;
use super::source::Source;

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

/// A mistake with its offset, if it is in the file at all.
pub(super) struct Noted {
    pub at: Option<usize>,
    pub mistake: Mistake,
}

/// What is shared by all sections.
pub(super) struct Book<'a> {
    pub source: &'a Source<'a>,
    pub outside: Outside<'a>,
    /// Whether the whole file was read. If not, what seems missing may be what was not understood.
    pub whole: bool,
    mistakes: RefCell<Vec<Noted>>,
    pub keys: RefCell<BTreeMap<String, KnownKey>>,
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

    pub(super) fn note(&self, spot: &Spot, key: String, wrong: Wrong) {
        let Wrong { problem, remedy, .. } = wrong;
        let noted = match spot {
            Spot::Span(span) => Noted {
                at: Some(span.start),
                mistake: self.source.mistake(span, key, &problem, &remedy),
            },
            Spot::At(place) => Noted {
                at: None,
                mistake: Mistake::new(place.clone(), key, &problem, &remedy),
            },
        };
        self.mistakes.borrow_mut().push(noted);
    }

    pub(super) fn is_mistaken(&self, key: &str) -> bool {
        self.mistakes
            .borrow()
            .iter()
            .any(|noted| noted.mistake.key == key)
    }

    /// Every mistake, and every key that was asked for.
    pub(super) fn close(self) -> (Vec<Noted>, BTreeMap<String, KnownKey>) {
        (self.mistakes.into_inner(), self.keys.into_inner())
    }
}
