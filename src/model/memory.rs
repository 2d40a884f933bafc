//! What Lamplighter remembers of an app: the item `app#<id>` of the state table, written only by us and
//! only on the condition that its `version` is still the one that was read.
//!
//! Memory holds what cannot be observed again: what was asked and when, what was accepted, which operation
//! may have a build past its gate. `status` rides along for readers; no decision reads it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::blueprint::{Blueprint, BuildKind, BuildRequest};
use super::claim::{Bid, ClaimKey, Identity};
use super::cost::Spent;
use super::name::{AppId, BuildId, OperationId};
use super::observed::{BuildFailure, StoppedTask};
use super::row::{Desired, Problem};
use super::shared;
use super::status::Status;
use super::warned::Warned;

/// The record of one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// The app.
    pub id: AppId,
    /// Raised by one on every write; zero means never stored.
    pub version: u64,
    /// The latest request and its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// The last spec that was accepted. It runs on while a newer one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// Names and slot this app claims, and which of the claims it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding: Option<Holding>,
    /// What AWS may hold of this app: set once a build has passed its gate, taken away once a destroy was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// The current or last operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Operations before that one: what a listing of builds shows beyond them, this memory does not know of. Not
    /// there in a record of an older binary, which knew all up to its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<Past>,
    /// That it was found in AWS while nothing asked for it and nothing remembered it: an orphan, until it has a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// What survived a destroy that said it had succeeded, until a later one has left nothing or the app is applied again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leftover: Option<Leftover>,
    /// Failures in a row, of one kind of build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// Since when the latest request has been refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_since: Option<Timestamp>,
    /// That looks have not found the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_gone: Option<RowGone>,
    /// Since when looks have not found the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_absent_since: Option<Timestamp>,
    /// Since when the target group has been missing or attached to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_lost_since: Option<Timestamp>,
    /// The stop that has begun for the latest request. Only a new one undoes it: no exemption given later, and no clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// When its schedule last let it run since the latest request: opened to it, or woke it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woken_at: Option<Timestamp>,
    /// Until when it was exempt last, or is: neither row nor ledger may say it any more, and nights unused count from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<Timestamp>,
    /// The stop that was last told beforehand, so that nobody tells it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned: Option<Warned>,
    /// Since when the app has been Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_since: Option<Timestamp>,
    /// The time of the latest request that the app has answered by being Ready, for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Timestamp>,
    /// Since when the app should have been Ready and was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unready_since: Option<Timestamp>,
    /// The last task that stopped by itself. AWS forgets it within the hour, so it is kept when seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_task: Option<StoppedTask>,
    /// When nothing was left to do for an app whose row is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_since: Option<Timestamp>,
    /// The sort key of the first line of history that was written with this record. One that was forgotten and made anew
    /// counts its versions from one again, and clocks of replicas differ, so that neither versions nor times tell which
    /// lines are about it. Not there in a record that an older binary has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<String>,
    /// Minutes that its builds took this month, for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// The newest decision, as `rule/reason`: history gets a line when it changes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// What readers are told. A stable read contract; no decision reads it.
    pub status: Status,
}

/// Operations that are over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// All up to this one were known, and are not listed one by one any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<OperationId>,
    /// Those since then, oldest first, at most [`PAST_MAX`].
    pub operations: Vec<OperationId>,
}

/// How many earlier operations are remembered one by one: of a destroy that is tried again every hour, more than
/// the longest life of a build.
pub const PAST_MAX: usize = 64;

/// An app of which AWS was the first to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// When it was found.
    pub since: Timestamp,
}

/// Something that is there although a destroy build has succeeded. Its claims are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftover {
    /// Since when that is known.
    pub since: Timestamp,
    /// What survived the newest of those destroys, for people.
    pub what: String,
    /// How many destroys in a row it survived.
    pub destroys: u32,
}

impl fmt::Display for Leftover {
    /// A sentence without its full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destroys {
            0 | 1 => write!(f, "{} survived its destroy", self.what),
            more => write!(f, "{} survived {more} destroys in a row", self.what),
        }
    }
}

