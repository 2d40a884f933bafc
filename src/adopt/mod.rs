//! `lamplighter adopt`: looks at what another tool has deployed, has `planner::adopt` decide, and carries that out.
//! It starts no build and scales nothing; what is to change of an app that was taken over is the daemon's to do.
//!
//! Tags come first, since nothing follows from a tag alone; then memory with its claims, so that a build is out of
//! the question whatever a listing shows; then the row. A run that ended in the middle is completed by the next one:
//! what is there between is a service with a tag, or an orphan, which is left alone. The daemon may run meanwhile:
//! memory is written on the condition that there is none, a row likewise. `report` prints.

mod report;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::clock::Clock;
use crate::cloud::{self, DesiredStore, NewRows, Routes, Services, StateStore, Takeover, WriteError};
use crate::executor::Outcome;
use crate::model::adopt::{ForeignService, Rule};
use crate::model::name::{AppId, AppName, ClusterName, Entropy};
use crate::model::observed::Service;
use crate::model::policy::Policy;
use crate::model::row::Row;
use crate::planner::adopt::{Adoption, Candidate, Known, Verdict, decide};
use crate::recorder::Recorder;

pub use report::print;

/// Every edge that it uses.
#[derive(Clone)]
pub struct Edges {
    /// The desired table.
    pub desired: Arc<dyn DesiredStore>,
    /// New rows in it.
    pub rows: Arc<dyn NewRows>,
    /// The state and events tables.
    pub state: Arc<dyn StateStore>,
    /// ECS, to list services.
    pub services: Arc<dyn Services>,
    /// ECS, to see all of them and to tag.
    pub takeover: Arc<dyn Takeover>,
    /// Load balancing.
    pub routes: Arc<dyn Routes>,
}

/// Which of the candidates to show and to take over. All of them are looked at in any case, since they may be in
/// each other's way.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Only {
    /// Only services of this cluster
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Only services of this app of the catalogue
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// Only the service that becomes, or is, the app of this id
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

impl Only {
    fn has(&self, candidate: &Candidate) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        is(&self.cluster, Some(candidate.seen.cluster.as_str()))
            && is(&self.app, candidate.named.app.as_deref())
            && is(&self.id, candidate.named.id.as_deref())
    }
}

/// What was found, and what came of it.
#[derive(Debug)]
pub struct Report {
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// How many services the clusters have, candidates or not.
    pub services: usize,
    /// The candidates that were asked for, in the order of cluster and name.
    pub lines: Vec<Line>,
}

/// One candidate, and what came of it.
#[derive(Debug)]
pub struct Line {
    /// The candidate.
    pub candidate: Candidate,
    /// What came of it.
    pub result: Result<Done, String>,
}

/// What came of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing was tried: it is a dry run, or there is nothing to do.
    Nothing,
    /// It is taken over.
    Adopted,
}

impl Report {
    /// Whether something that was to be taken over was not.
    pub fn has_failures(&self) -> bool {
        self.lines.iter().any(|line| line.result.is_err())
    }
}

/// Takes over what another tool has deployed.
pub struct Adopter<'a> {
    /// Every edge.
    pub edges: &'a Edges,
    /// Which services, and who they are.
    pub rule: &'a Rule,
    /// What the planner goes by.
    pub policy: &'a Policy,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Randomness for the keys of history.
    pub entropy: Entropy,
}

