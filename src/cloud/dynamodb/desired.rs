//! The desired table: rows come and go whole.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use super::DynamoDb;
use super::item::{self, Item};
use crate::cloud::{DesiredStore, NewRows, Result, Rows, aws, pages};
use crate::model::name::AppId;
use crate::model::row::{ATTRIBUTES, Row};

#[async_trait]
impl DesiredStore for DynamoDb {
    async fn row(&self, id: &AppId) -> Result<Option<Row>> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.tables.desired)
            .key("id", item::text(id.as_str()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| aws::map("dynamodb.GetItem", e))?;
        Ok(answer.item.map(|found| item::read_row(id.clone(), found)))
    }

    async fn rows(&self) -> Result<Rows> {
        let mut rows = Rows::default();
        for found in self.scan(&self.tables.desired).await? {
            match key(&found) {
                Some(id) => {
                    rows.rows.insert(id.clone(), item::read_row(id, found));
                }
                None => rows.unreadable += 1,
            }
        }
        Ok(rows)
    }

    /// An update of every attribute a row may have, so that those of the portal's own (`x-…`) stay.
    async fn put_row(&self, row: &Row) -> Result<()> {
        let mut attributes = item::of_row(row);
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        let mut update = self
            .client
            .update_item()
            .table_name(&self.tables.desired)
            .key("id", item::text(row.id.as_str()));
        for (n, name) in ATTRIBUTES.iter().enumerate().filter(|(_, name)| **name != "id") {
            update = update.expression_attribute_names(format!("#a{n}"), *name);
            if let Some(value) = attributes.remove(*name) {
                set.push(format!("#a{n} = :v{n}"));
                update = update.expression_attribute_values(format!(":v{n}"), value);
            } else {
                remove.push(format!("#a{n}"));
            }
        }
        let clauses: Vec<String> = [("SET", set), ("REMOVE", remove)]
            .into_iter()
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(verb, parts)| format!("{verb} {}", parts.join(", ")))
            .collect();
        let call = "dynamodb.UpdateItem";
        update
            .update_expression(clauses.join(" "))
            .send()
            .await
            .map_err(|e| aws::map(call, e))?;
        Ok(())
    }

    async fn delete_row(&self, id: &AppId) -> Result<()> {
        self.client
            .delete_item()
            .table_name(&self.tables.desired)
            .key("id", item::text(id.as_str()))
            .send()
            .await
            .map_err(|e| aws::map("dynamodb.DeleteItem", e))?;
        Ok(())
    }
}

#[async_trait]
impl NewRows for DynamoDb {
    async fn create_row(&self, row: &Row) -> Result<bool> {
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.desired)
            .set_item(Some(item::of_row(row)))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", "id");
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                Some(_) | None => Err(aws::map("dynamodb.PutItem", error)),
            },
        }
    }
}

pub(super) fn key(item: &Item) -> Option<AppId> {
    match item.get("id") {
        Some(AttributeValue::S(id)) => AppId::from_key(id),
        Some(_) | None => None,
    }
}

impl DynamoDb {
    /// Every item of a table, read consistently. A page that fails fails the whole: what it would have held
    /// must not look deleted.
    pub(super) async fn scan(&self, table: &str) -> Result<Vec<Item>> {
        let call = "dynamodb.Scan";
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .client
                .scan()
                .table_name(table)
                .consistent_read(true)
                .set_exclusive_start_key(after.clone())
                .send()
                .await
                .map_err(|e| aws::map(call, e))?;
            items.extend(pages::listed(call, page.items)?);
            // AWS: a page may be empty and still not be the last; only a missing key ends the scan.
            let last = page.last_evaluated_key.filter(|key| !key.is_empty());
            after = pages::next(call, after.as_ref(), last)?;
            if after.is_none() || planted!(FirstPageOnly) {
                return Ok(items);
            }
        }
    }
}
