//! Who gets a slot that two apps want? Under `on_conflict = "replace"` the newest request does.
//!
//! The challenger writes its request onto the claim, a bid. The holder finds it there, and if it is newer than its
//! own, and its app is still there and still wants the slot, the holder stops for good: it remembers that as it
//! remembers the end of its day, so that only a new request starts it again. It goes through its whole teardown,
//! and gives back the slot like any other app. A bid is a hint: what counts is what row and memory of the
//! bidder say when the holder looks, so a bid that nobody stands behind any more stops nobody.

use jiff::Timestamp;

use super::draft::{Draft, Step};
use super::plan::{Action, Requeue};
use crate::model::claim::{Bid, Claim, ClaimKey, OnConflict};
use crate::model::memory::{Accepted, Stop};
use crate::model::observed::{Observed, Rival};
use crate::model::row::{Desired, quoted};
use crate::model::schedule::later;
use crate::model::status::Phase;
use crate::model::utc;

/// The rule of a stop for the sake of a newer request of another app.
pub(super) const SUPERSEDED: &str = "Superseded";

/// The stop for the sake of a newer request that asks for the slot of this app, if there is one.
pub(super) fn outbid(draft: &Draft<'_>, accepted: &Accepted) -> Option<Stop> {
    // A pause holds every decision against the app, and a row that is gone is for the deletions to judge.
    let may = draft.policy.on_conflict == OnConflict::Replace
        && draft.view.paused.is_absent()
        && draft.view.row.present().is_some();
    let holding = draft.memory.holding.as_ref().filter(|held| may && held.slot)?;
    let slot = &holding.identity.slot;
    let claim = draft.view.claims.present()?.get(slot)?;
    let bid = claim.bid.as_ref().filter(|_| claim.app == draft.view.id)?;
    let newer = bid.app != draft.view.id && *bid > accepted.bid(&draft.view.id);
    (newer && stands(draft, bid, slot) == Some(true)).then(|| stop(draft.now, bid))
}

fn stop(now: Timestamp, bid: &Bid) -> Stop {
    Stop {
        away_since: None,
        due: now,
        rule: SUPERSEDED.to_owned(),
        at_most: Desired::Destroyed,
        by: Some(bid.clone()),
    }
}

/// Why it stopped, for people.
pub(super) fn lost(stop: &Stop) -> String {
    let winner = stop.by.as_ref().map_or_else(
        || "Another app".to_owned(),
        |bid| format!("App {}, requested at {},", quoted(bid.app.as_str()), utc(bid.at)),
    );
    format!("{winner} replaces this one, whose request is older; a new request replaces that one in turn.")
}

/// Enters the contest for a slot that `claim` gives to another app, and tells where it stands in it. `None`: it does not
/// compete; the holder stays, or goes by itself.
pub(super) fn enter(
    draft: &mut Draft<'_>,
    accepted: &Accepted,
    key: &ClaimKey,
    claim: &Claim,
) -> Option<Step> {
    let late = draft
        .memory
        .refused_since
        .is_some_and(|since| draft.now >= later(since, draft.policy.timing.refusal_window));
    if draft.policy.on_conflict == OnConflict::Refuse || !key.is_slot() || late {
        return None;
    }
    let mine = accepted.bid(&draft.view.id);
    let Some(holder) = draft.view.rivals.get(&claim.app) else {
        return Some(blind());
    };
    let theirs = match &holder.memory {
        Observed::Unknown => return Some(blind()),
        // Nobody remembers the holder, so nobody could make it go either.
        Observed::Absent => return None,
        Observed::Present(memory) => memory.accepted.as_ref().map(|accepted| accepted.bid(&claim.app)),
    };
    let theirs = theirs?;
    if theirs > mine {
        return match stays(holder) {
            Some(true) => yield_to(draft, &theirs),
            Some(false) => None,
            None => Some(blind()),
        };
    }
    let over = claim.bid.clone().filter(|bid| *bid != mine);
    if let Some(other) = over
        .as_ref()
        .filter(|other| other.app != mine.app && **other > mine)
    {
        match stands(draft, other, key) {
            Some(true) => return yield_to(draft, other),
            // Nobody stands behind it any more.
            Some(false) => {}
            None => return Some(blind()),
        }
    }
    draft.memory.refused_since = None;
    let holder = quoted(claim.app.as_str());
    let asked = claim.bid.as_ref() == Some(&mine);
    Some(Step {
        action: (!asked).then(|| Action::Bid {
            slot: key.clone(),
            holder: claim.app.clone(),
            over,
            bid: mine,
        }),
        ..Step::wait(
            Phase::Pending,
            "Replacing",
            format!("It replaces app {holder}, which is destroyed first."),
            Requeue::At(later(draft.now, draft.policy.timing.refusal_recheck)),
        )
        .because("OneInstance")
    })
}

/// A newer request has the slot, or is about to: this one is over. What runs is left to run, as with any refusal,
/// and a pause holds this decision like every other.
fn yield_to(draft: &mut Draft<'_>, winner: &Bid) -> Option<Step> {
    if draft.memory.deployment.is_some() || !draft.view.paused.is_absent() {
        return None;
    }
    let stop = stop(draft.now, winner);
    let message = lost(&stop);
    draft.memory.stop = Some(stop);
    Some(Step::wait(Phase::Refused, SUPERSEDED, message, Requeue::Now).because(SUPERSEDED))
}

/// Whether a bid's app is still there and still wants this slot with that very request. `None`: not known.
fn stands(draft: &Draft<'_>, bid: &Bid, slot: &ClaimKey) -> Option<bool> {
    let rival = draft.view.rivals.get(&bid.app)?;
    if rival.row.is_unknown() || rival.memory.is_unknown() || rival.paused.is_unknown() {
        return None;
    }
    let (Some(row), Some(memory), true) = (
        rival.row.present(),
        rival.memory.present(),
        rival.paused.is_absent(),
    ) else {
        return Some(false);
    };
    // What the row says now was read, and it is this.
    let read = memory
        .request
        .as_ref()
        .is_some_and(|request| request.fingerprint == row.fingerprint());
    let wants = memory.accepted.as_ref().is_some_and(|accepted| {
        accepted.bid(&bid.app) == *bid
            && accepted.desired == Desired::Running
            && accepted.blueprint.identity.slot == *slot
    });
    Some(read && wants && memory.stop.is_none() && memory.row_gone.is_none())
}

/// Whether a holder means to keep its slot. `None`: not known.
fn stays(holder: &Rival) -> Option<bool> {
    let (Observed::Present(memory), false) = (&holder.memory, holder.row.is_unknown()) else {
        return None;
    };
    let asked = holder.row.present().and_then(|row| row.desired);
    let accepted = memory.accepted.as_ref().map(|accepted| accepted.desired);
    let stopped = memory.stop.as_ref().map(|stop| stop.at_most);
    let goes = [asked, accepted, stopped].contains(&Some(Desired::Destroyed));
    Some(holder.row.present().is_some() && !goes)
}

fn blind() -> Step {
    Step::blind(
        Phase::Pending,
        "The other apps that want its slot could not be read; nothing is decided until they can be.",
    )
}
