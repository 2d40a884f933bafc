//! Exemptions from the end of the day, given and ended by whoever may operate. They lie in the state table, where no
//! portal's write of a whole row erases them, and are granted against all that their user has: one item, compared and
//! swapped. They start nothing, and undo no stop that has begun.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::ApiState;
use super::access::Caller;
use super::apps::{IdInPath, id, summary};
use super::body;
use super::dto::{KeepRequest, Kept};
use super::problem::{Code, Refused};
use super::values::duration;
use crate::controller::handle::AppSummary;
use crate::model::keep::{self, Bounds, First, Given, Granted, Ledger};
use crate::model::memory::{Accepted, Memory};
use crate::model::name::{AppId, Entropy, User};
use crate::model::pause::REASON_MAX;
use crate::model::row::{Desired, quoted};
use crate::model::schedule::later;
use crate::model::status::{Exemption, Source};
use crate::model::utc;

type Answer = Result<Response, Refused>;

/// How often a grant is tried over what others wrote in between.
const TRIES: usize = 8;
/// How long a key may be that makes two requests the same one, in characters.
const KEY_MAX: usize = 128;

/// What is to be kept, as the tables have it.
struct App {
    id: AppId,
    owner: User,
    memory: Memory,
    accepted: Accepted,
    row_keeps: Option<Timestamp>,
}

pub(super) async fn keep(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    path: IdInPath,
    request: Request,
) -> Answer {
    let id = id(path)?;
    let now = state.handle.now();
    let key = key(request.headers())?;
    let asked = read(body::object(request).await?, &caller, key, now)?;
    let app = app(summary(&state, id).await?)?;
    let first = may_be_kept(&state, &app)?;
    let bounds = Bounds::of(&state.policy);
    for _ in 0..TRIES {
        let ledger = ledger(&state, &app.owner).await?;
        let runs_out = matches!(first, First::EndOfDay(at) if at <= now)
            && ledger
                .apps
                .get(&app.id)
                .is_none_or(|exempt| exempt.until() <= now)
            && app.row_keeps.is_none_or(|until| until <= now);
        if runs_out {
            return Err(cannot(format!(
                "Its day ended at {}; ask for it again, and keep it then.",
                utc(first.hour())
            )));
        }
        let granted = ledger.give(&app.id, asked.clone(), first.hour(), &bounds, now);
        let holds = granted.ledger.given(&app.id).filter(|given| given.until > now);
        let Some(given) = holds.cloned() else {
            return Err(cannot(match granted.cut {
                Some(cut) => format!(
                    "It could be kept until {} at most, {}.",
                    utc(granted.until),
                    cut.because(&bounds)
                ),
                None => format!("until: {} is not in the future.", utc(granted.until)),
            }));
        };
        let message = message(&app, &asked, &given, first, &granted, &bounds);
        if granted.ledger != ledger {
            let message = format!("Exempt from the end of its day: {message}");
            let told = (given.by.clone(), message);
            let stored = store(
                &state,
                &app,
                (ledger.version, granted.ledger),
                Some(&given),
                told,
                now,
            );
            if !stored.await? {
                continue;
            }
            tracing::info!(
                app = %app.id.as_str().escape_debug(),
                until = utc(given.until),
                by = given.by.as_deref(),
                reason = given.reason.as_deref(),
                "an exemption was given through the API"
            );
        }
        state.handle.hint(&app.id);
        return Ok(Json(Kept {
            id: app.id.to_string(),
            exemption: Some(told(&given, first)),
            asked: Some(given.asked),
            message,
        })
        .into_response());
    }
    Err(busy())
}

