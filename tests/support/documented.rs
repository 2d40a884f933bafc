//! Blocks of documents that show what a command prints, each indented by four blanks after a line with the command.
//!
//! With `UPDATE_EXAMPLES=1` they are written anew instead of compared.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::PathBuf;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn updates() -> bool {
    std::env::var_os("UPDATE_EXAMPLES").is_some()
}

/// Compares with the block of a document that follows a command.
#[track_caller]
pub(crate) fn documented(document: &str, command: &str, now: &str) {
    documented_but_for(str::to_owned, document, command, now);
}

/// The same, where `blurred` takes out what differs from run to run.
#[track_caller]
pub(crate) fn documented_but_for(blurred: impl Fn(&str) -> String, document: &str, command: &str, now: &str) {
    let path = root().join(document);
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = format!("    $ {command}\n");
    let (before, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{document} has no {begin}"));
    let lines = rest.split_inclusive('\n');
    let block: String = lines
        .take_while(|line| (line.starts_with("    ") && !line.starts_with("    $ ")) || *line == "\n")
        .collect();
    let block = block.trim_end();
    let new: String = now
        .lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            }
        })
        .collect();
    let new = new.trim_end();
    if updates() && blurred(block) != blurred(new) {
        let after = &rest[block.len()..];
        std::fs::write(&path, format!("{before}{begin}{new}{after}")).unwrap();
        return;
    }
    assert_eq!(
        blurred(block),
        blurred(new),
        "{document}: UPDATE_EXAMPLES=1 writes it anew"
    );
}
