//! The HTTP surface: what people, the portal and Prometheus may ask. Never decides about an app and never
//! acts on AWS beyond the two tables; see `handle` for all it knows of the controller.
//!
//! `serve` listens, `access` says who may, `apps`, `keeps`, `orphans`, `holds`, `pauses`, `report`, `log` and `why` answer, `watch` tells news,
//! `admin` is for machines, `problem`
//! is every way to say no, and `dto` is what goes over the wire.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};

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

/// What answers a method at a path.
type Answers = fn(MethodFilter) -> MethodRouter<ApiState>;

/// Every route of the public port. Who has GET is asked by HEAD, too.
const ROUTES: [(Method, &str, Answers); 22] = [
    (Method::GET, "/api/v1/apps", |method| on(method, apps::list)),
    (Method::GET, "/api/v1/apps/{id}", |method| on(method, apps::show)),
    (Method::PUT, "/api/v1/apps/{id}", |method| on(method, apps::put)),
    (Method::DELETE, "/api/v1/apps/{id}", |method| {
        on(method, apps::delete)
    }),
    (Method::GET, "/api/v1/apps/{id}/events", |method| {
        on(method, apps::events)
    }),
    (Method::GET, "/api/v1/apps/{id}/why", |method| {
        on(method, why::why)
    }),
    (Method::GET, "/api/v1/apps/{id}/when", |method| {
        on(method, why::when)
    }),
    (Method::PUT, "/api/v1/apps/{id}/pause", |method| {
        on(method, pauses::pause_app)
    }),
    (Method::DELETE, "/api/v1/apps/{id}/pause", |method| {
        on(method, pauses::resume_app)
    }),
    (Method::POST, "/api/v1/apps/{id}/keep", |method| {
        on(method, keeps::keep)
    }),
    (Method::DELETE, "/api/v1/apps/{id}/keep", |method| {
        on(method, keeps::end)
    }),
    (Method::GET, "/api/v1/schedule/next", |method| {
        on(method, why::next_times)
    }),
    (Method::GET, "/api/v1/report", |method| on(method, report::show)),
    (Method::GET, "/api/v1/watch", |method| on(method, watch::watch)),
    (Method::GET, "/api/v1/orphans", |method| on(method, orphans::list)),
    (Method::GET, "/api/v1/log", |method| on(method, log::show)),
    (Method::PUT, "/api/v1/log", |method| on(method, log::change)),
    (Method::DELETE, "/api/v1/log", |method| on(method, log::reset)),
    (Method::GET, "/api/v1/holds", |method| on(method, holds::show)),
    (Method::PUT, "/api/v1/holds/pause", |method| {
        on(method, pauses::pause_fleet)
    }),
    (Method::DELETE, "/api/v1/holds/pause", |method| {
        on(method, pauses::resume_fleet)
    }),
    (Method::POST, "/api/v1/holds/deletions/approve", |method| {
        on(method, holds::approve)
    }),
];

/// The routes of the public port, each by its method and its path.
pub fn routes() -> impl Iterator<Item = (Method, &'static str)> {
    ROUTES.into_iter().map(|(method, path, _)| (method, path))
}

/// What answers at the public port.
pub fn public(state: ApiState) -> Router {
    let answered = |router: Router<ApiState>, (method, path, answers): (Method, &'static str, Answers)| {
        router.route(path, answers(filter(method)))
    };
    finish(
        ROUTES
            .into_iter()
            .fold(Router::new(), answered)
            .fallback(unknown_route)
            .method_not_allowed_fallback(unknown_method)
            .layer(middleware::from_fn_with_state(state.clone(), access::check)),
        state,
    )
}

fn filter(method: Method) -> MethodFilter {
    MethodFilter::try_from(method).expect("a route has a method that routers know")
}

/// What answers at the admin port.
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
