//! What AWS holds and nothing asks for, and what survived its destroy. A list only: a row with its id is how an
//! orphan is wanted, or sent away.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::dto::{Leftover, Orphan, OrphanList, Reaping};
use super::problem::{Code, Refused};

pub(super) async fn list(State(state): State<ApiState>) -> Result<Response, Refused> {
    let fleet = state.handle.fleet();
    let Some(as_of) = fleet.as_of else {
        return Err(Refused::new(
            Code::NotSwept,
            "The first complete sweep is not over, so it is not known what AWS holds.",
        ));
    };
    let list = OrphanList {
        orphans: fleet
            .orphans(state.handle.now())
            .iter()
            .map(Orphan::from)
            .collect(),
        leftovers: fleet.leftovers().map(Leftover::from).collect(),
        reaping: Reaping::from(fleet.orphan_policy),
        as_of,
    };
    Ok(Json(list).into_response())
}
