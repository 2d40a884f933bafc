//! What the tests share: a cloud on virtual time, the real SDK's clients in front of it, and the table and builds
//! of a child app. No sockets unless a test opens one.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_codebuild::types::{Build, EnvironmentVariable};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use jiff::Timestamp;
use simcloud::{SimCloud, SimConfig, TokioClock};

pub(crate) const TABLE: &str = "lamplighter-state";
pub(crate) const PROJECT: &str = "childapp";
pub(crate) const CLUSTER: &str = "apps";
pub(crate) const HOST: &str = "brave-otter.example.org";
pub(crate) const NAME: &str = "brave-otter-1a2b3c4d";

pub(crate) fn start() -> Timestamp {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

pub(crate) fn config() -> SimConfig {
    SimConfig::with_clock(Arc::new(TokioClock::starting_at(start())))
}

/// The clients of one program, all with standard retries.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) codebuild: aws_sdk_codebuild::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
}

macro_rules! client {
    ($sdk:ident, $cloud:expr, $endpoint:expr, $attempts:expr) => {{
        let mut config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new("eu-west-1"))
            .credentials_provider(Credentials::new("AKIDSIM", "secret", None, None, "test"))
            .retry_config($sdk::config::retry::RetryConfig::standard().with_max_attempts($attempts))
            .stalled_stream_protection($sdk::config::StalledStreamProtectionConfig::disabled())
            .timeout_config(
                $sdk::config::timeout::TimeoutConfig::builder()
                    .operation_attempt_timeout(Duration::from_secs(10))
                    .build(),
            )
            .endpoint_url($endpoint);
        if let Some(cloud) = $cloud {
            let cloud: &SimCloud = cloud;
            config = config.http_client(cloud.http_client());
        }
        $sdk::Client::from_conf(config.build())
    }};
}

impl Clients {
    pub(crate) fn in_memory(cloud: &SimCloud, attempts: u32) -> Self {
        let (cloud, endpoint) = (Some(cloud), "http://simcloud.invalid");
        Self {
            codebuild: client!(aws_sdk_codebuild, cloud, endpoint, attempts),
            ecs: client!(aws_sdk_ecs, cloud, endpoint, attempts),
            elb: client!(aws_sdk_elasticloadbalancingv2, cloud, endpoint, attempts),
            dynamodb: client!(aws_sdk_dynamodb, cloud, endpoint, attempts),
        }
    }

    pub(crate) fn over_tcp(endpoint: &str) -> Self {
        let cloud = None::<&SimCloud>;
        Self {
            codebuild: client!(aws_sdk_codebuild, cloud, endpoint, 1),
            ecs: client!(aws_sdk_ecs, cloud, endpoint, 1),
            elb: client!(aws_sdk_elasticloadbalancingv2, cloud, endpoint, 1),
            dynamodb: client!(aws_sdk_dynamodb, cloud, endpoint, 1),
        }
    }
}

/// A cloud with the project, the cluster and the state table, and clients that try once.
pub(crate) struct Sim {
    pub(crate) cloud: SimCloud,
    pub(crate) aws: Clients,
}

pub(crate) async fn sim() -> Sim {
    sim_with(config()).await
}

pub(crate) async fn sim_with(config: SimConfig) -> Sim {
    let cloud = SimCloud::new(config);
    cloud.create_project(PROJECT, CLUSTER);
    let aws = Clients::in_memory(&cloud, 1);
    create_table(&aws.dynamodb).await;
    Sim { cloud, aws }
}

pub(crate) async fn create_table(dynamodb: &aws_sdk_dynamodb::Client) {
    let key = KeySchemaElement::builder()
        .attribute_name("pk")
        .key_type(KeyType::Hash)
        .build()
        .unwrap();
    let attribute = AttributeDefinition::builder()
        .attribute_name("pk")
        .attribute_type(ScalarAttributeType::S)
        .build()
        .unwrap();
    dynamodb
        .create_table()
        .table_name(TABLE)
        .key_schema(key)
        .attribute_definitions(attribute)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
}

/// What a build of an app is started with.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) action: &'static str,
    pub(crate) host: &'static str,
    pub(crate) name: &'static str,
    pub(crate) operation: Option<String>,
    pub(crate) more: Vec<(&'static str, &'static str)>,
}

pub(crate) fn apply() -> Order {
    Order {
        action: "apply",
        host: HOST,
        name: NAME,
        operation: None,
        more: vec![],
    }
}

pub(crate) fn destroy() -> Order {
    Order {
        action: "destroy",
        ..apply()
    }
}

