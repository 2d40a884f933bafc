//! Which lines this process logs, changed for a while. Each replica has its own.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;

use super::ApiState;
use super::access::Caller;
use super::body;
use super::dto::{LogLevels, LogRequest};
use super::problem::{Code, Refused};
use super::values::duration;
use crate::logging::{self, Instead};
use crate::model::row::quoted;
use crate::model::schedule::later;

/// How long a change holds unless its request says otherwise.
const HOLDS_FOR: SignedDuration = SignedDuration::from_mins(15);
/// The longest that it may hold.
const HOLDS_AT_MOST: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn show(State(state): State<ApiState>) -> Json<LogLevels> {
    Json(levels(&state))
}

pub(super) async fn change(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refused> {
    let LogRequest { filter, for_ } = body::object(request).await?;
    let bad = |detail: String| Refused::new(Code::BadRequest, detail);
    logging::check(&filter).map_err(|problem| {
        bad(format!(
            "filter: {} {problem}; write for example info,lamplighter=debug.",
            quoted(&filter)
        ))
    })?;
    let length = match for_ {
        None => HOLDS_FOR,
        Some(text) => duration(&text)
            .filter(|length| *length <= HOLDS_AT_MOST)
            .ok_or_else(|| {
                bad(format!(
                    "for: {} is no duration of at most a day; write for example 15m or 2h.",
                    quoted(&text)
                ))
            })?,
    };
    let until = later(state.handle.now(), length);
    tracing::info!(filter, %until, by = caller.0, "an operator changed what is logged");
    let instead = Instead { filter, until };
    state.levels.set(instead.clone());
    let levels = Arc::clone(&state.levels);
    tokio::spawn(async move {
        tokio::time::sleep(length.unsigned_abs()).await;
        // A later change has a time of its own, and a task that waits for it.
        if levels.end(&instead) {
            tracing::info!("what is logged is again what the configuration says");
        }
    });
    Ok(Json(self::levels(&state)).into_response())
}

pub(super) async fn reset(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
) -> Json<LogLevels> {
    state.levels.reset();
    tracing::info!(
        by = caller.0,
        "an operator set what is logged back to the configuration"
    );
    Json(levels(&state))
}

fn levels(state: &ApiState) -> LogLevels {
    let instead = state.levels.instead();
    LogLevels {
        configured: state.levels.configured().to_owned(),
        filter: instead.as_ref().map(|instead| instead.filter.clone()),
        until: instead.map(|instead| instead.until),
    }
}