/// Ends what was given. What the row says stays: that is for whoever writes the row.
pub(super) async fn end(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    path: IdInPath,
) -> Answer {
    let id = id(path)?;
    let now = state.handle.now();
    let app = app(summary(&state, id).await?)?;
    for _ in 0..TRIES {
        let ledger = ledger(&state, &app.owner).await?;
        let Some(ended) = ledger.end(&app.id, now) else {
            return Ok(Json(nothing(&app, now)).into_response());
        };
        let message = "What was given through the API is ended.".to_owned();
        let told = (caller.0.clone(), message);
        if store(&state, &app, (ledger.version, ended), None, told, now).await? {
            tracing::info!(app = %app.id.as_str().escape_debug(), "an exemption was ended through the API");
            state.handle.hint(&app.id);
            return Ok(Json(nothing(&app, now)).into_response());
        }
    }
    Err(busy())
}

fn nothing(app: &App, now: Timestamp) -> Kept {
    let message = match app.row_keeps.filter(|until| *until > now) {
        Some(until) => format!("Its row keeps it until {} all the same.", utc(until)),
        None => "Nothing puts off the end of its day.".to_owned(),
    };
    Kept {
        id: app.id.to_string(),
        exemption: None,
        asked: None,
        message,
    }
}

fn app(summary: AppSummary) -> Result<App, Refused> {
    let AppSummary { id, row, memory } = summary;
    let owner = keep::owner(row.as_ref(), memory.as_ref()).cloned();
    let accepted = memory.as_ref().and_then(|memory| memory.accepted.clone());
    let (Some(owner), Some(memory), Some(accepted)) = (owner, memory, accepted) else {
        return Err(cannot(
            "Nothing was accepted for it yet, so its day has no end.".to_owned(),
        ));
    };
    let row_keeps = accepted.keep_until.filter(|_| row.is_some());
    Ok(App {
        id,
        owner,
        memory,
        accepted,
        row_keeps,
    })
}

/// From when on its hours count, or why it can't be kept.
fn may_be_kept(state: &ApiState, app: &App) -> Result<First, Refused> {
    if app.accepted.desired == Desired::Destroyed || app.memory.row_gone.is_some() {
        return Err(cannot(
            "It is asked to be destroyed, or its row is gone; an exemption starts nothing.".to_owned(),
        ));
    }
    if let Some(stop) = &app.memory.stop {
        return Err(cannot(format!(
            "It was stopped at {} ({}); an exemption undoes no stop. Ask for it again, and keep it then.",
            utc(stop.due),
            stop.rule
        )));
    }
    if app.owner != app.accepted.blueprint.identity.user {
        return Err(cannot(
            "Its row asks for it in another user's name, and that is not accepted yet.".to_owned(),
        ));
    }
    keep::first(&state.policy, &app.accepted, app.memory.woken_at)
        .ok_or_else(|| cannot("No schedule ends its day, so there is nothing to put off.".to_owned()))
}

fn read(
    request: KeepRequest,
    caller: &Caller,
    key: Option<String>,
    now: Timestamp,
) -> Result<Given, Refused> {
    let bad = |detail: String| Refused::new(Code::BadRequest, detail);
    let asked = match (&request.until, &request.for_) {
        (Some(until), None) => until.parse().map_err(|_| {
            bad(format!(
                "until: {} is no time; write RFC 3339 with an offset, for example 2026-11-20T22:00:00Z.",
                quoted(until)
            ))
        })?,
        (None, Some(length)) => later(
            now,
            duration(length).ok_or_else(|| {
                bad(format!(
                    "for: {} is no duration; write for example 90m, 3h or 1d.",
                    quoted(length)
                ))
            })?,
        ),
        (None, None) | (Some(_), Some(_)) => {
            return Err(bad("Give either until, a time, or for, a duration.".to_owned()));
        }
    };
    if asked <= now {
        return Err(bad(format!("until: {} is not in the future.", utc(asked))));
    }
    Ok(Given {
        until: asked,
        asked,
        at: now,
        by: who(words("by", request.by)?, caller),
        reason: words("reason", request.reason)?,
        key,
    })
}

/// Who gives it: as the body says and, where tokens have names, whose token said so. Nobody passes for another that way.
fn who(by: Option<String>, caller: &Caller) -> Option<String> {
    match (by, &caller.0) {
        (by, None) => by,
        (None, Some(token)) => Some(token.clone()),
        (Some(by), Some(token)) => Some(format!("{by} (token {token})")),
    }
}

