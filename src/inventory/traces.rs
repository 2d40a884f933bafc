//! What AWS shows of apps whatever is remembered of them: the builds of our projects and the services with our
//! tags. For finding what the state table has lost, and what belongs to nobody; nothing else rests on it, since
//! listings are old by the time they are used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Inventory, TagIndex};
use crate::cloud::{self, Error};
use crate::model::claim::{Claim, Identity};
use crate::model::memory::Memory;
use crate::model::name::{AppId, ClusterName, OperationId, ProjectName, ResourceName};
use crate::model::observed::{BuildState, ClaimHolders, ListedBuild, Observed, TaggedService, Traces};
use crate::model::policy::{LONGEST_BUILD_LIFE, OPERATION_ID_VARIABLE, Policy};
use crate::model::row::Row;

/// The builds of one project by app, from one complete listing.
#[derive(Clone, Debug)]
pub struct BuildIndex {
    /// When the listing began.
    pub at: Timestamp,
    /// What was started before was not asked for.
    since: Timestamp,
    by_app: BTreeMap<AppId, Vec<ListedBuild>>,
}

/// How far back builds are listed: none that goes on was started before. AWS's clock and ours need not agree.
pub const BUILDS_BACK: SignedDuration = match LONGEST_BUILD_LIFE.checked_add(SignedDuration::from_hours(1)) {
    Some(back) => back,
    None => LONGEST_BUILD_LIFE,
};

/// How long CodeBuild remembers builds. AWS: one year.
pub const ALL_BUILDS_BACK: SignedDuration = SignedDuration::from_hours(366 * 24);

/// How long a listing of builds is good enough: only what the state table has lost since could be missing from it.
const LISTED_AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// How many builds that are over are kept of one app: the newest tells what is there, a few more the host name.
const ENDED_KEPT: usize = 8;

/// An app that AWS shows and that nothing remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Whose tag or environment it is.
    pub id: AppId,
    /// The cluster of its service, if one shows.
    pub cluster: Option<ClusterName>,
    /// That service.
    pub service: Option<ResourceName>,
    /// What its newest build was told, if all of it can be read.
    pub identity: Option<Identity>,
    /// Whether it has a row.
    pub has_row: bool,
    /// Since when this process has seen it, as far as anybody has noted that.
    pub seen_since: Option<Timestamp>,
}

/// Every app that AWS shows and that nothing remembers, as of one sweep.
#[derive(Clone, Debug, Default)]
pub struct Strays {
    /// By app.
    pub apps: BTreeMap<AppId, Stray>,
    /// What they would hold if they were remembered, so that nobody else takes it meanwhile.
    pub claims: Arc<ClaimHolders>,
}

impl Strays {
    /// Notes of each since when it has been seen: as `before`, the sweep before, has it, or else `now`.
    #[must_use]
    pub fn seen_after(mut self, before: &Self, now: Timestamp) -> Self {
        for (id, stray) in &mut self.apps {
            let known = before.apps.get(id).and_then(|stray| stray.seen_since);
            stray.seen_since = known.or(Some(now));
        }
        self
    }

    /// One of them is remembered by now.
    pub fn remembered(&mut self, id: &AppId) {
        if self.apps.remove(id).is_some() {
            Arc::make_mut(&mut self.claims).retain(|_, claim| claim.app != *id);
        }
    }
}

