//! The one way memory changes: a write that is conditional on the version that was read, and that carries
//! gate, claims and history with it or does nothing at all.
//!
//! An answer can get lost although the write was carried out. The SDK then tries again, its condition fails
//! against our own first try, and DynamoDB returns what is stored; if that is what we meant to store, the
//! write has succeeded. Two writers whose writes are equal to the last byte both succeed by this rule: there
//! is nothing to tell them apart, and one and the same effect.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use sha2::{Digest as _, Sha256};

use super::DynamoDb;
use super::actions::{ALL_OLD, FREE, Part, TRANSACT, UNCHANGED, encoded, expected};
use super::item::{self, Item};
use crate::cloud::{Error, Write, WriteError, aws, text};

pub(super) type Outcome<T> = std::result::Result<T, WriteError>;

/// What became of a transaction.
enum Sent {
    Done,
    /// The gate that was to expire is gone already, which is as good, but has undone all the rest.
    NothingToExpire,
}

impl DynamoDb {
    pub(super) async fn carry_out(&self, write: &Write) -> Outcome<()> {
        let alone = write.events.is_empty()
            && write.open_gate.is_none()
            && write.take.is_empty()
            && write.release.is_empty()
            && write.expire_gate.is_none();
        if alone && write.forget {
            return self.delete_memory(write).await;
        }
        if alone {
            return self.put_memory(write).await;
        }
        match self.transact(write).await? {
            Sent::Done => Ok(()),
            Sent::NothingToExpire => {
                let mut rest = write.clone();
                rest.expire_gate = None;
                match self.transact(&rest).await? {
                    Sent::Done | Sent::NothingToExpire => Ok(()),
                }
            }
        }
    }

    async fn put_memory(&self, write: &Write) -> Outcome<()> {
        let call = "dynamodb.PutItem";
        let mut request = self
            .client
            .put_item()
            .table_name(&self.tables.state)
            .set_item(Some(encoded(call, item::of_memory(&write.memory))?))
            .return_values_on_condition_check_failure(ALL_OLD);
        request = match expected(write) {
            Some(version) => request
                .condition_expression(UNCHANGED)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":expected", version),
            None => request
                .condition_expression(FREE)
                .expression_attribute_names("#pk", "pk"),
        };
        let Err(error) = request.send().await else {
            return Ok(());
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                version_conflict_unless_done(write, failed.item())
            }
            Some(_) | None => Err(aws::map(call, error).into()),
        }
    }

    async fn delete_memory(&self, write: &Write) -> Outcome<()> {
        let call = "dynamodb.DeleteItem";
        let mut request = self
            .client
            .delete_item()
            .table_name(&self.tables.state)
            .key("pk", item::text(item::memory_key(&write.memory.id)))
            .return_values_on_condition_check_failure(ALL_OLD);
        request = match expected(write) {
            Some(version) => request
                .condition_expression(UNCHANGED)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":expected", version),
            None => request
                .condition_expression(FREE)
                .expression_attribute_names("#pk", "pk"),
        };
        let Err(error) = request.send().await else {
            return Ok(());
        };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                version_conflict_unless_done(write, failed.item())
            }
            Some(_) | None => Err(aws::map(call, error).into()),
        }
    }

    async fn transact(&self, write: &Write) -> Outcome<Sent> {
        let (parts, actions): (Vec<Part>, Vec<TransactWriteItem>) = self.actions(write)?.into_iter().unzip();
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(actions))
            .client_request_token(token(write))
            .send()
            .await;
        let Err(error) = sent else {
            return Ok(Sent::Done);
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                canceled_because(write, &parts, canceled.cancellation_reasons())
            }
            // AWS: the token is good for ten minutes and for one content only. Another content under our
            // token is another writer's.
            Some(TransactWriteItemsError::IdempotentParameterMismatchException(_)) => {
                Err(WriteError::VersionConflict)
            }
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => Err(in_progress(error)),
            Some(_) | None => Err(aws::map(TRANSACT, error).into()),
        }
    }
}

/// The condition on memory failed. If what is stored is what we meant to store, our own first try did it.
fn version_conflict_unless_done(write: &Write, stored: Option<&Item>) -> Outcome<()> {
    let done = match stored {
        None => write.forget,
        Some(stored) if !write.forget => {
            let stored = item::read_memory(&write.memory.id, stored.clone());
            stored.is_ok_and(|stored| stored == write.memory)
        }
        Some(_) => false,
    };
    if done {
        Ok(())
    } else {
        Err(WriteError::VersionConflict)
    }
}

/// Reads the reasons of a cancelled transaction, which AWS gives in the order of the actions. Memory speaks
/// first, because it also says whether our own first try is what stands in the way.
fn canceled_because(write: &Write, parts: &[Part], reasons: &[CancellationReason]) -> Outcome<Sent> {
    let failed = || {
        parts
            .iter()
            .zip(reasons)
            .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
    };
    for (part, reason) in failed() {
        if let Part::Memory = part {
            return version_conflict_unless_done(write, reason.item()).map(|()| Sent::Done);
        }
    }
    for (part, reason) in failed() {
        match part {
            Part::Claim(key) => {
                return Err(WriteError::ClaimTaken {
                    key: key.clone(),
                    holder: reason.item().and_then(|found| item::read_claim(found).ok()),
                });
            }
            // An operation of this id was begun by somebody else.
            Part::Gate => return Err(WriteError::VersionConflict),
            Part::Memory | Part::Expiry | Part::Event => {}
        }
    }
    // AWS: a transaction is cancelled at once when another one, or a plain write, is at work on an item.
    let other = reasons
        .iter()
        .find(|reason| !matches!(reason.code(), None | Some("None" | "ConditionalCheckFailed")));
    let Some(reason) = other else {
        if failed().any(|(part, _)| matches!(part, Part::Expiry)) {
            return Ok(Sent::NothingToExpire);
        }
        let problem = "a transaction was cancelled without a reason".to_owned();
        return Err(Error::Unreadable {
            call: TRANSACT,
            problem,
        }
        .into());
    };
    let code = reason.code().unwrap_or_default().to_owned();
    let message = text::one_line(reason.message().unwrap_or_default(), text::SENTENCE_MAX);
    Err(match code.as_str() {
        "TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError" => Error::Throttled {
            call: TRANSACT,
            cause: format!("{code}: {message}").into(),
        },
        _ => Error::Rejected {
            call: TRANSACT,
            code,
            message,
        },
    }
    .into())
}

/// AWS: our own earlier request with this token is still under way, so it may yet take effect.
fn in_progress(error: SdkError<TransactWriteItemsError>) -> WriteError {
    WriteError::Other(Error::Unavailable {
        call: TRANSACT,
        cause: Box::new(error),
    })
}

/// The token of a write, equal for equal writes: a write that is sent again, even after a crash, is the same
/// one to DynamoDB. AWS: at most 36 characters.
fn token(write: &Write) -> String {
    let content = (
        (&write.memory, write.expected_version, write.forget, write.at),
        (&write.events, &write.open_gate, &write.take, &write.release),
        &write.expire_gate,
    );
    let bytes = serde_json::to_vec(&content).expect("plain data with string keys always serializes");
    hex::encode(&Sha256::digest(bytes)[..16])
}
