//! Exemptions: one item for each user, written whole over the version that was read, so that nobody is granted hours
//! that another grant has used. The line of history goes with it, or neither is written.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use super::DynamoDb;
use super::actions::{ALL_OLD, FREE, TRANSACT, UNCHANGED, WHOLE};
use super::item;
use super::state::unreadable;
use crate::cloud::{Error, Result, aws, text};
use crate::model::history::Event;
use crate::model::keep::Ledger;
use crate::model::name::User;

impl DynamoDb {
    pub(super) async fn read_keeps(&self, user: &User) -> Result<Option<Ledger>> {
        let key = item::keeps_key(user);
        let found = self.item(&key).await?;
        let read = found.map(item::read_keeps).transpose();
        read.map_err(|problem| unreadable("dynamodb.GetItem", &key, &problem))
    }

    pub(super) async fn store_keeps(
        &self,
        user: &User,
        over: u64,
        new: &Ledger,
        line: &Event,
    ) -> Result<bool> {
        let broken = |problem| Error::Unreadable {
            call: TRANSACT,
            problem,
        };
        let put = Put::builder()
            .table_name(&self.tables.state)
            .set_item(Some(item::of_keeps(user, new).map_err(broken)?))
            .return_values_on_condition_check_failure(ALL_OLD);
        let put = if over == 0 {
            put.condition_expression(FREE)
                .expression_attribute_names("#pk", "pk")
        } else {
            put.condition_expression(UNCHANGED)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":expected", item::number(&over))
        };
        let told = Put::builder()
            .table_name(&self.tables.events)
            .set_item(Some(item::of_event(line).map_err(broken)?));
        let sent = self
            .client
            .transact_write_items()
            .transact_items(
                TransactWriteItem::builder()
                    .put(put.build().expect(WHOLE))
                    .build(),
            )
            .transact_items(
                TransactWriteItem::builder()
                    .put(told.build().expect(WHOLE))
                    .build(),
            )
            .send()
            .await;
        let Err(error) = sent else {
            return Ok(true);
        };
        let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error()
        else {
            return Err(aws::map(TRANSACT, error));
        };
        let reasons = canceled.cancellation_reasons();
        let failed = reasons
            .first()
            .filter(|reason| reason.code() == Some("ConditionalCheckFailed"));
        if let Some(reason) = failed {
            // If what is stored is what we meant to store, our own first try did it.
            let stored = reason
                .item()
                .and_then(|found| item::read_keeps(found.clone()).ok());
            return Ok(stored.as_ref() == Some(new));
        }
        let code = |reason: &&aws_sdk_dynamodb::types::CancellationReason| {
            !matches!(reason.code(), None | Some("None"))
        };
        let reason = reasons.iter().find(code);
        let code = reason
            .and_then(|reason| reason.code())
            .unwrap_or("no reason given");
        let message = reason.and_then(|reason| reason.message()).unwrap_or_default();
        // AWS: a transaction is cancelled at once when another one is at work on an item.
        Err(match code {
            "TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError" => Error::Throttled {
                call: TRANSACT,
                cause: format!("{code}: {}", text::one_line(message, text::SENTENCE_MAX)).into(),
            },
            _ => Error::Rejected {
                call: TRANSACT,
                code: code.to_owned(),
                message: text::one_line(message, text::SENTENCE_MAX),
            },
        })
    }
}
