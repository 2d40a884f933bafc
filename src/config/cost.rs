//! Reads what things cost and when days are reported: for readers alone, since no decision goes by either.

use jiff::SignedDuration;

use super::policy::LONGEST;
use super::rule::{Rule, Wrong, duration};
use super::section::Section;
use super::values;
use crate::model::cost::Cost;
use crate::model::policy::{Costs, Reporting};

/// What `[cost]` holds.
pub(super) fn costs(root: &mut Section<'_>) -> Costs {
    let mut section = root.section("cost");
    let hour = SignedDuration::from_hours(1);
    let costs = Costs {
        currency: section.or_default("currency", &currency(), "USD"),
        build_minute: section.or_default("build_minute", &amount(), "0"),
        build_minutes_per_month: section.integer_or("build_minutes_per_month", &(1..=10_000_000), "none"),
        saved_at_most: section.or_default("saved_at_most", &duration(hour, hour * 24 * 30), "3d"),
    };
    section.finish();
    costs
}

/// What `[report]` holds.
pub(super) fn reporting(root: &mut Section<'_>) -> Reporting {
    let mut section = root.section("report");
    let reporting = Reporting {
        at: section.or_default("at", &values::report(), "0 7 * * *"),
        time_zone: section.or_default("time_zone", &values::zone(), "UTC"),
        late_after: section.or_default(
            "late_after",
            &duration(SignedDuration::from_mins(1), LONGEST),
            "15m",
        ),
    };
    section.finish();
    reporting
}

/// An amount of money.
pub(super) fn amount() -> Rule<Cost> {
    Rule::new("an amount, as text, with at most six decimals", |text| {
        let remedy = "write for example \"0.0493\"; cost.currency says of what";
        Cost::parse(text).ok_or_else(|| Wrong::new("is not an amount", remedy))
    })
}

/// ISO 4217 has three letters for each.
fn currency() -> Rule<String> {
    Rule::new("three capital letters, as ISO 4217 has them", |text| {
        let good = text.len() == 3 && text.bytes().all(|letter| letter.is_ascii_uppercase());
        let remedy = "write for example \"USD\" or \"EUR\"";
        good.then(|| text.to_owned())
            .ok_or_else(|| Wrong::new("is not the code of a currency", remedy))
    })
}
