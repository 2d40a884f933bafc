//! Reads the body of a write: JSON, at most 64 KB, within ten seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::{Code, Refused};
use crate::model::row::RawValue;

const BYTES_MAX: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of a body that is too large is read and thrown away, so that its sender gets to read our
/// answer instead of a broken connection.
const DRAINED_MAX: usize = 4 * 1024 * 1024;

/// The attributes a body brings.
pub(super) async fn attributes(request: Request) -> Result<BTreeMap<String, RawValue>, Refused> {
    let bytes = json(request).await?;
    serde_json::from_slice(&bytes).map_err(|error| bad_json(&error))
}

/// What the object of a body says. An array is not taken for the fields of a struct in their order.
pub(super) async fn object<T: DeserializeOwned>(request: Request) -> Result<T, Refused> {
    let bytes = json(request).await?;
    let object = serde_json::from_slice(&bytes).map_err(|error| bad_json(&error))?;
    serde_json::from_value(Value::Object(object)).map_err(|error| bad_json(&error))
}

async fn json(request: Request) -> Result<Bytes, Refused> {
    require_json(request.headers())?;
    read(request.into_body()).await
}

fn bad_json(error: &serde_json::Error) -> Refused {
    Refused::new(Code::BadJson, format!("{error}."))
}

/// A browser sends a form or plain text to any site without asking it; for JSON it has to ask, and we
/// never consent.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Refused> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Refused::new(
            Code::NotJson,
            "Send a header `Content-Type: application/json`.",
        ))
    }
}

async fn read(mut body: Body) -> Result<Bytes, Refused> {
    let reading = async {
        match Limited::new(&mut body, BYTES_MAX).collect().await {
            Ok(read) => Ok(read.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                drain(body).await;
                let detail = format!("A body may have {BYTES_MAX} bytes.");
                Err(Refused::new(Code::BodyTooLarge, detail))
            }
            Err(_) => Err(Refused::new(Code::BadRequest, "The body ended early.")),
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| {
        Err(Refused::new(
            Code::BodyTimeout,
            "The body has to arrive within 10 seconds.",
        ))
    })
}

async fn drain(mut body: Body) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.data_ref().map_or(0, Bytes::len);
        if drained > DRAINED_MAX {
            return;
        }
    }
}
