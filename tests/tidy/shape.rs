//! What a source file looks like: it says what it is, it is short, and nothing in it is left undone.

use crate::tree::{Complaint, Source};

/// The most lines of a file. Typical here are 100 to 300.
const LINES_MAX: usize = 500;
/// The same for a file of tests, which may be one long table of cases.
const TEST_LINES_MAX: usize = 1000;

/// Files that may be longer, and why.
const LONG: [(&str, &str); 2] = [
    (
        "src/model/row.rs",
        "one rule for each attribute of a row, beside the test that shows its message",
    ),
    (
        "src/config/reader.rs",
        "one reader of TOML with all its messages; it is to be divided",
    ),
];

/// Complaints about `unwrap()` outside tests: `expect("…")` says why it cannot fail.
pub(crate) fn check_unwrap(source: &Source) -> Vec<Complaint> {
    let tokens = &source.code.tokens;
    tokens
        .windows(3)
        .filter(|three| three[0].text == "." && three[1].text == "unwrap" && three[2].text == "(")
        .map(|three| {
            source.complain(
                three[1].line,
                "unwrap() outside a test: return the error, or write expect(\"…\") with the reason why it \
                 cannot happen",
            )
        })
        .collect()
}

const LEFTOVERS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Complaints about what was to be taken out again.
pub(crate) fn check_leftovers(source: &Source) -> Vec<Complaint> {
    source
        .whole
        .tokens
        .windows(2)
        .filter(|two| two[1].text == "!" && LEFTOVERS.contains(&two[0].text.as_str()))
        .map(|two| {
            let text = format!("{}! is left over: finish it or take it out", two[0].text);
            source.complain(two[0].line, text)
        })
        .collect()
}

/// A complaint about a file that does not say what it is.
pub(crate) fn check_head(source: &Source) -> Vec<Complaint> {
    let says = source
        .text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//! "))
        .is_some_and(|text| !text.trim().is_empty());
    if says {
        return Vec::new();
    }
    vec![source.complain(
        1,
        "begins without a head comment: say in `//!` what it is, what it never does and where to read next",
    )]
}

/// A complaint about a file that is too long, or about an exception that is not needed any more. An exception
/// for a file that is gone is let be, so that a branch that removes a file need not know of this list.
pub(crate) fn check_length(source: &Source) -> Vec<Complaint> {
    let lines = source.text.lines().count();
    let of_tests = source.path.starts_with("tests/") || source.path.contains("/tests/");
    let most = if of_tests { TEST_LINES_MAX } else { LINES_MAX };
    let exception = LONG.iter().find(|(path, _)| *path == source.path);
    match exception {
        None if lines > most => {
            let text = format!(
                "has {lines} lines, more than {most}: divide it by the questions it answers, or name it in \
                 tests/tidy/shape.rs with the reason"
            );
            vec![source.complain(lines, text)]
        }
        Some((_, reason)) if lines <= most => {
            let text = format!(
                "has {lines} lines only, so its exception in tests/tidy/shape.rs (\"{reason}\") can go"
            );
            vec![source.complain(lines, text)]
        }
        None | Some(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwrap_is_for_tests() {
        let check = |code: &str| check_unwrap(&Source::new("src/a.rs", code)).len();
        assert_eq!(check("fn f() { x.unwrap() }"), 1);
        assert_eq!(check("fn f() { x\n    .unwrap()\n    .y() }"), 1);
        assert_eq!(check("#[cfg(test)] mod tests { fn f() { x.unwrap() } }"), 0);
        assert_eq!(check("fn f() { x.unwrap_or_default() } // x.unwrap()"), 0);
    }

    #[test]
    fn nothing_is_left_undone() {
        let check = |code: &str| check_leftovers(&Source::new("src/a.rs", code)).len();
        for code in ["fn f() { todo!() }", "unimplemented!(\"x\")", "let y = dbg!(x);"] {
            assert_eq!(check(code), 1, "{code}");
        }
        assert_eq!(check("// todo!() is a macro\nfn todo() {}"), 0);
    }

    #[test]
    fn a_file_says_what_it_is() {
        let check = |code: &str| check_head(&Source::new("src/a.rs", code)).len();
        assert_eq!(check("fn f() {}"), 1);
        assert_eq!(check("//!\nfn f() {}"), 1);
        assert_eq!(check("//! Says what it is.\nfn f() {}"), 0);
    }

    #[test]
    fn a_long_file_needs_a_reason_and_a_reason_needs_a_long_file() {
        let long = "//! x\n".repeat(LINES_MAX + 1);
        assert_eq!(check_length(&Source::new("src/a.rs", &long)).len(), 1);
        assert_eq!(check_length(&Source::new("tests/a.rs", &long)).len(), 0);
        assert_eq!(check_length(&Source::new("tests/a.rs", &long.repeat(2))).len(), 1);
        assert_eq!(check_length(&Source::new(LONG[0].0, &long)).len(), 0);
        assert_eq!(check_length(&Source::new(LONG[0].0, "//! x\n")).len(), 1);
        assert_eq!(check_length(&Source::new("src/a.rs", "//! x\n")).len(), 0);
    }
}