/// The latest change of what is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What makes two requests the same; see [`super::row::Row::fingerprint`].
    pub fingerprint: String,
    /// The earlier of the row's `requestedAt` and when we first saw it, so that a date in the future cannot
    /// dodge the end of the day.
    pub at: Timestamp,
    /// The portal's generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// A row that is not there any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowGone {
    /// Since when looks have not found it.
    pub since: Timestamp,
    /// Whether a complete sweep has confirmed it as an ordinary deletion. From then on it is acted on.
    pub confirmed: bool,
    /// How many mass deletions had been approved by then: each later approval is about this row too. `None`: that
    /// could not be read yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<u64>,
    /// Whether it went with so many others that it was held. Then few of them left are no ordinary deletion either,
    /// be it that the others came back or were stopped by time: only an operator says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// A stop by time, or for another app's sake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// When it was due.
    pub due: Timestamp,
    /// When the first of the stops came due that this one goes on with, unless it is that itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_since: Option<Timestamp>,
    /// The rule: `Curfew`, `KeepUntil`, `NightsUnused`, `ExpiresAt`, `MaxLifetime`, `OwnerInactive` or
    /// `Superseded`.
    pub rule: String,
    /// What the app may be at most from then on.
    pub at_most: Desired,
    /// The newer request that it makes room for, where that is the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Bid>,
}

/// A spec that passed every check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The request it answers. A newer one that is refused neither lengthens its day nor lifts its stop.
    pub request: Request,
    /// What was wanted.
    pub desired: Desired,
    /// The deployment it asks for.
    #[serde(with = "shared")]
    pub blueprint: Arc<Blueprint>,
    /// The zone that overrides the schedule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The schedule of its catalogue entry; copied by name, never by time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The schedule that its row has chosen instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_schedule: Option<String>,
    /// Its exemption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<Timestamp>,
    /// Its hard end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Accepted {
    /// The request as it competes for a slot.
    pub fn bid(&self, app: &AppId) -> Bid {
        Bid {
            at: self.request.at,
            app: app.clone(),
        }
    }
}

/// Claims this app holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// What they are claims on. Held as long as this record is there: host and resource name.
    pub identity: Identity,
    /// Whether the slot is held too. It is given back after a verified destroy, before the names.
    pub slot: bool,
    /// Since when.
    pub since: Timestamp,
}

impl Holding {
    /// Every claim key that is held.
    pub fn keys(&self) -> Vec<ClaimKey> {
        let mut keys = self.identity.name_keys().to_vec();
        if self.slot {
            keys.push(self.identity.slot.clone());
        }
        keys
    }
}

/// What was applied, or may have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The blueprint of the newest build that passed its gate.
    #[serde(with = "shared")]
    pub blueprint: Arc<Blueprint>,
    /// Whether that build succeeded. If not, AWS may hold any part of it.
    pub complete: bool,
    /// When that build was settled.
    pub at: Timestamp,
}

/// One intent to run one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Its id: token, gate and environment value.
    pub id: OperationId,
    /// Which way it goes.
    pub kind: BuildKind,
    /// What it works on.
    #[serde(with = "shared")]
    pub blueprint: Arc<Blueprint>,
    /// The frozen request.
    #[serde(with = "shared")]
    pub request: Arc<BuildRequest>,
    /// When it was intended.
    pub intended_at: Timestamp,
    /// Whether its build asks at the gate.
    #[serde(default = "asks", skip_serializing_if = "is_asking")]
    pub gate: bool,
    /// The build that runs it, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildId>,
    /// Why it should no longer run, if so. Set before the gate is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<String>,
    /// A definite refusal of `StartBuild` that will not pass by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_error: Option<String>,
    /// What `StartBuild` last answered, where that may pass by itself: a throttle, a denial, no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_trouble: Option<String>,
    /// Set once, and never taken back: from then on no build of this operation runs past its gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
}

/// Every operation of a record from before there was a choice.
fn asks() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_asking(gate: &bool) -> bool {
    *gate
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// When we knew.
    pub at: Timestamp,
    /// What it came to.
    pub outcome: Ending,
}

/// What a settled operation came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// Its gate was closed before any build passed: nothing was applied, nor ever will be.
    Abandoned,
    /// The build that held the gate succeeded.
    Succeeded,
    /// The build that held the gate ended otherwise; anything may have been applied.
    Failed(BuildFailure),
    /// Its build ended before it passed the gate: nothing was applied.
    NeverRan(BuildFailure),
    /// The build that held the gate is not known to CodeBuild any more.
    Lost,
    /// The destroy build succeeded, and something survived it.
    Leftover,
    /// Without a gate: no build of it showed in a listing that covers all the time in which one could be started.
    Unseen,
}

