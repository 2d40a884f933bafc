//! The cloud as the AWS SDK's HTTP client: the SDK's own requests and answers, in memory. No socket, no thread, no
//! I/O driver; only tokio's timer, and that only for faults that take time.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use crate::cloud::SimCloud;
use crate::wire::answer::{Bytewise, Reply};

impl SimCloud {
    /// An HTTP client for any AWS SDK client; each of them may use a clone.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InMemory { cloud: self.clone() })
    }
}

#[derive(Debug, Clone)]
struct InMemory {
    cloud: SimCloud,
}

impl HttpClient for InMemory {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InMemory {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let cloud = self.cloud.clone();
        HttpConnectorFuture::new(async move {
            let request = into_http(request)?;
            match cloud.handle(request).await {
                Reply::Response(response) => into_sdk(response.map(SdkBody::from)),
                Reply::Reset(response) => into_sdk(response.map(|body| {
                    let half = Bytewise::half(&body);
                    SdkBody::from_body_1_x(half)
                })),
                Reply::Dropped => Err(ConnectorError::io(
                    "connection closed before the message completed".into(),
                )),
                Reply::Hangs => std::future::pending().await,
            }
        })
    }
}

fn into_http(request: HttpRequest) -> Result<http::Request<Bytes>, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    // The operations simulated here all have bodies in memory; none of them streams.
    let body = body.bytes().map(Bytes::copy_from_slice);
    let body = body.ok_or_else(|| ConnectorError::user("the body of the request is a stream".into()))?;
    Ok(http::Request::from_parts(parts, body))
}

fn into_sdk(response: http::Response<SdkBody>) -> Result<HttpResponse, ConnectorError> {
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}
