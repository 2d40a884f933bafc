//! The world as a value, to be kept in a file between two runs. The database is not part of it: it has a file of
//! its own. Neither are the ledger, the counts and the faults.

use serde_json::{Value, json};

use crate::cloud::SimCloud;
use crate::config::SimConfig;
use crate::world::State;

/// The shape of the value; another number is another shape.
const VERSION: u64 = 1;

/// Why a snapshot cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It was written by another version of the simulator.
    #[error("the snapshot has version {0}, this simulator reads version {VERSION}")]
    Version(u64),
    /// It is not a snapshot, or a damaged one.
    #[error("the snapshot cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

impl SimCloud {
    /// Services, projects, builds, target groups and all that is still to happen to them.
    ///
    /// # Panics
    /// Never: the world is made of what JSON can hold.
    pub fn snapshot(&self) -> Value {
        let (sim, _) = self.shared.now();
        let world = serde_json::to_value(&sim.state).expect("the world holds only names, numbers and times");
        json!({"version": VERSION, "world": world})
    }

    /// A cloud that goes on from a snapshot. What was due meanwhile happens at the first look.
    pub fn restore(config: SimConfig, mut snapshot: Value) -> Result<Self, RestoreError> {
        let version = snapshot.get("version").and_then(Value::as_u64).unwrap_or(0);
        if version != VERSION {
            return Err(RestoreError::Version(version));
        }
        let state: State =
            serde_json::from_value(snapshot["world"].take()).map_err(RestoreError::Unreadable)?;
        Ok(Self::with_state(config, state))
    }
}
