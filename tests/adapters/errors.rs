//! Error answers as AWS spells them, and what each becomes.

use lamplighter::cloud::{Cloud, Error};
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::name::ClusterName;
use lamplighter::model::name::ResourceName;
use lamplighter::model::observed::Observed;
use serde_json::json;

use crate::canned::{Answer, Canned};
use crate::support::{blueprint, id, identity, operation};

/// What a call came to: our error, its words, what the observer was told, and in how many attempts.
struct Came {
    error: Error,
    outcome: &'static str,
    attempts: u32,
}

async fn start_build(cloud: &Cloud) -> Option<Error> {
    let request = blueprint(&id("a1"), "a1.example.com").request(BuildKind::Apply, &operation(1));
    cloud.builds.start(&request).await.err()
}

async fn scale(cloud: &Cloud) -> Option<Error> {
    let (cluster, name) = (ClusterName::new("apps"), service());
    cloud.services.scale(&cluster, &name, 1).await.err()
}

async fn read(cloud: &Cloud) -> Option<Error> {
    cloud.state.memory(&id("a1")).await.err()
}

fn service() -> ResourceName {
    identity("a1.example.com").resource_name
}

macro_rules! came {
    ($call:ident, $answers:expr) => {{
        let (cloud, calls) = Canned::new($answers).cloud();
        let error = $call(&cloud).await.expect("the answer is an error");
        let seen = calls.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        Came {
            error,
            outcome: seen[0].outcome,
            attempts: seen[0].attempts,
        }
    }};
}

fn check(what: &str, came: &Came, kind: &str, outcome: &str, attempts: u32) {
    let found = match &came.error {
        Error::Throttled { .. } => "Throttled",
        Error::LimitReached { .. } => "LimitReached",
        Error::Denied { .. } => "Denied",
        Error::NotFound { .. } => "NotFound",
        Error::Rejected { .. } => "Rejected",
        Error::Unavailable { .. } => "Unavailable",
        Error::Unreadable { .. } => "Unreadable",
    };
    let all = (found, came.outcome, came.attempts);
    assert_eq!(all, (kind, outcome, attempts), "{what}: {}", came.error.chain());
}

/// `service.Operation` answers `status` with this code and sentence.
macro_rules! table {
    ($call:ident: $($status:literal $code:literal $message:literal => $kind:literal $outcome:literal $attempts:literal)*) => {
        $(
            let body = json!({ "__type": $code, "message": $message });
            let came = came!($call, [Answer::json($status, &body)]);
            check($code, &came, $kind, $outcome, $attempts);
        )*
    };
}

#[tokio::test(start_paused = true)]
async fn every_error_of_codebuild_is_named_after_what_to_do_next() {
    table!(start_build:
        400 "ThrottlingException" "Rate exceeded" => "Throttled" "throttled" 3
        400 "AccountLimitExceededException" "Cannot have more than 5 builds in queue for the account" => "LimitReached" "limit_reached" 1
        403 "AccessDeniedException" "User: arn:aws:sts::123456789012:assumed-role/lamplighter/i is not authorized to perform: codebuild:StartBuild" => "Denied" "denied" 1
        400 "UnrecognizedClientException" "The security token included in the request is invalid." => "Denied" "denied" 1
        400 "ExpiredTokenException" "The security token included in the request is expired" => "Denied" "denied" 1
        400 "InvalidSignatureException" "Signature expired" => "Denied" "denied" 1
        400 "ResourceNotFoundException" "Project cannot be found: arn:aws:codebuild:eu-west-1:123456789012:project/childapp" => "NotFound" "not_found" 1
        400 "InvalidInputException" "Idempotency token was used with other parameters" => "Rejected" "rejected" 1
        500 "InternalFailure" "" => "Unavailable" "unavailable" 3
        503 "ServiceUnavailable" "" => "Unavailable" "unavailable" 3
        500 "ANameOfTomorrow" "" => "Unavailable" "unavailable" 3
        400 "ANameOfTomorrow" "" => "Rejected" "rejected" 1
        408 "RequestTimeoutException" "" => "Unavailable" "unavailable" 3
    );
}

#[tokio::test(start_paused = true)]
async fn every_error_of_ecs_is_named_after_what_to_do_next() {
    table!(scale:
        400 "ThrottlingException" "Rate exceeded" => "Throttled" "throttled" 3
        400 "ClientException" "Rate exceeded (ErrorCode: Throttling)" => "Throttled" "throttled" 1
        400 "InvalidParameterException" "Unable to describe network interfaces: Rate exceeded" => "Throttled" "throttled" 1
        400 "InvalidParameterException" "The desired count must not be negative." => "Rejected" "rejected" 1
        400 "ServiceNotActiveException" "Service was not ACTIVE." => "Rejected" "rejected" 1
        400 "ServiceNotFoundException" "Service not found." => "NotFound" "not_found" 1
        400 "ClusterNotFoundException" "Cluster not found." => "NotFound" "not_found" 1
        400 "AccessDeniedException" "User is not authorized to perform: ecs:UpdateService" => "Denied" "denied" 1
        500 "ServerException" "Service Unavailable. Please try again later." => "Unavailable" "unavailable" 3
    );
}

