//! Every bug that can be planted (`src/planted.rs`) is planted somewhere, and nothing else is.

use std::collections::BTreeSet;

use crate::tree::{Complaint, Source};

/// Where the bugs are listed and the macro is.
const LIST: &str = "src/planted.rs";

/// Complaints about bugs that are planted nowhere. (That a planted one is listed, the compiler sees to.)
pub(crate) fn check(sources: &[Source]) -> Vec<Complaint> {
    let Some(list) = sources.iter().find(|source| source.path == LIST) else {
        return Vec::new();
    };
    let planted: BTreeSet<&str> = sources
        .iter()
        .filter(|source| source.path != LIST)
        .flat_map(|source| source.code.tokens.windows(4))
        .filter(|tokens| tokens[0].text == "planted" && tokens[1].text == "!")
        .map(|tokens| tokens[3].text.as_str())
        .collect();
    listed(list)
        .filter(|(_, bug)| !planted.contains(bug))
        .map(|(line, bug)| {
            let text =
                format!("{bug} is planted nowhere: put planted!({bug}) where it goes wrong, or take it out");
            list.complain(line, text)
        })
        .collect()
}

/// The variants between `bugs! {` and its end: a word of its own before a comma.
fn listed(list: &Source) -> impl Iterator<Item = (usize, &str)> {
    let tokens = &list.code.tokens;
    let begin = tokens
        .windows(3)
        .position(|three| three[0].text == "bugs" && three[1].text == "!" && three[2].text == "{");
    tokens
        .iter()
        .skip(begin.map_or(tokens.len(), |begin| begin + 3))
        .take_while(|token| token.text != "}")
        .filter(|token| token.text.starts_with(char::is_uppercase))
        .map(|token| (token.line, token.text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_that_is_planted_nowhere_is_found() {
        let list = "bugs! { /// it is ignored\n Ignored, /// it is lost\n Lost, } fn after() { Other; }";
        let site = "fn f() { if planted!(Lost) { g(); } }";
        let found = check(&[Source::new(LIST, list), Source::new("src/executor.rs", site)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].to_string().contains("Ignored is planted nowhere"),
            "{found:?}"
        );
    }
}
