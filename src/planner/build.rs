//! Is a deployment needed, and may it begin? Refusals, stalls and claims are decided here.

use std::sync::Arc;

use super::contest;
use super::desire::Wish;
use super::draft::{Draft, Step};
use super::intake::{self, Intake};
use super::plan::{Class, Requeue};
use crate::model::blueprint::{Blueprint, BuildKind};
use crate::model::claim::{Claim, ClaimKey, Identity, OnConflict};
use crate::model::memory::Accepted;
use crate::model::observed::Observed;
use crate::model::row::quoted;
use crate::model::schedule::later;
use crate::model::status::Phase;
use crate::model::utc;

/// Begins a deployment where the newest accepted spec is not applied. `None`: it is, or may not be begun.
pub(super) fn deploy_if_needed(draft: &mut Draft<'_>, wish: &Wish, intake: &Intake) -> Option<Step> {
    let accepted = draft.memory.accepted.clone()?;
    let current = draft.memory.deployment.as_ref();
    let up_to_date = current.is_some_and(|deployed| {
        deployed.complete && deployed.blueprint.spec_hash == accepted.blueprint.spec_hash
    });
    if up_to_date {
        return follow_the_catalogue(draft, &accepted.blueprint);
    }
    if !wish.may_start {
        return Some(Step::wait(
            Phase::Pending,
            "NotStarted",
            format!("{} Nothing is started meanwhile.", wish.because),
            Requeue::Progress,
        ));
    }
    Some(begin(draft, &accepted, intake, Class::Human))
}

/// No build reads how many tasks an app has and where it answers, so a catalogue that changes these is
/// followed at once. `None`: whether it works can be judged as it was looked at.
fn follow_the_catalogue(draft: &mut Draft<'_>, wanted: &Blueprint) -> Option<Step> {
    let deployed = &mut draft.memory.deployment.as_mut()?.blueprint;
    if deployed.tasks != wanted.tasks {
        Arc::make_mut(deployed).tasks = wanted.tasks;
    }
    if (&deployed.url, &deployed.health_url) == (&wanted.url, &wanted.health_url) {
        return None;
    }
    let deployed = Arc::make_mut(deployed);
    deployed.url.clone_from(&wanted.url);
    deployed.health_url.clone_from(&wanted.health_url);
    // The look was at the old one.
    draft.memory.ready_since = None;
    Some(Step::wait(
        Phase::Starting,
        "UrlChanged",
        "The catalogue gives it another URL, which is asked next.",
        Requeue::Now,
    ))
}

/// Re-applies what is deployed, because something of it went missing.
pub(super) fn repair(draft: &mut Draft<'_>, wish: &Wish, what: &str) -> Step {
    let Some(accepted) = draft.memory.accepted.clone().filter(|_| wish.may_start) else {
        let message = format!("{what}. {} Nothing is started meanwhile.", wish.because);
        return Step::wait(Phase::Starting, "NotStarted", message, Requeue::Progress);
    };
    // A repair that has to be repeated is not one: each counts as a failure until the app is Ready.
    let failures = draft.failures(BuildKind::Apply).cloned();
    let step = begin(draft, &accepted, &Intake::default(), Class::Repair);
    if matches!(step.action, Some(super::plan::Action::Intend { .. })) {
        draft.memory.failures = failures;
        draft.count_failure(BuildKind::Apply, what.to_owned());
    }
    step
}

