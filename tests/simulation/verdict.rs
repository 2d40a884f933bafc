//! Oracles that are asked at the end, when everybody has been quiet for long enough.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lamplighter::cloud::StateSnapshot;
use lamplighter::model::claim::{OnConflict, Scope};
use lamplighter::model::memory::Memory;
use lamplighter::model::row::Desired;
use lamplighter::model::status::Phase;
use simcloud::{BuildStatus, BuildView, ServiceStatus, ServiceView};

use crate::cloud::{MAX_ATTEMPTS, TestCloud, has_target_group, tasks_of};
use crate::keeps::Keeps;
use crate::overlaps::overlaps;
use crate::row::{Broken, RowSpec};
use crate::scenario::Scenario;
use crate::warnings;
use crate::watch::Watch;
use crate::wish::{self, Asked, Writes};

/// Everything the portal wrote, by app.
pub(crate) type Portal = BTreeMap<String, Writes>;

/// eventually-stable and no-leak: every app is as its row wishes, and nothing else is there.
pub(crate) async fn converged(
    scenario: &Scenario,
    cloud: &TestCloud,
    portal: &Portal,
    keeps: &Keeps,
    detached: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<String> {
    let world = cloud.sim.world();
    let scene = Scene {
        scenario,
        services: world.services(),
        builds: world.builds(),
        groups: world.target_groups(),
        state: cloud.state().await,
        portal,
        keeps,
        detached,
        now,
    };
    let mut wrong = Vec::new();
    for build in scene.builds.iter().filter(|build| build.ended.is_none()) {
        wrong.push(format!(
            "eventually-stable: build {} of {:?} still runs",
            build.id, build.instance
        ));
    }
    for (id, writes) in portal {
        scene.check_app(id, writes, &mut wrong);
    }
    scene.check_nothing_else(&mut wrong);
    scene.check_claims(&mut wrong);
    wrong
}

/// What there is, told without times, ids of builds, or how it came to be.
pub(crate) async fn end(cloud: &TestCloud) -> Vec<String> {
    let (state, world) = (cloud.state().await, cloud.sim.world());
    let apps = state.memories.values().map(|memory| {
        let status = &memory.status;
        format!(
            "{} {} {} {:?}",
            memory.id, status.phase, status.reason, status.url
        )
    });
    let claims = state
        .claims
        .iter()
        .map(|(key, claim)| format!("{key} of {}", claim.app));
    let services = world.services();
    let services = services
        .iter()
        .filter(|service| service.status != ServiceStatus::Inactive)
        .map(|service| {
            format!(
                "{} {:?} {} tasks, up: {}",
                service.name, service.status, service.desired, service.up
            )
        });
    let groups = world
        .target_groups()
        .into_iter()
        .map(|name| format!("target group {name}"));
    apps.chain(claims).chain(services).chain(groups).collect()
}

struct Scene<'a> {
    scenario: &'a Scenario,
    services: Vec<ServiceView>,
    builds: Vec<BuildView>,
    groups: Vec<String>,
    state: StateSnapshot,
    portal: &'a Portal,
    keeps: &'a Keeps,
    /// Services whose target group somebody detached.
    detached: &'a BTreeSet<String>,
    now: Timestamp,
}

