//! The edges of one daemon that meets the simulated world directly: no SDK, no JSON but for the few calls that change
//! something, so that a call costs microseconds. What each look means is what the real adapters make of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lamplighter::cloud::{
    Builds, Cloud, DesiredStore, Error, Prober, Result, Routes, Rows, Services, StateSnapshot, StateStore,
    Swapped, Write, WriteError,
};
use lamplighter::model::blueprint::BuildRequest;
use lamplighter::model::claim::{Bid, Claim, ClaimKey};
use lamplighter::model::history::Event;
use lamplighter::model::keep::Ledger;
use lamplighter::model::lease::{Lease, Shard};
use lamplighter::model::memory::Memory;
use lamplighter::model::name::{
    AppId, BuildId, ClusterName, HostName, OperationId, ProjectName, ResourceName, User,
};
use lamplighter::model::observed::{
    Build, BuildFailure, BuildState, ClaimHolders, Gate, ListedBuild, Observed, Probe, Rollout, Service,
    StoppedTask, TargetGroup, Targets,
};
use lamplighter::model::pause::{Pause, PauseScope, Pauses};
use lamplighter::model::policy::Approvals;
use lamplighter::model::row::Row;
use serde::de::DeserializeOwned;
use serde_json::json;
use simcloud::{BuildStatus, BuildView, Phase, Refusal, ServiceStatus, ServiceView, SimCloud};

use crate::memory_tables::MemoryTables;
use crate::weather::{Answer, Line, Operation, Weather, changes};

/// AWS: the most ids of one call.
const SERVICES_MAX: usize = 10;
const BUILDS_MAX: usize = 100;
/// How many looks at one service are kept, for stale answers.
const LOOKS_MAX: usize = 32;

/// The world that all daemons of a run share.
pub(crate) struct Ground {
    pub(crate) sim: SimCloud,
    pub(crate) tables: Arc<MemoryTables>,
    pub(crate) weather: Arc<Weather>,
    past: Mutex<Past>,
}

#[derive(Default)]
struct Past {
    services: BTreeMap<ResourceName, VecDeque<(Timestamp, Observed<Service>)>>,
    lists: BTreeMap<ClusterName, VecDeque<(Timestamp, Vec<ResourceName>)>>,
}

impl Ground {
    pub(crate) fn new(sim: SimCloud, tables: Arc<MemoryTables>, weather: Arc<Weather>) -> Arc<Self> {
        Arc::new(Self {
            sim,
            tables,
            weather,
            past: Mutex::default(),
        })
    }

    /// Every edge of one daemon.
    pub(crate) fn edges(self: &Arc<Self>, line: Arc<Line>) -> Cloud {
        let edge = Arc::new(Edge {
            ground: self.clone(),
            line,
        });
        Cloud {
            desired: edge.clone(),
            state: edge.clone(),
            builds: edge.clone(),
            services: edge.clone(),
            routes: edge.clone(),
            prober: edge,
        }
    }
}

/// A name that carries no rule of its own, from its text.
pub(crate) fn name<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(text.into()).unwrap()
}

struct Edge {
    ground: Arc<Ground>,
    line: Arc<Line>,
}

impl Edge {
    /// One call that is over at once.
    async fn call<T, A>(&self, operation: Operation, act: A) -> Result<Answer<T>>
    where
        T: Send + 'static,
        A: Fn(&Ground) -> T + Send + Sync + 'static,
    {
        let ground = self.ground.clone();
        let act = Arc::new(act);
        // What changes something takes its token in the world itself.
        let limited = operation.strip_prefix("ecs.").filter(|_| !changes(operation));
        let crossing = self.ground.weather.cross(operation, &self.line, move || {
            let (ground, act) = (ground.clone(), act.clone());
            async move {
                let throttled = limited.is_some_and(|name| ground.sim.world().throttles(name));
                (!throttled).then(|| act(&ground))
            }
        });
        crossing.await?.lift().ok_or_else(|| throttled(operation))
    }

    async fn read<T, A>(&self, operation: Operation, act: A) -> Result<T>
    where
        T: Send + 'static,
        A: Fn(&Ground) -> T + Send + Sync + 'static,
    {
        Ok(self.call(operation, act).await?.into_inner())
    }

