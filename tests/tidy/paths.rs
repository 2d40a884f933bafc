//! The paths that a file names: those of its `use` lines, whatever their shape, and those in its code, with
//! imported names and `super` spelt out.

use std::collections::BTreeMap;

use crate::lexer::{Lexed, Token};
use crate::tree::Source;

/// A path that is named somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    /// Spelt out: begins with `crate` for what is ours, else with the name of another crate or a local name.
    pub(crate) path: Vec<String>,
}

impl Named {
    pub(crate) fn text(&self) -> String {
        self.path.join("::")
    }

    /// Whether the path begins like this.
    pub(crate) fn is_below(&self, prefix: &str) -> bool {
        let mut path = self.path.iter();
        prefix
            .split("::")
            .all(|part| path.next().is_some_and(|own| own == part))
    }
}

/// Every path that the file names outside its tests.
pub(crate) fn outside_tests(source: &Source) -> Vec<Named> {
    named(&module_of(&source.path), &source.code)
}

/// Every path that the file names.
pub(crate) fn everywhere(source: &Source) -> Vec<Named> {
    named(&module_of(&source.path), &source.whole)
}

/// The module that a file is, from the root of its crate.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("src/").map_or(path, |(_, inside)| inside);
    let mut parts: Vec<String> = inside
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if parts
        .last()
        .is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main"))
    {
        parts.pop();
    }
    parts
}

fn named(module: &[String], code: &Lexed) -> Vec<Named> {
    let (imported, rest) = split_uses(&code.tokens);
    let mut found = Vec::new();
    let mut aliases = BTreeMap::new();
    for (alias, mut named) in imported {
        named.path = spelt_out(module, named.path);
        aliases.insert(alias, named.path.clone());
        found.push(named);
    }
    for mut named in in_code(&rest) {
        if let Some(full) = aliases.get(&named.path[0]) {
            named.path.splice(0..1, full.iter().cloned());
        } else {
            named.path = spelt_out(module, named.path);
        }
        found.push(named);
    }
    found
}

/// `super` and `self` replaced by what they stand for in `module`.
fn spelt_out(module: &[String], path: Vec<String>) -> Vec<String> {
    let relative = path
        .first()
        .is_some_and(|first| first == "super" || first == "self");
    if !relative {
        return path;
    }
    let mut whole = vec!["crate".to_owned()];
    whole.extend(module.iter().cloned());
    for part in path {
        match part.as_str() {
            "self" => {}
            "super" => {
                if whole.len() > 1 {
                    whole.pop();
                }
            }
            _ => whole.push(part),
        }
    }
    whole
}

/// What `use` lines bring in, by the name it goes by, and all other tokens.
fn split_uses(tokens: &[Token]) -> (Vec<(String, Named)>, Vec<Token>) {
    let mut imported = Vec::new();
    let mut rest = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = tokens[at].text == "use"
            && (at == 0 || matches!(tokens[at - 1].text.as_str(), ";" | "{" | "}" | "]" | ")" | "pub"));
        if begins {
            at = use_tree(tokens, at + 1, &[], &mut imported);
        } else {
            rest.push(tokens[at].clone());
        }
        at += 1;
    }
    (imported, rest)
}

/// Reads one tree of a `use` line and returns the index of the token that ends it.
fn use_tree(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    imported: &mut Vec<(String, Named)>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut alias = None;
    let line = tokens.get(at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "::" => {}
            "as" => {
                at += 1;
                alias = tokens.get(at).map(|token| token.text.clone());
            }
            "{" => {
                loop {
                    at = use_tree(tokens, at + 1, &path, imported);
                    if tokens.get(at).is_none_or(|token| token.text == "}") {
                        break;
                    }
                }
                return (at + 1).min(tokens.len());
            }
            "," | "}" | ";" => break,
            "self" if !path.is_empty() => {}
            part => path.push(part.to_owned()),
        }
        at += 1;
    }
    if path.len() > prefix.len() || tokens.get(at.wrapping_sub(1)).is_some_and(|t| t.text == "self") {
        let name = alias.or_else(|| path.last().cloned()).unwrap_or_default();
        imported.push((name, Named { line, path }));
    }
    at
}

/// Paths of two parts or more in code.
fn in_code(tokens: &[Token]) -> Vec<Named> {
    let is_word = |token: &Token| {
        token
            .text
            .chars()
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_')
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let line = tokens[at].line;
        let mut path = Vec::new();
        while let Some(token) = tokens.get(at).filter(|token| is_word(token)) {
            path.push(token.text.clone());
            at += 1;
            let goes_on = tokens.get(at).is_some_and(|token| token.text == "::")
                && tokens.get(at + 1).is_some_and(is_word);
            if !goes_on {
                break;
            }
            at += 1;
        }
        if path.len() > 1 {
            found.push(Named { line, path });
        } else if path.is_empty() {
            at += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, code: &str, expected: &[&str]) {
        let found = outside_tests(&Source::new(path, code));
        let texts: Vec<String> = found.iter().map(Named::text).collect();
        assert_eq!(texts, expected, "{code}");
    }

    #[test]
    fn every_shape_of_use_is_read() {
        check(
            "src/a/b.rs",
            "use crate::x::{self, y::{Z, W as V}, *};",
            &["crate::x", "crate::x::y::Z", "crate::x::y::W", "crate::x::*"],
        );
        check("src/a/b.rs", "pub use super::c;", &["crate::a::c"]);
        check("src/a.rs", "pub(crate) use super::c::D;", &["crate::c::D"]);
        check("src/a/mod.rs", "use self::c::D;", &["crate::a::c::D"]);
    }

    #[test]
    fn paths_in_code_are_read_through_their_imports() {
        check(
            "src/a.rs",
            "use crate::x::{self, Y}; fn f() { x::go(); Y::new(); z::w::<T>(); }",
            &[
                "crate::x",
                "crate::x::Y",
                "crate::x::go",
                "crate::x::Y::new",
                "z::w",
            ],
        );
        check("src/a/b.rs", "fn f() -> super::super::x::Y {}", &["crate::x::Y"]);
    }
}