impl Scene<'_> {
    fn memory(&self, id: &str) -> Option<&Memory> {
        self.state
            .memories
            .values()
            .find(|memory| memory.id.as_str() == id)
    }

    fn services_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a ServiceView> {
        self.services
            .iter()
            .filter(move |service| service.instance.as_deref() == Some(id))
            .filter(|service| service.status != ServiceStatus::Inactive)
    }

    fn check_app(&self, id: &str, writes: &Writes, wrong: &mut Vec<String>) {
        if wish::is_open(writes) || changed_hands(writes) {
            return;
        }
        let exempt = self.keeps.of(id, self.scenario, self.portal);
        let (skew, lags) = (self.scenario.skew(), self.scenario.lags());
        let levels = wish::levels(writes, exempt, self.now, skew, lags);
        let row = writes.last().and_then(|(_, row)| row.as_ref());
        let misses: Vec<String> = levels
            .iter()
            .filter_map(|level| match level {
                Desired::Running => self.is_up(id, row?),
                Desired::Suspended => self.is_asleep(id),
                Desired::Destroyed => self.is_gone(id),
            })
            .collect();
        if misses.len() == levels.len() {
            let status = self.memory(id).map(|memory| &memory.status);
            let said = status.map(|status| format!("{} {}: {}", status.phase, status.reason, status.message));
            wrong.push(format!(
                "eventually-stable: {id}: {}; it says {said:?}",
                misses.join("; or ")
            ));
        }
    }

    fn phase(&self, id: &str) -> Phase {
        self.memory(id)
            .map_or(Phase::Destroyed, |memory| memory.status.phase)
    }

    fn is_up(&self, id: &str, row: &RowSpec) -> Option<String> {
        let reason = self.memory(id).map_or("", |memory| memory.status.reason.as_str());
        match (self.phase(id), reason) {
            (Phase::Ready, _) => {
                let up = self
                    .services_of(id)
                    .any(|s| s.up && s.desired == tasks_of(row.app));
                (!up).then(|| "is called Ready and is not up".to_owned())
            }
            (Phase::Refused, "Superseded") => {
                let newer = self.superseded(id, Desired::Suspended);
                (!newer).then(|| "is superseded, and nobody asked later".to_owned())
            }
            (Phase::Refused, "SlotTaken" | "HostNameTaken") => {
                let rival = self
                    .rivals(id, row)
                    .any(|rival| self.memory(rival).is_some_and(|m| m.holding.is_some()));
                (!rival).then(|| "is refused for no other's sake".to_owned())
            }
            (Phase::Refused, "NeedsNewRequest") if !self.was_asked_again(id) => {
                let rival = self.rivals(id, row).next().is_some();
                (!rival).then(|| "was refused for no other's sake".to_owned())
            }
            (Phase::Failed, "Stalled") if !self.was_asked_again(id) => {
                let tries = self
                    .builds_of(id)
                    .filter(|build| build.action.as_deref() == Some("apply"));
                let few = tries.count() < MAX_ATTEMPTS;
                few.then(|| "gave up without having tried often enough".to_owned())
            }
            // Without a target group in the catalogue nobody can see that it is detached. What is left is to say
            // that the app does not answer, until it is asked for again.
            (Phase::Failed, "NotAnswering") if !has_target_group(row.app) => {
                let detached = self.services_of(id).any(|s| self.detached.contains(&s.name));
                (!detached).then(|| "does not answer for no reason".to_owned())
            }
            (phase, reason) => Some(format!("should be up and is {phase} ({reason})")),
        }
    }

    /// Whether its row was written once more when all was quiet. (A row that was deleted and came back in the story may
    /// not be.)
    fn was_asked_again(&self, id: &str) -> bool {
        let last = self.portal[id].last();
        last.is_some_and(|(at, _)| *at >= self.scenario.quiet)
    }

    /// Apps that could hold what this one wants.
    fn rivals<'a>(&'a self, id: &'a str, row: &'a RowSpec) -> impl Iterator<Item = &'a str> {
        let rival =
            move |other: &RowSpec| other.user == row.user || (row.host.is_some() && other.host == row.host);
        self.portal
            .iter()
            .filter(move |(other, _)| *other != id)
            .filter(move |(_, writes)| writes.iter().any(|(_, other)| other.as_ref().is_some_and(rival)))
            .map(|(other, _)| other.as_str())
    }

    /// Whether somebody may have asked later for the same slot, for an app that is at least that.
    fn superseded(&self, id: &str, level: Desired) -> bool {
        let now = self.now;
        Superseding::of(self.scenario, self.portal, id).any(level, now, now)
    }

    fn builds_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a BuildView> {
        self.builds
            .iter()
            .filter(move |build| build.instance.as_deref() == Some(id))
    }

    fn is_asleep(&self, id: &str) -> Option<String> {
        if let Some(service) = self.services_of(id).find(|s| s.desired + s.running > 0) {
            return Some(format!("should be suspended and {} runs", service.name));
        }
        let phase = self.phase(id);
        let superseded = phase == Phase::Refused && self.superseded(id, Desired::Running);
        let reason = self.memory(id).map_or("", |memory| memory.status.reason.as_str());
        if phase == Phase::Pending && reason == "Closed" {
            return None;
        }
        (phase != Phase::Suspended && !superseded).then(|| format!("should be suspended and is {phase}"))
    }

    fn is_gone(&self, id: &str) -> Option<String> {
        if let Some(service) = self.services_of(id).next() {
            return Some(format!(
                "should be gone and {} is {:?}",
                service.name, service.status
            ));
        }
        let row_gone = matches!(self.portal[id].last(), Some((_, None)));
        if row_gone
            && self.scenario.memory_retention < SignedDuration::from_hours(1)
            && self.memory(id).is_some()
        {
            return Some("is gone with its row and is still remembered".to_owned());
        }
        let phase = self.phase(id);
        (!matches!(phase, Phase::Destroyed | Phase::Refused))
            .then(|| format!("should be gone and is {phase}"))
    }

    /// no-leak: what is there belongs to an app that is remembered and whose row is there.
    fn check_nothing_else(&self, wrong: &mut Vec<String>) {
        let live = self
            .services
            .iter()
            .filter(|service| service.status != ServiceStatus::Inactive);
        for service in live {
            let id = service.instance.as_deref().unwrap_or_default();
            let wanted = self
                .portal
                .get(id)
                .and_then(|writes| writes.last())
                .is_some_and(|(_, row)| row.is_some());
            if !wanted || service.status == ServiceStatus::Draining {
                wrong.push(format!(
                    "no-leak: service {} of {id} is {:?}",
                    service.name, service.status
                ));
            }
        }
        for group in &self.groups {
            let used = self
                .services
                .iter()
                .any(|service| service.name == *group && service.status == ServiceStatus::Active);
            // A stalled or suspended app may have lost its service and not its target group.
            let held = self.state.memories.values().any(|memory| {
                memory.deployment.as_ref().is_some_and(|deployed| {
                    // The module makes one for each service, whether or not the catalogue names it.
                    deployed.blueprint.service().as_str() == group
                })
            });
            // Of an app whose catalogue entry names no target group, nobody can see that a destroy left it.
            let seen = self.builds.iter().any(|build| {
                let variable = |name: &str| build.environment.get(name).map(String::as_str);
                variable("RESOURCE_NAME") == Some(group) && variable("APP").is_some_and(has_target_group)
            });
            if !used && !held && seen {
                wrong.push(format!("no-leak: target group {group} belongs to nothing"));
            }
        }
    }

    /// Claims are held by what is live, and on names by what has a row; by nobody else.
    fn check_claims(&self, wrong: &mut Vec<String>) {
        for (key, claim) in &self.state.claims {
            let id = claim.app.as_str();
            let row = self
                .portal
                .get(id)
                .and_then(|writes| writes.last())
                .is_some_and(|(_, row)| row.is_some());
            let live = self.services_of(id).next().is_some();
            let may_be_live = matches!(self.phase(id), Phase::Failed | Phase::Suspended);
            if !row {
                wrong.push(format!("no-leak: {key} is held by {id}, whose row is gone"));
            } else if key.is_slot() && !live && !may_be_live {
                wrong.push(format!(
                    "no-leak: {key} is held by {id}, which is {}",
                    self.phase(id)
                ));
            }
        }
    }
}

