//! Is the row valid, and is it a new request? Keeps the last accepted spec where the new one is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::Draft;
use super::{choice, keep, recall};
use crate::model::blueprint::Blueprint;
use crate::model::claim::Identity;
use crate::model::memory::{Accepted, Refusal, Request, RowGone};
use crate::model::name::{HostName, ResourceName, User};
use crate::model::observed::{Observed, Service};
use crate::model::policy::{CatalogueEntry, Policy, STATE_TABLE_VARIABLE};
use crate::model::row::{Desired, Problem, Row, digest, quoted};
use crate::model::schedule::later;

/// What reading the row came to.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Why the row as it stands cannot be carried out, if it cannot.
    pub(super) refusal: Option<Refusal>,
    /// Remarks on an accepted row, such as a clamped exemption.
    pub(super) notes: Vec<String>,
    /// Whether the host name is one we made up, and may make up again.
    pub(super) host_is_ours: bool,
}

/// Reads the row into memory: the request, the accepted spec, or why there is none.
pub(super) fn read_row(draft: &mut Draft<'_>) -> Intake {
    let row = match &draft.view.row {
        Observed::Present(row) => row,
        Observed::Absent | Observed::Unknown => {
            let gone = draft.memory.row_gone.get_or_insert(RowGone {
                since: draft.now,
                confirmed: false,
                approvals: None,
                held: false,
            });
            gone.approvals = gone.approvals.or(draft.view.approvals.present().copied());
            return Intake::default();
        }
    };
    if draft.memory.row_gone.take().is_some_and(|gone| gone.confirmed) {
        // It was deleted and is asked for anew, be it in the same words.
        draft.memory.request = None;
    }
    draft.memory.over_since = None;
    draft.memory.found = None;
    let request = note_request(draft, row);

    let mut intake = Intake {
        host_is_ours: row.host_name.is_none(),
        ..Intake::default()
    };
    match accept(draft, row, request.clone()) {
        Ok(accepted) => {
            start_afresh(draft, &accepted);
            let keep_until = keep::by_row(draft, row, &accepted, &mut intake);
            draft.memory.accepted = Some(Accepted {
                keep_until,
                ..accepted
            });
        }
        Err(problems) => {
            stop_beats_validity(draft, row, request, &mut intake);
            let reason = if problems.iter().any(|p| {
                IDENTITY_FIELDS.contains(&p.field.as_str()) && p.problem.starts_with("cannot change")
            }) {
                "IdentityChanged"
            } else {
                "InvalidRow"
            };
            intake.refusal = Some(Refusal { reason, problems });
            intake.notes.extend(choice::note_lost_zone(draft));
        }
    }
    intake.notes.extend(keep::remark(draft));
    intake
}

const IDENTITY_FIELDS: [&str; 3] = ["user", "app", "hostName"];

/// The request that the row makes: the one that is known, unless what is asked has changed.
fn note_request(draft: &mut Draft<'_>, row: &Row) -> Request {
    let fingerprint = row.fingerprint();
    let known = draft.memory.request.take();
    let request = known
        .filter(|request| request.fingerprint == fingerprint)
        .unwrap_or_else(|| Request {
            fingerprint,
            at: row.requested_at.map_or(
                draft.now,
                |asked| planted!(FutureBelieved => asked, else asked.min(draft.now)),
            ),
            generation: row.generation,
        });
    draft.memory.request = Some(request.clone());
    request
}

/// A new request that can be carried out starts afresh: failures, refusals and stops were about the one
/// before. One that cannot changes nothing: a mistake in a row lights no app that its day's end put out.
fn start_afresh(draft: &mut Draft<'_>, accepted: &Accepted) {
    let known = draft.memory.accepted.as_ref();
    if known.is_some_and(|known| known.request == accepted.request) {
        return;
    }
    // Whoever asks again for an app that missed its deadline gets it applied anew, even in the same words:
    // that mends what no look of ours can see, such as a listener rule that somebody deleted.
    let missed = |since| draft.now >= later(since, draft.policy.timing.ready_deadline);
    if accepted.desired == Desired::Running
        && draft.memory.unready_since.is_some_and(missed)
        && let Some(deployment) = &mut draft.memory.deployment
    {
        deployment.complete = false;
    }
    draft.memory.failures = None;
    draft.memory.refused_since = None;
    draft.memory.stop = None;
    draft.memory.woken_at = None;
    draft.memory.unready_since = None;
}

