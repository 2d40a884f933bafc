//! HTTP and the desired table as somebody outside uses them: requests as they come, rows as they please.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::Lab;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

pub async fn get(url: &str) -> Answer {
    ask(Method::GET, url, None).await
}

/// One request over a connection of its own.
pub async fn ask(method: Method, url: &str, body: Option<&Value>) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut request = Request::builder().method(method).uri(url);
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    let answer = client
        .request(request.body(Full::from(body)).unwrap())
        .await
        .unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// A string attribute.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub fn n(number: &str) -> AttributeValue {
    AttributeValue::N(number.to_owned())
}

/// A map of strings.
pub fn m<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> AttributeValue {
    AttributeValue::M(
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), s(value)))
            .collect(),
    )
}

impl Lab {
    /// The database without any of our own code in between.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::new("portal", "portal", None, None, "lab"))
            .endpoint_url(&self.url);
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// Writes a row as it stands, good or not.
    pub async fn put_raw(&self, id: &str, attributes: impl IntoIterator<Item = (&str, AttributeValue)>) {
        let attributes = attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let put = self
            .dynamodb()
            .put_item()
            .table_name(&self.config.tables.desired)
            .item("id", s(id));
        attributes
            .fold(put, |put, (name, value)| put.item(name, value))
            .send()
            .await
            .unwrap();
    }
}
