//! Small conversions between what AWS writes and what we keep. Text from outside is cut and escaped here,
//! so that a log line, a status or a page stays one line however hostile its source was.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};

/// The most characters kept of a sentence that came from outside.
pub(super) const SENTENCE_MAX: usize = 300;

/// `text` in one line of at most `max` characters, with control characters and the marks that turn the
/// reading direction escaped.
pub(super) fn one_line(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut left = max;
    for c in text.trim().chars() {
        let hidden = c.is_control() || is_invisible(c);
        // Counted as it is written: what is escaped takes up to ten characters.
        let takes = if hidden { c.escape_unicode().len() } else { 1 };
        if takes > left {
            out.push('…');
            break;
        }
        left -= takes;
        if hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// One of the names of `model::name` that carry no rule of their own, read back from a table or from AWS.
pub(super) fn name<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text: StrDeserializer<'_, ValueError> = text.into_deserializer();
    T::deserialize(text).map_err(|e| e.to_string())
}

/// A time of the SDK as one of ours; `None` when it lies outside what a timestamp can hold.
pub(super) fn time(at: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// A count of AWS. It is never negative; if it were, it would count nothing.
pub(super) fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// What follows the last slash of an ARN, which is a name.
pub(super) fn last_segment(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_one_line_of_bounded_length() {
        assert_eq!(one_line(" a\r\nb\u{202e}c ", 90), "a\\u{d}\\u{a}b\\u{202e}c");
        assert_eq!(one_line(&"ä".repeat(9), 3), "äää…");
        assert_eq!(one_line("", 3), "");
        assert_eq!(one_line(&"\0".repeat(9), 12), "\\u{0}\\u{0}…");
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        let at = aws_smithy_types::DateTime::from_secs_and_nanos(1_795_000_000, 5_000_000);
        assert_eq!(
            time(&at).map(Timestamp::as_nanosecond),
            Some(1_795_000_000_005_000_000)
        );
        assert_eq!(time(&aws_smithy_types::DateTime::from_secs(i64::MAX)), None);
    }

    #[test]
    fn a_name_is_what_follows_the_last_slash() {
        assert_eq!(
            last_segment("arn:aws:ecs:eu-central-1:123456789012:service/apps/shop"),
            "shop"
        );
        assert_eq!(
            last_segment("arn:aws:ecs:eu-central-1:123456789012:service/shop"),
            "shop"
        );
        assert_eq!(last_segment("shop"), "shop");
    }
}
