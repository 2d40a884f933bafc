//! The state table, read: memories, gates, claims and history. What changes them together is in `write`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;

use super::DynamoDb;
use super::item::{self, Item};
use crate::cloud::{Error, Result, StateSnapshot, StateStore, Swapped, Write, WriteError, aws, pages, text};
use crate::model::claim::{Bid, Claim, ClaimKey};
use crate::model::history::Event;
use crate::model::keep::Ledger;
use crate::model::lease::{Lease, Shard};
use crate::model::memory::Memory;
use crate::model::name::{AppId, OperationId, User};
use crate::model::observed::{ClaimHolders, Gate};
use crate::model::pause::{Pause, PauseScope, Pauses};
use crate::model::policy::Approvals;

/// AWS: the most keys of one `BatchGetItem`.
pub(super) const BATCH_MAX: usize = 100;
/// How often keys that DynamoDB left unprocessed are asked for again.
const BATCH_ROUNDS: u32 = 5;

#[async_trait]
impl StateStore for DynamoDb {
    async fn memory(&self, id: &AppId) -> Result<Option<Memory>> {
        let found = self.item(&item::memory_key(id)).await?;
        found
            .map(|found| item::read_memory(id, found))
            .transpose()
            .map_err(|problem| unreadable("dynamodb.GetItem", &item::memory_key(id), &problem))
    }

    async fn snapshot(&self) -> Result<StateSnapshot> {
        let mut snapshot = StateSnapshot::default();
        for found in self.scan(&self.tables.state).await? {
            let Ok(key) = item::string(&found, "pk") else {
                continue;
            };
            if let Err(problem) = sort(&mut snapshot, &key, found) {
                snapshot.unreadable.insert(key, problem);
            }
        }
        Ok(snapshot)
    }

    async fn claims(&self, keys: &[ClaimKey]) -> Result<ClaimHolders> {
        let mut holders = ClaimHolders::new();
        let keys: Vec<&str> = keys
            .iter()
            .map(ClaimKey::as_str)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        for chunk in keys.chunks(BATCH_MAX) {
            for found in self.batch(chunk).await? {
                let claim = item::string(&found, "pk").and_then(|key| {
                    let key = ClaimKey::from_key(&key).ok_or("pk is not that of a claim")?;
                    Ok((key, item::read_claim(&found)?))
                });
                let (key, claim) =
                    claim.map_err(|problem| unreadable("dynamodb.BatchGetItem", "a claim", &problem))?;
                holders.insert(key, claim);
            }
        }
        Ok(holders)
    }

    async fn gate(&self, operation: &OperationId) -> Result<Option<Gate>> {
        let key = item::gate_key(operation);
        let found = self.item(&key).await?;
        found
            .map(|found| item::read_gate(&found))
            .transpose()
            .map_err(|problem| unreadable("dynamodb.GetItem", &key, &problem))
    }

    async fn close_gate(&self, operation: &OperationId) -> Result<Option<Gate>> {
        let call = "dynamodb.UpdateItem";
        let key = item::gate_key(operation);
        let closed = self
            .client
            .update_item()
            .table_name(&self.tables.state)
            .key("pk", item::text(&key))
            // AWS: an update of an item that is not there creates it. A gate must never come to be that way.
            .condition_expression("attribute_exists(#pk) AND attribute_not_exists(#build)")
            .update_expression("SET #build = :closed")
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#build", "build")
            .expression_attribute_values(":closed", item::text(item::CLOSED))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = closed else {
            return Ok(Some(Gate::Closed));
        };
        match error.as_service_error() {
            // Also how a first try looks that succeeded unseen: the gate is then closed, and says so.
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed
                .item()
                .map(item::read_gate)
                .transpose()
                .map_err(|problem| unreadable(call, &key, &problem)),
            Some(_) | None => Err(aws::map(call, error)),
        }
    }

    async fn bid(
        &self,
        slot: &ClaimKey,
        holder: &AppId,
        over: Option<&Bid>,
        bid: &Bid,
    ) -> Result<Option<Claim>> {
        self.place_bid(slot, holder, over, bid).await
    }

    async fn write(&self, write: &Write) -> std::result::Result<(), WriteError> {
        self.carry_out(write).await
    }

    async fn events(&self, id: &AppId, limit: u32) -> Result<Vec<Event>> {
        self.newest_events(id, None, limit).await
    }

    async fn history(&self, id: &AppId, from: Timestamp, to: Timestamp) -> Result<Vec<Event>> {
        let mut told = self.newest_events(id, Some(from), 1).await?;
        told.extend(self.events_between(id, from, to).await?);
        Ok(told)
    }

    async fn approvals(&self) -> Result<Approvals> {
        let found = self.item(item::DELETIONS).await?;
        found.map_or(Ok(Approvals::default()), |found| {
            item::read_approvals(&found)
                .map_err(|problem| unreadable("dynamodb.GetItem", item::DELETIONS, &problem))
        })
    }

