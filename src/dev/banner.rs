//! What `lamplighter dev` prints: addresses, and two ways to write a row that can be pasted as they are.
//! No line is longer than 100 columns as long as ports have five digits.

use super::Addresses;
use crate::model::name::AppId;

/// What the announcement depends on.
pub(super) struct Facts<'a> {
    /// Where everything answers.
    pub addresses: &'a Addresses,
    /// How this program was called.
    pub program: &'a str,
    /// How many times faster than a real AWS.
    pub speed: f64,
    /// Where everything is kept, if it is.
    pub kept_in: Option<String>,
    /// What the catalogue has.
    pub apps: Vec<&'a str>,
    /// Whether example rows were asked for.
    pub example: bool,
}

/// The announcement once everything answers.
pub(super) fn text(facts: &Facts<'_>) -> String {
    let Addresses { aws, api, admin } = facts.addresses;
    let (program, speed, apps) = (facts.program, facts.speed, facts.apps.join(", "));
    let kept = match &facts.kept_in {
        Some(folder) => format!("kept in {folder}"),
        None => "gone at the end; --data DIR keeps it".to_owned(),
    };
    let following = if facts.example {
        "The three example apps are on their way. Their URLs follow.\n"
    } else {
        ""
    };
    format!(
        r#"
Lamplighter runs on this machine, with a simulated AWS whose builds and rollouts go
{speed} times as fast as real ones. Ctrl-C ends it.

  AWS endpoint  {aws}  (DynamoDB, CodeBuild, ECS, ELB)
  API           {api}/api/v1/apps
  metrics       {admin}/metrics
  apps          {apps}
  data          {kept}

Write a row with the AWS CLI:

  AWS_ACCESS_KEY_ID=dev AWS_SECRET_ACCESS_KEY=dev AWS_DEFAULT_REGION=eu-west-1 \
  aws dynamodb put-item --endpoint-url {aws} \
    --table-name lamplighter-desired --item '{{
      "id": {{"S": "demo-dora"}}, "user": {{"S": "dora"}},
      "app": {{"S": "hello"}}, "desired": {{"S": "Running"}}
    }}'

or with JavaScript, saved as row.mjs and run with "node row.mjs" after
"npm install @aws-sdk/client-dynamodb @aws-sdk/lib-dynamodb":

  import {{ DynamoDBClient }} from "@aws-sdk/client-dynamodb";
  import {{ DynamoDBDocumentClient, PutCommand }} from "@aws-sdk/lib-dynamodb";

  const client = DynamoDBDocumentClient.from(new DynamoDBClient({{
    endpoint: "{aws}",
    region: "eu-west-1",
    credentials: {{ accessKeyId: "dev", secretAccessKey: "dev" }},
  }}));
  await client.send(new PutCommand({{
    TableName: "lamplighter-desired",
    Item: {{ id: "demo-emil", user: "emil", app: "hello", desired: "Running" }},
  }}));

Then see what becomes of it:

  {program} apps list --server {api}

To see how things go wrong, give hello the parameter SIM_BEHAVIOUR: "fail", "hang", "crash"
or "unhealthy".

{following}
"#
    )
}

/// One example app is ready.
pub(super) fn ready(id: &AppId, url: &str) -> String {
    format!("{id} is ready: {url}\n")
}

/// All of them are.
pub(super) const ALL_READY: &str = "All three are ready.\n";
