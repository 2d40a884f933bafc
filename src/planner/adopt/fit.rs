//! Whether a service can be taken over: each reason why not, with the way out.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::who::Who;
use crate::model::adopt::ForeignService;
use crate::model::claim::{ClaimKey, Identity, Scope};
use crate::model::memory::Memory;
use crate::model::name::AppId;
use crate::model::observed::{ClaimHolders, Observed, TargetGroup};
use crate::model::policy::CatalogueEntry;
use crate::model::row::{Desired, Row, quoted};

/// Why a service is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skip {
    /// In one word.
    pub reason: Why,
    /// The same for people, continuing a sentence that begins with the service.
    pub problem: String,
    /// The way out.
    pub remedy: String,
}

/// Why a service is left alone, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Why {
    /// Tags and name do not tell who it is.
    NotTold,
    /// What they tell breaks a rule.
    NotValid,
    /// The catalogue has no such app.
    NotInCatalogue,
    /// The catalogue has the app in another cluster.
    OtherCluster,
    /// The host name is not below the app's domain.
    OtherDomain,
    /// It is being deleted.
    Draining,
    /// It is not of a kind whose tasks can be scaled and whose rollouts can be followed.
    NotScalable,
    /// It carries the tag of another app.
    TaggedAsAnother,
    /// It has no room for two more tags.
    TooManyTags,
    /// Lamplighter remembers another thing under that id.
    Remembered,
    /// Its memory cannot be read.
    Unreadable,
    /// Another app holds a claim that it needs.
    Claimed,
    /// Another candidate would take the same.
    Contested,
    /// Its target group is not in use, or could not be looked at.
    RouteNotInUse,
    /// It has a row that asks for something else.
    OtherRow,
    /// Its row was deleted.
    RowGone,
    /// Its row can't be accepted.
    RowRefused,
    /// It would be stopped at once.
    DayIsOver,
    /// Its row asks for more than is there.
    WouldBuild,
}

impl Skip {
    pub(super) fn new(reason: Why, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.problem, self.remedy)
    }
}

/// What is wrong with the service itself, or with its place.
pub(super) fn service(seen: &ForeignService, who: &Who<'_>) -> Result<(), Skip> {
    let entry = who.entry;
    if seen.service.draining {
        return Err(Skip::new(
            Why::Draining,
            "is being deleted",
            "let it go; the app is built when it is asked for",
        ));
    }
    // AWS: the desired count of a DAEMON service can't be set; the rollouts of CodeDeploy and of external controllers
    // are in task sets, where no rollout state is.
    if seen.scheduling != "REPLICA" || seen.controller != "ECS" {
        return Err(Skip::new(
            Why::NotScalable,
            format!(
                "is scheduled as {} by the deployment controller {}",
                quoted(&seen.scheduling),
                quoted(&seen.controller)
            ),
            "only REPLICA services with the controller ECS can be run by Lamplighter",
        ));
    }
    if seen.cluster != entry.cluster {
        return Err(Skip::new(
            Why::OtherCluster,
            format!(
                "is in cluster {}, and app {} belongs to {}",
                seen.cluster, entry.name, entry.cluster
            ),
            "make an entry of its own for it in the catalogue",
        ));
    }
    if !who.host_name.is_below(&entry.domain) {
        return Err(Skip::new(
            Why::OtherDomain,
            format!(
                "has the host name {}, which is not below {}",
                quoted(who.host_name.as_str()),
                quoted(&entry.domain)
            ),
            format!("change apps.{}.domain, or the host name", entry.name),
        ));
    }
    match &seen.service.host_name {
        Some(tagged) if *tagged != who.host_name => Err(Skip::new(
            Why::TaggedAsAnother,
            format!("is tagged with the host name {}", quoted(tagged.as_str())),
            "take the tag lamplighter:host-name away from it if that is wrong",
        )),
        Some(_) | None => Ok(()),
    }
}

