//! Load balancing: whether a target group is there, is used, and has targets that take traffic.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::{
    TargetGroup as SdkTargetGroup, TargetHealth, TargetHealthReasonEnum, TargetHealthStateEnum,
};

use super::aws::{self, Clients};
use super::pages;
use super::text::{self, SENTENCE_MAX};
use super::{Error, Result, Routes};
use crate::model::observed::{Observed, TargetGroup, Targets};

/// AWS: the largest page of `DescribeTargetGroups`.
const PAGE_MAX: i32 = 400;

/// [`Routes`] over Elastic Load Balancing v2.
#[derive(Clone, Debug)]
pub struct Elb {
    client: aws_sdk_elasticloadbalancingv2::Client,
}

impl Elb {
    /// The target groups that these clients reach.
    pub fn new(clients: &Clients) -> Self {
        Self {
            client: clients.elb.clone(),
        }
    }
}

#[async_trait]
impl Routes for Elb {
    async fn groups_and_targets(
        &self,
        names: &[String],
        with_targets: &BTreeSet<String>,
    ) -> BTreeMap<String, Observed<TargetGroup>> {
        let found = match names {
            [] => return BTreeMap::new(),
            [name] => self.one(name).await.map(|found| {
                let found = found.map(|found| (name.clone(), found));
                found.into_iter().collect()
            }),
            // A call that names several fails as a whole when one of them is missing, so the whole account
            // is listed instead: 400 in a page, at most 3,000 in a region.
            _ => self.all().await,
        };
        let mut looks = BTreeMap::new();
        for name in names {
            let look = match found.as_ref().map(|all| all.get(name)) {
                Err(_) => Observed::Unknown,
                Ok(None) => Observed::Absent,
                Ok(Some((group, arn))) if with_targets.contains(name) => {
                    Observed::Present(self.with_targets(group.clone(), arn).await)
                }
                Ok(Some((group, _))) => Observed::Present(group.clone()),
            };
            looks.insert(name.clone(), look);
        }
        looks
    }
}

impl Elb {
    /// The same group with its targets, if they could be looked at.
    async fn with_targets(&self, group: TargetGroup, arn: &str) -> TargetGroup {
        let health = self
            .client
            .describe_target_health()
            .target_group_arn(arn)
            .send()
            .await;
        let Ok(health) = health else {
            return group;
        };
        let health = health.target_health_descriptions.unwrap_or_default();
        let health: Vec<&TargetHealth> = health
            .iter()
            .filter_map(|target| target.target_health())
            .collect();
        // AWS: `Target.NotInUse` says that no listener uses the group: tasks run, and no traffic flows. It is
        // also said of one target in a zone that the load balancer has not; a healthy one then refutes it.
        let says = |target: &&TargetHealth| target.reason() == Some(&TargetHealthReasonEnum::NotInUse);
        let targets = targets(&health);
        let unused = health.iter().any(says) && targets.healthy == 0;
        TargetGroup {
            attached: group.attached && !unused,
            targets: Observed::Present(targets),
        }
    }

    /// One target group and its ARN.
    async fn one(&self, name: &str) -> Result<Option<(TargetGroup, String)>> {
        let call = "elasticloadbalancing.DescribeTargetGroups";
        let answer = self.client.describe_target_groups().names(name).send().await;
        let groups = match answer.map_err(|e| aws::map(call, e)) {
            Ok(answer) => answer.target_groups.unwrap_or_default(),
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let of_that_name = groups
            .iter()
            .find(|group| group.target_group_name() == Some(name));
        match of_that_name
            .and_then(|group| Some((without_targets(group), group.target_group_arn()?.to_owned())))
        {
            Some(found) => Ok(Some(found)),
            // AWS says that a name is not there. MiniStack leaves it out of its answer, which alone proves
            // nothing; a complete listing does.
            None if !self.all().await?.contains_key(name) => Ok(None),
            None => Err(Error::Unreadable {
                call,
                problem: "the answer leaves out a group that is there".to_owned(),
            }),
        }
    }

    /// Every target group by name, with its ARN. All pages or an error.
    async fn all(&self) -> Result<BTreeMap<String, (TargetGroup, String)>> {
        let call = "elasticloadbalancing.DescribeTargetGroups";
        let mut all = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self
                .client
                .describe_target_groups()
                .page_size(PAGE_MAX)
                .set_marker(after.clone())
                .send()
                .await
                .map_err(|e| aws::map(call, e))?;
            for group in pages::listed(call, page.target_groups)? {
                let (Some(name), Some(arn)) = (group.target_group_name(), group.target_group_arn()) else {
                    // It may be any of those that are asked for, which must not look gone.
                    let problem = "a target group has no name or no ARN".to_owned();
                    return Err(Error::Unreadable { call, problem });
                };
                all.insert(name.to_owned(), (without_targets(&group), arn.to_owned()));
            }
            let marker = page.next_marker.filter(|marker| !marker.is_empty());
            after = pages::next(call, after.as_ref(), marker)?;
            if after.is_none() {
                return Ok(all);
            }
        }
    }
}

fn without_targets(group: &SdkTargetGroup) -> TargetGroup {
    TargetGroup {
        attached: !group.load_balancer_arns().is_empty(),
        targets: Observed::Unknown,
    }
}

/// Counts targets that take traffic and those that should. A target that is draining is on its way out,
/// which every deployment brings about: it is neither.
fn targets(health: &[&TargetHealth]) -> Targets {
    let mut targets = Targets {
        healthy: 0,
        unhealthy: 0,
        reason: None,
    };
    for target in health {
        match target.state() {
            Some(TargetHealthStateEnum::Healthy) => targets.healthy += 1,
            Some(TargetHealthStateEnum::Draining) => {}
            Some(_) | None => {
                targets.unhealthy += 1;
                if targets.reason.is_none() {
                    targets.reason = reason(target);
                }
            }
        }
    }
    targets
}

fn reason(target: &TargetHealth) -> Option<String> {
    let code = target.reason().map(TargetHealthReasonEnum::as_str);
    let said = match (code, target.description()) {
        (Some(code), Some(description)) => format!("{code}: {description}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(description)) => description.to_owned(),
        (None, None) => target.state()?.as_str().to_owned(),
    };
    Some(text::one_line(&said, SENTENCE_MAX))
}
