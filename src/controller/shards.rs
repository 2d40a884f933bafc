//! Looks after the leases: reads those of others, renews our own, takes what is free, and gives all back at the
//! end. What to do is decided in `lease`; here it is done, and the rest of the controller is told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Controller;
use super::handle::Shards;
use super::lease::{Kind, Leases, Swap};
use crate::cloud::Swapped;
use crate::config::LeaseSettings;
use crate::metrics::{Renewal, Transition};
use crate::model::lease::{Held, Shard};
use crate::model::name::{AppId, Entropy};

/// The leases of a process, and what was last told of them.
pub(super) struct Keeper {
    leases: Mutex<Leases>,
    settings: LeaseSettings,
    told: Mutex<Told>,
    /// Wakes whoever sweeps: after the first look at the leases, and whenever a shard was gained.
    pub(super) gained: Notify,
}

#[derive(Default)]
struct Told {
    held: BTreeSet<Shard>,
    /// When the leases were last looked after.
    beat: Option<Instant>,
    /// Since when something has gone wrong in each round, and what.
    trouble: Option<(Instant, String)>,
}

impl Keeper {
    pub(super) fn new(settings: LeaseSettings, entropy: Entropy) -> Self {
        Self {
            leases: Mutex::new(Leases::new(hex::encode(entropy.0), settings)),
            settings,
            told: Mutex::default(),
            gained: Notify::new(),
        }
    }

    // Every change of either leaves it consistent, so a panic elsewhere does not make it worthless.
    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long one call may take; later it is tried again.
    fn patience(&self) -> Duration {
        self.settings.duration / 5
    }

    /// Whether leases were looked after lately.
    pub(super) fn beat(&self) -> Option<Instant> {
        self.told().beat
    }

    /// What has been wrong for longer than a lease lasts.
    pub(super) fn trouble(&self) -> Option<String> {
        let told = self.told();
        let (since, what) = told.trouble.as_ref()?;
        let lasting = since.elapsed() > self.settings.duration;
        lasting.then(|| format!("the leases could not be looked after: {what}"))
    }

    pub(super) fn shards(&self) -> Shards {
        let held = match self.leases().held(Instant::now()) {
            Held::Shards { held, .. } => held,
            Held::All => BTreeSet::new(),
        };
        Shards {
            of: self.settings.shards,
            held: held.into_iter().map(|shard| shard.0).collect(),
        }
    }
}

impl Controller {
    /// Which apps this process acts on now.
    pub(super) fn held(&self) -> Held {
        match &self.keeper {
            Some(keeper) => keeper.leases().held(Instant::now()),
            None => Held::All,
        }
    }

    /// Looks after the leases until it is aborted.
    pub(super) async fn keep_leases(self: Arc<Self>) {
        let Some(keeper) = &self.keeper else { return };
        let mut looks = interval(keeper.settings.poll);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        loop {
            looks.tick().await;
            let gained = self.look_after_leases(keeper).await;
            if gained || first {
                keeper.gained.notify_one();
            }
            first = false;
        }
    }

    /// Gives every lease back, so that another replica may go on at once.
    pub(super) async fn release_leases(&self) {
        let Some(keeper) = &self.keeper else { return };
        keeper.leases().stop();
        self.look_after_leases(keeper).await;
    }

    /// One round: a reading, then every change at once. Whether a shard was gained.
    async fn look_after_leases(&self, keeper: &Keeper) -> bool {
        let mut trouble = None;
        let to_read = keeper.leases().to_read();
        if !to_read.is_empty() {
            match timeout(keeper.patience(), self.cloud.state.leases(&to_read)).await {
                Ok(Ok(found)) => keeper.leases().read(&to_read, &found, Instant::now()),
                Ok(Err(error)) => trouble = Some(error.chain()),
                Err(_) => trouble = Some("no answer in time".to_owned()),
            }
        }
        let swaps = keeper.leases().next(Instant::now());
        // What is being given back is not acted on any more, and its next holder may not wait for our answer.
        let mut gained = self.tell_of_shards(keeper, &released(&swaps));
        let mut calls = JoinSet::new();
        for swap in swaps {
            let (state, patience) = (Arc::clone(&self.cloud.state), keeper.patience());
            calls.spawn(async move {
                let sent = Instant::now();
                let call = state.swap_lease(swap.shard, swap.expected.as_ref(), &swap.new);
                let became = timeout(patience, call).await;
                (swap, sent, became)
            });
        }
        while let Some(joined) = calls.join_next().await {
            let Ok((swap, sent, became)) = joined else {
                continue;
            };
            let renewal = match became {
                Ok(Ok(became)) => {
                    let lost = matches!(became, Swapped::Lost { .. });
                    keeper.leases().swapped(&swap, sent, Instant::now(), became);
                    if lost { Renewal::Lost } else { Renewal::Renewed }
                }
                Ok(Err(error)) => {
                    trouble = Some(error.chain());
                    Renewal::Failed
                }
                Err(_) => {
                    trouble = Some("no answer in time".to_owned());
                    Renewal::Failed
                }
            };
            if swap.kind == Kind::Renew {
                self.metrics.leases.renewed(renewal);
            }
        }
        gained |= self.tell_of_shards(keeper, &BTreeSet::new());
        let mut told = keeper.told();
        told.beat = Some(Instant::now());
        told.trouble = trouble.map(|what| match told.trouble.take() {
            Some((since, _)) => (since, what),
            None => (Instant::now(), what),
        });
        gained
    }

    /// Compares what is held with what was, and tells everybody of the difference. Whether there is more.
    fn tell_of_shards(&self, keeper: &Keeper, released: &BTreeSet<Shard>) -> bool {
        let now = Instant::now();
        let (all, oldest) = {
            let leases = keeper.leases();
            (leases.held(now), leases.oldest_renewal(now))
        };
        let Held::Shards { of, held } = &all else {
            return false;
        };
        self.metrics.leases.set_held(*of, held.len(), oldest);
        let before = std::mem::replace(&mut keeper.told().held, held.clone());
        if before == *held {
            return false;
        }
        for shard in held.difference(&before) {
            self.metrics.leases.moved(Transition::Gained);
            tracing::info!(
                shard = shard.0,
                "this process acts on the apps of this shard from now on"
            );
        }
        for shard in before.difference(held) {
            if released.contains(shard) {
                self.metrics.leases.moved(Transition::Released);
                tracing::info!(shard = shard.0, "this shard is given back");
            } else {
                self.metrics.leases.moved(Transition::Lost);
                tracing::warn!(
                    shard = shard.0,
                    "the lease of this shard was lost; what is in hand is finished"
                );
            }
        }
        self.admission().hold(all.clone());
        {
            let mut state = self.state();
            state.under_way.retain(|id: &AppId, _| all.has(id));
            state.due.retain(|id: &AppId, _| all.has(id));
        }
        held.difference(&before).next().is_some()
    }
}

fn released(swaps: &[Swap]) -> BTreeSet<Shard> {
    let released = swaps.iter().filter(|swap| swap.kind == Kind::Release);
    released.map(|swap| swap.shard).collect()
}
