//! A wire-level simulator of the parts of AWS that child apps live in: `CodeBuild`, ECS and `ELBv2`, in front of an
//! embedded `DynamoDB`. It speaks the protocols of the real SDKs, over TCP ([`SimCloud::serve`]) or in memory on
//! paused time ([`SimCloud::http_client`]), and keeps a world ([`World`]) in which builds go through their phases
//! and services roll out. It never talks to AWS and never reads another clock than the one it is given.
//!
//! ```no_run
//! # async fn example() {
//! use simcloud::{SimCloud, SimConfig};
//! let cloud = SimCloud::new(SimConfig::default());
//! cloud.create_project("childapp", "apps");
//! let client = cloud.http_client(); // for the `http_client` of any SDK client's configuration
//! # let _ = client;
//! assert!(cloud.world().violations().is_empty());
//! # }
//! ```

mod api;
mod apps;
mod client;
mod clock;
mod cloud;
mod config;
mod direct;
pub mod faults;
mod faults_view;
mod history;
mod ledger;
mod meddle;
mod pages;
mod rates;
mod refusals;
mod server;
mod sim;
mod snapshot;
mod view;
mod wire;
mod world;

pub use clock::{Clock, TokioClock};
pub use cloud::SimCloud;
pub use config::{Contract, Gatekeeper, SimConfig, Span, Timings};
pub use direct::{Refusal, StoppedTaskView, TargetGroupView};
pub use dynoxide::Database;
pub use faults::{Cancellation, Fault, FaultPlan, ServerError};
pub use faults_view::Faults;
pub use snapshot::RestoreError;
pub use view::{BuildView, ServiceView, World};
pub use wire::answer::Reply;
pub use world::behaviour::{Behaviour, Match, Times};
pub use world::builds::{BuildStatus, Phase};
pub use world::services::ServiceStatus;