impl Adopter<'_> {
    /// Looks and decides, and with `apply` carries it out. An error of looking leaves everything as it is: who is in
    /// whose way can only be told by all of them.
    pub async fn run(&self, only: &Only, apply: bool) -> cloud::Result<Report> {
        let services = self.look().await?;
        let candidates = self.decide(&services).await?;
        let mut report = Report {
            dry_run: !apply,
            services: services.len(),
            lines: Vec::new(),
        };
        let mut denied = None;
        for candidate in candidates {
            if !only.has(&candidate) {
                continue;
            }
            let result = match (&candidate.verdict, &denied) {
                (Verdict::Adopt(_), Some(why)) if apply => Err(format!("not tried, since {why}")),
                (Verdict::Adopt(adoption), None) if apply => {
                    let result = self.carry_out(&candidate.seen, adoption).await;
                    if let Err(Trouble::Cloud(error @ cloud::Error::Denied { .. })) = &result {
                        // What is not allowed for one is not allowed for the others.
                        denied = Some(error.to_string());
                    }
                    result.map_err(|trouble| trouble.told())
                }
                (Verdict::Adopt(_) | Verdict::Already | Verdict::Skip(_), _) => Ok(Done::Nothing),
            };
            report.lines.push(Line { candidate, result });
        }
        Ok(report)
    }

    /// Every service of the catalogue's clusters.
    async fn look(&self) -> cloud::Result<Vec<ForeignService>> {
        let entries = self.policy.catalogue.values();
        let clusters: BTreeSet<&ClusterName> = entries.map(|entry| &entry.cluster).collect();
        let mut services = Vec::new();
        for cluster in clusters {
            let names = self.edges.services.list(cluster).await?;
            services.extend(self.edges.takeover.look_whole(cluster, &names).await?);
        }
        Ok(services)
    }

    async fn decide(&self, services: &[ForeignService]) -> cloud::Result<Vec<Candidate>> {
        let groups = services
            .iter()
            .filter_map(|seen| Some(seen.service.target_group()?.to_owned()));
        let groups: Vec<String> = groups.collect::<BTreeSet<_>>().into_iter().collect();
        let groups = self.edges.routes.groups(&groups).await;
        // What changes after it was read fails the conditions under which anything is written.
        let state = self.edges.state.snapshot().await?;
        let rows = self.edges.desired.rows().await?;
        let unreadable = state.unreadable.keys();
        let unreadable = unreadable.filter_map(|key| AppId::from_key(key.strip_prefix("app#")?));
        let known = Known {
            rows: &rows.rows,
            memories: &state.memories,
            unreadable: &unreadable.collect(),
            claims: &state.claims,
            groups: &groups,
        };
        let now = self.clock.now();
        Ok(decide(services, self.rule, known, self.policy, now, self.entropy))
    }

    async fn carry_out(&self, seen: &ForeignService, adoption: &Adoption) -> Result<Done, Trouble> {
        self.look_again(seen).await?;
        if !adoption.tags.is_empty() {
            let takeover = &self.edges.takeover;
            takeover
                .tag(&seen.cluster, &seen.service.name, &adoption.tags)
                .await
                .map_err(Trouble::Cloud)?;
        }
        if let Some((view, plan)) = &adoption.memory {
            let recorder = Recorder::new(Arc::clone(&self.edges.state));
            let now = self.clock.now();
            recorder
                .record(view, plan.clone(), &Outcome::Done, now)
                .await
                .map_err(Trouble::Write)?;
        }
        if let Some(row) = &adoption.row {
            self.write_row(row).await?;
        }
        Ok(Done::Adopted)
    }

    /// A run over a large fleet takes a while, and what was decided is about what was seen at its beginning.
    async fn look_again(&self, seen: &ForeignService) -> Result<(), Trouble> {
        let name = std::slice::from_ref(&seen.service.name);
        let now = self.edges.takeover.look_whole(&seen.cluster, name).await;
        let now = now.map_err(Trouble::Cloud)?;
        let same = now
            .first()
            .is_some_and(|now| now.tags == seen.tags && essence(&now.service) == essence(&seen.service));
        if same { Ok(()) } else { Err(Trouble::Changed) }
    }

    async fn write_row(&self, row: &Row) -> Result<(), Trouble> {
        if self.edges.rows.create_row(row).await.map_err(Trouble::Cloud)? {
            return Ok(());
        }
        let there = self.edges.desired.row(&row.id).await.map_err(Trouble::Cloud)?;
        // An attempt of ours whose answer was lost has written it.
        if there.is_some_and(|there| there == *row) {
            Ok(())
        } else {
            Err(Trouble::OtherRow)
        }
    }
}

/// What a decision rests on: tasks come and go.
fn essence(service: &Service) -> (bool, bool, &[String]) {
    (
        service.draining,
        service.desired_count == 0,
        &service.target_groups,
    )
}

/// Why a service was not taken over, or not to the end.
enum Trouble {
    Cloud(cloud::Error),
    Write(WriteError),
    Changed,
    OtherRow,
}

impl Trouble {
    fn told(&self) -> String {
        let again = "run this again";
        match self {
            Trouble::Cloud(error) | Trouble::Write(WriteError::Other(error)) => {
                format!("{}; {again} once that is mended", error.chain())
            }
            Trouble::Write(error) => format!("{error} at this moment; {again}"),
            Trouble::Changed => format!("the service has changed since it was listed; {again}"),
            Trouble::OtherRow => "somebody wrote its row at this moment, which stays as it is".to_owned(),
        }
    }
}

/// What a catalogue has, for an error of `--app`.
pub fn unknown_app(only: &Only, policy: &Policy) -> Option<String> {
    let app = only.app.as_ref()?;
    let known: Vec<&str> = policy.catalogue.keys().map(AppName::as_str).collect();
    (!known.contains(&app.as_str())).then(|| format!("the catalogue has {}", known.join(", ")))
}
