//! Pauses: an operator holds every action, for one app or for all. A pause is an attribute in the state table
//! that every pass reads consistently before it acts, so it holds for every replica from the answer on, save
//! for the one action that a pass may be carrying out just then.

use axum::Extension;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::access::Caller;
use super::apps::{IdInPath, id, summary};
use super::body;
use super::dto::PauseRequest;
use super::problem::{Code, Refused};
use crate::model::name::AppId;
use crate::model::pause::{Pause, PauseScope, REASON_MAX};

type Answer = Result<Response, Refused>;

pub(super) async fn pause_fleet(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Answer {
    let pause = read(&state, request).await?;
    set((&state, caller), &PauseScope::Fleet, Some(&pause)).await
}

pub(super) async fn resume_fleet(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    set((&state, caller), &PauseScope::Fleet, None).await
}

/// Only an app that is known can be paused: a pause under a misspelt id would hold nothing, silently.
pub(super) async fn pause_app(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    path: IdInPath,
    request: Request,
) -> Answer {
    let id = id(path)?;
    let pause = read(&state, request).await?;
    summary(&state, id.clone()).await?;
    set((&state, caller), &PauseScope::App(id), Some(&pause)).await
}

pub(super) async fn resume_app(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    path: IdInPath,
) -> Answer {
    set((&state, caller), &PauseScope::App(id(path)?), None).await
}

async fn read(state: &ApiState, request: Request) -> Result<Pause, Refused> {
    let PauseRequest { reason } = body::object(request).await?;
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    if let Some(reason) = &reason
        && (reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control))
    {
        let detail = format!("reason: use at most {REASON_MAX} printable characters.");
        return Err(Refused::new(Code::BadRequest, detail));
    }
    let since = Some(state.handle.now());
    Ok(Pause { since, reason })
}

async fn set((state, caller): (&ApiState, Caller), scope: &PauseScope, pause: Option<&Pause>) -> Answer {
    let pauses = state
        .state
        .set_pause(scope, pause)
        .await
        .map_err(|error| Refused::write(&error))?;
    tracing::info!(?scope, by = caller.0, paused = pause.is_some(), reason = ?pause.and_then(|pause| pause.reason.as_deref()), "an operator set a pause");
    let hint = |id: &AppId| state.handle.hint(id);
    match scope {
        PauseScope::App(id) => hint(id),
        PauseScope::Fleet => state.handle.fleet().apps.keys().for_each(hint),
    }
    Ok(Json(pauses).into_response())
}
