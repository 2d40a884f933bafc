//! ECS, as far as taking over an app of another tool goes beyond looking and scaling: all tags of a service, and
//! new ones for it. Only `lamplighter adopt` asks for this.

use async_trait::async_trait;
use aws_sdk_ecs::types::{self as sdk, Tag};

use super::ecs::{DESCRIBE, DESCRIBE_MAX, Ecs, service};
use super::{Error, Result, Takeover, aws};
use crate::model::adopt::ForeignService;
use crate::model::name::{ClusterName, ResourceName};
use crate::model::observed::Observed;

const TAG: &str = "ecs.TagResource";

#[async_trait]
impl Takeover for Ecs {
    async fn look_whole(&self, cluster: &ClusterName, names: &[ResourceName]) -> Result<Vec<ForeignService>> {
        let mut seen = Vec::new();
        for chunk in names.chunks(DESCRIBE_MAX) {
            let mut described = self.described(cluster, chunk).await?;
            for name in chunk {
                let told = described.remove(name);
                let Some(found) = told.ok_or_else(|| unreadable(name, "is in no part of the answer"))? else {
                    continue;
                };
                match service(name.clone(), &found) {
                    Observed::Present(service) => seen.push(foreign(cluster, service, &found)),
                    Observed::Absent => {}
                    Observed::Unknown => return Err(unreadable(name, "has a status that is not known")),
                }
            }
        }
        Ok(seen)
    }

    async fn tag(
        &self,
        cluster: &ClusterName,
        name: &ResourceName,
        tags: &[(&'static str, String)],
    ) -> Result<()> {
        let mut found = self.described(cluster, std::slice::from_ref(name)).await?;
        let arn = found.remove(name).flatten().and_then(|found| found.service_arn);
        let arn = arn.ok_or_else(|| Error::NotFound {
            call: TAG,
            what: format!("service {name}"),
        })?;
        let tags = tags
            .iter()
            .map(|(key, value)| Tag::builder().key(*key).value(value).build());
        // AWS: a key that the resource has gets the new value, and other tags stay.
        self.client
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(tags.collect()))
            .send()
            .await
            .map_err(|e| aws::map(TAG, e))?;
        Ok(())
    }
}

fn foreign(
    cluster: &ClusterName,
    service: crate::model::observed::Service,
    found: &sdk::Service,
) -> ForeignService {
    let tags = found
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    let controller = found
        .deployment_controller()
        .map(sdk::DeploymentController::r#type);
    ForeignService {
        cluster: cluster.clone(),
        service,
        tags: tags.collect(),
        // AWS: both have a default, which an answer may leave out.
        scheduling: found
            .scheduling_strategy()
            .map_or("REPLICA", |strategy| strategy.as_str())
            .to_owned(),
        controller: controller.map_or("ECS", |kind| kind.as_str()).to_owned(),
    }
}

fn unreadable(name: &ResourceName, problem: &str) -> Error {
    Error::Unreadable {
        call: DESCRIBE,
        problem: format!("service {name} {problem}"),
    }
}
