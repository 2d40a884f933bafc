//! What is wrong with a configuration: every mistake with its place, what is wrong and the way out, printed
//! the way a compiler does. Never shows a line that may hold a secret, and never lets text from the file
//! reach a terminal unescaped.

use std::fmt;

/// The most mistakes that are printed; the rest are counted. One misplaced header can cause hundreds.
const SHOWN_MAX: usize = 50;

/// The most characters that are shown of a problem, a remedy or a path.
const TEXT_CHARS_MAX: usize = 600;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file, but no place in it: something is missing, or the file could not be read.
    File,
    /// A line and a column, both counted from 1; columns count characters.
    Position {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is.
    pub place: Place,
    /// The path of the key, for example `apps.shop.url`; empty when the text is no TOML.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
    /// The line it is in.
    pub(super) excerpt: Option<Excerpt>,
}

/// A line of the file, safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Its number, counted from 1.
    pub line: usize,
    /// Its text, with control characters escaped and long lines cut.
    pub text: String,
    /// How many characters stand before the part that is meant.
    pub before: usize,
    /// How many characters are meant.
    pub width: usize,
}

/// All mistakes of one configuration, in the order of the file; those of environment and flags follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    file: String,
    list: Vec<Mistake>,
}

impl Mistakes {
    /// The mistakes of `file`, put in order.
    pub(super) fn new(file: &str, mut list: Vec<Mistake>) -> Self {
        list.sort_by(|a, b| a.place.cmp(&b.place));
        Self {
            file: printable(file),
            list,
        }
    }

    /// Every mistake.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in self.list.iter().take(SHOWN_MAX) {
            mistake.print(&self.file, f)?;
            writeln!(f)?;
        }
        let hidden = self.list.len().saturating_sub(SHOWN_MAX);
        if hidden > 0 {
            writeln!(f, "and {hidden} more")?;
        }
        match self.list.len() {
            1 => write!(f, "1 mistake in the configuration"),
            n => write!(f, "{n} mistakes in the configuration"),
        }
    }
}

impl Mistake {
    /// A mistake whose texts may hold anything: what a terminal might obey is escaped, what is long is cut.
    pub(super) fn new(place: Place, key: String, problem: &str, remedy: &str) -> Self {
        Self {
            place,
            key,
            problem: printable(problem),
            remedy: printable(remedy),
            excerpt: None,
        }
    }

    fn print(&self, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File => write!(f, "{file}: ")?,
            Place::Position { line, column } => write!(f, "{file}:{line}:{column}: ")?,
            Place::Environment(name) => write!(f, "environment variable {}: ", printable(name))?,
            Place::Flag(name) => write!(f, "flag {name}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        writeln!(f, "{}", self.problem)?;
        let gutter = self.excerpt.as_ref().map_or(1, |e| e.line.to_string().len());
        if let Some(Excerpt {
            line,
            text,
            before,
            width,
        }) = &self.excerpt
        {
            writeln!(f, "  {line} | {text}")?;
            writeln!(
                f,
                "  {:gutter$} | {:before$}{}",
                "",
                "",
                "^".repeat((*width).max(1))
            )?;
        }
        writeln!(f, "  {:gutter$} = {}", "", self.remedy)
    }
}

/// Text with everything escaped that a terminal might obey, and cut when it is long.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == TEXT_CHARS_MAX {
            out.push('…');
            break;
        }
        push_printable(&mut out, c);
    }
    out
}

/// Appends `c`, escaped if it is not plainly visible, and says how many characters that took.
pub(super) fn push_printable(out: &mut String, c: char) -> usize {
    match c {
        '\t' => out.push(' '),
        '"' | '\'' | '\\' => out.push(c),
        _ => {
            let escaped = c.escape_debug();
            let count = escaped.clone().count();
            out.extend(escaped);
            return count;
        }
    }
    1
}
