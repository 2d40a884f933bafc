//! An app that AWS shows and that nothing asks for, as people and metrics are told of it.

use jiff::Timestamp;

use super::claim::Identity;
use super::name::{AppId, ClusterName, ResourceName};

/// An app that AWS shows and that nothing asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Whose tag or environment it is.
    pub id: AppId,
    /// How it stands.
    pub state: OrphanState,
    /// When it was found. Of one that no pass has remembered yet, or can, when this process first saw it; `None`: that was
    /// not noted.
    pub since: Option<Timestamp>,
    /// Who it was, as far as that is known.
    pub identity: Option<Identity>,
    /// The cluster of its service.
    pub cluster: Option<ClusterName>,
    /// Its service.
    pub service: Option<ResourceName>,
    /// When it is destroyed, or, where orphans are not reaped, when it would be.
    pub due: Option<Timestamp>,
}

impl Orphan {
    /// Whether a pass has remembered it.
    pub fn is_remembered(&self) -> bool {
        !matches!(self.state, OrphanState::Found | OrphanState::Unidentified)
    }
}

/// How an orphan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrphanState {
    /// It shows, and is to be remembered by its next pass.
    Found,
    /// A service with an app's tag of which nothing tells how to destroy it. Left to people.
    Unidentified,
    /// It is left alone until it is due, or for good where orphans are not reaped.
    Quarantined,
    /// It is due, and too many rows are gone at once: an operator has to approve first.
    Held,
    /// It is due, and waits for its turn.
    Due,
    /// It is being destroyed.
    Reaping,
}

impl OrphanState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Found,
        Self::Unidentified,
        Self::Quarantined,
        Self::Held,
        Self::Due,
        Self::Reaping,
    ];

    /// As readers and metrics see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "Found",
            Self::Unidentified => "Unidentified",
            Self::Quarantined => "Quarantined",
            Self::Held => "Held",
            Self::Due => "Due",
            Self::Reaping => "Reaping",
        }
    }
}
