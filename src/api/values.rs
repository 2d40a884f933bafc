//! Values that several requests bring as text.

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// A duration of more than nothing and at most a year, such as `90m`, `3h` or `1d`; a day has 24 hours.
pub(super) fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let sane = length > SignedDuration::ZERO && length <= SignedDuration::from_hours(366 * 24);
    sane.then_some(length)
}
