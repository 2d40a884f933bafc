//! Answers that are half or none: what they do not say is unknown, and nothing is done or gone for their sake. Each of
//! these was taken at its word once; `tests/fuzz/` found them.

use lamplighter::cloud::Error;
use lamplighter::model::name::ClusterName;
use lamplighter::model::observed::Observed;
use serde_json::{Value, json};

use crate::canned::{Answer, Canned};
use crate::support::{id, operation};

#[allow(clippy::needless_pass_by_value, reason = "reads best at the call")]
fn unavailable<T: std::fmt::Debug>(what: &str, answered: Result<T, Error>) {
    assert!(
        matches!(answered, Err(Error::Unavailable { .. })),
        "{what}: {answered:?}"
    );
}

#[allow(clippy::needless_pass_by_value, reason = "reads best at the call")]
fn unreadable<T: std::fmt::Debug>(what: &str, answered: Result<T, Error>) {
    assert!(
        matches!(answered, Err(Error::Unreadable { .. })),
        "{what}: {answered:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_says_neither_absent_nor_done() {
    for body in ["", " ", "\r\n"] {
        let empty = Answer::Http(200, "application/x-amz-json-1.0", body.to_owned());
        let (cloud, calls) = Canned::new([empty]).cloud();
        unavailable("a row", cloud.desired.row(&id("a1")).await);
        unavailable("a memory", cloud.state.memory(&id("a1")).await);
        unavailable("a gate", cloud.state.gate(&operation(1)).await);
        unavailable("closing a gate", cloud.state.close_gate(&operation(1)).await);
        unavailable(
            "scaling",
            cloud
                .services
                .scale(&ClusterName::new("apps"), &service(), 1)
                .await,
        );
        assert!(calls.take().iter().all(|call| call.outcome == "unavailable"));
    }
}

fn service() -> lamplighter::model::name::ResourceName {
    crate::support::identity("a1.example.com").resource_name
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_its_list_lists_nothing_at_all() {
    let (cloud, _) = Canned::new([Answer::json(200, &json!({}))]).cloud();
    unreadable("rows", cloud.desired.rows().await);
    unreadable("the state table", cloud.state.snapshot().await);
    unreadable("services", cloud.services.list(&ClusterName::new("apps")).await);
    let slot = lamplighter::model::claim::ClaimKey::from_key("slot#ann").unwrap();
    unreadable("claims", cloud.state.claims(&[slot]).await);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_leads_to_itself_is_not_followed_for_ever() {
    let rows = json!({"Items": [], "LastEvaluatedKey": {"id": {"S": "a1"}}});
    let (cloud, _) = Canned::new([Answer::json(200, &rows)]).cloud();
    unreadable("rows", cloud.desired.rows().await);
    let services = json!({"serviceArns": [], "nextToken": "more"});
    let (cloud, _) = Canned::new([Answer::json(200, &services)]).cloud();
    unreadable("services", cloud.services.list(&ClusterName::new("apps")).await);
}

const GROUPS: &str = "<DescribeTargetGroupsResponse><DescribeTargetGroupsResult><TargetGroups>\
    <member><TargetGroupArn>arn:one</TargetGroupArn><TargetGroupName>one</TargetGroupName></member>\
    <member><TargetGroupArn>arn:two</TargetGroupArn><TargetGroupName>two</TargetGroupName></member>\
    </TargetGroups></DescribeTargetGroupsResult></DescribeTargetGroupsResponse>";

#[tokio::test(start_paused = true)]
async fn of_half_a_listing_of_target_groups_nothing_is_gone() {
    let names = ["one", "two", "gone"].map(str::to_owned);
    for cut in 0..GROUPS.len() {
        let (cloud, _) = Canned::new([Answer::xml(200, &GROUPS[..cut])]).cloud();
        let seen = cloud.routes.groups(&names).await;
        assert!(
            seen.values().all(Observed::is_unknown),
            "{}: {seen:?}",
            &GROUPS[..cut]
        );
    }
    let (cloud, _) = Canned::new([Answer::xml(200, GROUPS)]).cloud();
    assert!(cloud.routes.groups(&names).await["gone"].is_absent());
    // One that cannot be told by its name may be any of them.
    let nameless = GROUPS.replace("<TargetGroupName>two</TargetGroupName>", "");
    let (cloud, _) = Canned::new([Answer::xml(200, &nameless)]).cloud();
    assert!(cloud.routes.groups(&names).await["two"].is_unknown());
}

#[tokio::test(start_paused = true)]
async fn an_attribute_of_a_type_of_tomorrow_is_no_panic() {
    let strange = json!({"VECTOR": [1, 2]});
    let item = json!({"pk": {"S": "app#a1"}, "version": {"N": "1"}, "status": strange, "memory": {"M": {"decision": strange}}});
    let (cloud, _) = Canned::new([Answer::json(200, &json!({"Item": item}))]).cloud();
    unreadable("a memory", cloud.state.memory(&id("a1")).await);
    let page: Value = json!({"Items": [item], "Count": 1});
    let (cloud, _) = Canned::new([Answer::json(200, &page)]).cloud();
    let snapshot = cloud.state.snapshot().await.unwrap();
    assert!(snapshot.unreadable.contains_key("app#a1"));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_quotes_what_it_cannot_read_stays_short() {
    let body = json!({"Items": [], "Count": "x".repeat(100_000)});
    let (cloud, _) = Canned::new([Answer::json(200, &body)]).cloud();
    let error = cloud.desired.rows().await.unwrap_err().chain();
    assert!(
        error.starts_with("dynamodb.Scan") && error.chars().count() < 1_100,
        "{}",
        error.len()
    );
}
