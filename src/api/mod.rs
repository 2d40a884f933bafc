//! The HTTP surface: what people, the portal and Prometheus may ask. Never decides about an app and never
//! acts on AWS beyond the two tables; see `handle` for all it knows of the controller.
//!
//! `serve` listens, `access` says who may, `apps`, `keeps`, `orphans`, `holds`, `pauses`, `report`, `log` and `why` answer, `watch` tells news,
//! `admin` is for machines, `problem`
//! is every way to say no, and `dto` is what goes over the wire.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};

use crate::cloud::{DesiredStore, StateStore};
use crate::logging::Levels;
use crate::metrics::Metrics;
use crate::model::policy::Policy;

pub mod access;
mod admin;
mod apps;
mod body;
pub mod dto;
mod holds;
mod keeps;
mod log;
mod orphans;
mod pauses;
pub mod problem;
mod report;
mod reports;
mod serve;
mod values;
mod watch;
pub mod why;

pub use crate::controller::handle::{AppSummary, Feed, Fleet, Handle, News, Readiness, Shards};
pub use access::Access;
pub use reports::Reports;
pub use serve::serve;

use problem::{Code, Refused};

/// Everything an answer is made from.
#[derive(Clone)]
pub struct ApiState {
    /// The desired table.
    pub desired: Arc<dyn DesiredStore>,
    /// The state table.
    pub state: Arc<dyn StateStore>,
    /// The controller.
    pub handle: Arc<dyn Handle>,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// What bounds exemptions, and the schedules that they put off.
    pub policy: Arc<Policy>,
    /// Which lines are logged.
    pub levels: Arc<Levels>,
    /// Who may do what.
    pub access: Arc<Access>,
    /// Reports that were made lately.
    pub reports: Arc<Reports>,
}

/// The routes of the public port.
pub fn public(state: ApiState) -> Router {
    let item = get(apps::show).put(apps::put).delete(apps::delete);
    finish(
        Router::new()
            .route("/api/v1/apps", get(apps::list))
            .route("/api/v1/apps/{id}", item)
            .route("/api/v1/apps/{id}/events", get(apps::events))
            .route("/api/v1/apps/{id}/why", get(why::why))
            .route("/api/v1/apps/{id}/when", get(why::when))
            .route("/api/v1/schedule/next", get(why::next_times))
            .route("/api/v1/report", get(report::show))
            .route(
                "/api/v1/apps/{id}/pause",
                put(pauses::pause_app).delete(pauses::resume_app),
            )
            .route("/api/v1/apps/{id}/keep", post(keeps::keep).delete(keeps::end))
            .route("/api/v1/watch", get(watch::watch))
            .route("/api/v1/orphans", get(orphans::list))
            .route("/api/v1/log", get(log::show).put(log::change).delete(log::reset))
            .route("/api/v1/holds", get(holds::show))
            .route(
                "/api/v1/holds/pause",
                put(pauses::pause_fleet).delete(pauses::resume_fleet),
            )
            .route("/api/v1/holds/deletions/approve", post(holds::approve))
            .fallback(unknown_route)
            .method_not_allowed_fallback(unknown_method)
            .layer(middleware::from_fn_with_state(state.clone(), access::check)),
        state,
    )
}

/// The routes of the admin port.
pub fn admin(state: ApiState) -> Router {
    finish(
        Router::new()
            .route("/metrics", get(admin::metrics))
            .route("/healthz", get(admin::healthz))
            .route("/readyz", get(admin::readyz))
            .fallback(unknown_route)
            .method_not_allowed_fallback(unknown_method),
        state,
    )
}

fn finish(router: Router<ApiState>, state: ApiState) -> Router {
    router
        .layer(middleware::from_fn_with_state(state.clone(), contain))
        .layer(middleware::map_response(harden))
        .with_state(state)
}

async fn unknown_route() -> Response {
    Refused::new(Code::NoSuchRoute, "There is nothing at this path.").into_response()
}

async fn unknown_method() -> Response {
    Refused::new(
        Code::MethodNotAllowed,
        "This path does not take this method; the Allow header names those it takes.",
    )
    .into_response()
}

/// Nothing here is a page, and nothing may be kept, framed or taken for another type.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A panic in an answer is ours: it is counted, logged by the panic hook, and told as a problem.
async fn contain(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    tokio::spawn(next.run(request)).await.unwrap_or_else(|error| {
        if error.is_panic() {
            state.metrics.reconcile.panicked();
        }
        Refused::new(
            Code::Internal,
            "The daemon failed to answer this; its log says why.",
        )
        .into_response()
    })
}