/// AWS: a resource has at most 50 tags, those of AWS itself not counted.
pub(super) fn tags(seen: &ForeignService, missing: usize) -> Result<(), Skip> {
    let new = [
        crate::model::blueprint::INSTANCE_TAG,
        crate::model::blueprint::HOST_TAG,
    ];
    let kept = seen
        .tags
        .keys()
        .filter(|key| !key.starts_with("aws:") && !new.contains(&key.as_str()));
    if missing == 0 || kept.count() + new.len() <= 50 {
        return Ok(());
    }
    Err(Skip::new(
        Why::TooManyTags,
        "has no room for two more tags; AWS allows 50",
        "take some away from it",
    ))
}

pub(super) fn tagged_as_another(owner: &AppId) -> Skip {
    Skip::new(
        Why::TaggedAsAnother,
        format!("carries the tag of app {}", quoted(owner.as_str())),
        "take the tag lamplighter:instance-id away from it if no Lamplighter runs that app",
    )
}

pub(super) fn unreadable(id: &AppId) -> Skip {
    Skip::new(
        Why::Unreadable,
        format!(
            "is app {}, whose item in the state table cannot be read",
            quoted(id.as_str())
        ),
        "see `lamplighter holds`",
    )
}

pub(super) fn remembered(memory: &Memory) -> Skip {
    Skip::new(
        Why::Remembered,
        format!(
            "would be app {}, of which Lamplighter remembers something else ({})",
            quoted(memory.id.as_str()),
            memory.status.phase
        ),
        "give it another id (adopt.tags.id)",
    )
}

pub(super) fn row_is_gone() -> Skip {
    Skip::new(
        Why::RowGone,
        "is an app whose row was deleted",
        "write its row again to keep it",
    )
}

/// Whether all that it would claim is free.
pub(super) fn claims(
    seen: &ForeignService,
    who: &Who<'_>,
    scope: Scope,
    holders: &ClaimHolders,
) -> Result<(), Skip> {
    let made = Identity::new(
        scope,
        who.user.clone(),
        who.entry.name.clone(),
        who.host_name.clone(),
    );
    let identity = Identity {
        resource_name: seen.service.name.clone(),
        ..made
    };
    for key in identity.keys() {
        let Some(claim) = holders.get(&key).filter(|claim| claim.app != who.id) else {
            continue;
        };
        let holder = quoted(claim.app.as_str());
        let (problem, remedy) = if key.is_slot() {
            (
                format!(
                    "is an app of {}, who has another live app, {holder}",
                    quoted(who.user.as_str())
                ),
                "set that one to Destroyed first, or see policy.scope".to_owned(),
            )
        } else {
            (
                format!("has {}, which app {holder} holds", told(key.as_str())),
                format!("delete the row of {holder} first"),
            )
        };
        return Err(Skip::new(Why::Claimed, problem, remedy));
    }
    Ok(())
}

/// A claim's key or an id, for people.
fn told(key: &str) -> String {
    let (kind, value) = key.split_once('#').unwrap_or(("", key));
    let kind = match kind {
        "slot" => "the slot",
        "host" => "the host name",
        "name" => "the name",
        _ => "the id",
    };
    format!("{kind} {}", quoted(value))
}

pub(super) fn contested(key: &str, names: &[String]) -> Skip {
    let remedy = if ClaimKey::from_key(key).is_some_and(|key| key.is_slot()) {
        "one live app is allowed (policy.scope): delete the others, or take the tag of adopt.where away from them"
    } else {
        "tell them apart by their tags, or delete all but one"
    };
    // A few tell the story.
    let few = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    Skip::new(
        Why::Contested,
        format!("is one of {} that would take {}: {few}", names.len(), told(key)),
        remedy,
    )
}

