//! Reads days off: written into the file, or in a file of their own, as a list or as iCalendar, which is how public
//! holidays are given away. Nothing is ever fetched. Never decides what a day off means; see `model::schedule`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use icalendar::{Calendar, Component, DatePerhapsTime, Event};
use jiff::civil::Date;

use super::rule::{Rule, Wrong};
use super::section::Section;
use crate::model::row::quoted;

/// The most days that one entry may stand for.
const RANGE_MAX: i32 = 400;
/// Events that repeat for ever do so up to this year.
const REPEATED_BEFORE: &str = "2100-01-01T00:00:00Z";
/// How often one event may repeat until then.
const REPEATS_MAX: u16 = 5_000;
/// Larger files are taken for a mistake. Ten years of a country's holidays have a fiftieth of that.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The days off of a schedule: those it lists, and those in the file it names.
pub(super) fn off(section: &mut Section<'_>) -> BTreeSet<Date> {
    let listed = section.texts("days_off", &entry());
    let file = section.optional("days_off_file", &file(section.book.outside.folder));
    let listed = listed.iter().filter_map(|text| span(text).ok()).flatten();
    listed.chain(file.into_iter().flatten()).collect()
}

fn entry() -> Rule<String> {
    Rule::new("a date such as 2026-12-24, or two with .. between", |text| {
        span(text).map(|_| text.to_owned())
    })
}

fn file(folder: &Path) -> Rule<BTreeSet<Date>> {
    let folder = folder.to_owned();
    Rule::new(
        "the path of a list of dates or of an iCalendar file",
        move |text| {
            if text.contains("://") {
                return Err(Wrong::new(
                    "is a URL",
                    "download it and name the file; the daemon fetches nothing",
                ));
            }
            read(&folder.join(text))
        },
    )
}

