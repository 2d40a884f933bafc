//! Bids for slots: the one write to a claim that is not its holder's. It only ever adds to what the claim says,
//! and on the condition that the claim is as it was read; who is to have the slot, the planner decides.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::DynamoDb;
use super::item::{self, BID_AT, BIDDER};
use super::state::unreadable;
use crate::cloud::{Result, aws};
use crate::model::claim::{Bid, Claim, ClaimKey};
use crate::model::name::AppId;

impl DynamoDb {
    pub(super) async fn place_bid(
        &self,
        slot: &ClaimKey,
        holder: &AppId,
        over: Option<&Bid>,
        bid: &Bid,
    ) -> Result<Option<Claim>> {
        let call = "dynamodb.UpdateItem";
        let mut request = self
            .client
            .update_item()
            .table_name(&self.tables.state)
            .key("pk", item::text(slot.as_str()))
            .update_expression("SET #bidder = :bidder, #bidAt = :bidAt")
            .expression_attribute_names("#app", "app")
            .expression_attribute_names("#bidder", BIDDER)
            .expression_attribute_names("#bidAt", BID_AT)
            .expression_attribute_values(":holder", item::text(holder.as_str()))
            .expression_attribute_values(":bidder", item::text(bid.app.as_str()))
            .expression_attribute_values(":bidAt", item::text(bid.at.to_string()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // The holder's name is also what keeps the update from making a claim that is nobody's.
        request = match over {
            None => request.condition_expression("#app = :holder AND attribute_not_exists(#bidder)"),
            Some(over) => request
                .condition_expression("#app = :holder AND #bidder = :over AND #bidAt = :overAt")
                .expression_attribute_values(":over", item::text(over.app.as_str()))
                .expression_attribute_values(":overAt", item::text(over.at.to_string())),
        };
        let answer = request.send().await;
        let stands = match &answer {
            Ok(written) => written.attributes(),
            // Also how a first try looks that succeeded unseen: the claim then carries our bid, and says so.
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item(),
                Some(_) | None => return Err(aws::map(call, answer.expect_err("it is one"))),
            },
        };
        stands
            .map(item::read_claim)
            .transpose()
            .map_err(|problem| unreadable(call, slot.as_str(), &problem))
    }
}