impl Operation {
    /// Whether a build of it may still run or be running past its gate.
    pub fn in_flight(&self) -> bool {
        self.settled.is_none()
    }
}

/// Failures of one kind of build, in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// Which kind fails.
    pub kind: BuildKind,
    /// How often in a row.
    pub count: u32,
    /// The newest, for people.
    pub message: String,
    /// Not before then again.
    pub retry_at: Timestamp,
}

impl Memory {
    /// The memory of an app nobody has seen before.
    pub fn new(id: AppId) -> Self {
        Self {
            id,
            version: 0,
            request: None,
            accepted: None,
            holding: None,
            deployment: None,
            operation: None,
            past: Some(Past::default()),
            found: None,
            leftover: None,
            failures: None,
            refused_since: None,
            row_gone: None,
            service_absent_since: None,
            route_lost_since: None,
            stop: None,
            woken_at: None,
            kept_until: None,
            warned: None,
            ready_since: None,
            answered: None,
            unready_since: None,
            stopped_task: None,
            over_since: None,
            life: None,
            spent: None,
            decision: String::new(),
            status: Status::default(),
        }
    }

    /// The operation that is not settled, if there is one.
    pub fn in_flight(&self) -> Option<&Operation> {
        self.operation.as_ref().filter(|operation| operation.in_flight())
    }

    /// Whether its slot is held.
    pub fn holds_slot(&self) -> bool {
        self.holding.as_ref().is_some_and(|holding| holding.slot)
    }

    /// Whether it never knew of anything in AWS: a new record, such as one that only tells what is waited for.
    pub fn is_new(&self) -> bool {
        let nothing = self.deployment.is_none() && self.operation.is_none() && !self.holds_slot();
        nothing && self.past == Some(Past::default())
    }

    /// Whether an operation is one of those that are remembered.
    pub fn knows(&self, operation: &OperationId) -> bool {
        let current = self
            .operation
            .as_ref()
            .is_some_and(|known| known.id == *operation);
        let Some(past) = &self.past else {
            // A record of an older binary knew all up to its own; ids are ordered by time.
            return self.operation.as_ref().is_some_and(|own| *operation <= own.id);
        };
        let long_ago = past.up_to.as_ref().is_some_and(|last| operation <= last);
        current || long_ago || past.operations.contains(operation)
    }

    /// Remembers an operation as one of the past.
    pub fn leave_behind(&mut self, operation: OperationId) {
        let Some(past) = &mut self.past else {
            // A record of an older binary: whatever came before this one was known too.
            self.past = Some(Past {
                up_to: Some(operation),
                operations: Vec::new(),
            });
            return;
        };
        if !past.operations.contains(&operation) {
            past.operations.push(operation);
        }
        while past.operations.len() > PAST_MAX {
            let oldest = past.operations.remove(0);
            past.up_to = past.up_to.take().max(Some(oldest));
        }
    }

    /// The blueprint whose service is to be looked at: of the operation in flight, else of the deployment.
    pub fn blueprint(&self) -> Option<&Blueprint> {
        self.in_flight()
            .map(|operation| &*operation.blueprint)
            .or_else(|| self.deployment.as_ref().map(|deployment| &*deployment.blueprint))
    }
}

/// Why a row is refused: `Accepted=False`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// CamelCase.
    pub reason: &'static str,
    /// What is wrong, each with its way out.
    pub problems: Vec<Problem>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::name::Entropy;

    #[test]
    fn an_operation_is_known_if_it_is_the_last_one_or_was_before_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let id = |second| OperationId::generate(Entropy([7; 16]), at(second));
        let mut memory = Memory::new(AppId::from_key("a").unwrap());
        memory.leave_behind(id(10));
        assert!(memory.knows(&id(10)) && !memory.knows(&id(5)) && !memory.knows(&id(20)));
        // A record of an older binary, without any operation and with those up to its last.
        memory.past = None;
        assert!(!memory.knows(&id(10)));
        memory.leave_behind(id(20));
        assert!(memory.knows(&id(10)) && memory.knows(&id(20)) && !memory.knows(&id(30)));
    }
}
