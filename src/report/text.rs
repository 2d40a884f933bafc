//! The report for people.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Due, Exempt, Hours, Left, LeftKind, Money, Outcome, Report, Which};
use crate::model::row::quoted;
use crate::model::schedule::CurfewAction;

/// All of a report, in lines.
pub(super) fn of(report: &Report) -> String {
    let zone = TimeZone::get(&report.time_zone).unwrap_or(TimeZone::UTC);
    let clock = Clock(&zone);
    let mut text = String::new();
    let over = if report.as_of < report.to {
        ", which is not over"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "{} in {}{over}, as of {}",
        report.day.strftime("%A %F"),
        report.time_zone,
        clock.full(report.as_of)
    );
    let count = |outcome| report.due.iter().filter(|due| due.outcome == outcome).count();
    let late = report.due.iter().filter(|due| due.late).count();
    let _ = writeln!(
        text,
        "{} due: {} gone, {} suspended, {} wanted again, {} left; {late} late; {} exempt",
        report.due.len(),
        count(Outcome::Gone),
        count(Outcome::Suspended),
        count(Outcome::WantedAgain),
        count(Outcome::Left),
        report.exempt.len(),
    );
    list(&mut text, "Due:", report.due.iter().map(|due| clock.due(due)));
    list(
        &mut text,
        "Exempt:",
        report.exempt.iter().map(|exempt| clock.exempt(exempt)),
    );
    let left = report.left.iter();
    list(
        &mut text,
        "Left over, as of now:",
        left.map(|left| clock.left(left, &report.money.currency)),
    );
    money(&mut text, &report.money);
    let next = report.next.iter().map(|next| {
        let does = match next.action {
            CurfewAction::Destroy => "destroys",
            CurfewAction::Suspend => "suspends",
        };
        let at = next
            .at
            .map_or_else(|| "never again".to_owned(), |at| clock.full(at));
        format!("{} {does} {at}", next.schedule)
    });
    list(&mut text, "Next:", next);
    text
}

fn list(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        let _ = writeln!(text, "{title}");
    }
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

fn money(text: &mut String, money: &Money) {
    let hours = |what: &str, hours: &Hours| {
        format!(
            "{what} {:.2} h, {} {}",
            hours.hours,
            hours.cost.to_cents(),
            money.currency
        )
    };
    let builds = &money.builds;
    let used = match builds.allowance {
        Some(allowance) => format!("{} of {allowance} minutes", builds.minutes),
        None => format!("{} minutes", builds.minutes),
    };
    let lines = [
        hours("ran", &money.wanted),
        hours("ran exempt", &money.exempt),
        hours("ran although due", &money.overdue),
        hours("ran as orphans", &money.orphans.hours) + &unpriced(money.orphans.unpriced_hours),
        hours("saved by stops", &money.saved),
        format!(
            "what is left costs {} {} an hour",
            money.left_per_hour, money.currency
        ),
        format!(
            "builds of {}: {used}, {} {}",
            builds.month,
            builds.cost.to_cents(),
            money.currency
        ),
    ];
    list(text, "Money:", lines.into_iter());
}

fn unpriced(hours: f64) -> String {
    if hours > 0.0 {
        format!(" and {hours:.2} h of unknown cost")
    } else {
        String::new()
    }
}

/// Tells times on the clock of the day.
struct Clock<'a>(&'a TimeZone);

impl Clock<'_> {
    fn full(&self, at: Timestamp) -> String {
        at.to_zoned(self.0.clone()).strftime("%F %T %:z").to_string()
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.0.clone()).strftime("%T").to_string()
    }

    fn due(&self, due: &Due) -> String {
        let became = match due.outcome {
            Outcome::Gone => "gone",
            Outcome::Suspended => "suspended",
            Outcome::WantedAgain => "wanted again",
            Outcome::Left => "still there",
        };
        let late = if due.late { ", late" } else { "" };
        let why = due
            .why
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        format!(
            "{}  {}  {}  {became} after {}{late}{why}",
            self.time(due.due),
            which(&due.which),
            due.rule,
            length(due.delay_seconds)
        )
    }

    fn exempt(&self, exempt: &Exempt) -> String {
        let by = exempt
            .by
            .as_ref()
            .map_or_else(String::new, |by| format!(", by {}", quoted(by)));
        let reason = exempt.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {}", quoted(reason)));
        format!(
            "{}  {}  until {}{by}{reason}",
            self.time(exempt.since),
            which(&exempt.which),
            self.full(exempt.until)
        )
    }

    fn left(&self, left: &Left, currency: &str) -> String {
        let what = match left.kind {
            LeftKind::Due => "due",
            LeftKind::Unwanted => "unwanted",
            LeftKind::Orphan => "orphan",
        };
        let since = left.since.map_or_else(
            || "just found".to_owned(),
            |at| format!("since {}", self.full(at)),
        );
        let cost = left.cost_per_hour.map_or_else(
            || match left.kind {
                LeftKind::Orphan => ", nobody knows what an hour costs".to_owned(),
                LeftKind::Due | LeftKind::Unwanted => String::new(),
            },
            |cost| format!(", {cost} {currency} an hour"),
        );
        format!("{}  {what} {since}{cost}: {}", which(&left.which), left.reason)
    }
}

fn which(which: &Which) -> String {
    let of = [&which.app, &which.user, &which.host_name];
    let of: Vec<String> = of
        .into_iter()
        .flatten()
        .map(|text| text.escape_debug().to_string())
        .collect();
    let id = which.id.escape_debug();
    if of.is_empty() {
        id.to_string()
    } else {
        format!("{id} ({})", of.join(", "))
    }
}

/// How long something took.
fn length(seconds: i64) -> String {
    let length = SignedDuration::from_secs(seconds);
    format!("{length:#}")
}
