//! Task definitions: families and their revisions. No more of them than services need to refer to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sim::Sim;

/// A revision of a task definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TaskDefinition {
    pub(crate) arn: String,
    pub(crate) family: String,
    pub(crate) revision: u32,
    pub(crate) registered: Timestamp,
    /// The containers as they were registered.
    pub(crate) containers: serde_json::Value,
}

impl Sim {
    /// The next revision of a family, with one container.
    pub(crate) fn register_revision(&mut self, family: &str, container: &str, at: Timestamp) -> String {
        let containers = serde_json::json!([{"name": container, "image": format!("{container}:latest"), "essential": true}]);
        self.register_task_definition(family, containers, at).arn
    }

    pub(crate) fn register_task_definition(
        &mut self,
        family: &str,
        containers: serde_json::Value,
        at: Timestamp,
    ) -> TaskDefinition {
        let known = self
            .state
            .task_definitions
            .values()
            .filter(|known| known.family == family);
        let revision = known.map(|known| known.revision).max().unwrap_or(0) + 1;
        let name = format!("{family}:{revision}");
        let definition = TaskDefinition {
            arn: self.config.arn("ecs", &format!("task-definition/{name}")),
            family: family.to_owned(),
            revision,
            registered: at,
            containers,
        };
        self.state.task_definitions.insert(name, definition.clone());
        definition
    }
}
