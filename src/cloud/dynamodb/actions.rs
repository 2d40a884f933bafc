//! The actions of the one transaction: each with its condition, every attribute name behind an alias, since
//! nearly six hundred words are reserved.

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::DynamoDb;
use super::item::{self, Item};
use super::write::Outcome;
use crate::cloud::{Error, Write, WriteError};
use crate::model::claim::ClaimKey;
use crate::model::name::{AppId, OperationId};

pub(super) const TRANSACT: &str = "dynamodb.TransactWriteItems";
pub(super) const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;
pub(super) const WHOLE: &str = "every required field is set";

/// A claim may be taken or given back by the app that has it.
const FREE_OR_MINE: &str = "attribute_not_exists(#pk) OR #app = :me";
pub(super) const FREE: &str = "attribute_not_exists(#pk)";
pub(super) const UNCHANGED: &str = "#version = :expected";

/// What one action of a transaction is about, so that the reason at the same place can be understood.
pub(super) enum Part {
    Memory,
    Claim(ClaimKey),
    Gate,
    Expiry,
    Event,
}

impl DynamoDb {
    /// The actions of a write, memory first.
    pub(super) fn actions(&self, write: &Write) -> Outcome<Vec<(Part, TransactWriteItem)>> {
        let me = &write.memory.id;
        let mut actions = vec![(Part::Memory, self.memory_action(write)?)];
        for key in &write.take {
            actions.push((Part::Claim(key.clone()), self.take(key, me, write)));
        }
        for key in &write.release {
            actions.push((Part::Claim(key.clone()), self.release(key, me)));
        }
        if let Some(operation) = &write.open_gate {
            actions.push((Part::Gate, self.open_gate(operation, me)));
        }
        if let Some((operation, at)) = &write.expire_gate {
            let expiry = Update::builder()
                .table_name(&self.tables.state)
                .key("pk", item::text(item::gate_key(operation)))
                // Without it, the update of a gate that is gone would create one, and an open one at that.
                .condition_expression("attribute_exists(#pk)")
                .update_expression("SET #ttl = :ttl")
                .expression_attribute_names("#pk", "pk")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":ttl", item::number(&at.as_second()))
                .build()
                .expect(WHOLE);
            actions.push((Part::Expiry, TransactWriteItem::builder().update(expiry).build()));
        }
        for event in &write.events {
            let put = Put::builder()
                .table_name(&self.tables.events)
                .set_item(Some(encoded(TRANSACT, item::of_event(event))?))
                .build()
                .expect(WHOLE);
            actions.push((Part::Event, TransactWriteItem::builder().put(put).build()));
        }
        Ok(actions)
    }

    fn memory_action(&self, write: &Write) -> Outcome<TransactWriteItem> {
        let (condition, name, version) = match expected(write) {
            Some(version) => (UNCHANGED, ("#version", "version"), Some(version)),
            None => (FREE, ("#pk", "pk"), None),
        };
        let values = version.map(|version| [(":expected".to_owned(), version)].into_iter().collect());
        let action = TransactWriteItem::builder();
        if write.forget {
            let delete = Delete::builder()
                .table_name(&self.tables.state)
                .key("pk", item::text(item::memory_key(&write.memory.id)))
                .condition_expression(condition)
                .expression_attribute_names(name.0, name.1)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(ALL_OLD);
            return Ok(action.delete(delete.build().expect(WHOLE)).build());
        }
        let put = Put::builder()
            .table_name(&self.tables.state)
            .set_item(Some(encoded(TRANSACT, item::of_memory(&write.memory))?))
            .condition_expression(condition)
            .expression_attribute_names(name.0, name.1)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ALL_OLD);
        Ok(action.put(put.build().expect(WHOLE)).build())
    }

    /// An update, so that a claim that is ours already keeps its `since`.
    fn take(&self, key: &ClaimKey, me: &AppId, write: &Write) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&self.tables.state)
            .key("pk", item::text(key.as_str()))
            .condition_expression(FREE_OR_MINE)
            .update_expression("SET #app = :me, #since = if_not_exists(#since, :at)")
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#app", "app")
            .expression_attribute_names("#since", "since")
            .expression_attribute_values(":me", item::text(me.as_str()))
            .expression_attribute_values(":at", item::text(write.at.to_string()))
            .return_values_on_condition_check_failure(ALL_OLD)
            .build()
            .expect(WHOLE);
        TransactWriteItem::builder().update(update).build()
    }

    fn release(&self, key: &ClaimKey, me: &AppId) -> TransactWriteItem {
        let delete = Delete::builder()
            .table_name(&self.tables.state)
            .key("pk", item::text(key.as_str()))
            .condition_expression(FREE_OR_MINE)
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#app", "app")
            .expression_attribute_values(":me", item::text(me.as_str()))
            .return_values_on_condition_check_failure(ALL_OLD)
            .build()
            .expect(WHOLE);
        TransactWriteItem::builder().delete(delete).build()
    }

    fn open_gate(&self, operation: &OperationId, me: &AppId) -> TransactWriteItem {
        let put = Put::builder()
            .table_name(&self.tables.state)
            .item("pk", item::text(item::gate_key(operation)))
            // For people who look at the table; a gate is found by its operation alone.
            .item("app", item::text(me.as_str()))
            .condition_expression(FREE)
            .expression_attribute_names("#pk", "pk")
            .return_values_on_condition_check_failure(ALL_OLD)
            .build()
            .expect(WHOLE);
        TransactWriteItem::builder().put(put).build()
    }
}

/// The version that must be stored; `None`: nothing may be.
pub(super) fn expected(write: &Write) -> Option<AttributeValue> {
    (write.expected_version > 0).then(|| item::number(&write.expected_version))
}

pub(super) fn encoded(call: &'static str, item: std::result::Result<Item, String>) -> Outcome<Item> {
    item.map_err(|problem| WriteError::Other(Error::Unreadable { call, problem }))
}
