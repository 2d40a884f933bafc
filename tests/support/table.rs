//! Lamplighter's tables as another program sees them: DynamoDB's own JSON over HTTP, no SDK in between. The
//! AWS CLI would do as well, and takes a second to start.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{post, until, until_within};

/// The two tables that portals know, with their default names.
pub(crate) struct Tables {
    endpoint: String,
    region: &'static str,
}

impl Tables {
    pub(crate) fn at(endpoint: &str, region: &'static str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            region,
        }
    }

    #[track_caller]
    fn call(&self, operation: &str, request: &Value) -> Value {
        let target = format!("DynamoDB_20120810.{operation}");
        // Nobody checks the signature; the Region is read from it.
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{}/dynamodb/aws4_request, SignedHeaders=host, \
             Signature=0",
            self.region
        );
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", target.as_str()),
            ("authorization", signed.as_str()),
        ];
        let answer = post(&format!("{}/", self.endpoint), &headers, &request.to_string());
        let answer = answer.unwrap_or_else(|error| panic!("{operation}: {error}"));
        assert_eq!(answer.status, 200, "{operation}: {}", answer.body);
        answer.json()
    }

    /// Writes a row of text attributes, as a portal does.
    #[track_caller]
    pub(crate) fn put(&self, id: &str, attributes: &[(&str, &str)]) {
        self.put_with(id, attributes, &[]);
    }

    /// The same, with parameters.
    #[track_caller]
    pub(crate) fn put_with(&self, id: &str, attributes: &[(&str, &str)], parameters: &[(&str, &str)]) {
        let mut item = json!({ "id": { "S": id } });
        for (name, value) in attributes {
            item[*name] = json!({ "S": value });
        }
        for (name, value) in parameters {
            item["parameters"]["M"][*name] = json!({ "S": value });
        }
        self.call(
            "PutItem",
            &json!({ "TableName": "lamplighter-desired", "Item": item }),
        );
    }

    /// Deletes a row.
    #[track_caller]
    pub(crate) fn delete(&self, id: &str) {
        let key = json!({ "id": { "S": id } });
        self.call(
            "DeleteItem",
            &json!({ "TableName": "lamplighter-desired", "Key": key }),
        );
    }

    /// The status of an app.
    #[track_caller]
    pub(crate) fn status(&self, id: &str) -> Value {
        let key = json!({ "pk": { "S": format!("app#{id}") } });
        let request = json!({ "TableName": "lamplighter-state", "Key": key, "ConsistentRead": true });
        plain(&self.call("GetItem", &request)["Item"]["status"])
    }

    /// Waits until an app is in a phase, and gives its status then.
    #[track_caller]
    pub(crate) fn until(&self, id: &str, phase: &str) -> Value {
        until(&format!("{id} is {phase}"), || self.in_phase(id, phase))
    }

    /// The same, for what is known to take long.
    #[track_caller]
    pub(crate) fn until_within(&self, limit: std::time::Duration, id: &str, phase: &str) -> Value {
        until_within(limit, &format!("{id} is {phase}"), || self.in_phase(id, phase))
    }

    fn in_phase(&self, id: &str, phase: &str) -> Result<Value, String> {
        let status = self.status(id);
        if status["phase"] == phase {
            Ok(status)
        } else {
            Err(status.to_string())
        }
    }

    /// The items of the state table, by their keys.
    #[track_caller]
    fn items(&self) -> BTreeMap<String, Value> {
        let request = json!({ "TableName": "lamplighter-state", "ConsistentRead": true });
        let answer = self.call("Scan", &request);
        assert!(
            answer["LastEvaluatedKey"].is_null(),
            "a test's table fits one page"
        );
        let items = answer["Items"].as_array().expect("a scan has items");
        let key = |item: &Value| item["pk"]["S"].as_str().expect("an item has a key").to_owned();
        items.iter().map(|item| (key(item), item.clone())).collect()
    }

    /// Who holds each gate: a build, `closed`, or nobody yet.
    #[track_caller]
    pub(crate) fn gates(&self) -> Vec<Option<String>> {
        let items = self.items();
        let gates = items.iter().filter(|(key, _)| key.starts_with("gate#"));
        gates
            .map(|(_, item)| item["build"]["S"].as_str().map(str::to_owned))
            .collect()
    }

    /// The claims that are held.
    #[track_caller]
    pub(crate) fn claims(&self) -> Vec<String> {
        let kinds = ["slot#", "host#", "name#"];
        let keys = self.items().into_keys();
        keys.filter(|key| kinds.iter().any(|kind| key.starts_with(kind)))
            .collect()
    }
}

/// A value of DynamoDB as plain JSON.
fn plain(typed: &Value) -> Value {
    let Some((kind, value)) = typed.as_object().and_then(|one| one.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), value) {
        ("M", Value::Object(map)) => Value::Object(
            map.iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
        ),
        ("L", Value::Array(list)) => list.iter().map(plain).collect(),
        ("N", Value::String(digits)) => digits.parse().map_or(Value::Null, |number: i64| json!(number)),
        _ => value.clone(),
    }
}
