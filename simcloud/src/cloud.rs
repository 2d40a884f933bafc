//! The way of one request through the cloud: time passes, faults are drawn, the call takes effect (or not, or
//! twice, or later), and the caller sees an answer (or not).

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;

use crate::config::SimConfig;
use crate::faults::{Fault, ServerError};
use crate::faults_view::Faults;
use crate::pages::{put_back, shorten};
use crate::refusals;
use crate::sim::Sim;
use crate::view::World;
use crate::wire::answer::{Answer, Reply, page};
use crate::wire::{self, Call, Incoming};
use crate::world::{State, after};

/// A simulated cloud. Clones are the same cloud.
#[derive(Debug, Clone)]
pub struct SimCloud {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    sim: Mutex<Sim>,
    keep: OnceLock<Box<Keep>>,
}

/// What is done with a world that a call has changed.
pub(crate) type Keep = dyn Fn(&SimCloud) + Send + Sync;

/// SDK clients print their configuration when they are traced, and with it this cloud; the world is too large for it.
impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl Shared {
    /// The world, brought up to the present.
    pub(crate) fn now(&self) -> (MutexGuard<'_, Sim>, Timestamp) {
        // A panic while the lock was held was the caller's (a test's, inside a closure); the world is consistent
        // between two of its own steps, so it goes on.
        let mut sim = self.sim.lock().unwrap_or_else(PoisonError::into_inner);
        let now = sim.config.clock.now();
        sim.advance(now);
        (sim, now)
    }
}

impl SimCloud {
    /// A cloud with an empty world.
    pub fn new(config: SimConfig) -> Self {
        let state = State::new(config.seed);
        Self::with_state(config, state)
    }

    pub(crate) fn with_state(config: SimConfig, state: State) -> Self {
        Self {
            shared: Arc::new(Shared {
                sim: Mutex::new(Sim::new(config, state)),
                keep: OnceLock::new(),
            }),
        }
    }

    /// Makes a project whose builds put their services in `cluster`. Both may exist already; an existing project
    /// is moved to the cluster.
    pub fn create_project(&self, name: &str, cluster: &str) {
        let (mut sim, now) = self.shared.now();
        cluster.clone_into(&mut sim.project(name, cluster, now).cluster);
    }

    /// Makes a cluster, unless it exists.
    pub fn create_cluster(&self, name: &str) {
        let (mut sim, _) = self.shared.now();
        sim.ensure_cluster(name);
    }

    /// Makes everything happen that is due by now. Every call does so first; tests that look at the world through
    /// other means than [`SimCloud::world`] may need it.
    pub fn advance(&self) {
        let _ = self.shared.now();
    }

    /// When something happens next by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        let (sim, _) = self.shared.now();
        sim.state.agenda.next_due()
    }

    /// The world, to look at and to meddle with.
    pub fn world(&self) -> World {
        World::new(Arc::clone(&self.shared))
    }

    /// The faults that befall calls.
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(&self.shared))
    }

    /// Has `keep` called after every call that may have changed the world, before that call is answered: what a
    /// caller was told is then never forgotten by a cloud that is restored. Only the first `keep` counts.
    pub fn keep_with(&self, keep: impl Fn(&Self) + Send + Sync + 'static) {
        let _ = self.shared.keep.set(Box::new(keep));
    }

    /// The database behind this cloud.
    pub fn database(&self) -> dynoxide::Database {
        let (sim, _) = self.shared.now();
        sim.config.database.clone()
    }

    /// The address of an app, with the port apps answer at.
    pub fn app_url(&self, host: &str) -> String {
        let (sim, _) = self.shared.now();
        match sim.config.app_port {
            Some(port) => format!("http://{host}:{port}/"),
            None => format!("http://{host}/"),
        }
    }

    /// One request of any protocol.
    pub async fn handle(&self, request: Request<Bytes>) -> Reply {
        match wire::read(&request) {
            Incoming::Page { host, path } => Reply::Response(self.browse(&host, &path)),
            Incoming::Refused(why, service, error) => {
                let (mut sim, now) = self.shared.now();
                sim.ledger.note(now, &format!("refused a request: {why}"));
                Reply::Response(sim.answer(service, "Unknown", Err(error)).into_response())
            }
            Incoming::Aws(call) => {
                let changes = call.changes_the_world();
                let reply = self.call(call).await;
                if changes && let Some(keep) = self.shared.keep.get() {
                    keep(self);
                }
                reply
            }
        }
    }

    fn browse(&self, host: &str, path: &str) -> Response<Bytes> {
        let (mut sim, now) = self.shared.now();
        let answer = sim.app_page(host, path);
        let path: String = path.chars().take(200).collect();
        let line = format!(
            "app {} {} -> {}",
            host.escape_debug(),
            path.escape_debug(),
            answer.status().as_u16()
        );
        sim.ledger.note(now, &line);
        answer
    }

    pub(crate) async fn call(&self, mut call: Call) -> Reply {
        let drawn = {
            let (mut sim, _) = self.shared.now();
            sim.ledger.count(&call);
            sim.faults.draw(&call.name())
        };
        let half = drawn.latency / 2;
        if !half.is_zero() {
            tokio::time::sleep(half).await;
        }
        let left = drawn.short_page.and_then(|page| shorten(&mut call, page));
        let reply = {
            let (mut sim, now) = self.shared.now();
            sim.faults.dress(&drawn, now);
            let throttled = sim.over_its_rate(&call, now).then_some(Fault::Throttle);
            let expired = sim.faults.expired(now).then_some(Fault::ExpiredCredentials);
            let fault = expired.or(drawn.decisive.clone()).or(throttled);
            let (reply, outcome) = settle(&mut sim, &call, fault.as_ref(), now);
            let reply = put_back(reply, left);
            sim.faults.undress();
            sim.remember(now);
            let label = if drawn.names.is_empty() {
                String::new()
            } else {
                format!(" (fault {})", drawn.names.join(", "))
            };
            sim.ledger.call(now, &call, &format!("{outcome}{label}"));
            reply
        };
        if !half.is_zero() {
            tokio::time::sleep(drawn.latency.saturating_sub(half)).await;
        }
        reply
    }
}

