//! Whatever bytes arrive, the cloud answers and goes on.

use bytes::Bytes;
use proptest::prelude::*;
use simcloud::{SimCloud, SimConfig};

use crate::common::{config, json};

const OPERATIONS: &[&str] = &[
    "CodeBuild_20161006.StartBuild",
    "CodeBuild_20161006.BatchGetBuilds",
    "CodeBuild_20161006.ListBuildsForProject",
    "CodeBuild_20161006.StopBuild",
    "CodeBuild_20161006.CreateProject",
    "CodeBuild_20161006.BatchGetProjects",
    "CodeBuild_20161006.ListProjects",
    "AmazonEC2ContainerServiceV20141113.CreateCluster",
    "AmazonEC2ContainerServiceV20141113.CreateService",
    "AmazonEC2ContainerServiceV20141113.DescribeServices",
    "AmazonEC2ContainerServiceV20141113.ListServices",
    "AmazonEC2ContainerServiceV20141113.UpdateService",
    "AmazonEC2ContainerServiceV20141113.DeleteService",
    "AmazonEC2ContainerServiceV20141113.ListTasks",
    "AmazonEC2ContainerServiceV20141113.DescribeTasks",
    "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition",
    "AmazonEC2ContainerServiceV20141113.TagResource",
    "DynamoDB_20120810.PutItem",
    "DynamoDB_20120810.Scan",
    "DynamoDB_20120810.TransactWriteItems",
    "Logs_20140328.GetLogEvents",
    "nonsense",
    "",
];

const FIELDS: &[&str] = &[
    "projectName",
    "idempotencyToken",
    "environmentVariablesOverride",
    "timeoutInMinutesOverride",
    "ids",
    "names",
    "id",
    "name",
    "nextToken",
    "sortOrder",
    "cluster",
    "clusterName",
    "service",
    "services",
    "serviceName",
    "tasks",
    "taskDefinition",
    "desiredCount",
    "maxResults",
    "family",
    "containerDefinitions",
    "loadBalancers",
    "tags",
    "resourceArn",
    "force",
    "TableName",
    "Item",
    "Limit",
    "TransactItems",
];

fn value() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        Just("childapp".to_owned()),
        Just("apps".to_owned()),
        Just("childapp:".to_owned()),
        Just("arn:aws:ecs:::service/apps/x".to_owned()),
        ".{0,40}",
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        text.prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("name|value|type|key|targetGroupArn|.{0,8}", inner, 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn cloud() -> SimCloud {
    let cloud = SimCloud::new(SimConfig {
        log_lines: 50,
        ..config()
    });
    cloud.create_project("childapp", "apps");
    cloud
}

fn answer(cloud: &SimCloud, request: http::Request<Bytes>) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let reply = cloud.handle(request).await;
        tokio::time::sleep(std::time::Duration::from_mins(5)).await;
        // The world still turns.
        let listed = json(cloud, "CodeBuild_20161006.ListProjects", "{}").await;
        assert_eq!(listed.0, 200);
        reply.response().unwrap().status().as_u16()
    })
}

fn post(headers: &[(&str, &[u8])], uri: &str, body: Vec<u8>) -> Option<http::Request<Bytes>> {
    let mut request = http::Request::post(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::from(body)).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_under_any_target_are_answered(
        operation in prop::sample::select(OPERATIONS),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let request = post(&[("x-amz-target", operation.as_bytes())], "/", body).unwrap();
        prop_assert!((200..600).contains(&answer(&cloud(), request)));
    }

    #[test]
    fn any_json_under_any_target_is_answered(
        operation in prop::sample::select(OPERATIONS),
        fields in prop::collection::btree_map(prop::sample::select(FIELDS), value(), 0..6),
    ) {
        let body = serde_json::to_vec(&fields).unwrap();
        let request = post(&[("x-amz-target", operation.as_bytes())], "/", body).unwrap();
        prop_assert!((200..600).contains(&answer(&cloud(), request)));
    }

    #[test]
    fn any_form_and_any_header_is_answered(
        action in prop_oneof![
            Just("DescribeTargetGroups".to_owned()),
            Just("CreateTargetGroup".to_owned()),
            Just("DescribeTargetHealth".to_owned()),
            Just("GetCallerIdentity".to_owned()),
            ".{0,20}",
        ],
        rest in "[A-Za-z0-9.=&%+ -]{0,120}",
        host in prop::collection::vec(0x20_u8..0x7f, 0..30),
        path in "/[a-z0-9%?&=.<>]{0,30}",
    ) {
        let body = format!("Action={action}&Version=2015-12-01&{rest}").into_bytes();
        let headers: [(&str, &[u8]); 2] = [("content-type", b"application/x-www-form-urlencoded"), ("host", &host)];
        if let Some(request) = post(&headers, &path, body.clone()) {
            prop_assert!((200..600).contains(&answer(&cloud(), request)));
        }
        if let Some(request) = post(&[("host", &host)], &path, body) {
            prop_assert!((200..600).contains(&answer(&cloud(), request)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn deep_json_and_unknown_things_are_refused_in_the_words_of_their_protocol() {
    let cloud = cloud();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (target, body, code) in [
        (
            "CodeBuild_20161006.StartBuild",
            deep.as_str(),
            "SerializationException",
        ),
        ("CodeBuild_20161006.StartBuild", "[]", "SerializationException"),
        ("CodeBuild_20161006.StartBuild", "{", "SerializationException"),
        (
            "CodeBuild_20161006.DeleteProject",
            "{}",
            "UnknownOperationException",
        ),
        ("CodeBuild_20161006.<script>", "{}", "UnknownOperationException"),
        ("AmazonSQS.SendMessage", "{}", "UnknownOperationException"),
    ] {
        let (status, body) = json(&cloud, target, body).await;
        assert_eq!(status, 400);
        assert!(body.contains(code), "{target}: {body}");
    }
    let headers: [(&str, &[u8]); 1] = [("content-type", b"application/x-www-form-urlencoded")];
    let request = post(&headers, "/", b"Action=Nonsense&Version=2015-12-01".to_vec()).unwrap();
    let response = cloud.handle(request).await.response().unwrap();
    assert_eq!(response.status().as_u16(), 400);
    assert!(String::from_utf8_lossy(response.body()).contains("<Code>InvalidAction</Code>"));
}

#[tokio::test(start_paused = true)]
async fn a_tool_may_ask_who_it_is() {
    let headers: [(&str, &[u8]); 1] = [("content-type", b"application/x-www-form-urlencoded")];
    let request = post(
        &headers,
        "/",
        b"Action=GetCallerIdentity&Version=2011-06-15".to_vec(),
    )
    .unwrap();
    let response = cloud().handle(request).await.response().unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(String::from_utf8_lossy(response.body()).contains("<Account>123456789012</Account>"));
}
