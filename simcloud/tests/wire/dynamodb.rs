//! The embedded database through the cloud: conditions, transactions, errors and streams as the SDK reads them.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};

use crate::common::{TABLE, json, sim};

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_failed_condition_gives_the_item_it_failed_on() {
    let sim = sim().await;
    sim.put_gate("op-1", Some("childapp:1")).await;
    let update = sim
        .aws
        .dynamodb
        .update_item()
        .table_name(TABLE)
        .key("pk", text("gate#op-1"));
    let error = update
        .update_expression("SET build = :closed")
        .condition_expression("attribute_not_exists(build)")
        .expression_attribute_values(":closed", text("closed"))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let failed = match error {
        aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(
            failed,
        ) => failed,
        other => panic!("{other:?}"),
    };
    assert_eq!(failed.item().unwrap()["build"], text("childapp:1"));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_transaction_gives_its_reasons_in_order() {
    let sim = sim().await;
    sim.open_gate("op-1").await;
    let put = |pk: &str| {
        let put = Put::builder().table_name(TABLE).item("pk", text(pk));
        let put = put
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .unwrap();
        TransactWriteItem::builder().put(put).build()
    };
    let write = sim.aws.dynamodb.transact_write_items();
    let error = write
        .transact_items(put("new"))
        .transact_items(put("gate#op-1"))
        .send()
        .await
        .unwrap_err();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error.into_service_error() else {
        panic!("not cancelled");
    };
    let codes: Vec<_> = cancelled
        .cancellation_reasons()
        .iter()
        .map(|reason| reason.code().unwrap())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
}

#[tokio::test(start_paused = true)]
async fn errors_carry_their_codes() {
    let sim = sim().await;
    let error = sim
        .aws
        .dynamodb
        .get_item()
        .table_name("no-such-table")
        .key("pk", text("x"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("ResourceNotFoundException"));
    let error = sim
        .aws
        .dynamodb
        .get_item()
        .table_name(TABLE)
        .key("id", text("x"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    let (status, body) = json(
        &sim.cloud,
        "DynamoDB_20120810.PutItem",
        r#"{"TableName":23,"Item":{}}"#,
    )
    .await;
    assert_eq!(status, 400);
    assert!(body.contains("SerializationException"), "{body}");
    let (status, body) = json(&sim.cloud, "DynamoDB_20120810.Nonsense", "{}").await;
    assert_eq!(status, 400);
    assert!(body.contains("UnknownOperationException"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_scan_hold_together() {
    let sim = sim().await;
    for place in 0..40 {
        sim.open_gate(&format!("op-{place}")).await;
    }
    let pages = sim
        .aws
        .dynamodb
        .scan()
        .table_name(TABLE)
        .limit(7)
        .into_paginator()
        .items()
        .send();
    assert_eq!(pages.collect::<Result<Vec<_>, _>>().await.unwrap().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn streams_are_reached_by_their_own_target() {
    let sim = sim().await;
    let (status, body) = json(&sim.cloud, "DynamoDBStreams_20120810.ListStreams", "{}").await;
    assert_eq!((status, body.contains("Streams")), (200, true), "{body}");
}
