//! A world as small as the planner's view of it: one app, its builds, service and target group, and the two
//! tables. It carries plans out as the executor and the recorder would, with the faults that a test asks
//! for, and watches the one thing that no plan can show: that never two builds are past their gates at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::blueprint::{BuildKind, BuildRequest};
use lamplighter::model::claim::{Claim, ClaimKey, OnConflict};
use lamplighter::model::keep::Ledger;
use lamplighter::model::memory::Memory;
use lamplighter::model::name::ResourceName;
use lamplighter::model::name::{AppId, BuildId, ClusterName, Entropy, HostName, OperationId};
use lamplighter::model::observed::{
    Build, BuildFailure, BuildState, Gate, ListedBuild, Listing, Observed, Probe, Rival, Rollout, Service,
    StoppedTask, TagLook, TaggedService, TargetGroup, Targets, Traces,
};
use lamplighter::model::pause::{Pause, Paused};
use lamplighter::model::policy::{Admission, Deletions, OPERATION_ID_VARIABLE, Policy, TOKEN_LIFE};
use lamplighter::model::row::{RawValue, Row};
use lamplighter::model::warned::Notice;
use lamplighter::planner::{self, Action, AppView, Decision, Plan, Requeue};

use crate::catalogue::policy;
use crate::checks;

/// How long passes that follow up at once, glances and sweeps are apart.
const FOLLOW_UP: SignedDuration = SignedDuration::from_secs(1);
const GLANCE: SignedDuration = SignedDuration::from_secs(5);
pub(crate) const SWEEP: SignedDuration = SignedDuration::from_secs(60);

/// The phases of a build, in seconds after its start.
const PROVISIONING: i64 = 5;
const GATE: i64 = 15;
const END: i64 = 75;
/// How long a service needs to become steady, and to drain.
const STEADY: SignedDuration = SignedDuration::from_secs(30);
const DRAIN: SignedDuration = SignedDuration::from_secs(20);

/// What a look may fail to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sense {
    Row,
    Memory,
    Gate,
    Build,
    Service,
    Group,
    Targets,
    Probe,
    Claims,
    Tagged,
    Keeps,
    Paused,
    Traces,
    Rivals,
}

impl Sense {
    pub(crate) const ALL: [Sense; 14] = [
        Sense::Row,
        Sense::Memory,
        Sense::Gate,
        Sense::Build,
        Sense::Service,
        Sense::Group,
        Sense::Targets,
        Sense::Probe,
        Sense::Claims,
        Sense::Tagged,
        Sense::Keeps,
        Sense::Paused,
        Sense::Traces,
        Sense::Rivals,
    ];

    /// Takes this sense away from a view.
    pub(crate) fn blind(self, view: &mut AppView) {
        match self {
            Sense::Row => view.row = Observed::Unknown,
            Sense::Memory => view.memory = Observed::Unknown,
            Sense::Gate => view.gate = Observed::Unknown,
            Sense::Build => {
                view.build = Observed::Unknown;
                view.listing = Observed::Unknown;
            }
            Sense::Service => view.service = Observed::Unknown,
            Sense::Group => view.target_group = Observed::Unknown,
            Sense::Targets => {
                if let Observed::Present(group) = &mut view.target_group {
                    group.targets = Observed::Unknown;
                }
            }
            Sense::Probe => view.probe = Observed::Unknown,
            Sense::Claims => view.claims = Observed::Unknown,
            Sense::Tagged => view.tagged = Observed::Unknown,
            Sense::Keeps => view.keeps = Observed::Unknown,
            Sense::Paused => view.paused = Observed::Unknown,
            Sense::Traces => view.traces = Observed::Unknown,
            Sense::Rivals => view
                .rivals
                .values_mut()
                .for_each(|rival| *rival = Rival::default()),
        }
    }
}

/// What a build does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// It passes its gate and does its work.
    Works,
    /// It fails before it asks at the gate.
    FailsEarly,
    /// CodeBuild has no room for it.
    NoRoom,
    /// It passes its gate and fails, having applied half.
    FailsLate,
    /// It stays in the queue.
    Queues,
    /// It passes its gate and never ends.
    Hangs,
    /// It succeeds without asking at the gate.
    SkipsGate,
    /// A destroy that says it is done and leaves the service.
    Leaves,
    /// It passes its gate, and CodeBuild forgets it.
    Vanishes,
}