    /// One call that changes something in AWS.
    async fn ask(
        &self,
        call: Operation,
        input: serde_json::Value,
        what: String,
    ) -> Result<std::result::Result<serde_json::Value, Refusal>> {
        self.ask_and_note(call, input, what, |_| {}).await
    }

    /// The same; `noted` is told each time it took effect.
    async fn ask_and_note(
        &self,
        call: Operation,
        input: serde_json::Value,
        what: String,
        noted: impl Fn(&Ground) + Send + Sync + 'static,
    ) -> Result<std::result::Result<serde_json::Value, Refusal>> {
        let (ground, noted) = (self.ground.clone(), Arc::new(noted));
        let crossing = self.ground.weather.cross(call, &self.line, move || {
            let (ground, input, what, noted) = (ground.clone(), input.clone(), what.clone(), noted.clone());
            async move {
                let (service, operation) = call.split_once('.').expect("every name has a service");
                let answer = ground.sim.ask(service, operation, input).await;
                if answer.is_ok() {
                    noted(&ground);
                }
                ground
                    .weather
                    .note(call, &format!("{what} -> {}", outcome(&answer)));
                answer
            }
        });
        Ok(crossing.await?.into_inner())
    }
}

fn throttled(call: Operation) -> Error {
    Error::Throttled {
        call,
        cause: "Rate exceeded".into(),
    }
}

fn outcome<T>(answer: &std::result::Result<T, Refusal>) -> &str {
    match answer {
        Ok(_) => "ok",
        Err(refusal) => &refusal.code,
    }
}

fn refused(call: Operation, refusal: Refusal) -> Error {
    let Refusal { code, message } = refusal;
    match code.as_str() {
        "AccountLimitExceededException" => Error::LimitReached { call, message },
        "ThrottlingException" => throttled(call),
        "ResourceNotFoundException" | "ServiceNotFoundException" | "ClusterNotFoundException" => {
            Error::NotFound { call, what: message }
        }
        _ => Error::Rejected { call, code, message },
    }
}

#[async_trait]
impl DesiredStore for Edge {
    async fn row(&self, id: &AppId) -> Result<Option<Row>> {
        let id = id.clone();
        self.read("dynamodb.GetItem", move |ground| {
            ground.tables.items().rows.get(&id).cloned()
        })
        .await
    }

    async fn rows(&self) -> Result<Rows> {
        self.read("dynamodb.Scan", |ground| Rows {
            rows: ground.tables.items().rows.clone(),
            unreadable: 0,
        })
        .await
    }

    async fn put_row(&self, row: &Row) -> Result<()> {
        self.ground.tables.put_row(row).await
    }

    async fn delete_row(&self, id: &AppId) -> Result<()> {
        self.ground.tables.delete_row(id).await
    }
}

#[async_trait]
impl StateStore for Edge {
    async fn memory(&self, id: &AppId) -> Result<Option<Memory>> {
        let id = id.clone();
        self.read("dynamodb.GetItem", move |ground| {
            ground.tables.items().memories.get(&id).cloned()
        })
        .await
    }

    async fn snapshot(&self) -> Result<StateSnapshot> {
        self.read("dynamodb.Scan", |ground| ground.tables.items().snapshot())
            .await
    }

    async fn claims(&self, keys: &[ClaimKey]) -> Result<ClaimHolders> {
        let keys = keys.to_vec();
        self.read("dynamodb.BatchGetItem", move |ground| {
            ground.tables.items().holders(&keys)
        })
        .await
    }

    async fn gate(&self, operation: &OperationId) -> Result<Option<Gate>> {
        let operation = operation.clone();
        self.read("dynamodb.GetItem", move |ground| {
            ground.tables.items().gates.get(&operation).cloned()
        })
        .await
    }

    async fn close_gate(&self, operation: &OperationId) -> Result<Option<Gate>> {
        let operation = operation.clone();
        self.read("dynamodb.UpdateItem", move |ground| {
            let gate = ground.tables.items().close_gate(&operation);
            ground.weather.note(
                "dynamodb.UpdateItem",
                &format!("close gate {operation} -> {gate:?}"),
            );
            gate
        })
        .await
    }

