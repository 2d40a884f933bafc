//! An HTTP client that answers from a list, in order, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lamplighter::cloud::Cloud;
use lamplighter::cloud::aws::{CallObserver, Clients, Simulation};
use lamplighter::cloud::dynamodb::Tables;
use serde_json::Value;

use crate::support::{Calls, NoProber, start};

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status, content type and body.
    Http(u16, &'static str, String),
    /// The connection breaks before an answer.
    Broken,
    /// No answer for a day.
    Hangs,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Http(status, "application/x-amz-json-1.1", body.to_string())
    }

    pub(crate) fn xml(status: u16, body: &str) -> Self {
        Self::Http(status, "text/xml", body.to_owned())
    }
}

/// No test has a reason to ask so often.
const ENDLESS: usize = 5_000;

/// The answers left, and the requests seen. When none is left, the last one is given again.
#[derive(Clone, Debug)]
pub(crate) struct Canned {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            requests: Arc::default(),
        }
    }

    /// These answers from now on, and nothing remembered of what was asked before.
    #[allow(
        dead_code,
        reason = "two test binaries share this, and one of them gives answers anew"
    )]
    pub(crate) fn answer_with(&self, answers: impl IntoIterator<Item = Answer>) {
        *self.answers.lock().unwrap() = answers.into_iter().collect();
        self.requests.lock().unwrap().clear();
    }

    /// The bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .map(|body| serde_json::from_str(body).unwrap())
            .collect()
    }

    /// The edges of a replica that gets these answers, and its observer.
    pub(crate) fn cloud(&self) -> (Cloud, Arc<Calls>) {
        let calls = Arc::new(Calls::default());
        let observer: Arc<dyn CallObserver> = Arc::clone(&calls) as _;
        let simulation = Simulation::new(SharedHttpClient::new(self.clone()), start(), 1);
        let clients = Clients::simulated(&simulation, &observer);
        (
            Cloud::on_aws(&clients, Tables::default(), Arc::new(NoProber)),
            calls,
        )
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        let asked = {
            let mut requests = self.requests.lock().unwrap();
            requests.push(body);
            requests.len()
        };
        assert!(asked < ENDLESS, "it asks on and on");
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers.front().unwrap().clone()
        };
        HttpConnectorFuture::new(async move {
            match answer {
                Answer::Http(status, kind, body) => {
                    let response = http::Response::builder()
                        .status(status)
                        .header("content-type", kind)
                        .header("x-amzn-requestid", "11111111-2222-3333-4444-555555555555")
                        .body(SdkBody::from(body))
                        .unwrap();
                    Ok(HttpResponse::try_from(response).unwrap())
                }
                Answer::Broken => Err(ConnectorError::io("connection reset by peer".into())),
                Answer::Hangs => {
                    // A day, not for ever: on paused time a test of a client without timeouts ends, and fails.
                    tokio::time::sleep(std::time::Duration::from_hours(24)).await;
                    Err(ConnectorError::timeout("no answer in a day".into()))
                }
            }
        })
    }
}
