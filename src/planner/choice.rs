//! What a row chooses of the operator's schedules and of the world's zones: whether it may, and what holds where the choice
//! is gone. When its day ends by them is in `times`.

use jiff::tz::TimeZone;

use super::draft::Draft;
use crate::model::policy::CatalogueEntry;
use crate::model::row::{Problem, Row, quoted};

/// A row may choose a schedule that there is and that its catalogue entry allows.
pub(super) fn check_schedule(draft: &Draft<'_>, row: &Row, entry: &CatalogueEntry) -> Option<Problem> {
    let chosen = row.schedule.as_ref()?;
    let known = &draft.policy.schedules;
    let problem = if !known.contains_key(chosen) {
        "is not a schedule"
    } else if !entry.allows(chosen) {
        "is not a schedule that this app may have"
    } else {
        return None;
    };
    let offered: Vec<&str> = known
        .keys()
        .filter(|name| entry.allows(name))
        .map(String::as_str)
        .collect();
    let remedy = if offered.is_empty() {
        "leave it out: there is none to choose from".to_owned()
    } else {
        format!("use one of {}, or leave it out", offered.join(", "))
    };
    let problem = format!("{} {problem}", quoted(chosen));
    Some(Problem::new("schedule", problem, remedy))
}

/// Says in which zone the day of an app is reckoned whose own has left the time zone database.
pub(super) fn note_lost_zone(draft: &Draft<'_>) -> Option<String> {
    let accepted = draft.memory.accepted.as_ref()?;
    let lost = accepted
        .time_zone
        .as_ref()
        .filter(|name| TimeZone::get(name).is_err())?;
    let schedule = draft.policy.schedule_of(accepted)?;
    Some(format!(
        "Zone {} is not known any more, so the day ends by {}, the zone of schedule {}.",
        quoted(lost),
        schedule.time_zone.iana_name().unwrap_or("a zone without a name"),
        schedule.name
    ))
}
