//! The gate in `PRE_BUILD`: a build asks the database, as its buildspec would with the AWS CLI, whether it is the
//! one build of its operation. Decides nothing itself; the condition does.

use dynoxide::DynoxideError;
use jiff::Timestamp;
use serde_json::json;

use super::behaviour::Behaviour;
use super::builds::Context;
use super::phases::Failure;
use crate::sim::Sim;

const COMMAND: &str = "./gate";

impl Sim {
    /// Passes the gate, or says how the phase fails: exit status 90 when refused, 91 when it could not ask.
    pub(crate) fn pass_gate(&mut self, id: &str, at: Timestamp) -> Result<(), Failure> {
        let contract = &self.config.contract;
        let Some(build) = self.state.builds.get(id) else {
            return Ok(());
        };
        let operation = build.variable(&contract.operation_id);
        let table = build.variable(&contract.state_table);
        let (true, Some(operation), Some(table)) = (contract.gate, operation, table) else {
            return Ok(());
        };
        let lost = build.behaviours.contains(&Behaviour::GateAnswerLost);
        let unreachable = || Err(Failure::failed(Context::command(COMMAND, 91)));
        if build.behaviours.contains(&Behaviour::GateUnreachable) {
            return unreachable();
        }
        let asked = match &self.config.gatekeeper {
            Some(keeper) => Ok(keeper.passes(operation, id)),
            None => self.ask_the_table(table, operation, id),
        };
        match asked {
            Ok(true) => {
                self.ledger.note(at, &format!("{id} passed the gate"));
                self.with_build(id, |build| {
                    build.gate_passed.get_or_insert(at);
                });
                self.check_builds(id, at);
                if lost { unreachable() } else { Ok(()) }
            }
            Ok(false) => Err(Failure::failed(Context::command(COMMAND, 90))),
            Err(error) => {
                self.ledger
                    .note(at, &format!("{id} could not ask the gate: {error}"));
                unreachable()
            }
        }
    }

    /// The condition of the shipped script.
    fn ask_the_table(&self, table: &str, operation: &str, id: &str) -> Result<bool, DynoxideError> {
        let request = json!({
            "TableName": table,
            "Key": {"pk": {"S": format!("gate#{operation}")}},
            "UpdateExpression": "SET #build = :me",
            "ConditionExpression": "attribute_exists(pk) AND (attribute_not_exists(#build) OR #build = :me)",
            "ExpressionAttributeNames": {"#build": "build"},
            "ExpressionAttributeValues": {":me": {"S": id}},
        });
        let asked = serde_json::from_value(request)
            .map_err(|error| DynoxideError::ValidationException(error.to_string()))
            .and_then(|request| self.config.database.update_item(request));
        match asked {
            Ok(_) => Ok(true),
            Err(DynoxideError::ConditionalCheckFailedException(..)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
