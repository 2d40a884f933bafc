//! Rows of an export: a file with the desired table as `aws dynamodb scan --output json` prints it. They are read as
//! those of the table are.

use serde::Deserialize as _;

use super::desired;
use super::item::{self, Item};
use crate::cloud::{Rows, text};

/// The rows of an export's `Items`. What is wrong with an attribute becomes a problem of its row; an item that is no
/// item of DynamoDB is an error that names it.
pub fn rows(items: Vec<serde_json::Value>) -> Result<Rows, String> {
    let mut rows = Rows::default();
    for (n, value) in items.into_iter().enumerate() {
        let item = serde_dynamo::Item::deserialize(value).map_err(|e| {
            format!(
                "Items[{n}] is no item of DynamoDB ({})",
                text::one_line(&e.to_string(), text::SENTENCE_MAX)
            )
        })?;
        let item = Item::from(item);
        let id = desired::key(&item).ok_or_else(|| {
            format!("Items[{n}].id is not the id of an app: give each its id as {{\"S\": …}}")
        })?;
        if rows.rows.insert(id.clone(), item::read_row(id, item)).is_some() {
            return Err(format!("Items[{n}].id is there twice: keep one of the two"));
        }
    }
    Ok(rows)
}