#[tokio::test(start_paused = true)]
async fn every_error_of_dynamodb_is_named_after_what_to_do_next() {
    table!(read:
        400 "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException" "The level of configured provisioned throughput for the table was exceeded." => "Throttled" "throttled" 3
        400 "com.amazonaws.dynamodb.v20120810#RequestLimitExceeded" "Throughput exceeds the current throughput limit for your account." => "Throttled" "throttled" 3
        400 "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException" "Requested resource not found" => "NotFound" "not_found" 1
        400 "com.amazon.coral.validate#ValidationException" "The provided key element does not match the schema" => "Rejected" "rejected" 1
        400 "com.amazon.coral.service#UnrecognizedClientException" "The security token included in the request is invalid." => "Denied" "denied" 1
        500 "com.amazonaws.dynamodb.v20120810#InternalServerError" "The request processing has failed because of an unknown error" => "Unavailable" "unavailable" 3
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_of_aws_is_unavailable() {
    let html = Answer::Http(503, "text/html", "<html><h1>503</h1></html>".to_owned());
    let cases = [
        ("a page of a load balancer", html, "unavailable", 3),
        ("a broken connection", Answer::Broken, "unavailable", 3),
        ("no answer at all", Answer::Hangs, "unavailable", 3),
        (
            "half an answer",
            Answer::Http(200, "application/x-amz-json-1.1", "{\"build\":".to_owned()),
            "unavailable",
            1,
        ),
    ];
    for (case, answer, outcome, attempts) in cases {
        let came = came!(start_build, [answer]);
        check(case, &came, "Unavailable", outcome, attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_call_ends_within_thirty_seconds() {
    let (cloud, calls) = Canned::new([Answer::Hangs]).cloud();
    let began = tokio::time::Instant::now();
    assert!(read(&cloud).await.is_some());
    let took = began.elapsed().as_secs();
    assert!((29..=31).contains(&took), "{took} s");
    assert_eq!(calls.take()[0].elapsed.as_secs(), took);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_proxy_is_denied() {
    let page = Answer::Http(403, "text/html", "<html>Forbidden</html>".to_owned());
    let came = came!(start_build, [page]);
    check("a page of a proxy", &came, "Denied", "denied", 1);
}

#[tokio::test(start_paused = true)]
async fn the_second_attempt_is_enough_and_counted() {
    let throttle = json!({ "__type": "ThrottlingException", "message": "Rate exceeded" });
    let build = json!({ "build": { "id": "childapp:1" } });
    let canned = Canned::new([Answer::json(400, &throttle), Answer::json(200, &build)]);
    let (cloud, calls) = canned.cloud();
    assert!(start_build(&cloud).await.is_none());
    let call = calls.take().remove(0);
    let told = (call.name.as_str(), call.outcome, call.attempts);
    assert_eq!(told, ("CodeBuild.StartBuild", "ok", 2));
    assert!(call.elapsed.as_millis() >= 1000, "{:?}", call.elapsed);
}

#[tokio::test(start_paused = true)]
async fn a_sentence_of_aws_is_kept_in_one_bounded_line_with_the_request_id() {
    let message = format!("Rate exceeded\r\nX-Evil: {}", "y".repeat(5000));
    let body = json!({ "__type": "ThrottlingException", "message": message });
    let came = came!(start_build, [Answer::json(400, &body)]);
    let chain = came.error.chain();
    assert!(
        chain.starts_with("codebuild.StartBuild was throttled: ThrottlingException: Rate exceeded\\u{d}"),
        "{chain}"
    );
    assert!(
        chain.contains("(request 11111111-2222-3333-4444-555555555555)"),
        "{chain}"
    );
    assert!(chain.len() < 500 && !chain.contains('\n'), "{chain}");
}

#[tokio::test(start_paused = true)]
async fn errors_of_load_balancing_come_in_xml() {
    let error = |code: &str| {
        format!(
            "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>One or more target groups not found</Message></Error>\
             <RequestId>11111111-2222-3333-4444-555555555555</RequestId></ErrorResponse>"
        )
    };
    let cases = [
        (400, "TargetGroupNotFound", Observed::Absent, "not_found", 1),
        (400, "Throttling", Observed::Unknown, "throttled", 3),
        (403, "AccessDenied", Observed::Unknown, "denied", 1),
        (400, "ValidationError", Observed::Unknown, "rejected", 1),
        (500, "InternalFailure", Observed::Unknown, "unavailable", 3),
    ];
    for (status, code, seen, outcome, attempts) in cases {
        let (cloud, calls) = Canned::new([Answer::xml(status, &error(code))]).cloud();
        assert_eq!(cloud.routes.group_with_targets("shop").await, seen, "{code}");
        let call = calls.take().remove(0);
        assert_eq!((call.outcome, call.attempts), (outcome, attempts), "{code}");
        assert_eq!(call.name, "Elastic Load Balancing v2.DescribeTargetGroups");
    }
}
