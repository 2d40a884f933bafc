//! What machines ask: Prometheus, and whoever restarts or routes to this process.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::dto::{Ready, Shards};
use super::problem::{Code, Refused};

pub(super) async fn metrics(State(state): State<ApiState>) -> Response {
    // Asked for now: whoever would tell it otherwise may be what stands still.
    state.metrics.set_ready(state.handle.readiness().ready);
    match state.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written out");
            Refused::new(Code::Internal, "The metrics could not be written out.").into_response()
        }
    }
}

/// Only whether this process is alive: restarting it does not bring AWS back.
pub(super) async fn healthz(State(state): State<ApiState>) -> Response {
    if state.handle.beats() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the loop stands still\n").into_response()
    }
}

pub(super) async fn readyz(State(state): State<ApiState>) -> Response {
    let readiness = state.handle.readiness();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let ready = Ready {
        ready: readiness.ready,
        reasons: readiness.reasons,
        shards: readiness.shards.map(|shards| Shards {
            of: shards.of,
            held: shards.held,
        }),
    };
    (status, Json(ready)).into_response()
}
