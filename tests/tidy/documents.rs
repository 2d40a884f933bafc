//! The documents: links that lead somewhere, decisions without a gap, and no place that only one machine knows.

use crate::tree::{Complaint, Text};

/// Complaints about relative links of Markdown files: the file has to be there, and the heading too.
pub(crate) fn check_links(documents: &[Text], exists: &dyn Fn(&str) -> bool) -> Vec<Complaint> {
    let mut found = Vec::new();
    for document in documents {
        for (line, target) in links(&document.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let path = if file.is_empty() {
                document.path.clone()
            } else {
                from(&document.path, file)
            };
            let complain = |text: String| Complaint::new(&document.path, line, text);
            if !exists(&path) {
                found.push(complain(format!(
                    "links to {target}, and there is no {path}: mend the link"
                )));
            } else if !heading.is_empty()
                && let Some(other) = documents.iter().find(|other| other.path == path)
                && !headings(&other.text).iter().any(|known| known == heading)
            {
                found.push(complain(format!(
                    "links to {target}, and {path} has no such heading"
                )));
            }
        }
    }
    found
}

/// A path that is written in the file `base`, from the root of the project.
fn from(base: &str, written: &str) -> String {
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The lines of a document that are not in a code block, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((number + 1, line));
        }
    }
    lines
}

fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let mut rest = line;
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let Some(end) = rest.find(')') else { break };
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            found.push((number, target.to_owned()));
            rest = &rest[end..];
        }
    }
    found
}

/// Headings, as links spell them.
fn headings(text: &str) -> Vec<String> {
    prose(text)
        .into_iter()
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            line.trim_start_matches('#')
                .trim()
                .chars()
                .filter_map(|c| match c {
                    ' ' => Some('-'),
                    '-' | '_' => Some(c),
                    _ if c.is_alphanumeric() => c.to_lowercase().next(),
                    _ => None,
                })
                .collect()
        })
        .collect()
}

/// Complaints about decisions: `NNNN-title.md`, from 0001 without a gap, with the number in the first line.
pub(crate) fn check_numbering(decisions: &[Text]) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (place, decision) in decisions.iter().enumerate() {
        let wanted = format!("{:04}", place + 1);
        let name = decision.path.rsplit('/').next().unwrap_or_default();
        if !name.starts_with(&format!("{wanted}-")) {
            let text = format!("should be number {wanted}: number decisions in a row, each once");
            found.push(Complaint::new(&decision.path, 1, text));
        } else if !decision.text.starts_with(&format!("# {wanted}: ")) {
            let text = format!("should begin with `# {wanted}: ` and its title");
            found.push(Complaint::new(&decision.path, 1, text));
        }
    }
    found
}

/// Places that only one machine knows, and hosts that packages come from: which ones to use is for the tools'
/// own configuration to say. Written in two parts, so that this file keeps its own rule.
const PLACES: [&str; 9] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
    concat!("crates", ".io"),
    concat!("registry.npm", "js"),
    concat!("npmjs", ".org"),
    concat!("pypi", ".org"),
    concat!("files.python", "hosted"),
];

/// What cargo writes into its lock file for every crate, wherever it was fetched from.
const CARGOS_OWN: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");

/// What a file may name all the same.
const ALLOWED: [(&str, &str); 2] = [
    ("Cargo.lock", CARGOS_OWN),
    // A page for readers, nothing is fetched from there.
    (
        "simcloud/README.md",
        concat!("https://crates", ".io/crates/dynoxide-rs"),
    ),
];

/// Complaints about a file that names such a place.
pub(crate) fn check_places(file: &Text) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let mut line = line.to_owned();
        for (_, allowed) in ALLOWED.iter().filter(|(path, _)| *path == file.path) {
            line = line.replace(allowed, "");
        }
        for place in PLACES.iter().filter(|place| line.contains(**place)) {
            let text = format!("names {place}: leave out places of one machine and hosts of registries");
            found.push(Complaint::new(&file.path, number + 1, text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Text {
        Text {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn dead(text: &str) -> usize {
        let documents = [file("docs/a.md", text), file("docs/b.md", "# One `two` three!\n")];
        let known = |path: &str| matches!(path, "docs/a.md" | "docs/b.md" | "README.md");
        check_links(&documents, &known).len()
    }

    #[test]
    fn a_link_leads_to_a_file_and_a_heading() {
        assert_eq!(
            dead("[x](b.md), [y](../README.md), [z](https://example.com/x)"),
            0
        );
        assert_eq!(dead("[x](c.md)"), 1);
        assert_eq!(dead("[x](../src/nothing.rs)"), 1);
        assert_eq!(dead("[x](b.md#one-two-three)"), 0);
        assert_eq!(dead("[x](b.md#four)"), 1);
        assert_eq!(dead("# Here\n[x](#here) [y](#there)"), 1);
        assert_eq!(dead("```\n[x](c.md)\n```"), 0);
    }

    #[test]
    fn decisions_are_numbered_in_a_row() {
        let check = |files: &[(&str, &str)]| {
            let files: Vec<Text> = files.iter().map(|(path, text)| file(path, text)).collect();
            check_numbering(&files).len()
        };
        let first = ("docs/adr/0001-a.md", "# 0001: A\n");
        assert_eq!(check(&[first, ("docs/adr/0002-b.md", "# 0002: B\n")]), 0);
        assert_eq!(check(&[first, ("docs/adr/0003-b.md", "# 0003: B\n")]), 1, "a gap");
        assert_eq!(check(&[first, ("docs/adr/0001-b.md", "# 0001: B\n")]), 1, "twice");
        assert_eq!(check(&[first, ("docs/adr/0002-b.md", "# B\n")]), 1, "no number");
    }

    #[test]
    fn no_place_of_one_machine_is_named() {
        for place in PLACES {
            let text = format!("see {place}x");
            assert_eq!(check_places(&file("docs/a.md", &text)).len(), 1, "{place}");
        }
        let lock = format!("source = \"{CARGOS_OWN}\"");
        assert_eq!(check_places(&file("Cargo.lock", &lock)).len(), 0);
        assert_eq!(check_places(&file("other.lock", &lock)).len(), 1);
    }
}