/// What goes wrong with one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The call never arrives.
    LostRequest,
    /// The call takes effect and its answer is lost.
    LostResponse,
    /// The call arrives so much later, in seconds, after its caller gave up.
    Late(i64),
    /// The call is refused for good.
    Rejected,
    /// The call is done and nothing is recorded.
    Crash,
}

#[derive(Clone, Debug)]
pub(crate) struct SimBuild {
    pub(crate) id: BuildId,
    pub(crate) request: BuildRequest,
    pub(crate) started: Timestamp,
    pub(crate) script: Script,
    pub(crate) passed: bool,
    pub(crate) ended: Option<BuildState>,
    pub(crate) phase: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct SimService {
    pub(crate) owner: AppId,
    pub(crate) host: Option<HostName>,
    pub(crate) desired: u32,
    pub(crate) steady_at: Timestamp,
    pub(crate) drained_at: Option<Timestamp>,
    pub(crate) rollout_failed: Option<String>,
    pub(crate) target_groups: Vec<String>,
}

/// What one pass saw, decided and led to.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) view: AppView,
    pub(crate) plan: Plan,
    /// Whether the pass could be recorded, or had nothing to record.
    pub(crate) recorded: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The time in AWS.
    pub(crate) real: Timestamp,
    /// How far the daemon's clock is ahead of it.
    pub(crate) skew: SignedDuration,
    pub(crate) policy: Policy,
    pub(crate) id: AppId,
    pub(crate) row: Option<serde_json::Value>,
    pub(crate) memory: Option<Memory>,
    pub(crate) gates: BTreeMap<OperationId, Gate>,
    pub(crate) claims: BTreeMap<ClaimKey, Claim>,
    /// Other apps of the same user, as rows and memories show them.
    pub(crate) rivals: BTreeMap<AppId, Rival>,
    pub(crate) builds: Vec<SimBuild>,
    pub(crate) services: BTreeMap<ResourceName, SimService>,
    pub(crate) groups: BTreeMap<String, bool>,
    pub(crate) probe: Probe,
    pub(crate) targets_heal: bool,
    pub(crate) stopped_task: Option<StoppedTask>,
    pub(crate) deletions: Deletions,
    pub(crate) hold: bool,
    /// Whether an orphan may be begun with.
    pub(crate) reap: bool,
    /// What became of telling of its stop.
    pub(crate) notice: Option<Notice>,
    /// The exemptions of its owner.
    pub(crate) keeps: Observed<Ledger>,
    /// What history was told of exemptions.
    pub(crate) lines: Vec<String>,
    /// Since when an operator holds every action, if one does.
    pub(crate) paused: Option<Timestamp>,
    pub(crate) admission: Admission,
    pub(crate) listing: Observed<TagLook>,
    pub(crate) swept: Timestamp,
    pub(crate) blind: BTreeSet<Sense>,
    pub(crate) scripts: VecDeque<Script>,
    /// What must never happen and did.
    pub(crate) broken: Vec<String>,
    late: Vec<(Timestamp, Action)>,
    last: Option<(Decision, Observed<Memory>)>,
    draws: u64,
}

impl World {
    pub(crate) fn new(at: &str) -> Self {
        let real: Timestamp = at.parse().unwrap();
        Self {
            real,
            skew: SignedDuration::ZERO,
            policy: policy(),
            id: AppId::from_key("a1").unwrap(),
            row: None,
            memory: None,
            gates: BTreeMap::new(),
            claims: BTreeMap::new(),
            rivals: BTreeMap::new(),
            builds: Vec::new(),
            services: BTreeMap::new(),
            groups: BTreeMap::new(),
            probe: Probe::Answered,
            targets_heal: true,
            stopped_task: None,
            deletions: Deletions::Unjudged,
            hold: false,
            reap: true,
            notice: None,
            keeps: Observed::Absent,
            lines: Vec::new(),
            paused: None,
            admission: Admission::Granted,
            listing: Observed::Unknown,
            swept: real,
            blind: BTreeSet::new(),
            scripts: VecDeque::new(),
            broken: Vec::new(),
            late: Vec::new(),
            last: None,
            draws: 0,
        }
    }

