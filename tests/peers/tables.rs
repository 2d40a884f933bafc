//! `lamplighter tables create` in front of an AWS that is not ours, checked with the AWS CLI.

use serde_json::json;

use crate::peer::Peer;

#[test]
fn the_tables_are_made_with_stream_expiry_and_keys_and_making_them_again_changes_nothing() {
    let peer = Peer::start("tables");
    let config = peer.example();
    let made = peer.create_tables(&config);
    assert_eq!(
        made,
        "lamplighter-desired made\nlamplighter-state made\nlamplighter-events made\n"
    );

    let describe =
        |table: &str| peer.aws(&["dynamodb", "describe-table", "--table-name", table])["Table"].clone();
    let expiry = |table: &str| {
        let arguments = ["dynamodb", "describe-time-to-live", "--table-name", table];
        peer.aws(&arguments)["TimeToLiveDescription"].clone()
    };
    let hash = |name: &str| json!({ "AttributeName": name, "KeyType": "HASH" });
    let desired = describe("lamplighter-desired");
    assert_eq!(desired["KeySchema"], json!([hash("id")]));
    assert_eq!(
        desired["StreamSpecification"],
        json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" })
    );
    assert_eq!(
        expiry("lamplighter-desired")["TimeToLiveStatus"],
        "DISABLED",
        "no row ever expires"
    );

    let state = describe("lamplighter-state");
    assert_eq!(state["KeySchema"], json!([hash("pk")]));
    let events = describe("lamplighter-events");
    assert_eq!(
        events["KeySchema"],
        json!([hash("id"), { "AttributeName": "at", "KeyType": "RANGE" }])
    );
    for table in ["lamplighter-state", "lamplighter-events"] {
        assert_eq!(
            expiry(table),
            json!({ "TimeToLiveStatus": "ENABLED", "AttributeName": "ttl" }),
            "{table}"
        );
    }
    for table in [&desired, &state, &events] {
        assert_eq!(
            table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST",
            "{table}"
        );
        for attribute in table["AttributeDefinitions"]
            .as_array()
            .expect("a table has attributes")
        {
            assert_eq!(attribute["AttributeType"], "S", "{table}");
        }
    }

    let again = peer.create_tables(&config);
    assert_eq!(
        again,
        "lamplighter-desired was there\nlamplighter-state was there\nlamplighter-events was there\n"
    );
    assert_eq!(describe("lamplighter-desired"), desired);
}
