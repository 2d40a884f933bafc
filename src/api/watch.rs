//! News as server-sent events: what becomes of apps, and which stops are near. A watcher is told a place with each, and
//! goes on from it after a break; what they missed is not hidden from them. Nothing is kept for them but that place.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;

use super::ApiState;
use super::apps::query;
use super::dto::{App, Gone, Missed, Opened, StopSoon};
use super::problem::{Code, Refused};
use crate::controller::handle::{Heard, News, Watcher};

/// A proxy that closes what is silent mostly waits for a minute.
const STILL_HERE: Duration = Duration::from_secs(15);
/// How long a browser waits before it comes back.
const COME_BACK: Duration = Duration::from_secs(1);

/// What to watch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    app: Option<String>,
}

pub(super) async fn watch(
    State(state): State<ApiState>,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refused> {
    let Wanted { app } = query(wanted)?;
    // A place that is no text is none that was ever told.
    let after = headers
        .get("last-event-id")
        .map(|place| place.to_str().unwrap_or("-"));
    let watcher = state.handle.feed().watch(after).ok_or_else(|| {
        Refused::new(
            Code::TooManyWatchers,
            "As many watch as one daemon serves; ask another replica, or list from time to time.",
        )
    })?;
    let keep_alive = KeepAlive::new().interval(STILL_HERE).text("still here");
    Ok(Sse::new(told(watcher, app))
        .keep_alive(keep_alive)
        .into_response())
}

/// Where a stream is.
enum Turn {
    Open(Watcher),
    Hear(Watcher),
    Over,
}

/// Everything that one watcher is told, up to the end of the process.
fn told(watcher: Watcher, app: Option<String>) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold((Turn::Open(watcher), app), |(turn, app)| async move {
        let (event, turn) = match turn {
            Turn::Over => return None,
            Turn::Open(watcher) => {
                let place = watcher.place();
                let event = written("open", &Opened {}).id(place).retry(COME_BACK);
                (event, Turn::Hear(watcher))
            }
            Turn::Hear(mut watcher) => match next(&mut watcher, app.as_deref()).await {
                Some(event) => (event, Turn::Hear(watcher)),
                None => (written("end", &Opened {}), Turn::Over),
            },
        };
        Some((Ok(event), (turn, app)))
    })
}

/// The next event for who watches this app, or all; `None` at the end.
async fn next(watcher: &mut Watcher, app: Option<&str>) -> Option<Event> {
    loop {
        match watcher.hear().await {
            Heard::News { place, news } => {
                if app.is_none_or(|app| news.id().as_str() == app) {
                    return Some(about(&news).id(place));
                }
            }
            Heard::Missed { place } => {
                let detail = "Some events are lost to you: list the apps, then go on from here.";
                let missed = Missed {
                    detail: detail.to_owned(),
                };
                return Some(written("missed", &missed).id(place));
            }
            Heard::Closed => return None,
        }
    }
}

fn about(news: &News) -> Event {
    match news {
        News::Changed(app) => written("app", &App::from(&**app)),
        News::StopSoon { app, warned } => written("stop-soon", &StopSoon::from((&**app, warned))),
        News::Gone(id) => written("gone", &Gone { id: id.to_string() }),
    }
}

/// An event whose data is one line of JSON, in which no text from a row can begin a line of its own.
fn written(name: &str, data: &impl serde::Serialize) -> Event {
    let data = serde_json::to_string(data).expect("plain data with string keys always serializes");
    Event::default().event(name).data(data)
}