impl Order {
    pub(crate) fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.more.push((name, value));
        self
    }

    pub(crate) fn environment(&self) -> Vec<EnvironmentVariable> {
        let mut all = vec![
            ("ACTION", self.action),
            ("HOST_NAME", self.host),
            ("RESOURCE_NAME", self.name),
            ("INSTANCE_ID", "otter"),
            ("USER_ID", "ada"),
            ("APP", "notebook"),
        ];
        if let Some(operation) = &self.operation {
            all.push(("LAMPLIGHTER_OPERATION_ID", operation));
            all.push(("LAMPLIGHTER_STATE_TABLE", TABLE));
        }
        all.extend(&self.more);
        all.into_iter()
            .map(|(name, value)| variable(name, value))
            .collect()
    }
}

pub(crate) fn variable(name: &str, value: &str) -> EnvironmentVariable {
    EnvironmentVariable::builder()
        .name(name)
        .value(value)
        .build()
        .unwrap()
}

impl Sim {
    pub(crate) async fn build(&self, order: Order) -> Build {
        self.aws
            .codebuild
            .start_build()
            .project_name(PROJECT)
            .set_environment_variables_override(Some(order.environment()))
            .send()
            .await
            .unwrap()
            .build_value
            .unwrap()
    }

    pub(crate) async fn get(&self, id: &str) -> Build {
        let answer = self
            .aws
            .codebuild
            .batch_get_builds()
            .ids(id)
            .send()
            .await
            .unwrap();
        answer.builds.unwrap().remove(0)
    }

    /// Waits, in virtual time, until the build is complete.
    pub(crate) async fn finish(&self, id: &str) -> Build {
        for _ in 0..600 {
            let build = self.get(id).await;
            if build.build_complete {
                return build;
            }
            wait(15).await;
        }
        panic!("the build never ended");
    }

    pub(crate) async fn run(&self, order: Order) -> Build {
        let started = self.build(order).await;
        self.finish(started.id().unwrap()).await
    }

    /// Opens the gate of an operation.
    pub(crate) async fn open_gate(&self, operation: &str) {
        self.put_gate(operation, None).await;
    }

    pub(crate) async fn put_gate(&self, operation: &str, holder: Option<&str>) {
        let put = self.aws.dynamodb.put_item().table_name(TABLE);
        let mut put = put.item("pk", AttributeValue::S(format!("gate#{operation}")));
        if let Some(holder) = holder {
            put = put.item("build", AttributeValue::S(holder.to_owned()));
        }
        put.send().await.unwrap();
    }

    pub(crate) async fn gate_holder(&self, operation: &str) -> Option<String> {
        let key = AttributeValue::S(format!("gate#{operation}"));
        let answer = self
            .aws
            .dynamodb
            .get_item()
            .table_name(TABLE)
            .key("pk", key)
            .send()
            .await
            .unwrap();
        Some(answer.item?.get("build")?.as_s().unwrap().clone())
    }

    pub(crate) async fn service(&self) -> aws_sdk_ecs::types::Service {
        let answer = self
            .aws
            .ecs
            .describe_services()
            .cluster(CLUSTER)
            .services(NAME)
            .send()
            .await
            .unwrap();
        answer.services.unwrap().remove(0)
    }
}

pub(crate) async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The phase of a build, with its status and first context.
pub(crate) fn phase(build: &Build, name: &str) -> Option<(String, String)> {
    let phase = build
        .phases()
        .iter()
        .find(|phase| phase.phase_type().is_some_and(|kind| kind.as_str() == name))?;
    let status = phase
        .phase_status()
        .map(|status| status.as_str().to_owned())
        .unwrap_or_default();
    let message = phase
        .contexts()
        .first()
        .and_then(|context| context.message())
        .unwrap_or_default()
        .to_owned();
    Some((status, message))
}

pub(crate) fn status(build: &Build) -> &str {
    build.build_status().unwrap().as_str()
}

/// A raw JSON call: the status and the body.
pub(crate) async fn json(cloud: &SimCloud, target: &str, body: &str) -> (u16, String) {
    let request = http::Request::post("http://simcloud.invalid/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .body(bytes::Bytes::copy_from_slice(body.as_bytes()))
        .unwrap();
    let response = cloud.handle(request).await.response().unwrap();
    (
        response.status().as_u16(),
        String::from_utf8_lossy(response.body()).into_owned(),
    )
}

/// A browser's request.
pub(crate) async fn browse(cloud: &SimCloud, host: &str, path: &str) -> (u16, String) {
    let request = http::Request::get(path)
        .header("host", host)
        .body(bytes::Bytes::new())
        .unwrap();
    let response = cloud.handle(request).await.response().unwrap();
    (
        response.status().as_u16(),
        String::from_utf8_lossy(response.body()).into_owned(),
    )
}