    async fn bid(
        &self,
        slot: &ClaimKey,
        holder: &AppId,
        over: Option<&Bid>,
        bid: &Bid,
    ) -> Result<Option<Claim>> {
        let (slot, holder, over, bid) = (slot.clone(), holder.clone(), over.cloned(), bid.clone());
        self.read("dynamodb.UpdateItem", move |ground| {
            let claim = ground.tables.items().bid(&slot, &holder, over.as_ref(), &bid);
            ground.weather.note(
                "dynamodb.UpdateItem",
                &format!("{} bids for {slot} of {holder} -> {claim:?}", bid.app),
            );
            claim
        })
        .await
    }

    async fn write(&self, write: &Write) -> std::result::Result<(), WriteError> {
        let write = write.clone();
        let answer = self.read("dynamodb.TransactWriteItems", move |ground| {
            let done = ground.tables.items().write(&write);
            let memory = &write.memory;
            let what = format!(
                "{} to {} {} take {:?} release {:?} open {:?} -> {:?}",
                memory.id, memory.version, memory.decision, write.take, write.release, write.open_gate, done
            );
            ground.weather.note("dynamodb.TransactWriteItems", &what);
            done
        });
        answer.await?
    }

    async fn events(&self, id: &AppId, limit: u32) -> Result<Vec<Event>> {
        self.ground.tables.events(id, limit).await
    }

    async fn history(&self, id: &AppId, from: Timestamp, to: Timestamp) -> Result<Vec<Event>> {
        self.ground.tables.history(id, from, to).await
    }

    async fn approvals(&self) -> Result<Approvals> {
        self.read("dynamodb.GetItem", |ground| ground.tables.items().approvals)
            .await
    }

    async fn keeps(&self, user: &User) -> Result<Option<Ledger>> {
        let user = user.clone();
        self.read("dynamodb.GetItem", move |ground| {
            ground.tables.items().keeps.get(&user).cloned()
        })
        .await
    }

    async fn swap_keeps(&self, user: &User, over: u64, new: &Ledger, line: &Event) -> Result<bool> {
        let (user, new, line) = (user.clone(), new.clone(), line.clone());
        self.read("dynamodb.TransactWriteItems", move |ground| {
            let done = ground.tables.items().swap_keeps(&user, over, &new, &line);
            if done {
                let what = format!("exemptions of {user} to {}: {}", new.version, line.message);
                ground.weather.note("dynamodb.TransactWriteItems", &what);
            }
            done
        })
        .await
    }

    async fn approve_deletions(&self, seen: Approvals, at: Timestamp) -> Result<()> {
        self.ground.tables.approve_deletions(seen, at).await
    }

    async fn set_reported(&self, until: Timestamp) -> Result<()> {
        self.ground.tables.set_reported(until).await
    }

    async fn pauses(&self) -> Result<Pauses> {
        self.read("dynamodb.GetItem", |ground| ground.tables.items().pauses.clone())
            .await
    }

    async fn set_pause(&self, scope: &PauseScope, pause: Option<&Pause>) -> Result<Pauses> {
        self.ground.tables.set_pause(scope, pause).await
    }

    async fn leases(&self, shards: &[Shard]) -> Result<BTreeMap<Shard, Lease>> {
        let shards = shards.to_vec();
        self.read("dynamodb.BatchGetItem", move |ground| {
            ground.tables.items().leases_of(&shards)
        })
        .await
    }

    async fn swap_lease(&self, shard: Shard, expected: Option<&Lease>, new: &Lease) -> Result<Swapped> {
        let (expected, new) = (expected.cloned(), new.clone());
        // Not noted as a change: nothing that any promise is about has changed.
        self.read("dynamodb.UpdateItem", move |ground| {
            ground.tables.items().swap_lease(shard, expected.as_ref(), &new)
        })
        .await
    }
}

