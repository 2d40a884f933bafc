//! Rows of any kind: each is read by itself, what is wrong with it is said, and the planner can live with it.

use std::collections::BTreeSet;

use lamplighter::model::name::AppId;
use lamplighter::model::observed::Observed;
use lamplighter::model::row::Row;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::answers::parsed;
use crate::canned::Answer;
use crate::feed::{Feed, check, names_the_call};
use crate::mutate::{mutated, spoilt};
use crate::planned::{lives, sight};
use crate::values::{key, row};

pub(crate) fn item((key, mut row): (Value, Map<String, Value>)) -> Value {
    row.insert("id".to_owned(), key);
    Value::Object(row)
}

/// The id that a key stands for, if it can be remembered.
pub(crate) fn id_of(item: &Value) -> Option<AppId> {
    AppId::from_key(item["id"]["S"].as_str()?)
}

pub(crate) fn page(items: &[Value]) -> Answer {
    Answer::json(
        200,
        &json!({"Items": items, "Count": items.len(), "ScannedCount": items.len()}),
    )
}

/// Every problem names a field, says what is wrong in one line, and how it is mended.
pub(crate) fn complaint(row: &Row) -> Option<String> {
    let bad = |text: &str| text.is_empty() || text.len() > 1_000 || text.chars().any(char::is_control);
    let problem = row.problems.iter().find(|problem| {
        bad(&problem.field) && !problem.field.is_empty() || bad(&problem.problem) || bad(&problem.remedy)
    });
    let silent =
        row.problems.is_empty() && (row.user.is_none() || row.app.is_none() || row.desired.is_none());
    match problem {
        Some(problem) => Some(format!("{problem:?}")),
        None if silent => Some("a row lacks what it needs, and nothing is said".to_owned()),
        None => None,
    }
}

#[test]
fn rows_of_any_kind_are_read_each_by_itself_and_planned() {
    let feed = Feed::new();
    let given = (vec((key(), row()), 1..6), vec(sight(), 1..12));
    check(600, &given, |(items, sights)| {
        let items: Vec<Value> = items.into_iter().map(item).collect();
        let found = feed.ask(&[page(&items)], async |cloud| cloud.desired.rows().await);
        let found = found.map_err(|error| TestCaseError::fail(error.chain()))?;
        let ids: BTreeSet<AppId> = items.iter().filter_map(id_of).collect();
        prop_assert_eq!(found.rows.keys().cloned().collect::<BTreeSet<_>>(), ids.clone());
        prop_assert_eq!(
            found.unreadable,
            items.iter().filter(|item| id_of(item).is_none()).count()
        );
        for row in found.rows.values() {
            prop_assert_eq!(complaint(row), None);
        }
        let Some(id) = ids.first() else { return Ok(()) };
        // The rows one after the other, as if they were of one app, and sometimes none.
        let mut rows: Vec<Observed<Row>> = found.rows.into_values().map(Observed::Present).collect();
        rows.push(Observed::Absent);
        lives(id, &rows, Observed::Absent, &sights).map_err(TestCaseError::fail)
    });
}

#[test]
fn one_row_is_read_as_the_same_row_of_a_listing_and_never_as_none() {
    let feed = Feed::new();
    check(400, &row(), |row| {
        let item = item((json!({"S": "a1"}), row));
        let id = AppId::from_key("a1").unwrap();
        let one = [Answer::json(200, &json!({"Item": item}))];
        let one = feed.ask(&one, async |cloud| cloud.desired.row(&id).await);
        let all = feed.ask(&[page(&[item])], async |cloud| cloud.desired.rows().await);
        let (one, all) = (one.unwrap(), all.unwrap());
        prop_assert!(one.is_some());
        prop_assert_eq!(one.as_ref(), all.rows.get(&id));
        Ok(())
    });
}

#[test]
fn a_listing_that_is_not_whole_is_no_listing() {
    let feed = Feed::new();
    let good = json!({"Items": [
        {"id": {"S": "a1"}, "user": {"S": "ann"}, "app": {"S": "shop"}, "desired": {"S": "Running"}},
        {"id": {"S": "b1"}, "user": {"S": "bob"}, "parameters": {"M": {"SIZE": {"S": "small"}}}},
    ], "Count": 2, "ScannedCount": 2, "LastEvaluatedKey": {"id": {"S": "b1"}}});
    let pages = vec(
        spoilt(mutated(good).prop_map(|body| body.to_string()).boxed()),
        1..4,
    );
    check(400, &pages, |pages| {
        let answers: Vec<Answer> = pages
            .iter()
            .map(|body| Answer::Http(200, "application/x-amz-json-1.0", body.clone()))
            .collect();
        match feed.ask(&answers, async |cloud| cloud.desired.rows().await) {
            Err(error) => names_the_call(&error, "dynamodb.Scan"),
            Ok(rows) => {
                let body: Option<Value> = parsed(&pages[0]);
                let items = body.as_ref().and_then(|body| body["Items"].as_array());
                prop_assert!(items.is_some(), "an empty table out of {:?}", pages[0]);
                let ids: BTreeSet<AppId> = items.unwrap().iter().filter_map(id_of).collect();
                prop_assert!(ids.iter().all(|id| rows.rows.contains_key(id)), "a row is lost");
                Ok(())
            }
        }
    });
}

#[test]
fn one_row_is_absent_only_where_dynamodb_says_so() {
    let feed = Feed::new();
    let good = json!({"Item": {"id": {"S": "a1"}, "user": {"S": "ann"}, "app": {"S": "shop"}}});
    let body = spoilt(mutated(good).prop_map(|body| body.to_string()).boxed());
    check(400, &body, |body| {
        let answer = [Answer::Http(200, "application/x-amz-json-1.0", body.clone())];
        let id = AppId::from_key("a1").unwrap();
        match feed.ask(&answer, async |cloud| cloud.desired.row(&id).await) {
            Err(error) => names_the_call(&error, "dynamodb.GetItem"),
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                let body: Option<Value> = parsed(&body);
                let says = body.is_some_and(|body| body.is_object() && body["Item"].is_null());
                prop_assert!(says, "absence out of garbage");
                Ok(())
            }
        }
    });
}
