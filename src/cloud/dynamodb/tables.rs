//! Creates the tables, or finds them. Running it twice is the same as running it once.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};

use super::Tables;
use crate::cloud::aws::Clients;
use crate::cloud::{Error, Result, aws};

/// How long a new table may take to become ACTIVE.
const PATIENCE: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_secs(1);

/// What was there, and what was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// The table.
    pub name: String,
    /// Whether it had to be made.
    pub found: Found,
    /// What differs from a table of ours without being wrong, for people.
    pub notes: Vec<String>,
}

/// Whether a table had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was there, with the right key.
    Existing,
    /// It was made.
    Created,
}

/// What a table must look like.
struct Shape<'a> {
    name: &'a str,
    hash: &'static str,
    range: Option<&'static str>,
    stream: bool,
    ttl: Option<&'static str>,
}

/// Makes sure that the three tables are there, ACTIVE, with the right keys; with a stream on the desired
/// table, and with items of the other two that expire. A table with another key is an error, and left alone.
pub async fn create_tables(clients: &Clients, tables: &Tables) -> Result<Vec<TableReport>> {
    let shapes = [
        Shape {
            name: &tables.desired,
            hash: "id",
            range: None,
            stream: true,
            ttl: None,
        },
        Shape {
            name: &tables.state,
            hash: "pk",
            range: None,
            stream: false,
            ttl: Some("ttl"),
        },
        Shape {
            name: &tables.events,
            hash: "id",
            range: Some("at"),
            stream: false,
            ttl: Some("ttl"),
        },
    ];
    let mut reports = Vec::new();
    for shape in &shapes {
        reports.push(ensure(&clients.dynamodb, shape).await?);
    }
    Ok(reports)
}

async fn ensure(client: &Client, shape: &Shape<'_>) -> Result<TableReport> {
    let found = match describe(client, shape.name).await? {
        Some(_) => Found::Existing,
        None => create(client, shape).await?,
    };
    let table = active(client, shape.name).await?;
    check_key(shape, &table)?;
    let mut notes = Vec::new();
    let streams = table
        .stream_specification()
        .is_some_and(StreamSpecification::stream_enabled);
    if shape.stream && !streams {
        notes.push("has no stream: changes are seen at the next sweep only".to_owned());
    }
    if let Some(attribute) = shape.ttl {
        notes.extend(expire_by(client, shape.name, attribute).await?);
    }
    Ok(TableReport {
        name: shape.name.to_owned(),
        found,
        notes,
    })
}

async fn describe(client: &Client, name: &str) -> Result<Option<TableDescription>> {
    match client.describe_table().table_name(name).send().await {
        Ok(answer) => Ok(answer.table),
        Err(error) => match error.as_service_error() {
            Some(DescribeTableError::ResourceNotFoundException(_)) => Ok(None),
            Some(_) | None => Err(aws::map("dynamodb.DescribeTable", error)),
        },
    }
}

async fn create(client: &Client, shape: &Shape<'_>) -> Result<Found> {
    let keys = [(Some(shape.hash), KeyType::Hash), (shape.range, KeyType::Range)];
    let mut request = client
        .create_table()
        .table_name(shape.name)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in keys {
        let Some(name) = name else { continue };
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S);
        request = request
            .key_schema(key.build().expect("name and kind are set"))
            .attribute_definitions(attribute.build().expect("name and type are set"));
    }
    if shape.stream {
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewAndOldImages);
        request = request.stream_specification(stream.build().expect("the switch is set"));
    }
    match request.send().await {
        Ok(_) => Ok(Found::Created),
        Err(error) => match error.as_service_error() {
            // Somebody else, or our own first try, made it in between.
            Some(CreateTableError::ResourceInUseException(_)) => Ok(Found::Existing),
            Some(_) | None => Err(aws::map("dynamodb.CreateTable", error)),
        },
    }
}

async fn active(client: &Client, name: &str) -> Result<TableDescription> {
    let began = tokio::time::Instant::now();
    loop {
        if let Some(table) = describe(client, name).await? {
            // AWS: a table that is being updated serves every call.
            if matches!(
                table.table_status(),
                Some(TableStatus::Active | TableStatus::Updating)
            ) {
                return Ok(table);
            }
        }
        if began.elapsed() > PATIENCE {
            return Err(Error::Unavailable {
                call: "dynamodb.DescribeTable",
                cause: format!("{name} has not become ACTIVE in {} s", PATIENCE.as_secs()).into(),
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn check_key(shape: &Shape<'_>, table: &TableDescription) -> Result<()> {
    let found = |kind: &KeyType| {
        let key = table.key_schema().iter().find(|key| key.key_type() == kind);
        key.map(KeySchemaElement::attribute_name)
    };
    let (hash, range) = (found(&KeyType::Hash), found(&KeyType::Range));
    let strings = table
        .attribute_definitions()
        .iter()
        .filter(|attribute| {
            Some(attribute.attribute_name()) == hash || Some(attribute.attribute_name()) == range
        })
        .all(|attribute| *attribute.attribute_type() == ScalarAttributeType::S);
    if hash == Some(shape.hash) && range == shape.range && strings {
        return Ok(());
    }
    let key = |hash: Option<&str>, range: Option<&str>| match (hash, range) {
        (Some(hash), Some(range)) => format!("{hash} and {range}"),
        (Some(hash), None) => hash.to_owned(),
        (None, _) => "none".to_owned(),
    };
    Err(Error::Unreadable {
        call: "dynamodb.DescribeTable",
        problem: format!(
            "the table {} has the key {}{}, not {} (strings); give another name or remove it",
            shape.name,
            key(hash, range),
            if strings { "" } else { ", not all strings" },
            key(Some(shape.hash), shape.range),
        ),
    })
}

/// Switches expiry on. AWS: it can be changed once an hour only, so what is on already is left alone.
async fn expire_by(client: &Client, table: &str, attribute: &str) -> Result<Option<String>> {
    let answer = client
        .describe_time_to_live()
        .table_name(table)
        .send()
        .await
        .map_err(|e| aws::map("dynamodb.DescribeTimeToLive", e))?;
    let present = answer.time_to_live_description;
    let status = present
        .as_ref()
        .and_then(|ttl| ttl.time_to_live_status().cloned());
    let named = present.as_ref().and_then(|ttl| ttl.attribute_name());
    match status {
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => {
            return Ok(match named {
                Some(named) if named != attribute => Some(format!(
                    "expires items by {named}, not {attribute}: what is over stays in the table"
                )),
                Some(_) | None => None,
            });
        }
        Some(TimeToLiveStatus::Disabling) => {
            return Ok(Some(format!(
                "is switching expiry off: run this again in an hour for {attribute}"
            )));
        }
        Some(_) | None => {}
    }
    let on = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(attribute)
        .build()
        .expect("switch and attribute are set");
    let switched = client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(on)
        .send()
        .await;
    match switched.map_err(|e| aws::map("dynamodb.UpdateTimeToLive", e)) {
        Ok(_) => Ok(None),
        Err(Error::Rejected { message, .. }) if message.contains("already enabled") => Ok(None),
        Err(error) => Err(error),
    }
}
