//! The report of a day, and its text. Made from what the controller knows of the fleet and from history.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use serde::Deserialize;

use super::ApiState;
use super::apps::query;
use super::problem::{Code, Refused};
use crate::model::history::Event;
use crate::model::row::quoted;
use crate::report::Day;

/// Which day.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    day: Option<String>,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Refused> {
    let day = day(&state, query(which)?.day.as_deref().unwrap_or("today"))?;
    let fleet = state.handle.fleet();
    if fleet.as_of.is_none() {
        return Err(Refused::new(
            Code::NotSwept,
            "The first complete sweep is not over; a report would look better than the tables are.",
        ));
    }
    let report = state
        .reports
        .of(&day, &fleet, &state.policy, &state.state, state.handle.now())
        .await;
    let report = report.map_err(|error| Refused::read(&error))?;
    Ok(Json(&*report).into_response())
}

fn day(state: &ApiState, text: &str) -> Result<Day, Refused> {
    let wrong = |problem: String| {
        let way = "give `today`, `yesterday` or a date such as 2026-11-20";
        Refused::new(Code::BadRequest, format!("day: {problem}; {way}."))
    };
    let zone = &state.policy.reporting.time_zone;
    let today = state.handle.now().to_zoned(zone.clone()).date();
    let beyond = || wrong(format!("{} is beyond the calendar", quoted(text)));
    let date: Date = match text {
        "today" => today,
        "yesterday" => today.yesterday().map_err(|_| beyond())?,
        date => date
            .parse()
            .map_err(|_| wrong(format!("{} is no date", quoted(date))))?,
    };
    if date > today {
        return Err(wrong(format!("{date} has not begun in {}", zone_name(zone))));
    }
    let age = today.since(date).map_err(|_| beyond())?.get_days();
    if i64::from(age) >= Event::KEPT_DAYS {
        let kept = Event::KEPT_DAYS;
        return Err(wrong(format!(
            "{date} is too long ago: history is kept for {kept} days"
        )));
    }
    Day::new(date, zone).ok_or_else(beyond)
}

fn zone_name(zone: &jiff::tz::TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}
