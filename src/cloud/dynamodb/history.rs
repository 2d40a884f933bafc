//! Lines of history, as they lie in the events table: by app, and there by a ULID, which is ordered by time.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use jiff::Timestamp;

use super::{DynamoDb, item};
use crate::cloud::{Result, aws, pages};
use crate::model::history::{Event, first_key};
use crate::model::name::AppId;

const CALL: &str = "dynamodb.Query";

impl DynamoDb {
    /// The newest lines of an app that are older than `before`, or the newest at all, newest first.
    pub(super) async fn newest_events(
        &self,
        id: &AppId,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Event>> {
        let query = match before {
            None => self.lines_of(id).key_condition_expression("#id = :id"),
            Some(before) => self
                .lines_of(id)
                .key_condition_expression("#id = :id AND #at < :before")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":before", item::text(first_key(before))),
        };
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        all(query.scan_index_forward(false), wanted).await
    }

    /// Every line of an app from `from` on and before `to`, oldest first.
    pub(super) async fn events_between(
        &self,
        id: &AppId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Event>> {
        // AWS: BETWEEN refuses bounds that are the wrong way round.
        if from >= to {
            return Ok(Vec::new());
        }
        let query = self
            .lines_of(id)
            .key_condition_expression("#id = :id AND #at BETWEEN :from AND :to")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":from", item::text(first_key(from)))
            .expression_attribute_values(":to", item::text(first_key(to)));
        let mut told = all(query, usize::MAX).await?;
        // It takes in both of its bounds, too.
        told.retain(|line| line.at < first_key(to));
        Ok(told)
    }

    fn lines_of(&self, id: &AppId) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.events)
            .expression_attribute_names("#id", "id")
            .expression_attribute_values(":id", item::text(id.as_str()))
            .consistent_read(true)
    }
}

/// What a query finds, up to so many lines.
async fn all(query: QueryFluentBuilder, wanted: usize) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut after = None;
    loop {
        let left = wanted - events.len();
        let page = query
            .clone()
            .limit(i32::try_from(left.clamp(1, 1000)).unwrap_or(1000))
            .set_exclusive_start_key(after.clone())
            .send()
            .await
            .map_err(|e| aws::map(CALL, e))?;
        // A line that cannot be read, say of an older release, must not hide the others.
        let readable = pages::listed(CALL, page.items)?
            .into_iter()
            .filter_map(|found| item::read_event(found).ok());
        events.extend(readable.take(left));
        let last = page.last_evaluated_key.filter(|key| !key.is_empty());
        after = pages::next(CALL, after.as_ref(), last)?;
        if after.is_none() || events.len() >= wanted {
            return Ok(events);
        }
    }
}