#[async_trait]
impl Builds for Edge {
    async fn start(&self, request: &BuildRequest) -> Result<BuildId> {
        let call = "codebuild.StartBuild";
        let variables: Vec<_> = request
            .environment
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value, "type": "PLAINTEXT"}))
            .collect();
        let input = json!({
            "projectName": request.project.as_str(),
            "idempotencyToken": request.token.as_str(),
            "environmentVariablesOverride": variables,
            "timeoutInMinutesOverride": request.build_timeout_minutes,
            "queuedTimeoutInMinutesOverride": request.queue_timeout_minutes,
            "autoRetryLimitOverride": 0,
        });
        let answer = self.ask(call, input, format!("{}", request.token)).await?;
        let answer = answer.map_err(|refusal| refused(call, refusal))?;
        Ok(BuildId::new(answer["build"]["id"].as_str().unwrap()))
    }

    async fn look(&self, ids: &[BuildId]) -> BTreeMap<BuildId, Observed<Build>> {
        let mut seen = BTreeMap::new();
        for chunk in ids.chunks(BUILDS_MAX) {
            let wanted = chunk.to_vec();
            let found = self.call("codebuild.BatchGetBuilds", move |ground| {
                let world = ground.sim.world();
                let known = |id: &BuildId| world.build(id.as_str()).filter(|build| !build.forgotten);
                let look = |id: &BuildId| Observed::from(known(id).map(|build| build_of(&build)));
                wanted.iter().map(|id| (id.clone(), look(id))).collect::<Vec<_>>()
            });
            match found.await {
                Ok(Answer::Nothing(_)) => seen.extend(chunk.iter().map(|id| (id.clone(), Observed::Absent))),
                Ok(answer) => seen.extend(answer.into_inner()),
                Err(_) => seen.extend(chunk.iter().map(|id| (id.clone(), Observed::Unknown))),
            }
        }
        seen
    }

    async fn stop(&self, id: &BuildId) -> Result<()> {
        let call = "codebuild.StopBuild";
        let answer = self.ask(call, json!({"id": id.as_str()}), id.to_string()).await?;
        match answer.map_err(|refusal| refused(call, refusal)) {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn recent(&self, project: &ProjectName, since: Timestamp) -> Result<Vec<ListedBuild>> {
        let project = project.clone();
        let answer = self.call("codebuild.ListBuildsForProject", move |ground| {
            let recent = ground.sim.world().builds_since(project.as_str(), since);
            recent
                .into_iter()
                .map(|build| (build.started, build_of(&build), build.environment))
                .collect::<Vec<_>>()
        });
        let (found, hidden_after) = match answer.await? {
            // Only looks by name can find nothing.
            Answer::Fresh(found) | Answer::Nothing(found) => (found, None),
            // AWS: what was started lately may not be listed yet.
            Answer::Old(age, found) => (
                found,
                Some(self.ground.weather.now() - SignedDuration::try_from(age).unwrap()),
            ),
        };
        let listed = found
            .into_iter()
            .filter(|(started, _, _)| hidden_after.is_none_or(|then| *started <= then));
        Ok(listed
            .map(|(_, build, environment)| ListedBuild {
                build,
                environment: Arc::new(environment),
            })
            .collect())
    }
}

fn build_of(build: &BuildView) -> Build {
    // AWS: a lack of network interfaces shows in phase QUEUED with a status of its own.
    let starved = matches!(build.failure, Some((Phase::Queued, _))) && build.status == BuildStatus::Failed;
    let state = match build.status {
        _ if build.ended.is_none() => BuildState::Running,
        BuildStatus::Succeeded => BuildState::Succeeded,
        status => BuildState::Failed(BuildFailure {
            status: if starved { "CLIENT_ERROR" } else { status.as_str() }.to_owned(),
            phase: build.failure.as_ref().map(|(phase, _)| phase.as_str().to_owned()),
            context: build.failure.as_ref().map(|(_, message)| message.clone()),
        }),
    };
    Build {
        id: BuildId::new(build.id.as_str()),
        state,
        phase: build.phase.as_str().to_owned(),
        started_at: Some(build.started),
        ended_at: build.ended,
        logs_url: None,
    }
}

#[async_trait]
impl Services for Edge {
    async fn look(
        &self,
        cluster: &ClusterName,
        names: &[ResourceName],
    ) -> BTreeMap<ResourceName, Observed<Service>> {
        let mut seen = BTreeMap::new();
        for chunk in names.chunks(SERVICES_MAX) {
            let (cluster, wanted) = (cluster.clone(), chunk.to_vec());
            let found = self.call("ecs.DescribeServices", move |ground| {
                let world = ground.sim.world();
                let look = |name: &ResourceName| {
                    service_of(name, world.service(cluster.as_str(), name.as_str()).as_ref())
                };
                wanted
                    .iter()
                    .map(|name| (name.clone(), look(name)))
                    .collect::<Vec<_>>()
            });
            match found.await {
                Ok(Answer::Fresh(found)) => {
                    self.ground.remember(&found);
                    seen.extend(found);
                }
                Ok(Answer::Nothing(_)) => {
                    seen.extend(chunk.iter().map(|name| (name.clone(), Observed::Absent)));
                }
                Ok(Answer::Old(age, found)) => {
                    let old = |(name, now)| {
                        let then = self.ground.service_as_of(&name, age);
                        (name, then.unwrap_or(now))
                    };
                    seen.extend(found.into_iter().map(old));
                }
                Err(_) => seen.extend(chunk.iter().map(|name| (name.clone(), Observed::Unknown))),
            }
        }
        seen
    }

    async fn list(&self, cluster: &ClusterName) -> Result<Vec<ResourceName>> {
        let wanted = cluster.clone();
        let answer = self.call("ecs.ListServices", move |ground| {
            let services = ground.sim.world().services();
            // AWS: a service that is DRAINING is not listed.
            let listed = services.iter().filter(|service| {
                service.cluster == wanted.as_str() && service.status == ServiceStatus::Active
            });
            listed.map(|service| name(&service.name)).collect::<Vec<_>>()
        });
        let answer = answer.await?;
        let now = self.ground.weather.now();
        let mut past = self.ground.past();
        let looks = past.lists.entry(cluster.clone()).or_default();
        match answer {
            Answer::Fresh(names) | Answer::Nothing(names) => {
                keep(looks, now, names.clone());
                Ok(names)
            }
            Answer::Old(age, names) => Ok(as_of(looks, now, age).unwrap_or(names)),
        }
    }

    async fn scale(&self, cluster: &ClusterName, name: &ResourceName, tasks: u32) -> Result<()> {
        let call = "ecs.UpdateService";
        let input = json!({"cluster": cluster.as_str(), "service": name.as_str(), "desiredCount": tasks});
        let (sent, service) = (self.ground.weather.now(), name.to_string());
        let what = format!("{name} to {tasks}");
        let noted = move |ground: &Ground| ground.weather.note_scaling(&service, sent);
        let answer = self.ask_and_note(call, input, what, noted).await?;
        answer.map(|_| ()).map_err(|refusal| refused(call, refusal))
    }

    async fn delete(&self, cluster: &ClusterName, name: &ResourceName) -> Result<()> {
        let call = "ecs.DeleteService";
        let input = json!({"cluster": cluster.as_str(), "service": name.as_str(), "force": true});
        let noted = |_: &Ground| ();
        let answer = self.ask_and_note(call, input, name.to_string(), noted).await?;
        answer.map(|_| ()).map_err(|refusal| refused(call, refusal))
    }

    async fn stopped_task(&self, cluster: &ClusterName, name: &ResourceName) -> Result<Option<StoppedTask>> {
        let (cluster, name) = (cluster.clone(), name.clone());
        let found = self.read("ecs.ListTasks", move |ground| {
            ground.sim.world().stopped_task(cluster.as_str(), name.as_str())
        });
        Ok(found.await?.map(|task| StoppedTask {
            stopped_at: Some(task.at),
            code: task.code,
            reason: task.reason,
        }))
    }
}

impl Ground {
    fn past(&self) -> std::sync::MutexGuard<'_, Past> {
        self.past.lock().unwrap()
    }

    fn remember(&self, found: &[(ResourceName, Observed<Service>)]) {
        let now = self.weather.now();
        let mut past = self.past();
        for (name, look) in found {
            keep(past.services.entry(name.clone()).or_default(), now, look.clone());
        }
    }

    fn service_as_of(&self, name: &ResourceName, age: Duration) -> Option<Observed<Service>> {
        as_of(self.past().services.get(name)?, self.weather.now(), age)
    }
}

