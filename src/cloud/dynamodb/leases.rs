//! Leases: one item for each shard, which is never deleted and has no expiry, changed by comparing what is
//! stored with what was read. The comparison leaves out the wish of another replica, which moves nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;

use super::DynamoDb;
use super::actions::{ALL_OLD, FREE};
use super::item;
use super::state::{BATCH_MAX, unreadable};
use crate::cloud::{Result, Swapped, aws};
use crate::model::lease::{Lease, Shard};

const OWNED: &str = "#epoch = :was_epoch AND #beat = :was_beat AND #owner = :was_owner";
const GIVEN_BACK: &str = "#epoch = :was_epoch AND #beat = :was_beat AND attribute_not_exists(#owner)";

impl DynamoDb {
    /// One `GetItem`, or a `BatchGetItem` for each hundred.
    pub(super) async fn read_leases(&self, shards: &[Shard]) -> Result<BTreeMap<Shard, Lease>> {
        let mut leases = BTreeMap::new();
        let mut put = |shard: Shard, found: &item::Item| {
            let call = "dynamodb.BatchGetItem";
            let lease = item::read_lease(found);
            let lease = lease.map_err(|problem| unreadable(call, &item::lease_key(shard), &problem))?;
            leases.insert(shard, lease);
            Ok(())
        };
        if let [shard] = shards {
            if let Some(found) = self.item(&item::lease_key(*shard)).await? {
                put(*shard, &found)?;
            }
            return Ok(leases);
        }
        for chunk in shards.chunks(BATCH_MAX) {
            let keys: BTreeMap<String, Shard> = chunk
                .iter()
                .map(|shard| (item::lease_key(*shard), *shard))
                .collect();
            let wanted: Vec<&str> = keys.keys().map(String::as_str).collect();
            for found in self.batch(&wanted).await? {
                let shard = item::string(&found, "pk").ok().and_then(|key| keys.get(&key));
                if let Some(shard) = shard {
                    put(*shard, &found)?;
                }
            }
        }
        Ok(leases)
    }

    /// One conditional `UpdateItem`.
    pub(super) async fn store_lease(
        &self,
        shard: Shard,
        expected: Option<&Lease>,
        new: &Lease,
    ) -> Result<Swapped> {
        let call = "dynamodb.UpdateItem";
        let key = item::lease_key(shard);
        let mut set = "SET #epoch = :epoch, #beat = :beat".to_owned();
        let mut remove = Vec::new();
        let mut request = self
            .client
            .update_item()
            .table_name(&self.tables.state)
            .key("pk", item::text(&key))
            .expression_attribute_names("#epoch", "epoch")
            .expression_attribute_names("#beat", "beat")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#asked", "asked")
            .expression_attribute_values(":epoch", item::number(&new.epoch))
            .expression_attribute_values(":beat", item::number(&new.beat))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ALL_OLD);
        let texts = [("owner", &new.owner), ("asked", &new.asked)];
        for (name, value) in texts {
            match value {
                Some(value) => {
                    let _ = write!(set, ", #{name} = :{name}");
                    request = request.expression_attribute_values(format!(":{name}"), item::text(value));
                }
                None => remove.push(format!("#{name}")),
            }
        }
        if !remove.is_empty() {
            let _ = write!(set, " REMOVE {}", remove.join(", "));
        }
        request = request.update_expression(set);
        request = match expected {
            None => request
                .condition_expression(FREE)
                .expression_attribute_names("#pk", "pk"),
            Some(expected) => {
                let request = request
                    .expression_attribute_values(":was_epoch", item::number(&expected.epoch))
                    .expression_attribute_values(":was_beat", item::number(&expected.beat));
                match &expected.owner {
                    None => request.condition_expression(GIVEN_BACK),
                    Some(owner) => request
                        .condition_expression(OWNED)
                        .expression_attribute_values(":was_owner", item::text(owner)),
                }
            }
        };
        let read =
            |found: &item::Item| item::read_lease(found).map_err(|problem| unreadable(call, &key, &problem));
        match request.send().await {
            Ok(answer) => {
                let before = answer.attributes.as_ref().filter(|found| !found.is_empty());
                // It is stored; that the one before could not be read is nothing to fail for.
                let before = before.and_then(|found| read(found).ok());
                Ok(Swapped::Done { before })
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let stored = failed.item().map(read).transpose()?;
                    // Then it was our own first try, whose answer got lost: nobody else writes our name, nor
                    // gives back what is ours.
                    if stored.as_ref().is_some_and(|stored| stored.unmoved_since(new)) {
                        return Ok(Swapped::Done { before: None });
                    }
                    Ok(Swapped::Lost { stored })
                }
                Some(_) | None => Err(aws::map(call, error)),
            },
        }
    }
}
