//! One round trip per service over a real socket, with real time, and what lost answers look like there.

use aws_sdk_dynamodb::types::AttributeValue;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use simcloud::{Fault, FaultPlan, SimCloud, SimConfig};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::common::{CLUSTER, Clients, HOST, NAME, PROJECT, TABLE, apply, create_table};

struct Served {
    cloud: SimCloud,
    aws: Clients,
    endpoint: String,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn serve() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let cloud = SimCloud::new(SimConfig {
        speed: 20_000.0,
        ..SimConfig::default()
    });
    cloud.create_project(PROJECT, CLUSTER);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn({
        let cloud = cloud.clone();
        async move { cloud.serve(listener, stopped).await }
    });
    let aws = Clients::over_tcp(&endpoint);
    Served {
        cloud,
        aws,
        endpoint,
        stop,
        server,
    }
}

#[tokio::test]
async fn every_service_answers_over_tcp_and_the_app_answers_at_its_host() {
    let served = serve().await;
    create_table(&served.aws.dynamodb).await;
    let gate = served.aws.dynamodb.put_item().table_name(TABLE);
    gate.item("pk", AttributeValue::S("gate#op-1".to_owned()))
        .send()
        .await
        .unwrap();
    let start = served.aws.codebuild.start_build().project_name(PROJECT);
    let start = start.set_environment_variables_override(Some(apply().operation("op-1").environment()));
    let id = start.send().await.unwrap().build_value.unwrap().id.unwrap();
    let mut tries = 0;
    while !served
        .cloud
        .world()
        .service(CLUSTER, NAME)
        .is_some_and(|service| service.up)
    {
        tries += 1;
        assert!(tries < 500, "the app never came up");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let build = served
        .aws
        .codebuild
        .batch_get_builds()
        .ids(&id)
        .send()
        .await
        .unwrap()
        .builds
        .unwrap()
        .remove(0);
    assert_eq!(build.id(), Some(id.as_str()));
    let services = served
        .aws
        .ecs
        .describe_services()
        .cluster(CLUSTER)
        .services(NAME)
        .send()
        .await
        .unwrap();
    assert_eq!(services.services()[0].running_count(), 1);
    let groups = served
        .aws
        .elb
        .describe_target_groups()
        .names(NAME)
        .send()
        .await
        .unwrap();
    assert_eq!(groups.target_groups().len(), 1);

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let request = http::Request::get(format!("{}/", served.endpoint)).header("host", format!("{HOST}:8081"));
    let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains(HOST));

    served.stop.send(()).unwrap();
    served.server.await.unwrap().unwrap();
    assert!(
        served
            .aws
            .ecs
            .list_services()
            .cluster(CLUSTER)
            .send()
            .await
            .is_err(),
        "the port is closed"
    );
}

#[tokio::test]
async fn a_lost_answer_closes_the_connection_and_the_next_call_goes_through() {
    let served = serve().await;
    served
        .cloud
        .faults()
        .set(FaultPlan::new().on("codebuild.StartBuild", 1, Fault::LoseResponse));
    let start = || served.aws.codebuild.start_build().project_name(PROJECT).send();
    let error = start().await.unwrap_err();
    assert!(
        matches!(error, aws_sdk_codebuild::error::SdkError::DispatchFailure(_)),
        "{error:?}"
    );
    start().await.unwrap();
    assert_eq!(served.cloud.world().builds().len(), 2);
    served.stop.send(()).unwrap();
    served.server.await.unwrap().unwrap();
}
