//! How AWS is called: clients with pinned behaviour, bounded time and their own retry budget, each call
//! observed. The adapters beside this module say what is called; none of them configures anything.
//!
//! Everything that makes a run differ from the next (sockets, sleep, time, random ids, jitter) can be
//! replaced by a [`Simulation`], so that the same adapters run in memory on paused time.

use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::invocation_id::{DefaultInvocationIdGenerator, SharedInvocationIdGenerator};
use aws_sdk_codebuild::config::retry::RetryPartition;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_types::sdk_config::{SharedAsyncSleep, SharedTimeSource};
use jiff::Timestamp;

mod error;
mod observer;
mod virtual_time;
mod whole;

pub(super) use error::{chain, map};
pub use observer::{CallObserver, Unobserved};

/// Where AWS is. What is left out comes from the environment, as for any AWS tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The region.
    pub region: Option<String>,
    /// Where every service is reached instead of at AWS.
    pub endpoint_url: Option<String>,
    /// Where DynamoDB is reached, if elsewhere.
    pub dynamodb_endpoint_url: Option<String>,
    /// Whether to sign with made-up credentials, which only an emulator accepts.
    pub made_up_credentials: bool,
}

/// What replaces the outside world in a simulation.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// Answers every request.
    pub http_client: SharedHttpClient,
    /// Signs requests; no one checks.
    pub credentials: Credentials,
    /// How the SDK waits; `None`: on tokio's time, which may be paused.
    pub sleep: Option<SharedAsyncSleep>,
    /// What the SDK takes for the time.
    pub time_source: SharedTimeSource,
    /// Seeds the ids of requests.
    pub seed: u64,
}

impl Simulation {
    /// A simulation whose time is tokio's, counted from `start`. Call it inside the runtime.
    pub fn new(http_client: SharedHttpClient, start: Timestamp, seed: u64) -> Self {
        Self {
            http_client,
            credentials: made_up_credentials(),
            sleep: None,
            time_source: SharedTimeSource::new(virtual_time::VirtualTime::starting_at(start)),
            seed,
        }
    }
}

/// The clients of every service we use. Cheap to clone; clones share connections and retry budget.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(super) codebuild: aws_sdk_codebuild::Client,
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) ecs: aws_sdk_ecs::Client,
    pub(super) elb: aws_sdk_elasticloadbalancingv2::Client,
}

/// Loads credentials and region as every AWS tool does, and makes the clients.
pub async fn load(settings: &Settings, observer: Arc<dyn CallObserver>) -> Clients {
    let mut loader = aws_config::defaults(behavior())
        .retry_config(retries())
        .timeout_config(timeouts())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if settings.made_up_credentials {
        loader = loader.credentials_provider(made_up_credentials());
    }
    let config = loader.load().await;
    Clients::new(
        &config,
        settings.dynamodb_endpoint_url.as_deref(),
        &observer,
        None,
    )
}

impl Clients {
    /// Clients that reach nothing but the simulation.
    pub fn simulated(simulation: &Simulation, observer: &Arc<dyn CallObserver>) -> Self {
        // Jitter comes from a generator of the thread, which no seed of ours reaches, so there is none.
        let retries = retries().with_use_static_exponential_base(true);
        let mut config = SdkConfig::builder()
            .behavior_version(behavior())
            .retry_config(retries)
            .timeout_config(timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(simulation.credentials.clone()))
            .http_client(simulation.http_client.clone())
            .time_source(simulation.time_source.clone());
        config.set_sleep_impl(simulation.sleep.clone());
        Self::new(&config.build(), None, observer, Some(simulation.seed))
    }

    fn new(
        config: &SdkConfig,
        dynamodb_endpoint_url: Option<&str>,
        observer: &Arc<dyn CallObserver>,
        seed: Option<u64>,
    ) -> Self {
        // AWS: the retry quota (500 tokens, 5 for a retry) is shared by every client of the process that
        // has the same service and region. Our own partition keeps a second set of clients out of it.
        let partition = || RetryPartition::custom("lamplighter").build();
        let interceptor = || SharedInterceptor::new(observer::Recorder::new(Arc::clone(observer)));
        let ids = seed.map(DefaultInvocationIdGenerator::with_seed);
        let ids = ids.map(SharedInvocationIdGenerator::new);

        let mut codebuild = aws_sdk_codebuild::config::Builder::from(config)
            .retry_partition(partition())
            .interceptor(interceptor())
            .interceptor(whole::Whole);
        codebuild.set_invocation_id_generator(ids.clone());
        let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_partition(partition())
            .interceptor(interceptor())
            .interceptor(whole::Whole);
        dynamodb.set_invocation_id_generator(ids.clone());
        if let Some(url) = dynamodb_endpoint_url {
            dynamodb.set_endpoint_url(Some(url.to_owned()));
        }
        let mut ecs = aws_sdk_ecs::config::Builder::from(config)
            .retry_partition(partition())
            .interceptor(interceptor())
            .interceptor(whole::Whole);
        ecs.set_invocation_id_generator(ids.clone());
        let mut elb = aws_sdk_elasticloadbalancingv2::config::Builder::from(config)
            .retry_partition(partition())
            .interceptor(interceptor())
            .interceptor(whole::Whole);
        elb.set_invocation_id_generator(ids);
        Self {
            codebuild: aws_sdk_codebuild::Client::from_conf(codebuild.build()),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            ecs: aws_sdk_ecs::Client::from_conf(ecs.build()),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(elb.build()),
        }
    }
}

/// Pinned, so that an update of the SDK cannot change how often or how long we try.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Three attempts. Every call we make may be repeated: reads, conditional writes, `StartBuild` with its
/// token, and absolute values. Not the adaptive mode, in which one throttle holds a quiet client for
/// seconds.
fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3)
}

/// AWS: the SDK sets no limit but the one on connecting, and a socket that hangs would hold a pass for ever.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build()
}

fn made_up_credentials() -> Credentials {
    Credentials::new("made-up", "made-up", None, None, "lamplighter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::credential_fn::provide_credentials_fn;
    use aws_credential_types::provider::error::CredentialsError;

    use crate::cloud::Error;

    async fn without_credentials(why: fn() -> CredentialsError) -> Error {
        let provider = provide_credentials_fn(move || std::future::ready(Err(why())));
        let config = SdkConfig::builder()
            .behavior_version(behavior())
            .retry_config(retries())
            .identity_cache(IdentityCache::no_cache())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(provider));
        let observer: Arc<dyn CallObserver> = Arc::new(Unobserved);
        let clients = Clients::new(&config.build(), None, &observer, None);
        let asked = clients.ecs.list_services().send().await;
        map("ecs.ListServices", asked.expect_err("nothing can be signed"))
    }

    #[tokio::test(start_paused = true)]
    async fn having_no_credentials_is_a_denial_and_not_reaching_their_source_passes() {
        let none = without_credentials(|| CredentialsError::not_loaded("no provider has any")).await;
        assert!(
            matches!(&none, Error::Denied { message, .. } if message.contains("no provider has any")),
            "{}",
            none.chain()
        );
        let broken = without_credentials(|| CredentialsError::provider_error("503 from the agent")).await;
        assert!(matches!(&broken, Error::Unavailable { .. }), "{}", broken.chain());
        assert!(
            broken.chain().contains("503 from the agent"),
            "{}",
            broken.chain()
        );
    }
}
