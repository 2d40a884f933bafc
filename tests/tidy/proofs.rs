//! Documents that name code as what holds a claim: the file has to be there, and what is said to be in it.

use crate::tree::{Complaint, Text};

/// What stands between backticks, with the text before it and the line where it begins.
struct Span {
    line: usize,
    before: String,
    text: String,
}

/// Complaints about files and folders below `src/` and `tests/` that are not there; about names that a file does not have,
/// where they follow it in parentheses or after a comma, or stand before it with "in"; and about goldens that no plan is
/// held against. `read` gives the text of a file, and an empty one for a folder.
pub(crate) fn check(document: &Text, read: &dyn Fn(&str) -> Option<String>) -> Vec<Complaint> {
    let spans = spans(&document.text);
    let mut found = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        let mut needs = |holds: bool, text: String| {
            if !holds {
                found.push(Complaint::new(&document.path, span.line, text));
            }
        };
        let name = &span.text;
        if is_path(name) {
            needs(read(name).is_some(), format!("names {name}, which is not there"));
        } else if is_name(name) {
            if span.before.trim_end().ends_with("golden") {
                let golden = format!("tests/planner/golden/{name}.snap");
                needs(
                    read(&golden).is_some(),
                    format!("names a golden without {golden}"),
                );
            }
            let after = at
                .checked_sub(1)
                .map(|before| &spans[before])
                .filter(|_| matches!(span.before.as_str(), " (" | ", "));
            let ahead = spans.get(at + 1).filter(|next| next.before == " in ");
            for place in [after, ahead]
                .into_iter()
                .flatten()
                .filter(|place| is_path(&place.text))
            {
                // That a file is not there is said of itself.
                let has = read(&place.text).is_none_or(|text| has_word(&text, name));
                needs(
                    has,
                    format!("says that {name} is in {}, and it is not", place.text),
                );
            }
        }
    }
    found
}

fn is_path(text: &str) -> bool {
    (text.starts_with("src/") || text.starts_with("tests/"))
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/_.-".contains(&b))
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|found| found == word)
}

/// What stands between backticks outside of code blocks. Line ends count as blanks, since documents are wrapped.
fn spans(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let (mut outside, mut inside) = (String::new(), None::<(usize, String)>);
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            continue;
        }
        if in_code {
            continue;
        }
        for c in line.trim().chars().chain([' ']) {
            match (&mut inside, c) {
                (None, '`') => inside = Some((number + 1, String::new())),
                (None, c) => outside.push(c),
                (Some(_), '`') => {
                    if let Some((line, text)) = inside.take() {
                        let before = std::mem::take(&mut outside);
                        found.push(Span { line, before, text });
                    }
                }
                (Some((_, text)), c) => text.push(c),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> usize {
        let document = Text {
            path: "docs/a.md".to_owned(),
            text: text.to_owned(),
        };
        let read = |path: &str| match path {
            "src/a.rs" => Some("fn is_here() { here_too() }".to_owned()),
            "tests/folder" | "tests/planner/golden/plan.snap" => Some(String::new()),
            _ => None,
        };
        check(&document, &read).len()
    }

    #[test]
    fn what_a_document_names_is_there() {
        for good in [
            "`src/a.rs` and `tests/folder`; `docs/none.md`, `none`, golden `plan`",
            "(`src/a.rs`, `is_here`), `src/a.rs` (`here_too`), `is_here` in `src/a.rs`",
            "(`src/a.rs`,\n  `is_here`), `is_here`\nin `src/a.rs`",
            "`src/a.rs` | `none`",
            "```\n`src/none.rs`\n```",
        ] {
            assert_eq!(wrong(good), 0, "{good}");
        }
        for bad in [
            "`src/none.rs`",
            "`tests/none`",
            "`src/a.rs` (`is`)",
            "(`src/a.rs`,\n  `gone`)",
            "`gone`\nin `src/a.rs`",
            "golden `none`",
        ] {
            assert_eq!(wrong(bad), 1, "{bad}");
        }
    }
}
