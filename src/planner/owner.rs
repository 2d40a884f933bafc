//! Is the owner of an app still somebody whose apps may run? Who has left is told by the operator's lists or by the
//! row itself. An app of somebody who has left is stopped at once, and for good: it stays down until there is a new
//! request and its owner is active again.

use super::draft::Draft;
use crate::model::memory::Stop;
use crate::model::name::User;
use crate::model::policy::Standing;
use crate::model::row::{Desired, quoted};

/// The rule of a stop because its owner is not active any more.
pub(super) const OWNER_INACTIVE: &str = "OwnerInactive";

/// Why an owner is not active.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inactive<'a> {
    /// The row says so.
    Row,
    /// The operator's list of users who may not.
    Denied(&'a User),
    /// Not on the operator's list of users who may.
    NotAllowed(&'a User),
}

/// Whether the owner is not active, and why. A row that is wrong otherwise is believed in this.
pub(super) fn inactive<'a>(draft: &'a Draft<'_>) -> Option<Inactive<'a>> {
    if planted!(OwnerIgnored) {
        return None;
    }
    let row = draft.view.row.present();
    if row.is_some_and(|row| row.owner_active == Some(false)) {
        return Some(Inactive::Row);
    }
    // The owner that resources and claims carry, whatever a row says that is refused for that.
    let accepted = draft.memory.accepted.as_ref();
    let user = accepted.map(|accepted| &accepted.blueprint.identity.user);
    let user = user.or_else(|| row?.user.as_ref())?;
    match draft.policy.users.standing(user) {
        Standing::Active => None,
        Standing::Denied => Some(Inactive::Denied(user)),
        Standing::NotAllowed => Some(Inactive::NotAllowed(user)),
    }
}

/// The stop that follows from it. Due at once, whatever exemption there is.
pub(super) fn stop(draft: &Draft<'_>) -> Option<Stop> {
    inactive(draft).map(|_| Stop {
        away_since: None,
        due: draft.now,
        rule: OWNER_INACTIVE.to_owned(),
        at_most: Desired::Destroyed,
        by: None,
    })
}

impl Inactive<'_> {
    /// A sentence for people, with the way out.
    pub(super) fn because(self) -> String {
        let then = "then a new request starts it again";
        match self {
            Self::Row => {
                format!("Its row says ownerActive = false: set it to true or leave it out; {then}.")
            }
            Self::Denied(user) => format!(
                "Its owner {} is in users.deny of the configuration: the operator takes the name out; {then}.",
                quoted(user.as_str())
            ),
            Self::NotAllowed(user) => format!(
                "Its owner {} is not in users.allow of the configuration: the operator adds the name; {then}.",
                quoted(user.as_str())
            ),
        }
    }
}
