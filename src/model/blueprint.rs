//! What a deployment is made of, frozen when it is decided, so that a retry repeats it exactly and a
//! destroy outlives the row and the catalogue entry it came from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::claim::Identity;
use super::name::{AppId, ClusterName, OperationId, ProjectName, ResourceName};

/// Everything needed to apply, observe and destroy one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blueprint {
    /// Who it is.
    pub identity: Identity,
    /// The hash of the spec it realises.
    pub spec_hash: String,
    /// The project that applies.
    pub deploy_project: ProjectName,
    /// The project that destroys.
    pub destroy_project: ProjectName,
    /// The cluster of its service.
    pub cluster: ClusterName,
    /// How many tasks it has when it runs.
    pub tasks: u32,
    /// Its target group, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_group: Option<String>,
    /// The URL people get once it works.
    pub url: String,
    /// The URL that tells whether it does.
    pub health_url: String,
    /// The name of the variable that says apply or destroy.
    pub action_variable: String,
    /// The rest of the build's environment, save the operation id.
    pub environment: BTreeMap<String, String>,
    /// The build's timeout.
    pub build_timeout_minutes: u16,
    /// The queue's timeout.
    pub queue_timeout_minutes: u16,
}

/// Which way a build goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildKind {
    /// Make it so.
    Apply,
    /// Leave nothing.
    Destroy,
}

impl BuildKind {
    /// As the build environment and the metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            BuildKind::Apply => "apply",
            BuildKind::Destroy => "destroy",
        }
    }
}

/// A whole `StartBuild` request. It is stored with the intent and sent unchanged however often it is sent:
/// AWS answers a token that comes back with other parameters with an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildRequest {
    /// The project.
    pub project: ProjectName,
    /// The idempotency token, which is the operation's id.
    pub token: OperationId,
    /// Plain-text environment variables.
    pub environment: BTreeMap<String, String>,
    /// The build's timeout.
    pub build_timeout_minutes: u16,
    /// The queue's timeout.
    pub queue_timeout_minutes: u16,
}

impl Blueprint {
    /// The request that applies or destroys this deployment under the operation `id`.
    pub fn request(&self, kind: BuildKind, id: &OperationId) -> BuildRequest {
        let mut environment = self.environment.clone();
        environment.insert(self.action_variable.clone(), kind.as_str().to_owned());
        environment.insert(super::policy::OPERATION_ID_VARIABLE.to_owned(), id.to_string());
        BuildRequest {
            project: match kind {
                BuildKind::Apply => self.deploy_project.clone(),
                BuildKind::Destroy => self.destroy_project.clone(),
            },
            token: id.clone(),
            environment,
            build_timeout_minutes: self.build_timeout_minutes,
            queue_timeout_minutes: self.queue_timeout_minutes,
        }
    }

    /// The exact name of its service.
    pub fn service(&self) -> &ResourceName {
        &self.identity.resource_name
    }
}

/// The tag that names the app a service belongs to.
pub const INSTANCE_TAG: &str = "lamplighter:instance-id";
/// The tag that keeps the whole host name.
pub const HOST_TAG: &str = "lamplighter:host-name";

/// The tags a deployment's resources carry, given its app.
pub fn tags(id: &AppId, blueprint: &Blueprint) -> [(&'static str, String); 2] {
    [
        (INSTANCE_TAG, id.to_string()),
        (HOST_TAG, blueprint.identity.host_name.to_string()),
    ]
}