/// `Destroyed`, `Suspended` and times are honoured even where the rest of the row makes no sense.
fn stop_beats_validity(draft: &mut Draft<'_>, row: &Row, request: Request, intake: &mut Intake) {
    let Some(known) = draft.memory.accepted.clone() else {
        return;
    };
    let keep_until = row.keep_until.and_then(|_| {
        // An exemption counts from the request that brings it, also where that is refused for something else.
        let asking = Accepted { request, ..known };
        keep::by_row(draft, row, &asking, intake)
    });
    let Some(accepted) = &mut draft.memory.accepted else {
        return;
    };
    match row.desired {
        Some(Desired::Destroyed) => accepted.desired = Desired::Destroyed,
        Some(Desired::Suspended) => accepted.desired = accepted.desired.min(Desired::Suspended),
        Some(Desired::Running) | None => {}
    }
    if row.expires_at.is_some() {
        accepted.expires_at = row.expires_at;
    }
    if row.keep_until.is_some() {
        accepted.keep_until = keep_until;
    }
}

/// The accepted spec of a row, or everything that is wrong with it.
fn accept(draft: &Draft<'_>, row: &Row, request: Request) -> Result<Accepted, Vec<Problem>> {
    let mut problems = row.problems.clone();
    let entry = row.app.as_ref().and_then(|app| {
        let entry = draft.policy.catalogue.get(app);
        if entry.is_none() {
            let known: Vec<&str> = draft
                .policy
                .catalogue
                .keys()
                .map(crate::model::name::AppName::as_str)
                .collect();
            problems.push(Problem::new(
                "app",
                format!("{} is not in the catalogue", quoted(app.as_str())),
                format!("use one of {}", known.join(", ")),
            ));
        }
        entry
    });
    let parameters = entry.map(|entry| check_parameters(entry, &row.parameters, &mut problems));
    check_identity(draft, row, &mut problems);
    if let Some(entry) = entry {
        check_domain(draft, row, entry, &mut problems);
        problems.extend(choice::check_schedule(draft, row, entry));
    }
    let (Some(entry), Some(parameters), Some(user), Some(desired), true) =
        (entry, parameters, &row.user, row.desired, problems.is_empty())
    else {
        return Err(problems);
    };
    let host = host_name(draft, row, entry);
    let identity = identity(draft, user.clone(), entry, host);
    Ok(Accepted {
        request,
        desired,
        blueprint: Arc::new(blueprint(draft, identity, entry, &row.parameters, parameters)),
        time_zone: row.time_zone.clone(),
        schedule: entry.schedule.clone(),
        own_schedule: row.schedule.clone(),
        keep_until: None,
        expires_at: row.expires_at,
    })
}

/// The parameters with defaults filled in; what the catalogue does not allow becomes a problem.
fn check_parameters(
    entry: &CatalogueEntry,
    given: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (name, value) in given {
        let field = format!("parameters.{}", quoted(name).trim_matches('"'));
        let Some(rule) = entry.parameters.get(name) else {
            let known: Vec<&str> = entry.parameters.keys().map(String::as_str).collect();
            let remedy = if known.is_empty() {
                "remove it: this app takes none".to_owned()
            } else {
                format!("use {}", known.join(", "))
            };
            problems.push(Problem::new(field, "is not a parameter of this app", remedy));
            continue;
        };
        if value.len() > rule.max_bytes {
            let problem = format!("has {} bytes, more than {}", value.len(), rule.max_bytes);
            problems.push(Problem::new(field, problem, "shorten it"));
        } else if !rule.one_of.is_empty() && !rule.one_of.contains(value) {
            let remedy = format!("use one of {}", rule.one_of.join(", "));
            problems.push(Problem::new(
                field,
                format!("{} is not allowed", quoted(value)),
                remedy,
            ));
        } else {
            values.insert(name.clone(), value.clone());
        }
    }
    for (name, rule) in &entry.parameters {
        if given.contains_key(name) {
            continue;
        }
        if let Some(default) = &rule.default {
            values.insert(name.clone(), default.clone());
        } else if rule.required {
            problems.push(Problem::new(
                format!("parameters.{name}"),
                "is missing",
                "this app needs it",
            ));
        }
    }
    values
}