/// A target group that no load balancer uses would be mended by a build.
pub(super) fn route(
    seen: &ForeignService,
    entry: &CatalogueEntry,
    groups: &BTreeMap<String, Observed<TargetGroup>>,
) -> Result<(), Skip> {
    let Some(group) = seen
        .service
        .target_group()
        .filter(|_| entry.target_group.is_some())
    else {
        return Ok(());
    };
    let (problem, remedy) = match groups.get(group) {
        Some(Observed::Present(found)) if found.attached => return Ok(()),
        Some(Observed::Unknown) | None => ("could not be looked at", "run this again"),
        Some(Observed::Present(_) | Observed::Absent) => (
            "is used by no load balancer, which Lamplighter would mend with a build",
            "attach it first",
        ),
    };
    Err(Skip::new(
        Why::RouteNotInUse,
        format!("has the target group {}, which {problem}", quoted(group)),
        remedy,
    ))
}

/// A row that is there counts as it is: nothing of the portal's is overwritten.
pub(super) fn row(row: &Row, who: &Who<'_>) -> Result<(), Skip> {
    let other = |problem: String| Skip::new(Why::OtherRow, problem, "correct the row, or give it another id");
    if !row.problems.is_empty() {
        let problems: Vec<String> = row.problems.iter().map(ToString::to_string).collect();
        return Err(row_is_refused(&problems.join("; ")));
    }
    if row.user.as_ref() != Some(&who.user) {
        let user = row.user.as_ref().map_or("", |user| user.as_str());
        return Err(other(format!("has a row of the owner {}", quoted(user))));
    }
    if row.app.as_ref() != Some(&who.entry.name) {
        let app = row.app.as_ref().map_or("", |app| app.as_str());
        return Err(other(format!("has a row of the app {}", quoted(app))));
    }
    if let Some(host) = row.host_name.as_ref().filter(|host| **host != who.host_name) {
        return Err(other(format!(
            "has a row with the host name {}",
            quoted(host.as_str())
        )));
    }
    if row.desired == Some(Desired::Destroyed) {
        return Err(other("has a row that asks for Destroyed".to_owned()));
    }
    Ok(())
}

pub(super) fn row_is_refused(why: &str) -> Skip {
    Skip::new(
        Why::RowRefused,
        format!("can't have the row that it would need ({why})"),
        "run `lamplighter pause`, write its row as it should be, and adopt it then",
    )
}

pub(super) fn not_taken(why: &str) -> Skip {
    Skip::new(
        Why::Claimed,
        format!("can't take its names ({why})"),
        "run this again",
    )
}

pub(super) fn its_day_is_over() -> Skip {
    Skip::new(
        Why::DayIsOver,
        "has a row whose day has ended, so that it would be stopped at once",
        "ask for it anew: set the row's requestedAt to now",
    )
}

pub(super) fn would_be_built() -> Skip {
    Skip::new(
        Why::WouldBuild,
        "was found by Lamplighter itself, as something else than a row without parameters asks for",
        "write its row with the parameters that it was built with",
    )
}

/// What will be different from now on, though nothing is built.
pub(super) fn notes(seen: &ForeignService, who: &Who<'_>, row: &Row, memory: &Memory) -> Vec<String> {
    let mut notes = Vec::new();
    let (now, tasks) = (seen.service.desired_count, who.entry.tasks);
    match row.desired {
        Some(Desired::Suspended) if now > 0 => notes.push(format!(
            "its row asks for Suspended, so its tasks go from {now} to 0"
        )),
        Some(Desired::Running) if now != tasks => {
            notes.push(format!(
                "its tasks go from {now} to {tasks}, as the catalogue says"
            ));
        }
        Some(Desired::Running | Desired::Suspended | Desired::Destroyed) | None => {}
    }
    let watched = memory
        .deployment
        .as_ref()
        .is_some_and(|deployment| deployment.blueprint.target_group.is_some());
    if who.entry.target_group.is_some() && !watched {
        let groups = seen.service.target_groups.len();
        notes.push(format!("it has {groups} target groups, so none is watched"));
    }
    notes
}
