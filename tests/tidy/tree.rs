//! The files of the project, and what is said about them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::lexer::{self, Lexed};

/// Something that breaks a rule: where, and what to do about it.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

impl Complaint {
    pub(crate) fn new(file: &str, line: usize, text: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            text: text.into(),
        }
    }
}

/// A text file, by its path from the root of the project.
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A Rust file, taken apart.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Its code, tests included.
    pub(crate) whole: Lexed,
    /// Its code without `#[cfg(test)]` modules.
    pub(crate) code: Lexed,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let whole = lexer::lex(text);
        let code = whole.without_tests();
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            whole,
            code,
        }
    }

    pub(crate) fn complain(&self, line: usize, text: impl Into<String>) -> Complaint {
        Complaint::new(&self.path, line, text)
    }
}

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One file that has to be there.
pub(crate) fn text(path: &str) -> Text {
    let text = fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path} should be there and readable: {error}"));
    Text {
        path: path.to_owned(),
        text,
    }
}

/// Every Rust file below these folders.
pub(crate) fn sources(roots: &[&str]) -> Vec<Source> {
    texts(|path| {
        let below = |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.starts_with('/'));
        crate::has_ending(path, "rs") && roots.iter().any(below)
    })
    .iter()
    .map(|file| Source::new(&file.path, &file.text))
    .collect()
}

/// Every text file whose path is wanted, in order; what is built, installed or private is left out.
pub(crate) fn texts(wanted: impl Fn(&str) -> bool) -> Vec<Text> {
    let mut found = Vec::new();
    walk(&root(), "", &mut |path, name| {
        if wanted(name)
            && let Ok(text) = fs::read_to_string(path)
        {
            found.push(Text {
                path: name.to_owned(),
                text,
            });
        }
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

const BUILT: [&str; 4] = ["target", "node_modules", "__pycache__", "mutants.out"];
const HIDDEN_BUT_OURS: [&str; 6] = [
    ".ci",
    ".config",
    ".github",
    ".gitignore",
    ".npmrc",
    ".dockerignore",
];

fn walk(dir: &Path, prefix: &str, visit: &mut impl FnMut(&Path, &str)) {
    let entries = fs::read_dir(dir).expect("the project's folders can be listed");
    for entry in entries {
        let entry = entry.expect("the project's folders can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        let skip = BUILT.contains(&name.as_str())
            || (name.starts_with('.') && !HIDDEN_BUT_OURS.contains(&name.as_str()));
        if skip {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), &format!("{path}/"), visit);
        } else {
            visit(&entry.path(), &path);
        }
    }
}