/// Owner, app and host name stay what they are while anything of the app is alive: resources and claims
/// carry them.
fn check_identity(draft: &Draft<'_>, row: &Row, problems: &mut Vec<Problem>) {
    let memory = &draft.memory;
    let Some(holding) = &memory.holding else { return };
    let live = holding.slot || memory.deployment.is_some() || memory.in_flight().is_some();
    if !live {
        return;
    }
    let held = &holding.identity;
    let mut changed = |field: &str, from: &str| {
        problems.push(Problem::new(
            field,
            format!("cannot change from {} while the app is live", quoted(from)),
            "set desired to Destroyed first, or put the old value back",
        ));
    };
    if row.user.as_ref().is_some_and(|user| *user != held.user) {
        changed("user", held.user.as_str());
    }
    if row.app.as_ref().is_some_and(|app| *app != held.app) {
        changed("app", held.app.as_str());
    }
    if row.host_name.as_ref().is_some_and(|host| *host != held.host_name) {
        changed("hostName", held.host_name.as_str());
    }
}

/// A host name lies below its catalogue entry's domain: whoever writes rows must not be able to send the
/// health probe to any other host, nor have a name that another's DNS answers. An app keeps the name that it
/// holds where the configuration has moved on to another domain.
fn check_domain(draft: &Draft<'_>, row: &Row, entry: &CatalogueEntry, problems: &mut Vec<Problem>) {
    let Some(host) = &row.host_name else { return };
    let held = draft.memory.holding.as_ref();
    if host.is_below(&entry.domain) || held.is_some_and(|holding| holding.identity.host_name == *host) {
        return;
    }
    problems.push(Problem::new(
        "hostName",
        format!("{} is not below {}", quoted(host.as_str()), quoted(&entry.domain)),
        format!("use a name that ends with .{}, or leave it out", entry.domain),
    ));
}

/// The row's host name; else the one this app has already, if owner and app are the same; else a new one.
fn host_name(draft: &Draft<'_>, row: &Row, entry: &CatalogueEntry) -> HostName {
    if let Some(host) = &row.host_name {
        return host.clone();
    }
    let memory = &draft.memory;
    let held = memory.holding.as_ref().map(|holding| &holding.identity);
    let accepted = memory
        .accepted
        .as_ref()
        .map(|accepted| &accepted.blueprint.identity);
    let known = held
        .into_iter()
        .chain(accepted)
        .find(|identity| identity.app == entry.name && Some(&identity.user) == row.user.as_ref())
        .filter(|_| !(planted!(HostRenamed) && memory.failures.is_some()))
        .map(|identity| identity.host_name.clone());
    known
        .or_else(|| recall::host_name(draft, row.user.as_ref(), entry))
        .unwrap_or_else(|| HostName::generate(draft.view.entropy, &entry.name, &entry.domain))
}

/// The identity that a row asks for. What is there already keeps the name that it has in AWS, which another tool
/// may have given it.
fn identity(draft: &Draft<'_>, user: User, entry: &CatalogueEntry, host: HostName) -> Identity {
    let made = Identity::new(draft.policy.scope, user, entry.name.clone(), host);
    let held = draft.memory.holding.as_ref().map(|holding| &holding.identity);
    match held.filter(|held| held.host_name == made.host_name) {
        Some(held) => Identity {
            resource_name: held.resource_name.clone(),
            ..made
        },
        None => made,
    }
}

/// What the row asks for, as realised by a service that carries the app's tag and whose host name is told by that
/// or by the row. `None`: that can't be told.
pub(super) fn blueprint_of_service(draft: &Draft<'_>, service: &Service) -> Option<Blueprint> {
    let row = draft.view.row.present()?;
    let entry = draft.policy.catalogue.get(row.app.as_ref()?)?;
    let host = service.host_name.clone().or_else(|| row.host_name.clone())?;
    let identity = Identity {
        resource_name: service.name.clone(),
        ..Identity::new(draft.policy.scope, row.user.clone()?, entry.name.clone(), host)
    };
    let values = check_parameters(entry, &row.parameters, &mut Vec::new());
    Some(blueprint(draft, identity, entry, &row.parameters, values))
}