impl Inventory {
    /// Lists the builds of a project back to a time. A project that does not exist has none.
    pub async fn list_builds(
        &self,
        project: &ProjectName,
        back: SignedDuration,
    ) -> cloud::Result<BuildIndex> {
        let at = self.clock.now();
        let since = at.checked_sub(back).unwrap_or(Timestamp::MIN);
        let listed = match self.cloud.builds.recent(project, since).await {
            Ok(listed) => listed,
            Err(Error::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut by_app: BTreeMap<AppId, Vec<ListedBuild>> = BTreeMap::new();
        for listed in listed {
            if let Some((app, listed)) = ours(listed, &self.policy) {
                let kept = by_app.entry(app).or_default();
                let ended = kept.iter().filter(|kept| kept.build.state != BuildState::Running);
                if listed.build.state == BuildState::Running || ended.count() < ENDED_KEPT {
                    kept.push(listed);
                }
            }
        }
        Ok(BuildIndex { at, since, by_app })
    }

    /// Whether a listing is young enough to be believed. One that is older than memory lives would show apps as they
    /// were before they were destroyed and forgotten.
    pub fn may_be_believed(&self, index: &BuildIndex) -> bool {
        let memory_lives = self.policy.timing.memory_retention;
        self.clock.now().duration_since(index.at) < memory_lives * 3 / 4
    }

    /// Whether a listing should be made anew.
    pub fn is_old(&self, index: &BuildIndex) -> bool {
        let listed_again_after = LISTED_AGAIN_AFTER.min(self.policy.timing.memory_retention / 2);
        self.clock.now().duration_since(index.at) >= listed_again_after
    }

    /// Every project that applies or destroys anything of the catalogue.
    pub fn projects(&self) -> BTreeSet<ProjectName> {
        let entries = self.policy.catalogue.values();
        entries
            .flat_map(|entry| [entry.deploy_project.clone(), entry.destroy_project.clone()])
            .collect()
    }

    /// Whether every project and every cluster of the catalogue has been listed.
    pub fn has_listed_all(
        &self,
        builds: &BTreeMap<ProjectName, BuildIndex>,
        tags: &BTreeMap<ClusterName, TagIndex>,
    ) -> bool {
        let listed = |project| {
            builds
                .get(project)
                .is_some_and(|index| self.may_be_believed(index))
        };
        self.projects().iter().all(listed) && self.clusters().iter().all(|cluster| tags.contains_key(cluster))
    }

    fn has_project(&self, project: &ProjectName) -> bool {
        let mut entries = self.policy.catalogue.values();
        entries.any(|entry| entry.deploy_project == *project || entry.destroy_project == *project)
    }

    /// Every cluster of the catalogue.
    pub(super) fn clusters(&self) -> BTreeSet<ClusterName> {
        self.policy
            .catalogue
            .values()
            .map(|entry| entry.cluster.clone())
            .collect()
    }

    /// What listings show of one app; unknown as long as those are missing that its row and memory point to.
    pub fn traces(
        &self,
        id: &AppId,
        row: Option<&Row>,
        memory: Option<&Memory>,
        builds: &BTreeMap<ProjectName, BuildIndex>,
        tags: &BTreeMap<ClusterName, TagIndex>,
    ) -> Observed<Traces> {
        let entry = row.and_then(|row| self.policy.catalogue.get(row.app.as_ref()?));
        let blueprint = memory.and_then(Memory::blueprint);
        let of_entry = entry.map(|entry| (&entry.deploy_project, &entry.destroy_project, &entry.cluster));
        let of_blueprint = blueprint.map(|b| (&b.deploy_project, &b.destroy_project, &b.cluster));
        let builds: BTreeMap<&ProjectName, &BuildIndex> = builds
            .iter()
            .filter(|(_, index)| self.may_be_believed(index))
            .collect();
        let places: Vec<_> = of_entry.into_iter().chain(of_blueprint).collect();
        let known = if places.is_empty() {
            self.projects().iter().all(|project| builds.contains_key(project))
        } else {
            // What the catalogue has no more is not listed, and nothing new is started there.
            let listed = |project: &ProjectName| builds.contains_key(project) || !self.has_project(project);
            let seen = |cluster: &ClusterName| tags.contains_key(cluster);
            places
                .iter()
                .all(|(deploy, destroy, cluster)| listed(deploy) && listed(destroy) && seen(cluster))
        };
        if !known {
            return Observed::Unknown;
        }
        // Where one project is listed less far back than another, the build that destroys an app could be missing
        // although the one that applied it is there.
        let since = builds.values().map(|index| index.since).max();
        let covered = |listed: &&ListedBuild| {
            listed.build.state == BuildState::Running || listed.build.started_at >= since
        };
        let of_app = builds.values().filter_map(|index| index.by_app.get(id)).flatten();
        let mut of_app: Vec<ListedBuild> = of_app.filter(covered).cloned().collect();
        of_app.sort_by_key(|listed| std::cmp::Reverse(listed.build.started_at));
        let services = tags.values().filter_map(|index| index.by_app.get(id)).flatten();
        Observed::Present(Traces {
            builds: of_app,
            services: services.cloned().collect(),
        })
    }

    /// The apps that AWS shows and whose claims nothing keeps: without a record, or with one that is younger or older than
    /// what is there.
    pub fn strays(
        &self,
        rows: &BTreeMap<AppId, Row>,
        memories: &BTreeMap<AppId, Memory>,
        builds: &BTreeMap<ProjectName, BuildIndex>,
        tags: &BTreeMap<ClusterName, TagIndex>,
        now: Timestamp,
    ) -> Strays {
        let of_builds = builds.values().flat_map(|index| index.by_app.keys());
        let of_tags = tags.values().flat_map(|index| index.by_app.keys());
        let deployed = memories.values().filter(|memory| memory.blueprint().is_some());
        let ids: BTreeSet<&AppId> = of_builds
            .chain(of_tags)
            .chain(deployed.map(|memory| &memory.id))
            .collect();
        let mut strays = Strays::default();
        for id in ids {
            let memory = memories.get(id);
            if memory.is_some_and(Memory::holds_slot) {
                continue;
            }
            let traces = self.traces(id, None, None, builds, tags);
            let Some(stray) = self.stray(id, rows.get(id), memory, traces.present()) else {
                continue;
            };
            for key in stray.identity.iter().flat_map(Identity::keys) {
                Arc::make_mut(&mut strays.claims)
                    .entry(key)
                    .or_insert_with(|| Claim {
                        app: id.clone(),
                        since: now,
                        bid: None,
                    });
            }
            strays.apps.insert(id.clone(), stray);
        }
        strays
    }

    /// What AWS shows of an app that does not hold its slot. `None`: nothing.
    fn stray(
        &self,
        id: &AppId,
        row: Option<&Row>,
        memory: Option<&Memory>,
        traces: Option<&Traces>,
    ) -> Option<Stray> {
        let stray = Stray {
            id: id.clone(),
            cluster: None,
            service: None,
            identity: None,
            has_row: row.is_some(),
            seen_since: None,
        };
        if let Some(blueprint) = memory.and_then(Memory::blueprint) {
            return Some(Stray {
                cluster: Some(blueprint.cluster.clone()),
                service: Some(blueprint.service().clone()),
                identity: Some(blueprint.identity.clone()),
                ..stray
            });
        }
        let traces = traces?;
        // Of an app that was destroyed, a listing may show what was there before.
        let services_tell = memory.is_none_or(Memory::is_new);
        let service = traces.services.first().filter(|_| services_tell);
        let newest = traces.builds.iter().find(|listed| {
            let works = listed.build.state == BuildState::Running || listed.build.is_beyond_its_gate();
            works && memory.is_none_or(|memory| !is_known(memory, listed))
        });
        let destroyed =
            newest.is_none_or(|listed| listed.build.state == BuildState::Succeeded && !self.applies(listed));
        if service.is_none() && destroyed {
            return None;
        }
        let of_build = newest.and_then(|listed| {
            Identity::of_build(self.policy.scope, &self.policy.build_env, &listed.environment)
        });
        let of_row = || {
            let (row, service) = (row?, service?);
            let host = service.host_name.clone().or_else(|| row.host_name.clone())?;
            let made = Identity::new(self.policy.scope, row.user.clone()?, row.app.clone()?, host);
            Some(Identity {
                resource_name: service.name.clone(),
                ..made
            })
        };
        Some(Stray {
            cluster: service.map(|service| service.cluster.clone()),
            service: service.map(|service| service.name.clone()),
            identity: of_build.or_else(of_row),
            ..stray
        })
    }

    /// Refreshes builds that were at work when they were listed: they may have ended since.
    pub(super) async fn refresh(&self, traces: &mut Traces, memory: Option<&Memory>) {
        let open: Vec<_> = traces
            .builds
            .iter()
            .filter(|listed| listed.build.state == BuildState::Running)
            .filter(|listed| memory.is_none_or(|memory| !is_known(memory, listed)))
            .map(|listed| listed.build.id.clone())
            .collect();
        if open.is_empty() {
            return;
        }
        let mut seen = self.cloud.builds.look(&open).await;
        traces
            .builds
            .retain_mut(|listed| match seen.remove(&listed.build.id) {
                Some(Observed::Present(build)) => {
                    listed.build = build;
                    true
                }
                // CodeBuild has deleted it: nothing more can come of it that anybody could know.
                Some(Observed::Absent) => false,
                Some(Observed::Unknown) | None => true,
            });
    }

    fn applies(&self, listed: &ListedBuild) -> bool {
        let action = listed.environment.get(&self.policy.build_env.action);
        action.is_some_and(|action| action == "apply")
    }
}

impl BuildIndex {
    /// Whether any build of the app is listed.
    pub fn has(&self, id: &AppId) -> bool {
        self.by_app.contains_key(id)
    }
}

/// Whether the operation of a build is remembered.
fn is_known(memory: &Memory, listed: &ListedBuild) -> bool {
    let operation = listed.environment.get(OPERATION_ID_VARIABLE);
    let operation = operation.and_then(|text| OperationId::parse(text));
    operation.is_none_or(|operation| memory.knows(&operation))
}

/// A build that was started for an app, with no more of its environment than we give to builds.
fn ours(listed: ListedBuild, policy: &Policy) -> Option<(AppId, ListedBuild)> {
    let ListedBuild {
        build,
        mut environment,
    } = listed;
    OperationId::parse(environment.get(OPERATION_ID_VARIABLE)?)?;
    let names = &policy.build_env;
    let app = AppId::from_key(environment.get(&names.instance_id)?.as_str())?;
    let entry = environment.get(&names.app).and_then(|app| {
        policy
            .catalogue
            .get(&crate::model::name::AppName::new(app.as_str()))
    });
    let given = [
        &names.action,
        &names.host_name,
        &names.resource_name,
        &names.instance_id,
        &names.user_id,
        &names.app,
        &names.spec_hash,
    ];
    Arc::make_mut(&mut environment).retain(|name, _| {
        given.contains(&name)
            || name == OPERATION_ID_VARIABLE
            || entry.is_some_and(|entry| entry.parameters.contains_key(name))
    });
    Some((app, ListedBuild { build, environment }))
}

/// Services by the app that their tag names.
pub(super) fn by_app<'a>(
    cluster: &ClusterName,
    services: impl Iterator<Item = &'a crate::model::observed::Service>,
) -> BTreeMap<AppId, Vec<TaggedService>> {
    let mut by_app: BTreeMap<AppId, Vec<TaggedService>> = BTreeMap::new();
    for service in services {
        if let Some(app) = &service.instance_id {
            by_app.entry(app.clone()).or_default().push(TaggedService {
                cluster: cluster.clone(),
                name: service.name.clone(),
                host_name: service.host_name.clone(),
            });
        }
    }
    by_app
}