    async fn approve_deletions(&self, seen: Approvals, at: Timestamp) -> Result<()> {
        let counted = self
            .client
            .update_item()
            .table_name(&self.tables.state)
            .key("pk", item::text(item::DELETIONS))
            // The item of an older release has a time and no count.
            .condition_expression("attribute_not_exists(#count) OR #count = :seen")
            .update_expression("SET #count = :next, #at = :at")
            .expression_attribute_names("#count", "approvals")
            .expression_attribute_names("#at", "approvedAt")
            .expression_attribute_values(":seen", item::number(&seen.count))
            .expression_attribute_values(":next", item::number(&seen.count.saturating_add(1)))
            .expression_attribute_values(":at", item::text(at.to_string()))
            .send()
            .await;
        match counted {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // Somebody has approved the same, or it was our own earlier attempt, whose answer got lost.
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                Some(_) | None => Err(aws::map("dynamodb.UpdateItem", error)),
            },
        }
    }

    async fn set_reported(&self, until: Timestamp) -> Result<()> {
        let noted = self
            .client
            .update_item()
            .table_name(&self.tables.state)
            .key("pk", item::text(item::REPORTED))
            .update_expression("SET #until = :until")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":until", item::text(until.to_string()))
            .send()
            .await;
        noted.map_err(|error| aws::map("dynamodb.UpdateItem", error))?;
        Ok(())
    }

    async fn pauses(&self) -> Result<Pauses> {
        let found = self.item(item::PAUSE).await?;
        Ok(found.as_ref().map(item::read_pauses).unwrap_or_default())
    }

    async fn set_pause(&self, scope: &PauseScope, pause: Option<&Pause>) -> Result<Pauses> {
        let request = self
            .client
            .update_item()
            .table_name(&self.tables.state)
            .key("pk", item::text(item::PAUSE))
            .expression_attribute_names("#scope", item::pause_name(scope))
            .return_values(ReturnValue::AllNew);
        let request = match pause {
            Some(pause) => request
                .update_expression("SET #scope = :pause")
                .expression_attribute_values(":pause", item::of_pause(pause)),
            None => request.update_expression("REMOVE #scope"),
        };
        let answer = request
            .send()
            .await
            .map_err(|e| aws::map("dynamodb.UpdateItem", e))?;
        Ok(answer
            .attributes
            .as_ref()
            .map(item::read_pauses)
            .unwrap_or_default())
    }

    async fn keeps(&self, user: &User) -> Result<Option<Ledger>> {
        self.read_keeps(user).await
    }

    async fn swap_keeps(&self, user: &User, over: u64, new: &Ledger, line: &Event) -> Result<bool> {
        self.store_keeps(user, over, new, line).await
    }

    async fn leases(&self, shards: &[Shard]) -> Result<BTreeMap<Shard, Lease>> {
        self.read_leases(shards).await
    }

    async fn swap_lease(&self, shard: Shard, expected: Option<&Lease>, new: &Lease) -> Result<Swapped> {
        self.store_lease(shard, expected, new).await
    }
}

/// Puts one item where its key says it belongs. Keys of other kinds, such as leases, are somebody else's.
fn sort(snapshot: &mut StateSnapshot, key: &str, found: Item) -> std::result::Result<(), String> {
    if let Some(id) = key.strip_prefix("app#") {
        let id = AppId::from_key(id).ok_or("the key is not that of an app")?;
        let memory = item::read_memory(&id, found)?;
        snapshot.memories.insert(id, memory);
    } else if let Some(operation) = key.strip_prefix("gate#") {
        let gate = item::read_gate(&found)?;
        snapshot.gates.insert(text::name(operation)?, gate);
    } else if let Some(claim) = ClaimKey::from_key(key) {
        snapshot.claims.insert(claim, item::read_claim(&found)?);
    } else if let Some(user) = key.strip_prefix(item::KEEPS) {
        let user = User::parse(user).map_err(|_| "the key is not that of a user")?;
        snapshot.keeps.insert(user, item::read_keeps(found)?);
    } else if key == item::DELETIONS {
        snapshot.approvals = item::read_approvals(&found)?;
    } else if key == item::REPORTED {
        snapshot.reported = item::read_reported(&found);
    } else if key == item::PAUSE {
        snapshot.pauses = item::read_pauses(&found);
    }
    Ok(())
}

pub(super) fn unreadable(call: &'static str, key: &str, problem: &str) -> Error {
    Error::Unreadable {
        call,
        problem: text::one_line(&format!("{key}: {problem}"), text::SENTENCE_MAX),
    }
}

impl DynamoDb {
    pub(super) async fn item(&self, key: &str) -> Result<Option<Item>> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.tables.state)
            .key("pk", item::text(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| aws::map("dynamodb.GetItem", e))?;
        Ok(answer.item)
    }

    /// Up to 100 items of the state table. AWS: an answer may leave keys unprocessed, and says which.
    pub(super) async fn batch(&self, keys: &[&str]) -> Result<Vec<Item>> {
        let call = "dynamodb.BatchGetItem";
        let wanted = |key: &&str| {
            BTreeMap::from([("pk".to_owned(), item::text(*key))])
                .into_iter()
                .collect()
        };
        let mut left = KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(wanted).collect()))
            .consistent_read(true)
            .build()
            .expect("the keys are set");
        let mut items = Vec::new();
        for round in 0..BATCH_ROUNDS {
            if round > 0 {
                tokio::time::sleep(Duration::from_millis(25 << round)).await;
            }
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.tables.state, left)
                .send()
                .await
                .map_err(|e| aws::map(call, e))?;
            items.extend(pages::listed(call, answer.responses)?.into_values().flatten());
            match answer
                .unprocessed_keys
                .and_then(|mut tables| tables.remove(&self.tables.state))
            {
                Some(rest) if !rest.keys.is_empty() => left = rest,
                Some(_) | None => return Ok(items),
            }
        }
        Err(Error::Throttled {
            call,
            cause: format!("{} keys stayed unprocessed", left.keys.len()).into(),
        })
    }
}