    /// The time by the daemon's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.real.checked_add(self.skew).unwrap()
    }

    pub(crate) fn entropy(&mut self) -> Entropy {
        self.draws += 1;
        let mut bytes = [0; 16];
        // Spread, so that equal low bits do not make equal jitter.
        bytes[..8].copy_from_slice(&self.draws.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        Entropy(bytes)
    }

    /// Lets time pass: builds go on, calls that were late arrive, services settle, sweeps happen.
    pub(crate) fn advance(&mut self, by: SignedDuration) {
        let (from, until) = (self.real, self.real.checked_add(by).unwrap());
        let mut stops: BTreeSet<Timestamp> = self.late.iter().map(|(at, _)| *at).collect();
        for build in self.builds.iter().filter(|build| build.ended.is_none()) {
            stops.extend([PROVISIONING, GATE, END].map(|s| later(build.started, s)));
        }
        stops.extend((1..=by.as_secs() / 60).map(|n| later(self.swept, n * 60)));
        stops.insert(until);
        for stop in stops.into_iter().filter(|stop| *stop >= from && *stop <= until) {
            self.real = stop;
            self.arrive();
            self.work();
            if self.real.duration_since(self.swept) >= SWEEP {
                self.sweep();
            }
        }
        self.real = until;
    }

    /// A complete reading of the tables and of the cluster.
    pub(crate) fn sweep(&mut self) {
        self.swept = self.real;
        let now = self.now();
        self.deletions = if self.hold {
            Deletions::Held {
                vanished: 40,
                known: 100,
                since: now,
            }
        } else {
            let gone = self.memory.as_ref().and_then(|memory| memory.row_gone.as_ref());
            Deletions::Clear {
                gone_since: gone.map(|gone| gone.since),
            }
        };
        let mine = |service: &SimService| service.owner == self.id && service.drained_at.is_none();
        let services = self.services.iter().filter(|(_, service)| mine(service));
        self.listing = Observed::Present(TagLook {
            at: now,
            services: services.map(|(name, _)| name.clone()).collect(),
        });
    }

    fn arrive(&mut self) {
        let (due, rest): (Vec<_>, Vec<_>) = self.late.drain(..).partition(|(at, _)| *at <= self.real);
        self.late = rest;
        for (_, action) in due {
            self.take_effect(&action);
        }
    }

    /// Moves every build to where it is by now.
    fn work(&mut self) {
        self.services
            .retain(|_, service| service.drained_at.is_none_or(|at| at > self.real));
        for n in 0..self.builds.len() {
            if self.builds[n].ended.is_some() {
                continue;
            }
            let age = self.real.duration_since(self.builds[n].started).as_secs();
            if self.builds[n].script == Script::Queues {
                continue;
            }
            if self.builds[n].script == Script::NoRoom {
                self.end(
                    n,
                    failed("CLIENT_ERROR", "QUEUED", "no network interface is left"),
                );
                continue;
            }
            if age >= PROVISIONING && !self.builds[n].passed {
                self.builds[n].phase = "PROVISIONING";
            }
            if age >= GATE && !self.builds[n].passed {
                self.builds[n].phase = "PRE_BUILD";
                self.ask_at_gate(n);
            }
            if age >= END && self.builds[n].passed && self.builds[n].ended.is_none() {
                self.finish(n);
            }
        }
    }

    fn ask_at_gate(&mut self, n: usize) {
        let build = self.builds[n].clone();
        match build.script {
            Script::FailsEarly => {
                return self.end(n, failed("FAILED", "PRE_BUILD", "exit status 1"));
            }
            Script::SkipsGate => return self.end(n, BuildState::Succeeded),
            Script::Works
            | Script::NoRoom
            | Script::FailsLate
            | Script::Queues
            | Script::Hangs
            | Script::Leaves
            | Script::Vanishes => {}
        }
        let operation = &build.request.token;
        let named = build.request.environment.get(OPERATION_ID_VARIABLE);
        assert_eq!(named, Some(&operation.to_string()), "a build knows its operation");
        let passes = match self.gates.get(operation) {
            Some(Gate::Open) => true,
            Some(Gate::Held(holder)) => *holder == build.id,
            Some(Gate::Closed) | None => false,
        };
        if !passes {
            return self.end(n, failed("FAILED", "PRE_BUILD", "exit status 90"));
        }
        self.gates.insert(operation.clone(), Gate::Held(build.id.clone()));
        let others = self.builds.iter().filter(|b| b.passed && b.ended.is_none());
        for other in others {
            self.broken.push(format!(
                "{} passed its gate while {} was past its own",
                build.id, other.id
            ));
        }
        self.builds[n].passed = true;
        self.builds[n].phase = "BUILD";
    }

    fn end(&mut self, n: usize, state: BuildState) {
        self.builds[n].phase = "COMPLETED";
        self.builds[n].ended = Some(state);
    }

    /// What a build past its gate does to the world.
    fn finish(&mut self, n: usize) {
        let SimBuild { request, script, .. } = self.builds[n].clone();
        let text = |name: &str| request.environment[name].clone();
        let name = ResourceName::existing(&text("RESOURCE_NAME")).unwrap();
        let made = ResourceName::for_host(&HostName::parse(&text("HOST_NAME")).unwrap());
        // What another tool has made keeps its name.
        assert!(name == made || self.services.contains_key(&name), "{name}");
        let applies = text("ACTION") == "apply";
        match script {
            Script::Hangs => return,
            Script::FailsLate => {
                if applies {
                    self.groups.insert(format!("tg-{name}"), false);
                } else {
                    self.groups.remove(&format!("tg-{name}"));
                }
                return self.end(n, failed("FAILED", "BUILD", "exit status 1"));
            }
            Script::Leaves if !applies => return self.end(n, BuildState::Succeeded),
            Script::Works
            | Script::Leaves
            | Script::Vanishes
            | Script::FailsEarly
            | Script::NoRoom
            | Script::Queues
            | Script::SkipsGate => {}
        }
        if applies {
            let owner = AppId::from_key(text("INSTANCE_ID")).unwrap();
            let steady_at = self.real.checked_add(STEADY).unwrap();
            // Modules ignore changes of the desired count, as the documentation asks of them.
            let group = (text("APP") != "plain").then(|| format!("tg-{name}"));
            self.services.entry(name.clone()).or_insert(SimService {
                owner,
                host: HostName::parse(&text("HOST_NAME")).ok(),
                desired: 2,
                steady_at,
                drained_at: None,
                rollout_failed: None,
                target_groups: group.clone().into_iter().collect(),
            });
            if let Some(group) = group {
                self.groups.insert(group, true);
            }
        } else {
            if let Some(service) = self.services.get_mut(&name) {
                service.drained_at = Some(self.real.checked_add(DRAIN).unwrap());
                self.groups
                    .retain(|group, _| !service.target_groups.contains(group));
            }
            self.groups.remove(&format!("tg-{name}"));
        }
        self.end(n, BuildState::Succeeded);
    }

    fn shown_pause(&self) -> Observed<Paused> {
        let paused = self.paused.map(|since| Paused {
            whole_fleet: true,
            pause: Pause {
                since: Some(since),
                reason: Some("moving the table".to_owned()),
            },
        });
        paused.into()
    }

    /// What a look shows of other apps: of those that hold or want a slot that matters.
    fn shown_rivals(&self) -> BTreeMap<AppId, Rival> {
        let contested = self.policy.on_conflict == OnConflict::Replace;
        let slots = self
            .claims
            .iter()
            .filter(|(key, _)| contested && key.is_slot())
            .map(|(_, claim)| claim);
        slots
            .flat_map(|claim| [Some(&claim.app), claim.bid.as_ref().map(|bid| &bid.app)])
            .flatten()
            .filter(|app| **app != self.id)
            .map(|app| (app.clone(), self.rivals.get(app).cloned().unwrap_or_else(nobody)))
            .collect()
    }

    /// Another app's row is written, and taken in as the planner would.
    pub(crate) fn rival_asks(&mut self, name: &str, row: &serde_json::Value) {
        let id = AppId::from_key(name).unwrap();
        let seen = read_row(&id, row);
        let known = self.rivals.remove(&id).unwrap_or_else(nobody);
        let mut view = self.look();
        view.id = id.clone();
        view.row = Observed::Present(seen.clone());
        view.memory = known.memory;
        view.claims = Observed::Absent;
        view.traces = Observed::Present(Traces::default());
        view.paused = Observed::Absent;
        view.admission = Admission::Waiting {
            place: 1,
            reason: "it only wants".to_owned(),
            until: self.now(),
        };
        let plan = planner::plan(&view, &self.policy, self.now());
        let rival = Rival {
            row: Observed::Present(seen),
            memory: Observed::Present(plan.memory),
            paused: Observed::Absent,
        };
        self.rivals.insert(id, rival);
    }

    /// Another app bids for its slot, whoever has it.
    pub(crate) fn rival_bids(&mut self, name: &str) {
        let id = AppId::from_key(name).unwrap();
        let memory = self.rivals.get(&id).and_then(|rival| rival.memory.present());
        let Some(accepted) = memory.and_then(|memory| memory.accepted.clone()) else {
            return;
        };
        if let Some(claim) = self.claims.get_mut(&accepted.blueprint.identity.slot) {
            claim.bid = Some(accepted.bid(&id));
        }
    }

    /// Another app's row is deleted.
    pub(crate) fn rival_leaves(&mut self, name: &str) {
        if let Some(rival) = self.rivals.get_mut(&AppId::from_key(name).unwrap()) {
            rival.row = Observed::Absent;
        }
    }

    /// What a look shows; the same reads as the inventory's.
    pub(crate) fn look(&mut self) -> AppView {
        let row = self.row.as_ref().map(|json| read_row(&self.id, json));
        let mut view = AppView {
            id: self.id.clone(),
            row: row.into(),
            memory: self.memory.clone().into(),
            gate: Observed::Unknown,
            build: Observed::Unknown,
            listing: Observed::Unknown,
            service: Observed::Unknown,
            tagged: self.listing.clone(),
            target_group: Observed::Unknown,
            probe: Observed::Unknown,
            stopped_task: Observed::Unknown,
            claims: Observed::Present(self.claims.clone()),
            traces: Observed::Present(self.traces()),
            reap: self.reap,
            rivals: self.shown_rivals(),
            notice: self.notice,
            keeps: self.keeps.clone(),
            paused: self.shown_pause(),
            deletions: self.deletions.clone(),
            approvals: Observed::Present(0),
            admission: self.admission.clone(),
            entropy: self.entropy(),
        };
        if let Some(memory) = &self.memory {
            if let Some(operation) = memory.in_flight() {
                let gate = self.gates.get(&operation.id).cloned();
                let holder = match &gate {
                    Some(Gate::Held(build)) => Some(build.clone()),
                    Some(Gate::Open | Gate::Closed) | None => operation.build.clone(),
                };
                view.gate = gate.into();
                if holder.is_none() && !operation.gate {
                    view.listing = Observed::Present(self.show_listing(&operation.id));
                }
                if let Some(id) = holder {
                    view.build = self.show_build(&id);
                }
            } else if let Some(blueprint) = memory.blueprint() {
                view.service = self.show_service(blueprint.service());
                if let Some(group) = &blueprint.target_group {
                    view.target_group = self.show_group(group, blueprint.service());
                }
                if let Observed::Present(service) = &view.service {
                    if !service.draining
                        && service.desired_count > 0
                        && service.running_count >= service.desired_count
                    {
                        view.probe = Observed::Present(self.probe.clone());
                    } else if !service.draining && service.desired_count > 0 {
                        view.stopped_task = self.stopped_task.clone().into();
                    }
                }
            }
        }
        let blueprint = self.memory.as_ref().and_then(Memory::blueprint);
        if let (None, Some(tagged)) = (blueprint, self.traces().services.first()) {
            view.service = self.show_service(&tagged.name);
        }
        for sense in &self.blind {
            sense.blind(&mut view);
        }
        view
    }

    fn show_listing(&self, operation: &OperationId) -> Listing {
        let shown = |build: &&SimBuild| !(build.script == Script::Vanishes && build.passed);
        let runs = |build: &&SimBuild| build.ended.is_none();
        let (mine, others): (Vec<&SimBuild>, Vec<&SimBuild>) = self
            .builds
            .iter()
            .rev()
            .filter(shown)
            .partition(|build| build.request.token == *operation);
        let mine = mine.iter().copied().find(runs).or(mine.first().copied());
        Listing {
            began: self.now(),
            mine: mine.map(|build| build.id.clone()),
            other: others.into_iter().find(runs).map(|build| build.id.clone()),
        }
    }

    /// What listings show, as if they had just been made.
    fn traces(&self) -> Traces {
        let listed = self.builds.iter().rev().filter_map(|build| {
            Some(ListedBuild {
                build: self.show_build(&build.id).present()?.clone(),
                environment: build.request.environment.clone().into(),
            })
        });
        let tagged = self
            .services
            .iter()
            .filter(|(_, service)| service.owner == self.id);
        Traces {
            builds: listed.collect(),
            services: tagged
                .map(|(name, service)| TaggedService {
                    cluster: ClusterName::new("apps"),
                    name: name.clone(),
                    host_name: service.host.clone(),
                })
                .collect(),
        }
    }

    fn show_build(&self, id: &BuildId) -> Observed<Build> {
        let found = self.builds.iter().find(|build| build.id == *id);
        let seen = found.filter(|build| !(build.script == Script::Vanishes && build.passed));
        seen.map(|build| Build {
            id: build.id.clone(),
            state: build.ended.clone().unwrap_or(BuildState::Running),
            phase: build.phase.to_owned(),
            started_at: Some(build.started),
            ended_at: None,
            logs_url: None,
        })
        .into()
    }

    fn show_service(&self, name: &ResourceName) -> Observed<Service> {
        let seen = self.services.get(name).map(|service| {
            let steady = self.real >= service.steady_at;
            let draining = service.drained_at.is_some();
            let (running, pending) = match (draining, steady && service.rollout_failed.is_none()) {
                (true, _) => (1, 0),
                (false, true) => (service.desired, 0),
                (false, false) => (0, service.desired),
            };
            Service {
                name: name.clone(),
                draining,
                desired_count: service.desired,
                running_count: running,
                pending_count: pending,
                rollout: match &service.rollout_failed {
                    Some(why) => Rollout::Failed(why.clone()),
                    None if steady => Rollout::Completed,
                    None => Rollout::InProgress,
                },
                deployments: 1,
                instance_id: Some(service.owner.clone()),
                host_name: service.host.clone(),
                target_groups: service.target_groups.clone(),
            }
        });
        seen.into()
    }

    fn show_group(&self, group: &str, service: &ResourceName) -> Observed<TargetGroup> {
        let running = self
            .show_service(service)
            .present()
            .map_or(0, |s| s.running_count);
        let seen = self.groups.get(group).map(|attached| TargetGroup {
            attached: *attached,
            targets: Observed::Present(Targets {
                healthy: if self.targets_heal { running } else { 0 },
                unhealthy: if self.targets_heal { 0 } else { running },
                reason: (!self.targets_heal).then(|| "Target.FailedHealthChecks".to_owned()),
            }),
        });
        seen.into()
    }

    /// One pass: look, decide, act, record.
    pub(crate) fn pass(&mut self, fault: Fault) -> Pass {
        let view = self.look();
        let plan = planner::plan(&view, &self.policy, self.now());
        // What was decided the last time, of a world that has not changed since, was held against the rules
        // then.
        let news = Some((&plan.decision, &view.memory)) != self.last.as_ref().map(|(d, m)| (d, m));
        if news || plan.action.is_some() || view.memory != Observed::Present(plan.memory.clone()) {
            checks::hold(&view, &self.policy, self.now(), &plan);
        }
        self.last = Some((plan.decision.clone(), view.memory.clone()));
        self.carry_out(view, plan, fault)
    }

    /// The rest of a pass, for a look that may be out of date by now: another replica may have acted since.
    pub(crate) fn carry_out(&mut self, view: AppView, plan: Plan, fault: Fault) -> Pass {
        let outcome = match &plan.action {
            None | Some(Action::Intend { .. } | Action::Adopt { .. }) => Outcome::Done,
            Some(action) => self.act(action, fault),
        };
        let recorded = fault != Fault::Crash && self.record(&view, &plan, outcome);
        Pass { view, plan, recorded }
    }

    fn act(&mut self, action: &Action, fault: Fault) -> Outcome {
        match fault {
            Fault::LostRequest => Outcome::Unanswered,
            Fault::Rejected => Outcome::Rejected,
            Fault::LostResponse => {
                self.take_effect(action);
                Outcome::Unanswered
            }
            Fault::Late(seconds) => {
                self.late.push((later(self.real, seconds), action.clone()));
                Outcome::Unanswered
            }
            Fault::None | Fault::Crash => self.take_effect(action),
        }
    }

    fn take_effect(&mut self, action: &Action) -> Outcome {
        match action {
            Action::Intend { .. } | Action::Adopt { .. } => Outcome::Done,
            Action::StartBuild { request } => Outcome::Started(self.start(request)),
            Action::CloseGate { operation } => {
                if let Some(gate @ Gate::Open) = self.gates.get_mut(operation) {
                    *gate = Gate::Closed;
                }
                Outcome::Done
            }
            Action::Bid {
                slot,
                holder,
                over,
                bid,
            } => {
                let claim = self.claims.get_mut(slot).filter(|claim| claim.app == *holder);
                if let Some(claim) = claim.filter(|claim| claim.bid == *over) {
                    claim.bid = Some(bid.clone());
                }
                Outcome::Done
            }
            Action::Keep {
                over, ledger, line, ..
            } => {
                if self.keeps.present().map_or(0, |stored| stored.version) == *over {
                    self.keeps = Observed::Present(ledger.clone());
                    self.lines.push(format!("{} {}", line.reason, line.message));
                }
                Outcome::Done
            }
            Action::StopBuild { build } => {
                let running = |b: &SimBuild| b.id == *build && b.ended.is_none();
                if let Some(n) = self.builds.iter().position(running) {
                    let phase = self.builds[n].phase;
                    self.end(n, failed("STOPPED", phase, "stopped by request"));
                }
                Outcome::Done
            }
            Action::Scale { service, tasks, .. } => {
                let steady_at = self.real.checked_add(STEADY).unwrap();
                if let Some(service) = self.services.get_mut(service) {
                    service.desired = *tasks;
                    service.steady_at = steady_at;
                }
                Outcome::Done
            }
            Action::DeleteService { service, .. } => {
                self.services.remove(service);
                Outcome::Done
            }
        }
    }

    /// CodeBuild finds the build of a token for five minutes, and starts another one after that.
    fn start(&mut self, request: &BuildRequest) -> BuildId {
        let life = |build: &SimBuild| self.real.duration_since(build.started) < TOKEN_LIFE;
        let found = self
            .builds
            .iter()
            .find(|b| b.request.token == request.token && life(b));
        if let Some(build) = found {
            assert_eq!(
                build.request, *request,
                "a token comes back with the same request"
            );
            return build.id.clone();
        }
        let id = BuildId::new(format!("{}:{}", request.project, self.builds.len() + 1));
        self.builds.push(SimBuild {
            id: id.clone(),
            request: request.clone(),
            started: self.real,
            script: self.scripts.pop_front().unwrap_or(Script::Works),
            passed: false,
            ended: None,
            phase: "QUEUED",
        });
        id
    }

    /// Writes what the pass decided, on the condition that the memory is still the one it saw and that the
    /// claims are free: all of it or nothing.
    fn record(&mut self, view: &AppView, plan: &Plan, outcome: Outcome) -> bool {
        let before = match &view.memory {
            Observed::Unknown => return true,
            Observed::Absent => None,
            Observed::Present(memory) => Some(memory),
        };
        let mut memory = plan.memory.clone();
        if let Some(operation) = memory
            .operation
            .as_mut()
            .filter(|operation| operation.in_flight())
        {
            match outcome {
                Outcome::Started(build) => {
                    operation.build = Some(build);
                    operation.start_trouble = None;
                }
                Outcome::Rejected if operation.build.is_none() => {
                    operation.start_error = Some("CodeBuild rejected StartBuild: no such project".to_owned());
                }
                Outcome::Unanswered if operation.build.is_none() => {
                    operation.start_trouble = Some("StartBuild was not answered".to_owned());
                }
                Outcome::Done | Outcome::Rejected | Outcome::Unanswered => {}
            }
        }
        let unchanged = before == Some(&memory) && plan.release.is_empty() && !plan.forget;
        let worthless = before.is_none()
            && memory.accepted.is_none()
            && memory.deployment.is_none()
            && view.row.is_absent();
        if unchanged || worthless {
            return true;
        }
        if self.memory.as_ref().map(|memory| memory.version) != before.map(|memory| memory.version) {
            return false;
        }
        if let Some(Action::Intend { take, .. } | Action::Adopt { take }) = &plan.action {
            let taken = |key: &ClaimKey| self.claims.get(key).is_some_and(|claim| claim.app != self.id);
            if take.iter().any(taken) {
                return false;
            }
            if let Some(Action::Intend { operation, .. }) = &plan.action {
                self.gates.insert(operation.clone(), Gate::Open);
            }
            for key in take {
                let claim = Claim {
                    app: self.id.clone(),
                    since: self.real,
                    bid: None,
                };
                self.claims.entry(key.clone()).or_insert(claim);
            }
        }
        for key in &plan.release {
            assert_eq!(
                self.claims.get(key).map(|claim| &claim.app),
                Some(&self.id),
                "{key} is given back"
            );
            self.claims.remove(key);
        }
        memory.version = before.map_or(0, |memory| memory.version) + 1;
        self.memory = (!plan.forget).then_some(memory);
        true
    }

    /// When the plan is to be followed up, in the daemon's time.
    pub(crate) fn next_look(&self, requeue: Requeue) -> SignedDuration {
        match requeue {
            Requeue::Now => FOLLOW_UP,
            Requeue::Progress => GLANCE,
            Requeue::At(at) => at.duration_since(self.now()).max(FOLLOW_UP),
            Requeue::Sweep => later(self.swept, SWEEP.as_secs())
                .duration_since(self.real)
                .max(FOLLOW_UP),
        }
    }

    /// What is left of the app in AWS, for people.
    pub(crate) fn remains(&self) -> Vec<String> {
        let services = self
            .services
            .iter()
            .filter(|(_, service)| service.owner == self.id);
        let services = services.map(|(name, _)| name.to_string());
        services.chain(self.groups.keys().cloned()).collect()
    }

    /// Whether a build is past its gate.
    pub(crate) fn is_building(&self) -> bool {
        self.builds
            .iter()
            .any(|build| build.passed && build.ended.is_none())
    }

    /// The claims of this app.
    pub(crate) fn held(&self) -> Vec<String> {
        let mine = self.claims.iter().filter(|(_, claim)| claim.app == self.id);
        mine.map(|(key, _)| key.to_string()).collect()
    }

    /// The one service, by name.
    pub(crate) fn service(&mut self) -> &mut SimService {
        self.services.values_mut().next().unwrap()
    }

    /// How many builds of a kind were started.
    pub(crate) fn started(&self, kind: BuildKind) -> usize {
        let of_kind = |b: &&SimBuild| b.request.environment["ACTION"] == kind.as_str();
        self.builds.iter().filter(of_kind).count()
    }
}

#[derive(Clone, Debug)]
enum Outcome {
    Done,
    Started(BuildId),
    Unanswered,
    Rejected,
}

/// An app that nobody knows.
fn nobody() -> Rival {
    Rival {
        row: Observed::Absent,
        memory: Observed::Absent,
        paused: Observed::Absent,
    }
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn failed(status: &str, phase: &str, context: &str) -> BuildState {
    BuildState::Failed(BuildFailure {
        status: status.to_owned(),
        phase: Some(phase.to_owned()),
        context: Some(context.to_owned()),
    })
}

/// Reads a row as the adapter does.
pub(crate) fn read_row(id: &AppId, json: &serde_json::Value) -> Row {
    let raw: BTreeMap<String, RawValue> = serde_json::from_value(json.clone()).unwrap();
    Row::read(id.clone(), raw)
}
