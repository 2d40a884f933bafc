//! ECS, as far as taking over an app of another tool goes beyond looking and scaling: all tags of a service, and
//! new ones for it. Only `lamplighter adopt` asks for this.

use async_trait::async_trait;
use aws_sdk_ecs::types::{self as sdk, ServiceField, Tag};

use super::ecs::{DESCRIBE_MAX, Ecs, service};
use super::{Error, Result, Takeover, aws, text};
use crate::model::adopt::ForeignService;
use crate::model::name::{ClusterName, ResourceName};
use crate::model::observed::Observed;

const DESCRIBE: &str = "ecs.DescribeServices";
const TAG: &str = "ecs.TagResource";

#[async_trait]
impl Takeover for Ecs {
    async fn look_whole(&self, cluster: &ClusterName, names: &[ResourceName]) -> Result<Vec<ForeignService>> {
        let mut seen = Vec::new();
        for chunk in names.chunks(DESCRIBE_MAX) {
            for (name, found) in self.described(cluster, chunk).await? {
                match service(name.clone(), &found) {
                    Observed::Present(service) => seen.push(foreign(cluster, service, &found)),
                    Observed::Absent => {}
                    Observed::Unknown => return Err(unreadable(&name, "has a status that is not known")),
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
        let found = self.described(cluster, std::slice::from_ref(name)).await?;
        let arn = found.into_iter().find_map(|(_, found)| found.service_arn);
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

impl Ecs {
    /// Up to ten services with their tags, all that are there.
    async fn described(
        &self,
        cluster: &ClusterName,
        names: &[ResourceName],
    ) -> Result<Vec<(ResourceName, sdk::Service)>> {
        let answer = self
            .client
            .describe_services()
            .cluster(cluster.as_str())
            .set_services(Some(names.iter().map(ToString::to_string).collect()))
            .include(ServiceField::Tags)
            .send()
            .await
            .map_err(|e| aws::map(DESCRIBE, e))?;
        let mut services = answer.services.unwrap_or_default();
        let failures = answer.failures.unwrap_or_default();
        let mut seen = Vec::new();
        for name in names {
            let of_name = |found: &sdk::Service| found.service_name() == Some(name.as_str());
            if let Some(place) = services.iter().position(of_name) {
                seen.push((name.clone(), services.swap_remove(place)));
                continue;
            }
            // AWS: a name that is not there comes back as a failure of a call that succeeded.
            let missing = failures.iter().any(|failure| {
                failure.reason() == Some("MISSING")
                    && failure.arn().map(text::last_segment) == Some(name.as_str())
            });
            if !missing {
                return Err(unreadable(name, "is in no part of the answer"));
            }
        }
        Ok(seen)
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
