//! Answers of CodeBuild, ECS and load balancing with something wrong in them: what they do not say is unknown. Nothing
//! is absent that AWS did not call missing, and no listing is whole that is not.

use std::collections::BTreeSet;

use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::name::{BuildId, ClusterName, HostName, ProjectName, ResourceName};
use lamplighter::model::observed::Observed;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::canned::Answer;
use crate::feed::{Feed, check, names_the_call};
use crate::mutate::{mutated, mutated_xml, spoilt};
use crate::support::{blueprint, id, operation, start};

/// A good answer with something wrong in it, mostly with the status of one. None for which the SDK would try again, so
/// that each answer belongs to one call.
fn answers(good: Value) -> BoxedStrategy<(u16, String)> {
    let status = select(&[200_u16, 200, 200, 200, 200, 200, 204, 302, 400, 404][..]);
    (
        status,
        spoilt(mutated(good).prop_map(|body| body.to_string()).boxed()),
    )
        .boxed()
}

fn http((status, body): &(u16, String)) -> Answer {
    Answer::Http(*status, "application/x-amz-json-1.1", body.clone())
}

/// The answer as JSON, if it is one.
fn said((status, body): &(u16, String)) -> Option<Value> {
    parsed(body).filter(|body| *status < 300 && body.is_object())
}