fn words(field: &str, text: Option<String>) -> Result<Option<String>, Refused> {
    let text = text.filter(|text| !text.trim().is_empty());
    if let Some(text) = &text
        && (text.chars().count() > REASON_MAX || text.chars().any(char::is_control))
    {
        let detail = format!("{field}: use at most {REASON_MAX} printable characters.");
        return Err(Refused::new(Code::BadRequest, detail));
    }
    Ok(text)
}

/// What makes two requests the same one, if the client says so.
fn key(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return if headers.contains_key("idempotency-key") {
            Err(Refused::new(
                Code::BadRequest,
                "There is more than one Idempotency-Key.",
            ))
        } else {
            Ok(None)
        };
    };
    let key = key.to_str().ok().filter(|key| (1..=KEY_MAX).contains(&key.len()));
    let detail = format!("Idempotency-Key: use 1 to {KEY_MAX} printable characters of ASCII.");
    key.map(|key| Some(key.to_owned()))
        .ok_or_else(|| Refused::new(Code::BadRequest, detail))
}

async fn ledger(state: &ApiState, owner: &User) -> Result<Ledger, Refused> {
    let ledger = state.state.keeps(owner).await;
    Ok(ledger.map_err(|error| Refused::read(&error))?.unwrap_or_default())
}

async fn store(
    state: &ApiState,
    app: &App,
    (over, ledger): (u64, Ledger),
    given: Option<&Given>,
    (by, message): (Option<String>, String),
    now: Timestamp,
) -> Result<bool, Refused> {
    let ledger = ledger.to_store(&Bounds::of(&state.policy), now);
    // Equal for equal writes, so that one that is sent again makes no second line.
    let content = serde_json::to_vec(&(&app.owner, &app.id, &ledger, now)).unwrap_or_default();
    let mut name = [0; 16];
    name.copy_from_slice(&Sha256::digest(content)[..16]);
    let line = keep::line(
        &ledger,
        &app.memory,
        given.map(|given| given.until),
        message,
        by,
        app.memory.status.phase,
        (now, Entropy(name)),
    );
    let stored = state.state.swap_keeps(&app.owner, over, &ledger, &line).await;
    stored.map_err(|error| Refused::write(&error))
}

/// What came of it, for people.
fn message(
    app: &App,
    asked: &Given,
    given: &Given,
    first: First,
    granted: &Granted,
    bounds: &Bounds<'_>,
) -> String {
    let mut sentences = vec![format!("Kept until {}.", utc(given.until))];
    if let Some(reason) = &given.reason {
        sentences.push(format!("Reason: {reason}."));
    }
    if let Some(cut) = granted.cut {
        sentences.push(format!(
            "Asked was {}; it was cut to {}, {}.",
            utc(asked.asked),
            utc(granted.until),
            cut.because(bounds)
        ));
    } else if given.until > asked.asked {
        sentences.push("It was kept longer than that already, and the later time counts.".to_owned());
    }
    if let Some(until) = app.row_keeps.filter(|until| *until > given.until) {
        sentences.push(format!("Its row keeps it even until {}.", utc(until)));
    }
    if let First::EndOfDay(at) = first
        && given.until <= at
    {
        sentences.push(format!(
            "Its day ends only at {}, so that puts nothing off.",
            utc(at)
        ));
    }
    let hard = app.accepted.expires_at.filter(|end| *end < given.until);
    if let Some(end) = hard {
        sentences.push(format!("It expires at {} all the same.", utc(end)));
    }
    sentences.join(" ")
}

fn told(given: &Given, first: First) -> Exemption {
    Exemption {
        since: Some(first.hour()),
        until: given.until,
        source: Source::Api,
        by: given.by.clone(),
        reason: given.reason.clone(),
    }
}

fn cannot(detail: String) -> Refused {
    Refused::new(Code::CannotKeep, detail)
}

fn busy() -> Refused {
    Refused::new(
        Code::AwsUnavailable,
        "Other exemptions of its user were written at the same time, again and again; ask once more.",
    )
}