/// The requests for an app, and those for all others that wanted its slot, where the newest request has it.
struct Superseding {
    mine: Vec<Asked>,
    others: Vec<Asked>,
}

impl Superseding {
    fn of(scenario: &Scenario, portal: &Portal, id: &str) -> Self {
        let rows = |writes: &'_ Writes| -> Vec<RowSpec> {
            writes.iter().filter_map(|(_, row)| row.clone()).collect()
        };
        let own = portal.get(id).map(rows).unwrap_or_default();
        let shares = |other: &RowSpec| {
            own.iter()
                .any(|row| row.user == other.user && (scenario.scope == Scope::User || row.app == other.app))
        };
        let asked = |writes: &Writes| wish::asked(writes, scenario.skew());
        let replaces = scenario.on_conflict == OnConflict::Replace;
        Self {
            mine: portal.get(id).map(asked).unwrap_or_default(),
            others: portal
                .iter()
                .filter(|(other, writes)| replaces && *other != id && rows(writes).iter().any(shares))
                .flat_map(|(_, writes)| asked(writes))
                .collect(),
        }
    }

    fn any(&self, level: Desired, since: Timestamp, until: Timestamp) -> bool {
        wish::may_supersede(&self.mine, &self.others, level, since, until)
    }
}

/// Whether the row was once written under another owner or name, and so may rightly belong to either.
pub(crate) fn changed_hands(writes: &Writes) -> bool {
    let other = |row: &RowSpec| matches!(row.broken, Some(Broken::OtherUser | Broken::OtherHost));
    writes.iter().any(|(_, row)| row.as_ref().is_some_and(other))
}

