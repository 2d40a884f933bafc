//! Which services of another tool are taken over, as what, and why the others are not: a pure function of what
//! AWS and the tables show, for `lamplighter adopt`. The daemon never asks it.
//!
//! What an adopted app is remembered as is decided by [`plan`] itself, from the row that is there or would be
//! written and from the service as it will be tagged: as after a lost state table, it finds a service with its tag
//! and takes it for what the row asks. So row and memory agree, and nothing is ever built for it. `who` reads who a
//! service is; what is decided here is carried out by the module `adopt` beside the planner.

mod fit;
mod who;

use std::collections::{BTreeMap, BTreeSet};

use super::plan;
use super::plan::{Action, AppView, Plan};
use crate::model::Timestamp;
use crate::model::adopt::{ForeignService, Rule};
use crate::model::blueprint::{HOST_TAG, INSTANCE_TAG};
use crate::model::memory::{Found, Holding, Memory};
use crate::model::name::{AppId, Entropy};
use crate::model::observed::{ClaimHolders, Observed, Service, TaggedService, TargetGroup, Traces};
use crate::model::policy::{Admission, Deletions, Policy};
use crate::model::row::{Desired, Row, quoted};
use crate::model::status::{ConditionKind, NextChange};

pub use fit::{Skip, Why};
pub use who::Named;

use who::Who;

/// What the tables and the load balancers show.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Every row.
    pub rows: &'a BTreeMap<AppId, Row>,
    /// Every memory.
    pub memories: &'a BTreeMap<AppId, Memory>,
    /// Apps of which there is a memory that can't be read.
    pub unreadable: &'a BTreeSet<AppId>,
    /// Who holds which claim.
    pub claims: &'a ClaimHolders,
    /// The target groups of the services.
    pub groups: &'a BTreeMap<String, Observed<TargetGroup>>,
}

/// A service that the rule is about, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The service.
    pub seen: ForeignService,
    /// Who it is, as far as that is told.
    pub named: Named,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a service.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is taken over.
    Adopt(Box<Adoption>),
    /// It has been.
    Already,
    /// It is left alone.
    Skip(Skip),
}

/// How a service is taken over. What is there already is left out.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The app that it becomes.
    pub id: AppId,
    /// What the app is to be.
    pub becomes: Desired,
    /// Tags to set, before anything else.
    pub tags: Vec<(&'static str, String)>,
    /// What to remember, on the view that it was decided from; before the row, which would have it built otherwise.
    pub memory: Option<(AppView, Plan)>,
    /// The row to write, at last.
    pub row: Option<Row>,
    /// What will be different from now.
    pub notes: Vec<String>,
    /// What happens to it next by itself.
    pub next: Option<NextChange>,
}

/// Decides about every service that has the tags of the rule, in their order.
pub fn decide(
    services: &[ForeignService],
    rule: &Rule,
    known: Known<'_>,
    policy: &Policy,
    now: Timestamp,
    entropy: Entropy,
) -> Vec<Candidate> {
    let judge = Judge {
        known,
        policy,
        now,
        entropy,
    };
    let is_meant = |seen: &&ForeignService| {
        let mut only = rule.only.iter();
        only.all(|(key, value)| seen.tags.get(key) == Some(value))
    };
    let mut candidates: Vec<Candidate> = services
        .iter()
        .filter(is_meant)
        .map(|seen| {
            let (named, who) = who::read(seen, rule, policy);
            let mut candidate = Candidate {
                seen: seen.clone(),
                named,
                verdict: Verdict::Already,
            };
            candidate.verdict = who
                .and_then(|who| judge.judge(&mut candidate.named, seen, &who))
                .unwrap_or_else(Verdict::Skip);
            candidate
        })
        .collect();
    leave_the_contested(&mut candidates);
    candidates
}

/// Of those that would be the same app, or take the same slot or name, none is taken: which one is meant can't be
/// told.
fn leave_the_contested(candidates: &mut [Candidate]) {
    let mut takers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, candidate) in candidates.iter().enumerate() {
        if let Verdict::Adopt(adoption) = &candidate.verdict {
            let id = format!("id#{}", adoption.id);
            let planned = adoption.memory.as_ref();
            let holding = planned.and_then(|(_, plan)| plan.memory.holding.as_ref());
            let keys = holding.into_iter().flat_map(Holding::keys);
            for key in keys.map(|key| key.to_string()).chain([id]) {
                takers.entry(key).or_default().push(place);
            }
        }
    }
    for (key, places) in takers.into_iter().filter(|(_, places)| places.len() > 1) {
        let names: Vec<String> = places
            .iter()
            .map(|place| quoted(candidates[*place].seen.service.name.as_str()))
            .collect();
        for place in places {
            candidates[place].verdict = Verdict::Skip(fit::contested(&key, &names));
        }
    }
}

