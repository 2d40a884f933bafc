//! Is the app exempt from the end of its day, until when, and who says so? The later of its row's exemption and of
//! the one given through the API counts. Where a user's hours are bounded, a row's are noted in the user's ledger.

use jiff::Timestamp;

use super::draft::{Draft, Step};
use super::intake::Intake;
use super::plan::{Action, Requeue};
use crate::model::keep::{self, Bounds, First, Given, Ledger};
use crate::model::memory::Accepted;
use crate::model::observed::Observed;
use crate::model::row::{Desired, Row};
use crate::model::schedule::later;
use crate::model::status::{Exemption, Source};
use crate::model::utc;

/// Until when its row exempts an app, as far as policy goes: for so long after the request, and for as many hours as
/// its owner's week has left. What the ledger does not say yet, it is to say.
pub(super) fn by_row(
    draft: &mut Draft<'_>,
    row: &Row,
    accepted: &Accepted,
    intake: &mut Intake,
) -> Option<Timestamp> {
    let farthest = planted!(KeepIgnored => None, else row.keep_until).map(|asked| {
        let most = later(accepted.request.at, draft.policy.keep_max);
        if asked > most {
            let most = utc(most);
            intake.notes.push(format!(
                "keepUntil was cut to {most}, the most that policy allows."
            ));
        }
        asked.min(most)
    });
    if draft.policy.keep_per_week.is_none() || farthest.is_some_and(|until| until <= draft.now) {
        return farthest;
    }
    let first = keep::first(draft.policy, accepted, draft.memory.woken_at);
    let (Some(first), Some(ledger)) = (first, ledger(draft, accepted)) else {
        return farthest;
    };
    let is_up = accepted.desired > Desired::Destroyed && draft.memory.stop.is_none();
    let wanted = farthest.filter(|_| is_up);
    let bounds = Bounds::of(draft.policy);
    let granted = ledger.by_row(&draft.view.id, wanted, first.hour(), &bounds, draft.now);
    if let (Some(wanted), Some(cut)) = (wanted, granted.cut) {
        intake.notes.push(format!(
            "keepUntil {} was cut to {}, {}.",
            utc(wanted),
            utc(granted.until),
            cut.because(&bounds)
        ));
    }
    if granted.ledger != ledger {
        draft.ledger = Some(granted.ledger);
    }
    wanted.map(|_| granted.until).or(farthest)
}

/// What was given to the app through the API. It may have lapsed.
pub(super) fn given(draft: &Draft<'_>, accepted: &Accepted) -> Option<Given> {
    let ledger = planted!(KeepIgnored => None, else ledger(draft, accepted));
    ledger.and_then(|ledger| ledger.given(&draft.view.id).cloned())
}

/// The ledger of the app's owner. `None`: another's was looked at, as of who would have the app next.
fn ledger(draft: &Draft<'_>, accepted: &Accepted) -> Option<Ledger> {
    let owner = keep::owner(draft.view.row.present(), draft.view.memory.present());
    if owner != Some(&accepted.blueprint.identity.user) {
        return None;
    }
    match &draft.view.keeps {
        Observed::Present(ledger) => Some(ledger.clone()),
        Observed::Absent => Some(Ledger::default()),
        Observed::Unknown => None,
    }
}

/// Where nothing more urgent is to be done, the ledger is. Nothing waits for it: until it is written the exemption
/// holds as if it were, and who finds that another was first, looks again.
pub(super) fn note(draft: &mut Draft<'_>, step: Step) -> Step {
    if step.action.is_some() || step.blind || !draft.view.paused.is_absent() {
        return step;
    }
    let owner = keep::owner(draft.view.row.present(), draft.view.memory.present()).cloned();
    let (Some(ledger), Some(owner)) = (draft.ledger.take(), owner) else {
        return step;
    };
    let until = ledger.apps.get(&draft.view.id).and_then(|exempt| exempt.row);
    let row = draft.view.row.present();
    let message = match until {
        Some(until) => {
            let reason = row.and_then(|row| row.keep_reason.as_ref());
            let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            format!(
                "Its row exempts it from the end of its day until {}{reason}.",
                utc(until)
            )
        }
        None => "Its row exempts it from the end of its day no longer.".to_owned(),
    };
    let by = row.and_then(|row| row.requested_by.clone());
    let over = ledger.version;
    let ledger = ledger.to_store(&Bounds::of(draft.policy), draft.now);
    let told = (draft.now, draft.view.entropy.apart(1));
    let line = keep::line(&ledger, &draft.memory, until, message, by, step.phase, told);
    Step {
        action: Some(Action::Keep {
            owner,
            over,
            ledger,
            line: Box::new(line),
        }),
        requeue: Requeue::Now,
        ..step
    }
}

/// The exemption that holds now, for readers.
pub(super) fn told(draft: &Draft<'_>) -> Option<Exemption> {
    let accepted = draft.memory.accepted.as_ref()?;
    if accepted.desired == Desired::Destroyed || draft.memory.stop.is_some() {
        return None;
    }
    let row = draft.view.row.present();
    let first = keep::first(draft.policy, accepted, draft.memory.woken_at);
    let since = first.map(First::hour);
    let by_row = accepted.keep_until.map(|until| Exemption {
        since,
        until,
        source: Source::Row,
        by: row.and_then(|row| row.requested_by.clone()),
        reason: row.and_then(|row| row.keep_reason.clone()),
    });
    let given = given(draft, accepted).map(|given| Exemption {
        since,
        until: given.until,
        source: Source::Api,
        by: given.by,
        reason: given.reason,
    });
    let later_one = by_row
        .into_iter()
        .chain(given)
        .max_by_key(|exemption| exemption.until)?;
    (later_one.until > draft.now).then_some(later_one)
}

/// What is told of an exemption that was cut when it was given.
pub(super) fn remark(draft: &Draft<'_>) -> Option<String> {
    let given = given(draft, draft.memory.accepted.as_ref()?)?;
    let cut = given.is_cut() && given.until > draft.now;
    cut.then(|| {
        format!(
            "The exemption given until {} was cut to {}, the most that policy allows.",
            utc(given.asked),
            utc(given.until)
        )
    })
}
