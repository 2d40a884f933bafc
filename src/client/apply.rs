//! Makes a row from what is there and what was given. Judges nothing: the server says what is wrong.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::args::Apply;
use super::error::ClientError;
use crate::api::dto::RowBody;

/// The server takes no more, so neither do we read more.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What to change of which row.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) id: String,
    /// Attributes to set; null takes one away.
    attributes: Map<String, Value>,
    /// Parameters to set beside those that are there.
    parameters: Map<String, Value>,
}

/// Reads what was given.
pub(super) async fn changes(given: &Apply) -> Result<Changes, ClientError> {
    let mut attributes = match &given.file {
        Some(path) => read(path).await?,
        None => Map::new(),
    };
    let in_file = match attributes.remove("id") {
        None => None,
        Some(Value::String(id)) => Some(id),
        Some(_) => {
            return Err(ClientError::Usage(
                "the id in the file is not a string".to_owned(),
            ));
        }
    };
    let id =
        given.id.clone().or(in_file).ok_or_else(|| {
            ClientError::Usage("name the app: --id, or an attribute id in the file".to_owned())
        })?;
    if id.is_empty() {
        return Err(ClientError::Usage("the id is empty".to_owned()));
    }
    let flags = [
        ("user", &given.user),
        ("app", &given.app),
        ("desired", &given.desired),
        ("hostName", &given.host_name),
        ("timeZone", &given.time_zone),
        ("schedule", &given.schedule),
        ("keepUntil", &given.keep_until),
        ("keepReason", &given.keep_reason),
        ("expiresAt", &given.expires_at),
    ];
    for (name, value) in flags {
        match value.as_deref() {
            None => {}
            Some("") => drop(attributes.insert(name.to_owned(), Value::Null)),
            Some(value) => drop(attributes.insert(name.to_owned(), value.into())),
        }
    }
    let mut parameters = Map::new();
    for text in &given.params {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| ClientError::Usage(format!("--param takes NAME=VALUE, not {text:?}")))?;
        parameters.insert(name.to_owned(), value.into());
    }
    if attributes.is_empty() && parameters.is_empty() {
        return Err(ClientError::Usage(
            "nothing to change: give a file or flags such as --desired Running".to_owned(),
        ));
    }
    Ok(Changes {
        id,
        attributes,
        parameters,
    })
}

impl Changes {
    pub(super) fn destroy(id: String) -> Self {
        Self {
            id,
            attributes: Map::from_iter([("desired".to_owned(), "Destroyed".into())]),
            parameters: Map::new(),
        }
    }

    /// The whole row to write. A change is a new request: the server sets its time, and the portal's
    /// counter goes on by one, so that `observedGeneration` tells when it was seen.
    pub(super) fn applied_to(&self, before: Option<&RowBody>) -> Value {
        let before = before.map(serde_json::to_value);
        let mut row = match before {
            Some(Ok(Value::Object(row))) => row,
            _ => Map::new(),
        };
        row.remove("requestedAt");
        if let Some(generation) = row.get("generation").and_then(Value::as_u64) {
            row.insert("generation".to_owned(), (generation + 1).into());
        }
        for (name, value) in &self.attributes {
            if value.is_null() {
                row.remove(name);
            } else {
                row.insert(name.clone(), value.clone());
            }
        }
        if !self.parameters.is_empty() {
            let there = row
                .entry("parameters")
                .or_insert_with(|| Value::Object(Map::new()));
            // If the file gave something else, the server says that it is no map.
            if let Value::Object(there) = there {
                there.extend(self.parameters.clone());
            }
        }
        Value::Object(row)
    }
}

async fn read(path: &Path) -> Result<Map<String, Value>, ClientError> {
    let name = path.display().to_string();
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        if path.as_os_str() == "-" {
            std::io::stdin()
                .take(FILE_BYTES_MAX + 1)
                .read_to_end(&mut bytes)?;
        } else {
            std::fs::File::open(path)?
                .take(FILE_BYTES_MAX + 1)
                .read_to_end(&mut bytes)?;
        }
        Ok::<_, std::io::Error>(bytes)
    });
    let usage = |why: String| ClientError::Usage(format!("{name}: {why}"));
    let bytes = match reading.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(usage(error.to_string())),
        Err(error) => return Err(usage(error.to_string())),
    };
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(usage("is larger than 64 KB".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| usage(format!("is not a JSON object: {error}")))
}