/// A blueprint with the target group that the app has. Where another tool has named the service, it has named the
/// target group too: what is remembered counts, else what the service shows, and what neither tells is not looked
/// for, since a group that is looked for under a wrong name would be mended by a build.
pub(super) fn with_its_route(draft: &Draft<'_>, made: Blueprint) -> Blueprint {
    let identity = &made.identity;
    if made.target_group.is_none() || !identity.is_named_by_another() {
        return made;
    }
    let deployed = draft.memory.deployment.as_ref();
    let remembered = deployed
        .map(|deployed| &deployed.blueprint)
        .filter(|blueprint| blueprint.service() == made.service())
        .map(|blueprint| blueprint.target_group.clone());
    let shown = || {
        let service = draft.view.service.present();
        let service = service.filter(|service| service.name == *made.service())?;
        Some(service.target_group().map(str::to_owned))
    };
    match remembered.or_else(shown) {
        Some(target_group) => Blueprint { target_group, ..made },
        None => made,
    }
}

/// Makes up another host name for a spec whose made-up one turned out to be somebody's.
pub(super) fn rename(draft: &mut Draft<'_>) {
    let Some(accepted) = &draft.memory.accepted else {
        return;
    };
    let identity = &accepted.blueprint.identity;
    let Some(entry) = draft.policy.catalogue.get(&identity.app) else {
        return;
    };
    let host = HostName::generate(draft.view.entropy, &entry.name, &entry.domain);
    let user = identity.user.clone();
    let identity = Identity::new(draft.policy.scope, user, entry.name.clone(), host);
    let given = match &draft.view.row {
        Observed::Present(row) => row.parameters.clone(),
        Observed::Absent | Observed::Unknown => return,
    };
    let values = check_parameters(entry, &given, &mut Vec::new());
    let made = blueprint(draft, identity, entry, &given, values);
    if let Some(accepted) = &mut draft.memory.accepted {
        accepted.blueprint = Arc::new(made);
    }
}

/// Freezes a deployment of `entry` for `identity`.
fn blueprint(
    draft: &Draft<'_>,
    identity: Identity,
    entry: &CatalogueEntry,
    given: &BTreeMap<String, String>,
    values: BTreeMap<String, String>,
) -> Blueprint {
    // Only what the row says is hashed: a default changed in the configuration reaches the next
    // deployment, and does not rebuild a whole fleet at once.
    let spec_hash = digest(&(&identity.user, &identity.app, &identity.host_name, given));
    let environment = environment(draft.policy, draft, &identity, &spec_hash, values);
    with_its_route(
        draft,
        frozen(entry, draft.policy, identity, spec_hash, environment),
    )
}

/// A deployment by a catalogue entry, with everything that a build is told.
pub(super) fn frozen(
    entry: &CatalogueEntry,
    policy: &Policy,
    identity: Identity,
    spec_hash: String,
    environment: BTreeMap<String, String>,
) -> Blueprint {
    let (host, resource): (&HostName, &ResourceName) = (&identity.host_name, &identity.resource_name);
    let url = entry.url.fill(host.as_str(), resource.as_str());
    Blueprint {
        spec_hash,
        deploy_project: entry.deploy_project.clone(),
        destroy_project: entry.destroy_project.clone(),
        cluster: entry.cluster.clone(),
        tasks: entry.tasks,
        target_group: entry
            .target_group
            .as_ref()
            .map(|t| t.fill(host.as_str(), resource.as_str())),
        health_url: format!("{}{}", url.trim_end_matches('/'), entry.health_path),
        url,
        action_variable: policy.build_env.action.clone(),
        environment,
        build_timeout_minutes: entry.build_timeout_minutes,
        queue_timeout_minutes: entry.queue_timeout_minutes,
        identity,
    }
}

/// The build's environment, save what differs between apply and destroy. Parameters cannot take the place
/// of a name of ours: configuration refuses such parameters, and ours are set last.
fn environment(
    policy: &Policy,
    draft: &Draft<'_>,
    identity: &Identity,
    spec_hash: &str,
    values: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let names = &policy.build_env;
    let mut environment = values;
    for (name, value) in [
        (&names.host_name, identity.host_name.as_str()),
        (&names.resource_name, identity.resource_name.as_str()),
        (&names.instance_id, draft.view.id.as_str()),
        (&names.user_id, identity.user.as_str()),
        (&names.app, identity.app.as_str()),
        (&names.spec_hash, spec_hash),
    ] {
        environment.insert(name.clone(), value.to_owned());
    }
    environment.insert(STATE_TABLE_VARIABLE.to_owned(), policy.state_table.clone());
    environment
}
