//! Does AWS show more of this app than its memory knows? After the state table was lost or restored from a
//! backup, what it lacks is taken from the environments of builds and the tags of services, so that nothing is
//! built twice, forgotten or renamed. In ordinary times nothing is found: memory is written before each build.
//!
//! Never starts anything. What was found is looked at and judged by the passes that follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::{Draft, Step};
use super::intake;
use super::plan::{Action, Requeue};
use crate::model::Timestamp;
use crate::model::blueprint::{Blueprint, BuildKind};
use crate::model::claim::Identity;
use crate::model::memory::{Deployment, Found, Holding, Operation};
use crate::model::name::{BuildId, HostName, OperationId, User};
use crate::model::observed::{BuildState, Gate, ListedBuild, Observed};
use crate::model::policy::{CatalogueEntry, OPERATION_ID_VARIABLE, STATE_TABLE_VARIABLE};
use crate::model::schedule::later;
use crate::model::status::Phase;

/// Where memory can tell nothing and AWS was not asked yet whether it can, that comes first.
pub(super) fn ask_first(draft: &Draft<'_>) -> Option<Step> {
    let blank = draft.memory.accepted.is_none() && draft.memory.deployment.is_none();
    (blank && draft.view.traces.is_unknown()).then(|| {
        Step::blind(
            Phase::Pending,
            "Builds and services have not been listed yet; nothing is decided about an app that nobody remembers \
             until they are.",
        )
    })
}

/// Takes in what memory lacks. `None`: it lacks nothing that is over by now.
pub(super) fn recall(draft: &mut Draft<'_>) -> Option<Step> {
    // While it is paused no claim is taken, so nothing is taken over either.
    if draft.memory.in_flight().is_some()
        || draft.view.paused.present().is_some()
        || running_elsewhere(draft).is_some()
    {
        return None;
    }
    let by_a_build = by_a_build(draft);
    let tagged = draft
        .view
        .traces
        .present()
        .is_some_and(|traces| !traces.services.is_empty());
    if by_a_build.is_none() && draft.memory.deployment.is_none() && tagged && draft.view.service.is_unknown()
    {
        return Some(Step::blind(
            Phase::Pending,
            "A service with its tag could not be looked at; nothing is decided until it can be.",
        ));
    }
    let Some((deployment, source)) = by_a_build.or_else(|| by_a_service(draft)) else {
        return claim_what_is_there(draft);
    };
    if draft.view.claims.is_unknown() {
        return Some(Step::blind(
            Phase::Pending,
            "The claims on its names could not be read; nothing is decided until they can be.",
        ));
    }
    let learnt: Vec<OperationId> = unremembered(draft).map(|(operation, _)| operation).collect();
    for operation in learnt {
        draft.memory.leave_behind(operation);
    }
    if let Some(deployment) = deployment {
        return Some(take_over(draft, deployment, &source));
    }
    // It was destroyed: what memory has of it is what was.
    if let Some(deployed) = &mut draft.memory.deployment {
        deployed.complete = false;
    }
    Some(told(&source))
}

/// A build that goes on under an operation that memory does not know, past its gate or not.
fn running_elsewhere<'a>(draft: &'a Draft<'_>) -> Option<&'a BuildId> {
    unremembered(draft)
        .map(|(_, listed)| &listed.build)
        .find(|build| build.state == BuildState::Running)
        .map(|build| &build.id)
}

/// Waits for such a build.
pub(super) fn wait_for_it(draft: &Draft<'_>, phase: Phase) -> Option<Step> {
    let build = running_elsewhere(draft)?;
    let message = format!(
        "Build {build} works on this app under an operation that is not remembered; nothing else is started until it \
         has ended."
    );
    Some(Step::wait(phase, "ForeignBuild", message, Requeue::Progress).because("Recovery"))
}

/// Whether a later operation than this one shows, so that this one was settled before memory went back in time:
/// no operation is ever intended before the last one is settled.
pub(super) fn is_superseded(draft: &Draft<'_>, operation: &Operation) -> bool {
    unremembered(draft).any(|(later, _)| later > operation.id)
}