fn keep<T>(looks: &mut VecDeque<(Timestamp, T)>, now: Timestamp, look: T) {
    looks.push_back((now, look));
    if looks.len() > LOOKS_MAX {
        looks.pop_front();
    }
}

/// The oldest look that is not older than `age`.
fn as_of<T: Clone>(looks: &VecDeque<(Timestamp, T)>, now: Timestamp, age: Duration) -> Option<T> {
    let from = now - SignedDuration::try_from(age).unwrap();
    looks
        .iter()
        .find(|(at, _)| *at >= from)
        .map(|(_, look)| look.clone())
}

fn service_of(name: &ResourceName, found: Option<&ServiceView>) -> Observed<Service> {
    let Some(found) = found.filter(|found| found.status != ServiceStatus::Inactive) else {
        return Observed::Absent;
    };
    Observed::Present(Service {
        name: name.clone(),
        draining: found.status == ServiceStatus::Draining,
        desired_count: found.desired,
        running_count: found.running,
        pending_count: found.pending,
        rollout: match found.rollout {
            Some("COMPLETED") => Rollout::Completed,
            Some("FAILED") => Rollout::Failed("tasks failed to start.".to_owned()),
            Some(_) | None => Rollout::InProgress,
        },
        deployments: u32::try_from(found.deployments).unwrap(),
        instance_id: found.instance.as_deref().and_then(AppId::from_key),
        host_name: found.host.as_deref().and_then(|host| HostName::parse(host).ok()),
        target_groups: Vec::new(),
    })
}