struct Judge<'a> {
    known: Known<'a>,
    policy: &'a Policy,
    now: Timestamp,
    entropy: Entropy,
}

impl Judge<'_> {
    fn judge(&self, named: &mut Named, seen: &ForeignService, who: &Who<'_>) -> Result<Verdict, Skip> {
        let is = |id: &AppId| self.memory_of(id).is_some_and(|memory| runs_as(memory, seen));
        if let Some(owner) = seen
            .service
            .instance_id
            .as_ref()
            .filter(|owner| **owner != who.id)
        {
            named.id = Some(owner.to_string());
            return if is(owner) {
                Ok(Verdict::Already)
            } else {
                Err(fit::tagged_as_another(owner))
            };
        }
        fit::service(seen, who)?;
        if self.known.unreadable.contains(&who.id) {
            return Err(fit::unreadable(&who.id));
        }
        let tags = missing_tags(seen, who);
        fit::tags(seen, tags.len())?;
        let row = self.known.rows.get(&who.id);
        match self.memory_of(&who.id) {
            Some(memory) if runs_as(memory, seen) => self.complete(seen, who, tags, memory),
            Some(memory) if memory.deployment.is_some() || memory.operation.is_some() => {
                Err(fit::remembered(memory))
            }
            memory => self.take_over(seen, who, tags, row, memory),
        }
    }

    fn memory_of(&self, id: &AppId) -> Option<&Memory> {
        self.known.memories.get(id)
    }

    /// It is remembered as what it is: what an earlier run did not come to, or what was taken away since, is done.
    fn complete(
        &self,
        seen: &ForeignService,
        who: &Who<'_>,
        tags: Vec<(&'static str, String)>,
        memory: &Memory,
    ) -> Result<Verdict, Skip> {
        let of = |becomes| Adoption {
            id: who.id.clone(),
            becomes,
            tags: Vec::new(),
            memory: None,
            row: None,
            notes: Vec::new(),
            next: None,
        };
        if let Some(row) = self.known.rows.get(&who.id) {
            let becomes = row.desired.unwrap_or(Desired::Running);
            return Ok(if tags.is_empty() {
                Verdict::Already
            } else {
                Verdict::Adopt(Box::new(Adoption { tags, ..of(becomes) }))
            });
        }
        let was_found = memory.found.is_some() && memory.accepted.is_none() && memory.operation.is_none();
        if !was_found {
            return Err(fit::row_is_gone());
        }
        let row = self.new_row(seen, who);
        let view = self.view(seen, who, &row, Some(memory));
        let plan = plan(&view, self.policy, self.now);
        nothing_is_built(&plan)?;
        Ok(Verdict::Adopt(Box::new(Adoption {
            tags,
            notes: fit::notes(seen, who, &row, &plan.memory),
            next: plan.memory.status.next_change,
            row: Some(row),
            ..of(as_it_is(seen))
        })))
    }

    fn take_over(
        &self,
        seen: &ForeignService,
        who: &Who<'_>,
        tags: Vec<(&'static str, String)>,
        given: Option<&Row>,
        memory: Option<&Memory>,
    ) -> Result<Verdict, Skip> {
        fit::claims(seen, who, self.policy.scope, self.known.claims)?;
        fit::route(seen, who.entry, self.known.groups)?;
        if let Some(row) = given {
            fit::row(row, who)?;
        }
        let row = given.map_or_else(|| self.new_row(seen, who), Row::clone);
        let view = self.view(seen, who, &row, memory);
        let mut plan = plan(&view, self.policy, self.now);
        nothing_is_built(&plan)?;
        if !matches!(plan.action, Some(Action::Adopt { .. })) {
            return Err(fit::not_taken(&plan.decision.message));
        }
        if plan.memory.stop.is_some() {
            return Err(fit::its_day_is_over());
        }
        let next = plan.memory.status.next_change.clone();
        let notes = fit::notes(seen, who, &row, &plan.memory);
        if given.is_none() {
            forget_the_row(&mut plan.memory, self.now);
        }
        let message = format!(
            "Service {} is taken over as it is, without a build.",
            seen.service.name
        );
        plan.memory.status.message.clone_from(&message);
        plan.decision.message = message;
        Ok(Verdict::Adopt(Box::new(Adoption {
            id: who.id.clone(),
            becomes: row.desired.unwrap_or(Desired::Running),
            tags,
            memory: Some((view, plan)),
            row: given.is_none().then_some(row),
            notes,
            next,
        })))
    }

    /// A request as of now, so that it lives until the next end of the day.
    fn new_row(&self, seen: &ForeignService, who: &Who<'_>) -> Row {
        Row {
            id: who.id.clone(),
            problems: Vec::new(),
            user: Some(who.user.clone()),
            app: Some(who.entry.name.clone()),
            desired: Some(as_it_is(seen)),
            generation: None,
            requested_at: Some(self.now),
            host_name: Some(who.host_name.clone()),
            parameters: BTreeMap::new(),
            time_zone: None,
            schedule: None,
            owner_active: None,
            keep_until: None,
            keep_reason: None,
            expires_at: None,
            requested_by: Some("lamplighter adopt".to_owned()),
        }
    }

    /// The app as the planner would see it once its service is tagged and its row is written.
    fn view(&self, seen: &ForeignService, who: &Who<'_>, row: &Row, memory: Option<&Memory>) -> AppView {
        let service = Service {
            instance_id: Some(who.id.clone()),
            host_name: Some(who.host_name.clone()),
            ..seen.service.clone()
        };
        let tagged = TaggedService {
            cluster: seen.cluster.clone(),
            name: service.name.clone(),
            host_name: service.host_name.clone(),
        };
        AppView {
            id: who.id.clone(),
            row: Observed::Present(row.clone()),
            memory: memory.cloned().into(),
            gate: Observed::Unknown,
            build: Observed::Unknown,
            listing: Observed::Unknown,
            service: Observed::Present(service),
            tagged: Observed::Unknown,
            target_group: Observed::Unknown,
            probe: Observed::Unknown,
            stopped_task: Observed::Unknown,
            claims: Observed::Present(self.known.claims.clone()),
            rivals: BTreeMap::new(),
            traces: Observed::Present(Traces {
                builds: Vec::new(),
                services: vec![tagged],
            }),
            reap: false,
            // Remembering what is there starts and stops nothing, so it may be done while all is held.
            paused: Observed::Absent,
            notice: None,
            keeps: Observed::Absent,
            deletions: Deletions::Unjudged,
            approvals: Observed::Unknown,
            admission: Admission::Unasked,
            entropy: self.entropy,
        }
    }
}

/// A service without tasks is suspended already.
fn as_it_is(seen: &ForeignService) -> Desired {
    if seen.service.desired_count == 0 {
        Desired::Suspended
    } else {
        Desired::Running
    }
}

/// Whether this is the service that is remembered of an app.
fn runs_as(memory: &Memory, seen: &ForeignService) -> bool {
    memory.deployment.as_ref().is_some_and(|deployment| {
        let blueprint = &deployment.blueprint;
        *blueprint.service() == seen.service.name && blueprint.cluster == seen.cluster
    })
}

fn missing_tags(seen: &ForeignService, who: &Who<'_>) -> Vec<(&'static str, String)> {
    let wanted = [
        (INSTANCE_TAG, who.id.to_string()),
        (HOST_TAG, who.host_name.to_string()),
    ];
    let has = |(key, value): &(&'static str, String)| seen.tags.get(*key) == Some(value);
    wanted.into_iter().filter(|tag| !has(tag)).collect()
}

/// What is remembered must be what the row asks for, or the daemon would have it built.
fn nothing_is_built(plan: &Plan) -> Result<(), Skip> {
    let memory = &plan.memory;
    let refused = || {
        let condition = memory.status.condition(ConditionKind::Accepted);
        condition.map_or_else(|| plan.decision.message.clone(), |told| told.message.clone())
    };
    let accepted = memory
        .accepted
        .as_ref()
        .ok_or_else(|| fit::row_is_refused(&refused()))?;
    let same = memory.deployment.as_ref().is_some_and(|deployment| {
        deployment.complete && deployment.blueprint.spec_hash == accepted.blueprint.spec_hash
    });
    let starts = matches!(
        plan.action,
        Some(Action::Intend { .. } | Action::StartBuild { .. })
    );
    if same && !starts {
        Ok(())
    } else {
        Err(fit::would_be_built())
    }
}

/// Until its row is written the app is an orphan, which is left alone; with a row accepted that is not there, it would
/// be an app whose row was deleted.
fn forget_the_row(memory: &mut Memory, now: Timestamp) {
    memory.accepted = None;
    memory.request = None;
    memory.row_gone = None;
    memory.over_since = None;
    memory.refused_since = None;
    memory.found = Some(Found { since: now });
}
