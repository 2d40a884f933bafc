//! What `lamplighter dev` prints: addresses, and two ways to write a row that can be pasted as they are.

use super::Addresses;
use crate::model::name::AppId;

/// The announcement once everything answers.
pub(super) fn text(addresses: &Addresses, example: bool) -> String {
    let Addresses { aws, api, admin } = addresses;
    let following = if example {
        "\nThree example rows were written; their apps are on their way.\n"
    } else {
        ""
    };
    format!(
        r#"
Lamplighter runs on this machine, with a simulated AWS.

  AWS (DynamoDB, CodeBuild, ECS, ELB)  {aws}
  API                                  {api}/api/v1/apps
  Metrics                              {admin}/metrics

Write a row with the AWS CLI:

  AWS_ACCESS_KEY_ID=dev AWS_SECRET_ACCESS_KEY=dev AWS_REGION=eu-west-1 \
  aws --endpoint-url {aws} dynamodb put-item --table-name lamplighter-desired \
    --item '{{"id":{{"S":"demo-dora"}},"user":{{"S":"dora"}},"app":{{"S":"hello"}},"desired":{{"S":"Running"}}}}'

or with JavaScript (npm install @aws-sdk/client-dynamodb @aws-sdk/lib-dynamodb, save as row.mjs, node row.mjs):

  import {{ DynamoDBClient }} from "@aws-sdk/client-dynamodb";
  import {{ DynamoDBDocumentClient, PutCommand }} from "@aws-sdk/lib-dynamodb";

  const client = DynamoDBDocumentClient.from(new DynamoDBClient({{
    endpoint: "{aws}", region: "eu-west-1",
    credentials: {{ accessKeyId: "dev", secretAccessKey: "dev" }},
  }}));
  await client.send(new PutCommand({{
    TableName: "lamplighter-desired",
    Item: {{ id: "demo-emil", user: "emil", app: "hello", desired: "Running" }},
  }}));

Then watch it:

  lamplighter apps list --server {api}
{following}
"#
    )
}

/// One example app is ready.
pub(super) fn ready(id: &AppId, url: &str) -> String {
    format!("  {id} is ready: {url}\n")
}

/// All of them are.
pub(super) const ALL_READY: &str = "All three are ready. Ctrl-C ends it.\n";