fn begin(draft: &mut Draft<'_>, accepted: &Accepted, intake: &Intake, class: Class) -> Step {
    if draft.stalled() {
        return stalled(draft);
    }
    let identity = &accepted.blueprint.identity;
    let mut wanted = planted!(NamesNotClaimed => Vec::new(), else identity.name_keys().to_vec());
    wanted.extend(planted!(SlotNotClaimed => None, else Some(identity.slot.clone())));
    // The claims also say whether one that is held is lost, where slots are contested, or is another's by what is there.
    let contested = draft.policy.on_conflict == OnConflict::Replace;
    match &draft.view.claims {
        Observed::Unknown if !contested && holds_all(draft, identity) => {}
        Observed::Unknown => {
            return Step::blind(
                Phase::Pending,
                "The claims on its names could not be read; nothing is decided until they can be.",
            );
        }
        Observed::Absent => {}
        Observed::Present(holders) => {
            let taken = wanted
                .iter()
                .filter_map(|key| Some((key, holders.get(key)?)))
                .find(|(_, claim)| claim.app != draft.view.id);
            if let Some((key, claim)) = planted!(ClaimsNotHeeded => None, else taken) {
                return contest::enter(draft, accepted, key, claim)
                    .unwrap_or_else(|| refuse(draft, identity, intake, key, claim));
            }
        }
    }
    if let Some(since) = draft.memory.refused_since
        && draft.now >= later(since, draft.policy.timing.refusal_window)
        && !planted!(RefusalForgotten)
    {
        return Step::wait(
            Phase::Refused,
            "NeedsNewRequest",
            "It was refused, and what stood in its way is gone by now. Request it again.",
            Requeue::Sweep,
        )
        .because("OneInstance");
    }
    draft.memory.refused_since = None;
    let since = draft.now;
    let step = draft.intend(BuildKind::Apply, class, accepted.blueprint.clone(), wanted);
    if step.action.is_some() {
        let before = draft.memory.holding.take();
        if let Some(old) = before.as_ref().filter(|old| old.identity != *identity) {
            let kept = identity.name_keys();
            draft.release.extend(
                old.keys()
                    .into_iter()
                    .filter(|key| !kept.contains(key) && *key != identity.slot),
            );
        }
        let since = before
            .filter(|old| old.identity == *identity && old.slot)
            .map_or(since, |old| old.since);
        draft.memory.holding = Some(crate::model::memory::Holding {
            identity: identity.clone(),
            slot: true,
            since,
        });
    }
    step
}

fn holds_all(draft: &Draft<'_>, identity: &Identity) -> bool {
    draft
        .memory
        .holding
        .as_ref()
        .is_some_and(|holding| holding.slot && holding.identity == *identity)
}

/// Somebody else holds a claim. A host name that we made up is made up again; everything else is refused,
/// with the holder, since when, and the ways out.
fn refuse(
    draft: &mut Draft<'_>,
    identity: &Identity,
    intake: &Intake,
    key: &ClaimKey,
    claim: &Claim,
) -> Step {
    let held = draft
        .memory
        .holding
        .as_ref()
        .map(|holding| &holding.identity.host_name);
    if !key.is_slot() && intake.host_is_ours && held != Some(&identity.host_name) {
        intake::rename(draft);
        return Step::wait(
            Phase::Pending,
            "HostNameTaken",
            "The host name made up for it is taken; another one is made up.",
            Requeue::Now,
        );
    }
    let since = *draft.memory.refused_since.get_or_insert(draft.now);
    let holder = quoted(claim.app.as_str());
    let held = utc(claim.since);
    let (reason, message) = if key.is_slot() {
        (
            "SlotTaken",
            format!(
                "user: {} already has a live app, {holder}, since {held}. Set that one to Destroyed, delete \
                 its row, or wait until its day ends.",
                quoted(identity.user.as_str())
            ),
        )
    } else {
        (
            "HostNameTaken",
            format!(
                "hostName: {} belongs to app {holder} since {held}. Choose another name, leave hostName out \
                 to get one, or delete the row of {holder}.",
                quoted(identity.host_name.as_str())
            ),
        )
    };
    let timing = &draft.policy.timing;
    let window_ends = later(since, timing.refusal_window);
    if draft.now < window_ends {
        let next = later(draft.now, timing.refusal_recheck);
        let message = format!("{message} Looked at again until {}.", utc(window_ends));
        Step::wait(Phase::Refused, reason, message, Requeue::At(next)).because("OneInstance")
    } else {
        let message = format!("{message} After that a new request is needed.");
        Step::wait(Phase::Refused, reason, message, Requeue::Sweep).because("OneInstance")
    }
}

/// Too many failures: no more deployments until a new request. Destroying it is still allowed.
fn stalled(draft: &Draft<'_>) -> Step {
    let (count, message) = draft
        .failures(BuildKind::Apply)
        .map_or((0, ""), |f| (f.count, f.message.as_str()));
    Step::wait(
        Phase::Failed,
        "Stalled",
        format!(
            "Gave up after {count} failed deployments ({message}). Request it again, for instance with a new \
             generation, once the cause is mended, or set it to Destroyed."
        ),
        Requeue::Sweep,
    )
    .because("Stall")
}
