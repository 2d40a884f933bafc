//! What waits for a person: deletions that are held because too many rows vanished at once. An approval is
//! counted in the state table; the controller's next sweep reads it there.

use axum::Extension;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::access::Caller;
use super::body;
use super::dto::{Approval, Holds};
use super::problem::{Code, Refused};
use crate::model::policy::Deletions;

const WITHOUT_ROW_MAX: usize = 100;

pub(super) async fn show(State(state): State<ApiState>) -> Result<Response, Refused> {
    let (approvals, pauses) = tokio::join!(state.state.approvals(), state.state.pauses());
    let approvals = approvals.map_err(|error| Refused::read(&error))?;
    let pauses = pauses.map_err(|error| Refused::read(&error))?;
    let fleet = state.handle.fleet();
    let without_row = fleet
        .apps
        .values()
        .filter(|app| app.row.is_none())
        .filter(|app| {
            app.memory
                .as_ref()
                .is_some_and(|memory| memory.over_since.is_none())
        })
        .map(|app| app.id.to_string())
        .take(WITHOUT_ROW_MAX)
        .collect();
    let holds = Holds {
        deletions: (&*fleet).into(),
        without_row,
        approved_at: approvals.latest,
        pauses,
        unreadable: fleet.unreadable.clone(),
    };
    Ok(Json(holds).into_response())
}

pub(super) async fn approve(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refused> {
    body::require_json(request.headers())?;
    let (vanished, known) = match state.handle.fleet().deletions {
        Deletions::Held { vanished, known, .. } => (vanished, known),
        Deletions::Unjudged | Deletions::Clear { .. } => {
            return Err(Refused::new(
                Code::NothingHeld,
                "The last complete sweep holds no deletion, so there is nothing to approve.",
            ));
        }
    };
    let approvals = state.state.approvals().await;
    let approvals = approvals.map_err(|error| Refused::read(&error))?;
    let approved_at = state.handle.now();
    state
        .state
        .approve_deletions(approvals, approved_at)
        .await
        .map_err(|error| Refused::write(&error))?;
    tracing::info!(
        vanished,
        known,
        by = caller.0,
        "an operator approved a mass deletion"
    );
    let approval = Approval {
        approved_at,
        vanished,
        known,
    };
    Ok((StatusCode::ACCEPTED, Json(approval)).into_response())
}
