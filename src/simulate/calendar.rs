//! The days of a span in one zone: where they begin, which of them are off, and in which the clock changes.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Span;
use crate::model::schedule::Schedule;

/// One day on the wall, as far as it lies in the span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) date: Date,
    /// From when, and until when.
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// Whether its schedule has it off.
    pub(super) off: bool,
    pub(super) clocks: Option<Clocks>,
}

/// A change of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clocks {
    /// When.
    pub(super) at: Timestamp,
    /// By how much they go forward, or if negative back.
    pub(super) by: SignedDuration,
}

/// The days of `span`, in order.
pub(super) fn days(span: Span, zone: &TimeZone, schedule: Option<&Schedule>) -> Vec<Day> {
    let mut days = Vec::new();
    let mut at = span.from;
    while at < span.to {
        let date = zone.to_datetime(at).date();
        let tomorrow = date
            .tomorrow()
            .ok()
            .and_then(|day| day.to_zoned(zone.clone()).ok());
        let end = tomorrow.map_or(span.to, |day| day.timestamp()).min(span.to);
        if end <= at {
            break;
        }
        days.push(Day {
            date,
            from: at,
            to: end,
            off: schedule.is_some_and(|schedule| schedule.days_off.contains(&date)),
            clocks: clocks(zone, at, end),
        });
        at = end;
    }
    days
}

/// The first change of offset from `from` on and before `to`.
fn clocks(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Option<Clocks> {
    let before = |at: Timestamp| at.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(at);
    let offset = |at| i64::from(zone.to_offset(at).seconds());
    zone.following(before(from))
        .map(|change| change.timestamp())
        .take_while(|at| *at < to)
        .find(|at| offset(*at) != offset(before(*at)))
        .map(|at| Clocks {
            at,
            by: SignedDuration::from_secs(offset(at) - offset(before(at))),
        })
}