/// A listing shows the build of an operation that knows of none: its record is older than its build, so the table was
/// restored from a backup.
pub(super) fn adopt_listed_build(draft: &mut Draft<'_>, operation: &Operation) -> Option<Step> {
    let listed = draft.view.build.present().filter(|_| operation.build.is_none())?;
    if matches!(
        draft.view.gate,
        Observed::Unknown | Observed::Present(Gate::Held(_))
    ) {
        return None;
    }
    let id = listed.id.clone();
    let message = format!("A listing shows build {id} of this operation.");
    if let Some(mine) = &mut draft.memory.operation {
        mine.build = Some(id);
    }
    let phase = super::operation::phase(operation);
    Some(Step::wait(phase, "BuildAdopted", message, Requeue::Now))
}

/// The host name that AWS shows an app of this owner and entry to have, or to have had: it is kept, whoever made
/// it up.
pub(super) fn host_name(draft: &Draft<'_>, user: Option<&User>, entry: &CatalogueEntry) -> Option<HostName> {
    let traces = draft.view.traces.present()?;
    let names = &draft.policy.build_env;
    let of_builds = traces.builds.iter().filter_map(|listed| {
        let identity = Identity::of_build(draft.policy.scope, names, &listed.environment)?;
        (Some(&identity.user) == user && identity.app == entry.name).then_some(identity.host_name)
    });
    let of_services = traces
        .services
        .iter()
        .filter_map(|service| service.host_name.clone());
    of_builds
        .chain(of_services)
        .find(|host| host.is_below(&entry.domain))
}

/// Builds under operations that memory does not know, newest first.
fn unremembered<'a>(draft: &'a Draft<'_>) -> impl Iterator<Item = (OperationId, &'a ListedBuild)> {
    let traces = draft.view.traces.present();
    let builds = traces.into_iter().flat_map(|traces| &traces.builds);
    builds.filter_map(|listed| {
        let operation = OperationId::parse(listed.environment.get(OPERATION_ID_VARIABLE)?)?;
        (!draft.memory.knows(&operation)).then_some((operation, listed))
    })
}

/// What the newest build that memory does not know has left, and where that is known from. The inner `None`: nothing.
/// One that is older than the last one remembered tells nothing any more; that is an order of listings, since
/// operations are numbered by the clocks of several processes.
fn by_a_build(draft: &Draft<'_>) -> Option<(Option<Deployment>, String)> {
    let traces = draft.view.traces.present()?;
    let newest = traces
        .builds
        .iter()
        .find(|listed| listed.build.is_beyond_its_gate())?;
    if !unremembered(draft).any(|(_, listed)| listed.build.id == newest.build.id) {
        return None;
    }
    let action = newest.environment.get(&draft.policy.build_env.action);
    let succeeded = newest.build.state == BuildState::Succeeded;
    let kind = match action.map(String::as_str) {
        Some("apply") => BuildKind::Apply,
        Some("destroy") => BuildKind::Destroy,
        Some(_) | None => return None,
    };
    let source = format!("build {}", newest.build.id);
    if kind == BuildKind::Destroy && succeeded {
        return Some((None, source));
    }
    let deployment = Deployment {
        blueprint: Arc::new(blueprint_of(draft, newest)?),
        complete: kind == BuildKind::Apply && succeeded,
        at: draft.now,
    };
    Some((Some(deployment), source))
}

/// What a service with the app's tag shows, where no build tells: CodeBuild forgets after a year, and people clean
/// up. That it realises what the row asks is believed, since nothing can tell.
fn by_a_service(draft: &Draft<'_>) -> Option<(Option<Deployment>, String)> {
    if draft.memory.deployment.is_some() {
        return None;
    }
    let seen = draft
        .view
        .service
        .present()
        .filter(|service| !service.draining && service.instance_id.as_ref() == Some(&draft.view.id))?;
    let settled = draft
        .memory
        .operation
        .as_ref()
        .and_then(|operation| operation.settled.as_ref());
    if settled.is_some_and(|settled| draft.now < later(settled.at, draft.policy.timing.appear_grace)) {
        // AWS: what was just destroyed may still show for minutes.
        return None;
    }
    let last = draft
        .memory
        .operation
        .as_ref()
        .map(|operation| &operation.blueprint);
    let known = last.filter(|blueprint| *blueprint.service() == seen.name);
    let (blueprint, complete) = match known {
        Some(blueprint) => (blueprint.clone(), false),
        None => (Arc::new(intake::blueprint_of_service(draft, seen)?), true),
    };
    let deployment = Deployment {
        blueprint,
        complete,
        at: draft.now,
    };
    Some((Some(deployment), format!("service {}", seen.name)))
}

