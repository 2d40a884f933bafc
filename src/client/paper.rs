//! What every verb prints on: tables and JSON that are safe on a terminal, whoever wrote the text in them.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use jiff::Timestamp;
use serde::Serialize;

/// `answer` as JSON.
pub(crate) fn json(out: &mut dyn Write, answer: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(answer).map_err(io::Error::other)?;
    writeln!(out, "{}", json_shown(&text))
}

/// People read seconds.
pub(crate) fn second(time: Timestamp) -> String {
    time.round(jiff::Unit::Second).unwrap_or(time).to_string()
}

/// Something to see where there is nothing.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    match text {
        None | Some("") => "-".to_owned(),
        Some(text) => text.to_owned(),
    }
}

/// A table without lines, each row on one line.
pub(crate) fn table<const N: usize>(
    out: &mut dyn Write,
    header: Option<[&str; N]>,
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(header) = header {
        table.set_header(header);
    }
    for row in rows {
        table.add_row(row.map(|text| shown(&text)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Text that is safe on a terminal: control characters, and those that turn the direction of writing, are
/// escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The same for written JSON, where such characters can only be inside strings; line breaks are its layout.
fn json_shown(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_unsafe(c) {
            let digits = u32::from(c);
            out.extend(format!("\\u{digits:04x}").chars());
        } else {
            out.push(c);
        }
    }
    out
}

fn is_unsafe(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_is_printed() {
        assert_eq!(
            shown("a\u{1b}[2J\r\n\u{9b}x\u{202e}é"),
            "a\\u{1b}[2J\\r\\n\\u{9b}x\\u{202e}é"
        );
        assert_eq!(
            json_shown("{\n\"\u{9b}\u{7f}\u{202e}\"}"),
            "{\n\"\\u009b\\u007f\\u202e\"}"
        );
    }
}