/// JSON as the SDK reads it, which takes control characters as they come.
pub(crate) fn parsed(body: &str) -> Option<Value> {
    let escape = |c: char| {
        if c.is_ascii_control() {
            format!("\\u{:04x}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    serde_json::from_str(&body.chars().map(escape).collect::<String>()).ok()
}

fn build(n: u8) -> Value {
    json!({
        "id": format!("childapp:{n}"), "arn": format!("arn:aws:codebuild:eu-west-1:123456789012:build/childapp:{n}"),
        "buildNumber": n, "startTime": 1_795_000_000.123, "endTime": 1_795_000_300.5, "currentPhase": "COMPLETED",
        "buildStatus": "FAILED", "buildComplete": true, "projectName": "childapp", "timeoutInMinutes": 60,
        "phases": [
            {"phaseType": "QUEUED", "phaseStatus": "SUCCEEDED", "startTime": 1_795_000_000.0, "durationInSeconds": 2},
            {"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": "exit status 1"}]},
            {"phaseType": "COMPLETED", "startTime": 1_795_000_300.5},
        ],
        "environment": {"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL", "environmentVariables": [
            {"name": "INSTANCE_ID", "value": "a1", "type": "PLAINTEXT"},
            {"name": "SECRET", "value": "/a/b", "type": "PARAMETER_STORE"},
        ]},
        "logs": {"groupName": "g", "streamName": "s", "deepLink": "https://console.aws.amazon.com/x"},
    })
}

#[test]
fn a_build_is_gone_only_where_codebuild_says_that_it_was_not_found() {
    let feed = Feed::new();
    let good = json!({"builds": [build(1)], "buildsNotFound": ["childapp:2", "childapp:9"]});
    check(1_000, &answers(good), |answer| {
        let ids = ["childapp:1", "childapp:2", "childapp:3"].map(BuildId::new);
        let seen = feed.ask(&[http(&answer)], async |cloud| cloud.builds.look(&ids).await);
        prop_assert_eq!(seen.len(), ids.len());
        // The SDK reads some text that is no JSON.
        let Some(said) = said(&answer) else { return Ok(()) };
        let lost = said["buildsNotFound"].as_array().cloned().unwrap_or_default();
        for (id, seen) in seen {
            match seen {
                Observed::Unknown => {}
                Observed::Absent => prop_assert!(lost.contains(&json!(id.as_str())), "{id} is gone"),
                Observed::Present(build) => {
                    let builds = said["builds"].as_array().cloned().unwrap_or_default();
                    prop_assert!(
                        builds.iter().any(|other| other["id"] == json!(id.as_str())),
                        "{build:?}"
                    );
                    prop_assert!(build.phase.chars().count() <= 61 && !build.phase.contains('\n'));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_listing_of_builds_is_whole_or_an_error() {
    let feed = Feed::new();
    let list = answers(json!({"ids": ["childapp:1", "childapp:2"], "nextToken": "more"}));
    let described = answers(json!({"builds": [build(1), build(2)], "buildsNotFound": []}));
    check(600, &vec((list, described), 1..3), |pages| {
        let answers: Vec<Answer> = pages
            .iter()
            .flat_map(|(list, builds)| [http(list), http(builds)])
            .collect();
        let project = ProjectName::new("childapp");
        let since = start() - jiff::SignedDuration::from_hours(24);
        let listed = feed.ask(&answers, async |cloud| cloud.builds.recent(&project, since).await);
        if let Err(error) = listed {
            return names_the_call(&error, "codebuild.");
        }
        let ids = said(&pages[0].0).is_some_and(|said| said["ids"].is_array());
        prop_assert!(ids, "no builds out of garbage");
        Ok(())
    });
}

#[test]
fn a_build_is_started_only_where_codebuild_says_so() {
    let feed = Feed::new();
    let request = blueprint(&id("a1"), "a1.example.com").request(BuildKind::Apply, &operation(1));
    check(400, &answers(json!({"build": build(1)})), |answer| {
        match feed.ask(&[http(&answer)], async |cloud| cloud.builds.start(&request).await) {
            Err(error) => names_the_call(&error, "codebuild.StartBuild"),
            Ok(started) => {
                let said = said(&answer).unwrap_or_default();
                prop_assert_eq!(&said["build"]["id"], &json!(started.as_str()));
                Ok(())
            }
        }
    });
}

fn name(n: u8) -> ResourceName {
    ResourceName::for_host(&HostName::parse(&format!("a{n}.example.com")).unwrap())
}

fn service(n: u8, status: &str) -> Value {
    json!({
        "serviceName": name(n).as_str(), "status": status, "desiredCount": 1, "runningCount": 1, "pendingCount": 0,
        "serviceArn": format!("arn:aws:ecs:eu-west-1:123456789012:service/apps/{}", name(n)),
        "deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED", "rolloutStateReason": "done", "createdAt": 1_795_000_000.1}],
        "tags": [{"key": "lamplighter:instance-id", "value": "a1"}, {"key": "lamplighter:host-name", "value": "a1.example.com"}],
    })
}

#[test]
fn a_service_is_gone_only_where_ecs_says_missing_or_inactive() {
    let feed = Feed::new();
    let arn = |n| format!("arn:aws:ecs:eu-west-1:123456789012:service/apps/{}", name(n));
    let good = json!({
        "services": [service(1, "ACTIVE"), service(2, "INACTIVE")],
        "failures": [{"arn": arn(3), "reason": "MISSING"}, {"arn": arn(4), "reason": "SOMETHING"}],
    });
    check(1_000, &answers(good), |answer| {
        let names = [1, 2, 3, 4, 5].map(name);
        let cluster = ClusterName::new("apps");
        let seen = feed.ask(&[http(&answer)], async |cloud| {
            cloud.services.look(&cluster, &names).await
        });
        prop_assert_eq!(seen.len(), names.len());
        let said = said(&answer).unwrap_or_default();
        let list = |of: &str| said[of].as_array().cloned().unwrap_or_default();
        for (name, seen) in seen {
            let text = json!(name.as_str());
            let inactive = list("services")
                .iter()
                .any(|s| s["serviceName"] == text && s["status"] == "INACTIVE");
            let ends = |arn: &Value| {
                arn.as_str()
                    .is_some_and(|arn| arn.rsplit('/').next() == Some(name.as_str()))
            };
            let missing = list("failures")
                .iter()
                .any(|f| f["reason"] == "MISSING" && ends(&f["arn"]));
            match seen {
                Observed::Unknown => {}
                Observed::Absent => prop_assert!(inactive || missing, "{name} is gone"),
                Observed::Present(_) => {
                    prop_assert!(
                        list("services").iter().any(|s| s["serviceName"] == text),
                        "{name} is there"
                    );
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_listing_of_services_is_whole_or_an_error() {
    let feed = Feed::new();
    let arns = [
        "arn:aws:ecs:eu-west-1:123456789012:service/apps/one",
        "arn:aws:ecs:eu-west-1:123456789012:service/two",
    ];
    let page = answers(json!({"serviceArns": arns, "nextToken": "more"}));
    check(400, &vec(page, 1..4), |pages| {
        let answers: Vec<Answer> = pages.iter().map(http).collect();
        let cluster = ClusterName::new("apps");
        match feed.ask(&answers, async |cloud| cloud.services.list(&cluster).await) {
            Err(error) => names_the_call(&error, "ecs.ListServices"),
            Ok(names) => {
                let first = said(&pages[0]).unwrap_or_default();
                let arns = first["serviceArns"].as_array().cloned();
                prop_assert!(arns.is_some(), "no services out of garbage");
                let known: BTreeSet<&str> = names.iter().map(ResourceName::as_str).collect();
                for arn in arns.unwrap().iter().filter_map(Value::as_str) {
                    prop_assert!(
                        known.contains(arn.rsplit('/').next().unwrap()),
                        "{arn} is left out"
                    );
                }
                Ok(())
            }
        }
    });
}

#[test]
fn what_ecs_says_of_stopped_tasks_and_counts_is_told_or_an_error() {
    let feed = Feed::new();
    let arn = "arn:aws:ecs:eu-west-1:123456789012:task/apps/1";
    let listed = answers(json!({"taskArns": [arn]}));
    let described = answers(json!({"tasks": [{
        "taskArn": arn, "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
        "stoppedAt": 1_795_000_000.9, "containers": [{"name": "app", "exitCode": 137, "reason": "OutOfMemoryError"}],
    }], "failures": []}));
    check(600, &(listed, described), |(listed, described)| {
        let cluster = ClusterName::new("apps");
        let answers = [http(&listed), http(&described)];
        match feed.ask(&answers, async |cloud| {
            cloud.services.stopped_task(&cluster, &name(1)).await
        }) {
            Err(error) => names_the_call(&error, "ecs.")?,
            Ok(Some(task)) => prop_assert!(task.reason.chars().count() <= 301 && !task.reason.contains('\n')),
            Ok(None) => {}
        }
        let scaled = feed.ask(&[http(&described)], async |cloud| {
            cloud.services.scale(&cluster, &name(1), 1).await
        });
        if let Err(error) = scaled {
            return names_the_call(&error, "ecs.UpdateService");
        }
        prop_assert!(said(&described).is_some(), "scaled, says garbage");
        Ok(())
    });
}

const GROUPS: &str = "<DescribeTargetGroupsResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
    <DescribeTargetGroupsResult><TargetGroups><member><TargetGroupArn>arn:one</TargetGroupArn><TargetGroupName>one</TargetGroupName>\
    <Protocol>HTTP</Protocol><Port>80</Port><LoadBalancerArns><member>arn:lb</member></LoadBalancerArns></member>\
    <member><TargetGroupArn>arn:two</TargetGroupArn><TargetGroupName>two</TargetGroupName><LoadBalancerArns/></member></TargetGroups>\
    <NextMarker>more</NextMarker></DescribeTargetGroupsResult>\
    <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeTargetGroupsResponse>";

const LAST: &str = "<DescribeTargetGroupsResponse><DescribeTargetGroupsResult><TargetGroups><member>\
    <TargetGroupArn>arn:three</TargetGroupArn><TargetGroupName>three</TargetGroupName></member></TargetGroups>\
    </DescribeTargetGroupsResult></DescribeTargetGroupsResponse>";

const HEALTH: &str = "<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions><member>\
    <Target><Id>10.0.0.1</Id><Port>80</Port></Target><TargetHealth><State>unhealthy</State><Reason>Target.Timeout</Reason>\
    <Description>Request timed out</Description></TargetHealth></member></TargetHealthDescriptions></DescribeTargetHealthResult>\
    </DescribeTargetHealthResponse>";

const MISSING: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>TargetGroupNotFound</Code>\
    <Message>One or more target groups not found</Message></Error><RequestId>1</RequestId></ErrorResponse>";

/// XML with something wrong in it, well formed or not.
fn xml(good: &'static str) -> BoxedStrategy<String> {
    spoilt(mutated_xml(good))
}

#[test]
fn a_target_group_is_gone_only_where_a_whole_listing_is_without_it() {
    let feed = Feed::new();
    check(
        1_000,
        &(xml(GROUPS), xml(LAST), xml(HEALTH)),
        |(first, last, health)| {
            let names = ["one", "two", "gone"].map(str::to_owned);
            let answers = [
                Answer::xml(200, &first),
                Answer::xml(200, &last),
                Answer::xml(200, &health),
            ];
            let with_targets = [names[0].clone()].into();
            let seen = feed.ask(&answers, async |cloud| {
                cloud.routes.groups_and_targets(&names, &with_targets).await
            });
            prop_assert_eq!(seen.len(), names.len());
            for name in &names[..2] {
                let told =
                    |page: &String| page.contains(&format!("<TargetGroupName>{name}</TargetGroupName>"));
                // Cut anywhere, it is no listing.
                let cut = GROUPS.starts_with(&first) && first.len() < GROUPS.len();
                prop_assert!(!cut || seen[name] == Observed::Unknown, "half a listing");
                if seen[name] == Observed::Absent {
                    prop_assert!(!told(&first) && !told(&last), "{name} is listed and gone");
                    prop_assert!(first.contains("TargetGroups"), "{name} is gone, says garbage");
                }
            }
            Ok(())
        },
    );
}

#[test]
fn one_target_group_is_gone_only_where_load_balancing_says_so() {
    let feed = Feed::new();
    let given = (select(&[400_u16, 400, 404, 200][..]), xml(MISSING), xml(LAST));
    check(600, &given, |(status, first, listing)| {
        let answers = [Answer::xml(status, &first), Answer::xml(200, &listing)];
        let seen = feed.ask(&answers, async |cloud| {
            cloud.routes.group_with_targets("gone").await
        });
        let says = status >= 400 && first.contains("TargetGroupNotFound");
        let lists = status == 200 && first.contains("TargetGroups") && listing.contains("TargetGroups");
        prop_assert!(
            seen != Observed::Absent || says || lists,
            "it is gone, says garbage"
        );
        Ok(())
    });
}