/// one-build-per-app, from the builds' own windows, and no-surprise-kill: whatever was stopped, there was a
/// reason at some time since it was last started.
pub(crate) fn in_hindsight(
    scenario: &Scenario,
    cloud: &TestCloud,
    history: &[String],
    portal: &Portal,
    keeps: &Keeps,
    watch: &Watch,
) -> Vec<String> {
    let builds = cloud.sim.world().builds();
    let mut wrong = overlaps(&builds);
    wrong.extend(keeps.judge(scenario, portal));
    let scene = warnings::Scene {
        scenario,
        builds: &builds,
        portal,
        keeps,
        watch,
    };
    wrong.extend(scene.judge(history));
    let errors = scenario.clock_errors(wish::SLACK);
    let may_have_been = |id: &str, writes, most, within| {
        let exempt = keeps.of(id, scenario, portal);
        wish::may_have_been(writes, exempt, most, within, &errors, scenario.lags())
    };
    let reason = |id: &str, most, since, until| {
        portal.get(id).is_some_and(|writes| {
            changed_hands(writes)
                || may_have_been(id, writes, most, [since, until])
                || Superseding::of(scenario, portal, id).any(Desired::Running, since, until)
        })
    };
    for build in builds
        .iter()
        .filter(|b| b.action.as_deref() == Some("destroy") && b.gate_passed.is_some())
    {
        let id = build.instance.as_deref().unwrap_or_default();
        let since = applied_before(&builds, build);
        if !reason(id, Desired::Destroyed, since, build.started) {
            wrong.push(format!(
                "no-surprise-kill: {} destroyed {id} at {}",
                build.id, build.started
            ));
        }
    }
    for scaled in &watch.scaled_down {
        // ECS takes a new count unconditionally, so a call that the network delivers late undoes what came after it,
        // and nobody can prevent that; the next look heals it. It was right if it was right when it was sent.
        let sent = cloud.scaling_sent(&scaled.service, scaled.at);
        let (id, since) = (&scaled.instance, scaled.raised.min(sent));
        if !reason(id, Desired::Suspended, since, sent) {
            let at = scaled.at;
            wrong.push(format!(
                "no-surprise-kill: {id} was scaled to nothing at {at}, by a call sent at {sent}"
            ));
        }
    }
    wrong
}

/// When the newest apply before this build was started.
fn applied_before(builds: &[BuildView], destroy: &BuildView) -> Timestamp {
    builds
        .iter()
        .filter(|build| build.instance == destroy.instance && build.action.as_deref() == Some("apply"))
        .filter(|build| build.started <= destroy.started && build.status == BuildStatus::Succeeded)
        .map(|build| build.started)
        .max()
        .unwrap_or(Timestamp::MIN)
}