#[async_trait]
impl Routes for Edge {
    async fn groups_and_targets(
        &self,
        names: &[String],
        with_targets: &BTreeSet<String>,
    ) -> BTreeMap<String, Observed<TargetGroup>> {
        if names.is_empty() {
            return BTreeMap::new();
        }
        let wanted = names.to_vec();
        let found = self.read("elasticloadbalancing.DescribeTargetGroups", move |ground| {
            let world = ground.sim.world();
            let look = |name: &String| world.target_group(name).map(|group| group.attached);
            wanted.iter().map(look).collect::<Vec<_>>()
        });
        let Ok(found) = found.await else {
            return names
                .iter()
                .map(|name| (name.clone(), Observed::Unknown))
                .collect();
        };
        let mut looks = BTreeMap::new();
        for (name, attached) in names.iter().zip(found) {
            let look = match attached {
                None => Observed::Absent,
                Some(attached) => Observed::Present(TargetGroup {
                    attached,
                    targets: if with_targets.contains(name) {
                        self.targets(name).await
                    } else {
                        Observed::Unknown
                    },
                }),
            };
            looks.insert(name.clone(), look);
        }
        looks
    }
}

impl Edge {
    async fn targets(&self, name: &str) -> Observed<Targets> {
        let wanted = name.to_owned();
        let found = self.read("elasticloadbalancing.DescribeTargetHealth", move |ground| {
            ground.sim.world().target_group(&wanted)
        });
        let Ok(Some(found)) = found.await else {
            return Observed::Unknown;
        };
        Observed::Present(Targets {
            healthy: found.healthy,
            unhealthy: found.unhealthy,
            reason: (found.unhealthy > 0).then(|| "Target.FailedHealthChecks".to_owned()),
        })
    }
}

#[async_trait]
impl Prober for Edge {
    async fn probe(&self, url: &str) -> Observed<Probe> {
        let uri: http::Uri = url.parse().unwrap();
        let answer = self.read("app.Probe", move |ground| {
            ground.sim.world().app_status(uri.host().unwrap(), uri.path())
        });
        Observed::Present(match answer.await {
            Ok(200..400) => Probe::Answered,
            Ok(status) => Probe::Failed(format!("HTTP {status}")),
            Err(_) => Probe::Failed("no answer".to_owned()),
        })
    }
}
