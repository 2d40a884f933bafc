//! The text of a configuration file: turns byte offsets into lines and columns, and cuts out the line that
//! is shown with a mistake. Never shows a line that may hold a secret.

use std::ops::Range;
use std::path::Path;

use super::mistakes::{Excerpt, Mistake, Place, push_printable};

/// The largest file that is read.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

/// The most characters shown of a line.
const LINE_CHARS_MAX: usize = 120;

/// Words that mark a line as one that may hold a secret, or, for the first, a whole section.
const SECRET_WORDS: [&str; 6] = [
    "token",
    "sha256",
    "secret",
    "password",
    "credential",
    "access_key",
];

/// Reads the text of the file at `path`.
pub(super) fn text_of(path: &Path) -> Result<String, Box<Mistake>> {
    let whole_file =
        |problem: &str, remedy| Box::new(Mistake::new(Place::File, String::new(), problem, remedy));
    let bytes = std::fs::read(path).map_err(|error| {
        let remedy = "give the path of a file that this user may read";
        whole_file(&format!("cannot be read: {error}"), remedy)
    })?;
    if bytes.len() > BYTES_MAX {
        let problem = format!("has {} bytes, more than {BYTES_MAX}", bytes.len());
        return Err(whole_file(&problem, "give the path of a configuration file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        bytes.truncate(at);
        let text = String::from_utf8(bytes).expect("bytes are valid up to there");
        let mut mistake =
            Source::new(&text).mistake(&(at..at), String::new(), "is not UTF-8", "save the file as UTF-8");
        mistake.excerpt = None;
        Box::new(mistake)
    })
}

/// A file's text.
pub(super) struct Source<'s> {
    text: &'s str,
    /// Where each line starts.
    lines: Vec<usize>,
    /// For each line, whether it may hold a secret.
    secret: Vec<bool>,
}

impl<'s> Source<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        let lines: Vec<usize> = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let mut secret = Vec::with_capacity(lines.len());
        let mut in_tokens = false;
        for line in text.split('\n') {
            let small = line.to_ascii_lowercase();
            let code = small.trim_start();
            if code.contains(SECRET_WORDS[0]) && !code.starts_with('#') {
                in_tokens = true;
            } else if code.starts_with('[') {
                in_tokens = false;
            }
            let password_in_url = small.contains("://") && small.contains('@');
            let suspicious = password_in_url || SECRET_WORDS.iter().any(|word| small.contains(word));
            secret.push(in_tokens || suspicious);
        }
        Self { text, lines, secret }
    }

    pub(super) fn text(&self) -> &'s str {
        self.text
    }

    /// The index of the line that holds the byte at `offset`.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).max(1) - 1
    }

    /// Where the first line after `line` that starts a table begins, or the end of the text.
    pub(super) fn next_header(&self, line: usize) -> usize {
        self.lines
            .iter()
            .skip(line + 1)
            .copied()
            .find(|start| {
                self.text[*start..]
                    .trim_start_matches([' ', '\t'])
                    .starts_with('[')
            })
            .unwrap_or(self.text.len())
    }

    /// Where `line` starts.
    pub(super) fn start_of(&self, line: usize) -> usize {
        self.lines.get(line).copied().unwrap_or(self.text.len())
    }

    /// A mistake at a range of bytes.
    pub(super) fn mistake(&self, span: &Range<usize>, key: String, problem: &str, remedy: &str) -> Mistake {
        let start = floor(self.text, span.start);
        let end = floor(self.text, span.end.max(start));
        let line = self.line(start);
        let line_start = self.start_of(line);
        let column = self.text[line_start..start].chars().count();
        let length = self.text[start..end].split('\n').next().unwrap_or_default();
        let place = Place::Position {
            line: line + 1,
            column: column + 1,
        };
        Mistake {
            excerpt: self.excerpt(line, column, length.chars().count()),
            ..Mistake::new(place, key, problem, remedy)
        }
    }

    fn excerpt(&self, line: usize, column: usize, length: usize) -> Option<Excerpt> {
        if self.secret.get(line).copied().unwrap_or(true) {
            return None;
        }
        let text = self.text[self.start_of(line)..].split('\n').next()?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        // A long line is cut so that the part that is meant stays visible.
        let first = if column + length > LINE_CHARS_MAX {
            column.saturating_sub(LINE_CHARS_MAX / 3)
        } else {
            0
        };
        let mut excerpt = Excerpt {
            line: line + 1,
            text: String::new(),
            before: 0,
            width: 0,
        };
        let mut shown = 0;
        if first > 0 {
            excerpt.text.push('…');
            excerpt.before += 1;
        }
        for (at, c) in text.chars().enumerate().skip(first) {
            if shown >= LINE_CHARS_MAX {
                excerpt.text.push('…');
                break;
            }
            let width = push_printable(&mut excerpt.text, c);
            shown += width;
            if at < column {
                excerpt.before += width;
            } else if at < column + length {
                excerpt.width += width;
            }
        }
        Some(excerpt)
    }
}

/// The last boundary between characters at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