/// What becomes of a call, and how the ledger tells it.
fn settle(sim: &mut Sim, call: &Call, fault: Option<&Fault>, now: Timestamp) -> (Reply, String) {
    let answered = |answer: Answer| {
        let outcome = answer.outcome();
        (Reply::Response(answer.into_response()), outcome)
    };
    match fault {
        None | Some(Fault::Latency(_) | Fault::StaleList(_) | Fault::ShortPage) => {
            answered(perform(sim, call, now))
        }
        Some(Fault::InternalError(ServerError::Html503)) => {
            let html = "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>".to_owned();
            (Reply::Response(page(503, "text/html", html)), "503".to_owned())
        }
        Some(
            fault @ (Fault::Throttle
            | Fault::InternalError(_)
            | Fault::AccessDenied
            | Fault::AccountLimitExceeded
            | Fault::TransactionConflict
            | Fault::ExpiredCredentials
            | Fault::Cancelled(_)),
        ) => {
            let refusal = refusals::of(fault, call, &sim.config);
            answered(sim.answer(Some(call.service), &call.operation, refusal))
        }
        Some(Fault::NothingFound) => {
            let nothing = Ok(refusals::nothing_found(call));
            answered(sim.answer(Some(call.service), &call.operation, nothing))
        }
        Some(Fault::LoseRequest) => (Reply::Dropped, "lost, not applied".to_owned()),
        Some(Fault::LoseResponse) => {
            let outcome = perform(sim, call, now).outcome();
            (Reply::Dropped, format!("{outcome}, lost"))
        }
        Some(Fault::DeliverLate(wait)) => {
            deliver_later(sim, call, *wait, now);
            (Reply::Dropped, "late".to_owned())
        }
        Some(Fault::Duplicate) => {
            let first = perform(sim, call, now);
            let second = perform(sim, call, now).outcome();
            let (reply, outcome) = answered(first);
            (reply, format!("{outcome}, again {second}"))
        }
        Some(Fault::Hang) => (Reply::Hangs, "hangs, not applied".to_owned()),
        Some(Fault::HangAfterApplying) => {
            let outcome = perform(sim, call, now).outcome();
            (Reply::Hangs, format!("{outcome}, hangs"))
        }
        Some(Fault::TruncatedBody) => {
            let mut answer = perform(sim, call, now);
            let half = answer.body.len() / 2;
            answer.body.truncate(half);
            let (reply, outcome) = answered(answer);
            (reply, format!("{outcome}, truncated"))
        }
        Some(Fault::ResetMidBody) => {
            let answer = perform(sim, call, now);
            let outcome = answer.outcome();
            (
                Reply::Reset(answer.into_response()),
                format!("{outcome}, reset in its middle"),
            )
        }
    }
}

fn perform(sim: &mut Sim, call: &Call, now: Timestamp) -> Answer {
    if !sim.history.is_kept() || !crate::api::dynamodb::reads_eventually(call) {
        return sim.perform(call, now);
    }
    let request = format!("{}{}", call.name(), crate::ledger::canonical(&call.input));
    let earlier = sim
        .faults
        .stale_before()
        .and_then(|then| sim.history.read_since(&request, then));
    let answer = earlier.unwrap_or_else(|| sim.perform(call, now));
    sim.history.keep_read(request, now, &answer);
    answer
}

fn deliver_later(sim: &mut Sim, call: &Call, wait: Duration, now: Timestamp) {
    let label = format!("late, sent {now}");
    let event = crate::world::agenda::Event::Deliver {
        call: call.clone(),
        label,
    };
    sim.state.agenda.plan(after(now, wait), event);
}
