//! Apps: list, show, ask for, delete, history. Writes the desired table only, through the same check as
//! every other reader of it.

use axum::Extension;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::ApiState;
use super::access::Caller;
use super::body;
use super::dto::{App, AppList, EventLine, EventList};
use super::problem::{Code, Refused};
use crate::controller::handle::AppSummary;
use crate::model::name::AppId;
use crate::model::row::{Problem, RawValue, Row, quoted};
use crate::model::status::Phase;

type Answer = Result<Response, Refused>;
pub(super) type IdInPath = Result<Path<String>, PathRejection>;

/// Which apps to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    phase: Option<String>,
    user: Option<String>,
}

/// How much history to show.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<u32>,
}

const EVENTS_DEFAULT: u32 = 50;
const EVENTS_MAX: u32 = 200;

pub(super) async fn list(
    State(state): State<ApiState>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Answer {
    let filter = query(filter)?;
    let phase = filter.phase.as_deref().map(phase).transpose()?;
    let fleet = state.handle.fleet();
    let as_of = fleet.as_of.ok_or_else(|| {
        Refused::new(
            Code::NotSwept,
            "The first complete sweep is not over; a list would look emptier than the tables are.",
        )
    })?;
    let apps = fleet
        .apps
        .values()
        .map(App::from)
        .filter(|app| phase.is_none_or(|phase| app.phase() == phase))
        .filter(|app| filter.user.is_none() || filter.user == app.row.user)
        .collect();
    Ok(Json(AppList { apps, as_of }).into_response())
}

pub(super) async fn show(State(state): State<ApiState>, path: IdInPath) -> Answer {
    let summary = summary(&state, id(path)?).await?;
    Ok(Json(App::from(&summary)).into_response())
}

/// An app as the tables have it now.
pub(super) async fn summary(state: &ApiState, id: AppId) -> Result<AppSummary, Refused> {
    let (row, memory) = tokio::join!(state.desired.row(&id), state.state.memory(&id));
    let (row, memory) = (
        row.map_err(|error| Refused::read(&error))?,
        memory.map_err(|error| Refused::read(&error))?,
    );
    if row.is_none() && memory.is_none() {
        return Err(Refused::new(
            Code::NoSuchApp,
            format!("There is neither a row nor a memory of {}.", quoted(id.as_str())),
        ));
    }
    Ok(AppSummary { id, row, memory })
}

pub(super) async fn put(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    path: IdInPath,
    request: Request,
) -> Answer {
    let id = id(path)?;
    let raw = body::attributes(request).await?;
    let mut extra = Vec::new();
    if let Some(given) = raw.get("id")
        && *given != RawValue::Text(id.to_string())
    {
        extra.push(Problem::new(
            "id",
            "differs from the id in the path",
            "leave it out of the body",
        ));
    }
    // The table may hold a portal's own attributes; this API does not carry them, and silence would lose
    // them.
    for name in raw.keys().filter(|name| name.starts_with("x-")).take(20) {
        extra.push(Problem::new(
            quoted(name).trim_matches('"'),
            "is not kept by this API",
            "leave it out, or write the row to the table",
        ));
    }
    let mut row = Row::read(id.clone(), raw);
    extra.append(&mut row.problems);
    if !extra.is_empty() {
        return Err(Refused::invalid_row(extra));
    }
    row.requested_at = row.requested_at.or_else(|| Some(state.handle.now()));
    state
        .desired
        .put_row(&row)
        .await
        .map_err(|error| Refused::write(&error))?;
    tracing::info!(%id, by = caller.0, "a row was written through the API");
    state.handle.hint(&id);
    Ok(accepted(&state, id, Some(row)).await)
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    path: IdInPath,
) -> Answer {
    let id = id(path)?;
    state
        .desired
        .delete_row(&id)
        .await
        .map_err(|error| Refused::write(&error))?;
    tracing::info!(%id, by = caller.0, "a row was deleted through the API");
    state.handle.hint(&id);
    Ok(accepted(&state, id, None).await)
}

/// The write is done, so a read that fails now must not make it look undone: the snapshot serves instead.
async fn accepted(state: &ApiState, id: AppId, row: Option<Row>) -> Response {
    let memory = match state.state.memory(&id).await {
        Ok(memory) => memory,
        Err(error) => {
            tracing::warn!(
                error = error.chain(),
                "the API could not read a memory after a write"
            );
            let fleet = state.handle.fleet();
            fleet.apps.get(&id).and_then(|app| app.memory.clone())
        }
    };
    if row.is_none() && memory.is_none() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let app = App::from(&AppSummary { id, row, memory });
    (StatusCode::ACCEPTED, Json(app)).into_response()
}

pub(super) async fn events(
    State(state): State<ApiState>,
    path: IdInPath,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer {
    let id = id(path)?;
    let limit = query(page)?.limit.unwrap_or(EVENTS_DEFAULT);
    if !(1..=EVENTS_MAX).contains(&limit) {
        return Err(Refused::new(
            Code::BadRequest,
            format!("limit must be between 1 and {EVENTS_MAX}."),
        ));
    }
    let events = state
        .state
        .events(&id, limit)
        .await
        .map_err(|error| Refused::read(&error))?;
    let events = events.into_iter().map(EventLine::from).collect();
    Ok(Json(EventList { events }).into_response())
}

pub(super) fn id(path: IdInPath) -> Result<AppId, Refused> {
    let Path(text) = path.map_err(|_| Refused::new(Code::BadRequest, "The id in the path is not UTF-8."))?;
    AppId::from_key(text).ok_or_else(|| {
        let detail = format!("An id has 1 to {} bytes.", AppId::BYTES_MAX);
        Refused::new(Code::BadRequest, detail)
    })
}

pub(super) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refused> {
    let Query(query) = query.map_err(|error| Refused::new(Code::BadRequest, error.body_text()))?;
    Ok(query)
}

fn phase(text: &str) -> Result<Phase, Refused> {
    Phase::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
        let detail = format!("{} is no phase; there are {}.", quoted(text), names.join(", "));
        Refused::new(Code::BadRequest, detail)
    })
}
