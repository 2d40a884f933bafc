//! ACT: carries out the one action of a plan. No choices, no retries; what came of it is a value.
//!
//! An intent is not acted out here, nor is taking over what is there: both are a write of the state table, which
//! [`crate::recorder`] makes in one transaction with everything that belongs to it.

use crate::cloud::{self, Cloud};
use crate::model::name::BuildId;
use crate::planner::Action;

/// What came of an action.
#[derive(Debug)]
pub enum Outcome {
    /// There was nothing to do, or it was done.
    Done,
    /// CodeBuild runs this build for the request, now or since an earlier try.
    Started(BuildId),
    /// It was not done, or we do not know.
    Failed(cloud::Error),
}

/// Carries out actions.
#[derive(Clone)]
pub struct Executor {
    cloud: Cloud,
}

impl Executor {
    /// An executor on this cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    /// Carries out one action. Each is safe to repeat: it ensures, it does not create.
    pub async fn perform(&self, action: &Action) -> Outcome {
        let done = |result: cloud::Result<()>| result.map_or_else(Outcome::Failed, |()| Outcome::Done);
        match action {
            Action::Intend { .. } | Action::Adopt { .. } => Outcome::Done,
            Action::StartBuild { request } => match self.cloud.builds.start(request).await {
                Ok(build) => Outcome::Started(build),
                Err(error) => Outcome::Failed(error),
            },
            Action::CloseGate { operation } => done(self.cloud.state.close_gate(operation).await.map(|_| ())),
            Action::Bid {
                slot,
                holder,
                over,
                bid,
            } => done(
                self.cloud
                    .state
                    .bid(slot, holder, over.as_ref(), bid)
                    .await
                    .map(|_| ()),
            ),
            Action::Keep {
                owner,
                over,
                ledger,
                line,
            } => done(
                self.cloud
                    .state
                    .swap_keeps(owner, *over, ledger, line)
                    .await
                    .map(|_| ()),
            ),
            Action::StopBuild { build } => done(self.cloud.builds.stop(build).await),
            Action::Scale {
                cluster,
                service,
                tasks,
            } => done(self.cloud.services.scale(cluster, service, *tasks).await),
            Action::DeleteService { cluster, service } => {
                done(self.cloud.services.delete(cluster, service).await)
            }
        }
    }
}