/// The deployment that a build was asked for, from the environment it was given.
fn blueprint_of(draft: &Draft<'_>, listed: &ListedBuild) -> Option<Blueprint> {
    let names = &draft.policy.build_env;
    let identity = Identity::of_build(draft.policy.scope, names, &listed.environment)?;
    let spec_hash = listed.environment.get(&names.spec_hash)?.clone();
    let entry = draft.policy.catalogue.get(&identity.app)?;
    let mut environment = BTreeMap::clone(&listed.environment);
    environment.remove(&names.action);
    environment.remove(OPERATION_ID_VARIABLE);
    environment.insert(STATE_TABLE_VARIABLE.to_owned(), draft.policy.state_table.clone());
    let made = intake::frozen(entry, draft.policy, identity, spec_hash, environment);
    Some(intake::with_its_route(draft, made))
}

/// Remembers a deployment that is there, and takes its claims; what another app holds stays that app's.
fn take_over(draft: &mut Draft<'_>, deployment: Deployment, source: &str) -> Step {
    let identity = deployment.blueprint.identity.clone();
    if draft.view.row.is_absent() && draft.memory.accepted.is_none() {
        draft.memory.found.get_or_insert(Found { since: draft.now });
    }
    draft.memory.deployment = Some(deployment);
    draft.memory.ready_since = None;
    draft.memory.service_absent_since = None;
    let take = identity.keys();
    let holders = match &draft.view.claims {
        Observed::Present(holders) => Some(holders),
        Observed::Absent | Observed::Unknown => None,
    };
    let taken = take.iter().any(|key| {
        holders
            .and_then(|all| all.get(key))
            .is_some_and(|claim| claim.app != draft.view.id)
    });
    let held = draft.memory.holding.as_ref();
    if taken || held.is_some_and(|holding| holding.slot && holding.identity == identity) {
        return told(source);
    }
    let since: Timestamp = held.map_or(draft.now, |holding| holding.since);
    if let Some(old) = draft.memory.holding.take() {
        let keys = old.keys().into_iter().filter(|key| !take.contains(key));
        draft.release.extend(keys);
    }
    draft.memory.holding = Some(Holding {
        identity,
        slot: true,
        since,
    });
    Step {
        action: Some(Action::Adopt { take }),
        ..told(source)
    }
}

/// Takes the claims of what is deployed and holds none, since another app had them when it was recalled.
fn claim_what_is_there(draft: &mut Draft<'_>) -> Option<Step> {
    let deployed = draft.memory.deployment.as_ref()?;
    let claims = draft.view.claims.present()?;
    let identity = deployed.blueprint.identity.clone();
    let take = identity.keys();
    let anothers = |key| claims.get(key).is_some_and(|claim| claim.app != draft.view.id);
    if draft.memory.holds_slot() || take.iter().any(anothers) {
        return None;
    }
    draft.memory.holding = Some(Holding {
        identity,
        slot: true,
        since: draft.now,
    });
    let message = "What another app held of its names and its slot is free by now, and is claimed.";
    Some(Step {
        action: Some(Action::Adopt { take }),
        ..Step::wait(Phase::Pending, "Recalled", message, Requeue::Now).because("Recovery")
    })
}

fn told(source: &str) -> Step {
    Step::wait(
        Phase::Pending,
        "Recalled",
        format!("The state table did not know it; {source} tells what there is."),
        Requeue::Now,
    )
    .because("Recovery")
}