fn read(path: &PathBuf) -> Result<BTreeSet<Date>, Wrong> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Wrong::new(
            format!("cannot be read ({error})"),
            "give the path of a file that the daemon may read, seen from the folder of this one",
        )
    };
    let length = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if length > FILE_BYTES_MAX {
        let problem = format!("has {length} bytes, more than {FILE_BYTES_MAX}");
        return Err(Wrong::new(problem, "name a file of dates alone"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with("BEGIN:VCALENDAR") {
        calendar(text)
    } else {
        list(text)
    }
}

/// A date, or a range of dates, in each line; what follows a blank is for people, and so is what follows a `#`.
fn list(text: &str) -> Result<BTreeSet<Date>, Wrong> {
    let mut days = BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let Some(text) = line.split_whitespace().next() else {
            continue;
        };
        days.extend(span(text).map_err(|wrong| {
            let problem = format!("has in line {} {}, which {}", at + 1, quoted(text), wrong.problem);
            Wrong::new(problem, wrong.remedy)
        })?);
    }
    if days.is_empty() {
        return Err(Wrong::new(
            "holds no date",
            "write one such as 2026-12-24 into each line",
        ));
    }
    Ok(days)
}

/// `2026-12-24`, or `2026-12-24..2027-01-01` with both ends in it.
fn span(text: &str) -> Result<Vec<Date>, Wrong> {
    let remedy = "write it as 2026-12-24, or 2026-12-24..2027-01-01 with both ends in it";
    let date = |text: &str| {
        let found = text.parse::<Date>().ok().filter(|_| text.len() == 10);
        found.ok_or_else(|| Wrong::new("is not a date that exists", remedy))
    };
    let Some((first, last)) = text.split_once("..") else {
        return Ok(vec![date(text)?]);
    };
    let (first, last) = (date(first)?, date(last)?);
    days(first, last).ok_or_else(|| {
        let problem = format!("ends before it begins, or after more than {RANGE_MAX} days");
        Wrong::new(problem, remedy)
    })
}

/// All days from `first` to `last`.
fn days(first: Date, last: Date) -> Option<Vec<Date>> {
    let more = first.until(last).ok()?.get_days();
    if !(0..RANGE_MAX).contains(&more) {
        return None;
    }
    let mut days = vec![first];
    for _ in 0..more {
        days.push(days.last()?.tomorrow().ok()?);
    }
    Some(days)
}

/// The events of whole days in an iCalendar file (RFC 5545), with those that repeat.
fn calendar(text: &str) -> Result<BTreeSet<Date>, Wrong> {
    let calendar: Calendar = text.parse().map_err(|error: String| {
        let problem = format!("is not an iCalendar file ({})", quoted(&error));
        Wrong::new(problem, "download it anew, or list the dates one to a line")
    })?;
    let mut days = BTreeSet::new();
    for event in calendar
        .components
        .iter()
        .filter_map(|component| component.as_event())
    {
        if event.property_value("STATUS") == Some("CANCELLED") {
            continue;
        }
        days.extend(event_days(event).map_err(|problem| {
            let name = event
                .get_summary()
                .or(event.get_uid())
                .unwrap_or("without a name");
            Wrong::new(
                format!("has an event {} that {problem}", quoted(name)),
                "remove that event, or list the dates one to a line",
            )
        })?);
    }
    if days.is_empty() {
        return Err(Wrong::new("holds no event of a whole day", "name another file"));
    }
    Ok(days)
}

fn event_days(event: &Event) -> Result<BTreeSet<Date>, String> {
    let timed = || "is not of whole days".to_owned();
    let date = |found: Option<DatePerhapsTime>| match found {
        Some(DatePerhapsTime::Date(date)) => Ok(Some(from_chrono(&date.to_string())?)),
        Some(DatePerhapsTime::DateTime(_)) => Err(timed()),
        None => Ok(None),
    };
    let first = date(event.get_start())?.ok_or_else(timed)?;
    // RFC 5545: DTEND is the first day that is not part of it; without one it has a day.
    let last = match date(event.get_end())? {
        Some(end) if end > first => end.yesterday().map_err(|_| timed())?,
        Some(_) | None => first,
    };
    let length = days(first, last)
        .ok_or_else(|| format!("has more than {RANGE_MAX} days"))?
        .len();
    if event.property_value("DURATION").is_some() {
        return Err("says how long it is by DURATION, not by DTEND".to_owned());
    }
    if event.property_value("RECURRENCE-ID").is_some() {
        return Err("moves one day of a series (RECURRENCE-ID)".to_owned());
    }
    if event.property_value("RDATE").is_some() {
        return Err("repeats on listed dates (RDATE)".to_owned());
    }
    let Some(rule) = event.property_value("RRULE") else {
        return Ok(days(first, last).unwrap_or_default().into_iter().collect());
    };
    let mut all = BTreeSet::new();
    for begins in repeated(first, rule)? {
        let mut day = begins;
        for _ in 0..length {
            all.insert(day);
            day = day.tomorrow().map_err(|_| timed())?;
        }
    }
    for left_out in event.multi_properties().get("EXDATE").into_iter().flatten() {
        for text in left_out.value().split(',') {
            all.remove(&from_basic(text)?);
        }
    }
    Ok(all)
}

/// The days on which something that first happens on `first` happens by an RRULE. Reckoned in UTC, where every day has a
/// midnight.
fn repeated(first: Date, rule: &str) -> Result<Vec<Date>, String> {
    let unknown = |error: &dyn std::fmt::Display| {
        let why = error.to_string();
        format!("repeats by a rule that is not understood ({})", quoted(&why))
    };
    // Its end is a day as its beginning is (RFC 5545), and here both are the midnights of these days.
    let parts = rule.split(';').map(|part| match part.strip_prefix("UNTIL=") {
        Some(day) if day.len() == 8 => format!("UNTIL={day}T000000Z"),
        Some(_) | None => part.to_owned(),
    });
    let rule = parts.collect::<Vec<_>>().join(";");
    let set = format!("DTSTART:{}T000000Z\nRRULE:{rule}", first.strftime("%Y%m%d"));
    let set: rrule::RRuleSet = set.parse().map_err(|error: rrule::RRuleError| unknown(&error))?;
    let end = REPEATED_BEFORE
        .parse::<chrono::DateTime<chrono::Utc>>()
        .map_err(|error| unknown(&error))?;
    let found = set.before(end.with_timezone(&rrule::Tz::UTC)).all(REPEATS_MAX);
    if found.limited {
        return Err(format!("repeats more than {REPEATS_MAX} times"));
    }
    let dates = found
        .dates
        .iter()
        .map(|at| from_chrono(&at.date_naive().to_string()));
    dates.collect()
}

fn from_chrono(text: &str) -> Result<Date, String> {
    text.parse()
        .map_err(|_| "has a date that does not exist".to_owned())
}

/// `20261224` or `20261224T000000Z`.
fn from_basic(text: &str) -> Result<Date, String> {
    let day = text.get(..8).unwrap_or(text);
    Date::strptime("%Y%m%d", day).map_err(|_| format!("leaves out {}, which is no date", quoted(text)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts(found: Result<BTreeSet<Date>, Wrong>) -> Vec<String> {
        found.unwrap().iter().map(ToString::to_string).collect()
    }

    fn wrong<T>(found: Result<T, Wrong>) -> String {
        match found {
            Ok(_) => "nothing wrong".to_owned(),
            Err(wrong) => format!("{}: {}", wrong.problem, wrong.remedy),
        }
    }

    fn events(events: &str) -> String {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n{events}END:VCALENDAR\r\n")
    }

    fn event(lines: &str) -> String {
        events(&format!(
            "BEGIN:VEVENT\r\nUID:1@x\r\nSUMMARY:Day\r\n{lines}END:VEVENT\r\n"
        ))
    }

    #[test]
    fn a_list_takes_dates_ranges_and_remarks() {
        let found = list("# public holidays\n\n2026-12-25 Christmas\n2026-12-31..2027-01-01 # new year\n");
        assert_eq!(texts(found), ["2026-12-25", "2026-12-31", "2027-01-01"]);
    }

    #[test]
    fn what_is_wrong_in_a_list_is_named_with_its_line() {
        assert!(
            wrong(list("2026-12-25\n2026-02-30\n"))
                .starts_with("has in line 2 \"2026-02-30\", which is not a date")
        );
        assert!(wrong(list("2026-12-25..2026-12-24")).contains("ends before it begins"));
        assert!(wrong(list("2026-12-25..2036-12-24")).contains("more than 400 days"));
        assert!(wrong(list("20261225")).contains("is not a date that exists"));
        assert!(wrong(list("\n# nothing\n")).starts_with("holds no date"));
    }

    #[test]
    fn a_calendars_end_is_the_day_after() {
        let one = event("DTSTART;VALUE=DATE:20261225\r\n");
        assert_eq!(texts(calendar(&one)), ["2026-12-25"]);
        let three = event("DTSTART;VALUE=DATE:20261230\r\nDTEND;VALUE=DATE:20270102\r\n");
        assert_eq!(
            texts(calendar(&three)),
            ["2026-12-30", "2026-12-31", "2027-01-01"]
        );
    }

    #[test]
    fn events_that_repeat_are_followed() {
        let yearly = event("DTSTART;VALUE=DATE:20240229\r\nRRULE:FREQ=YEARLY;COUNT=3\r\n");
        assert_eq!(
            texts(calendar(&yearly)),
            ["2024-02-29", "2028-02-29", "2032-02-29"]
        );
        // The fourth Thursday of November, without one of them.
        let thanks = event(
            "DTSTART;VALUE=DATE:20241128\r\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;UNTIL=20271231\r\nEXDATE;VALUE=DATE:20251127\r\n",
        );
        assert_eq!(
            texts(calendar(&thanks)),
            ["2024-11-28", "2026-11-26", "2027-11-25"]
        );
        let ever = event("DTSTART;VALUE=DATE:20241225\r\nRRULE:FREQ=YEARLY\r\n");
        assert_eq!(calendar(&ever).unwrap().len(), 76);
    }

    #[test]
    fn what_is_no_day_off_is_not_taken_for_one() {
        let cancelled = event("DTSTART;VALUE=DATE:20261225\r\nSTATUS:CANCELLED\r\n");
        assert!(wrong(calendar(&cancelled)).starts_with("holds no event"));
        let timed = event("DTSTART:20261225T100000Z\r\nDTEND:20261225T110000Z\r\n");
        assert!(wrong(calendar(&timed)).starts_with("has an event \"Day\" that is not of whole days"));
        let lasting = event("DTSTART;VALUE=DATE:20261231\r\nDURATION:P2D\r\n");
        assert!(wrong(calendar(&lasting)).contains("by DURATION, not by DTEND"));
        let moved = event("DTSTART;VALUE=DATE:20271227\r\nRECURRENCE-ID;VALUE=DATE:20271225\r\n");
        assert!(wrong(calendar(&moved)).contains("RECURRENCE-ID"));
        let daily = event("DTSTART;VALUE=DATE:20240101\r\nRRULE:FREQ=DAILY\r\n");
        assert!(wrong(calendar(&daily)).contains("repeats more than 5000 times"));
        let odd = event("DTSTART;VALUE=DATE:20240101\r\nRRULE:FREQ=SOMETIMES\r\n");
        assert!(wrong(calendar(&odd)).contains("not understood"));
    }

    #[test]
    fn a_file_that_is_not_there_or_is_a_url_is_named() {
        let rule = file(Path::new("/nowhere"));
        assert!(wrong(rule.parse("days.ics")).starts_with("cannot be read"));
        assert!(wrong(rule.parse("https://example.com/days.ics")).starts_with("is a URL"));
    }
}
