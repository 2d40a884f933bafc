//! What happens in a story: each event is carried out, and told.

use simcloud::{BuildView, ServiceStatus, ServiceView};

use super::Story;
use crate::memory_tables::Items;
use crate::scenario::{Event, Meddling, Spoilt};

impl Story {
    #[allow(clippy::too_many_lines, reason = "a line or two for each kind of event")]
    pub(super) async fn happen(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Put { id, row } => {
                self.cloud.put(&id, &row);
                let shown: String = format!("{row:?}").chars().take(400).collect();
                self.tell_line(&format!("portal puts {id} {shown}"));
                self.portal.entry(id).or_default().push((now, Some(*row)));
            }
            Event::Delete { id } => {
                self.cloud.delete(&id);
                self.tell_line(&format!("portal deletes {id}"));
                self.portal.entry(id).or_default().push((now, None));
            }
            Event::Meddle { what, which } => self.meddle(what, which),
            Event::Build { matching, behaviour } => {
                self.tell_line(&format!("the next build of {matching:?} is to {behaviour:?}"));
                self.cloud.sim.world().behave(matching, behaviour);
            }
            Event::Spoil { id, how } => {
                self.tell_line(&format!("{id} misbehaves: {how:?}"));
                let world = self.cloud.sim.world();
                match how {
                    Spoilt::CrashLoop => world.crash_loop(&id, Some(1), "bad luck"),
                    Spoilt::Unhealthy => world.unhealthy_target(&id),
                    Spoilt::ErrorPage => world.http_status(&id, 500),
                }
            }
            Event::Heal { id } => {
                self.tell_line(&format!("{id} behaves again"));
                self.cloud.sim.world().heal(&id);
            }
            Event::Crash {
                replica,
                after,
                answered,
                down,
            } => match &self.daemons[replica] {
                Some(_) if after == 0 => self.crash(replica, down).await,
                Some(daemon) => {
                    daemon.trip(after, answered);
                    self.doomed.insert(replica, down);
                }
                None => {}
            },
            Event::Freeze { replica, length } => {
                if let Some(daemon) = &self.daemons[replica] {
                    daemon.line().freeze(length.unsigned_abs());
                    self.watch.blind_until = self.watch.blind_until.max(Some(now + length));
                    self.tell_line(&format!("daemon {replica} sleeps for {length:#}"));
                }
            }
            Event::ClockJumps { replica, to } => {
                self.walls[replica].jump(to);
                self.tell_line(&format!(
                    "the clock of daemon {replica} is wrong by {to:#} from now on"
                ));
            }
            Event::CredentialsExpire { length } => {
                self.tell_line(&format!("all credentials are expired for {length:#}"));
                self.cloud.deny(length.unsigned_abs());
                self.watch.blind_until = self.watch.blind_until.max(Some(now + length));
            }
            Event::TableEmptied => self.empty_the_table(),
            Event::TableComesBack { rows } => {
                // Few rows missing look like ordinary deletions to whoever never saw that all were.
                let rows = if self.mass_was_seen().await {
                    rows
                } else {
                    usize::MAX
                };
                let mut back = Vec::new();
                for (id, writes) in &self.portal {
                    if let Some((_, Some(row))) = writes.last()
                        && back.len() < rows
                        && !self.cloud.has_row(id)
                    {
                        self.cloud.put(id, row);
                        back.push(id.clone());
                    }
                }
                self.tell_line(&format!("rows that vanished are back: {back:?}"));
            }
            Event::Pause { id } => {
                self.tell_line(&format!("an operator pauses {id:?}"));
                self.cloud.set_pause(id.as_deref(), true).await;
            }
            Event::Resume { id } => {
                self.tell_line(&format!("an operator resumes {id:?}"));
                self.cloud.set_pause(id.as_deref(), false).await;
            }
            Event::Keep { id, until } => {
                let body = serde_json::json!({"until": until.to_string(), "reason": "a demonstration"});
                self.ask_api(http::Method::POST, &id, &body);
            }
            Event::Unkeep { id } => self.ask_api(http::Method::DELETE, &id, &serde_json::Value::Null),
            Event::BackUp => self.backup = Some(self.cloud.state_table()),
            Event::StateLost => {
                self.tell_line("the state table is lost");
                self.cloud.restore(Items::default());
                self.watch.state_lost(now);
            }
            Event::StateRestored => {
                self.tell_line("the state table is restored from its backup");
                self.cloud
                    .restore(self.backup.clone().expect("it was backed up before"));
                self.watch.state_restored();
            }
            Event::OtherBinary => {
                self.tell_line("every memory is as another binary would have written it");
                self.cloud.rewrite_memories();
            }
        }
    }

    /// An operator asks the first daemon that is up about the exemption of an app.
    fn ask_api(&mut self, method: http::Method, id: &str, body: &serde_json::Value) {
        self.tell_line(&format!(
            "an operator asks to {method} the exemption of {id}: {body}"
        ));
        if let Some(daemon) = self.daemons.iter_mut().flatten().next() {
            daemon.ask_api(method, &format!("/api/v1/apps/{id}/keep"), body);
        }
    }

    /// Every row is gone, and it is not the portal that deleted them. Unless few apps would lose theirs: then nobody
    /// could tell it from ordinary deletions. (More than five is what is held; an app or two may be on its way out.)
    fn empty_the_table(&mut self) {
        let rows: Vec<String> = self
            .portal
            .iter()
            .filter(|(_, writes)| matches!(writes.last(), Some((_, Some(_)))))
            .map(|(id, _)| id.clone())
            .collect();
        let world = self.cloud.sim.world();
        let (services, builds) = (world.services(), world.builds());
        let is = |id: &&String, instance: &Option<String>| instance.as_ref() == Some(*id);
        let live = rows.iter().filter(|id| {
            let served =
                |service: &ServiceView| service.status == ServiceStatus::Active && is(id, &service.instance);
            let leaves = |build: &BuildView| {
                build.ended.is_none() && build.action.as_deref() == Some("destroy") && is(id, &build.instance)
            };
            services.iter().any(served) && !builds.iter().any(leaves)
        });
        if live.count() < 7 {
            return;
        }
        self.tell_line("the table of rows is empty");
        for id in rows {
            self.cloud.delete(&id);
        }
    }

    /// Whether every row that is missing is known to be gone with many.
    async fn mass_was_seen(&self) -> bool {
        let memories = self.cloud.state().await.memories;
        let missing = |id: &str| self.portal.contains_key(id) && !self.cloud.has_row(id);
        memories
            .values()
            .filter(|memory| missing(memory.id.as_str()))
            .all(|memory| {
                memory
                    .row_gone
                    .as_ref()
                    .is_some_and(|gone| gone.held || gone.confirmed)
            })
    }

    fn meddle(&mut self, what: Meddling, which: u64) {
        let world = self.cloud.sim.world();
        let pick = |len: usize| (len > 0).then(|| usize::try_from(which % (len as u64)).unwrap());
        let on_build = matches!(
            what,
            Meddling::StopBuild | Meddling::RetryBuild | Meddling::ForgetBuild
        );
        if on_build {
            let mut builds = world.builds();
            builds.retain(|build| match what {
                Meddling::RetryBuild => build.ended.is_some(),
                // In a seed, what was forgotten before anybody saw its end would be waited for longer than all of it.
                Meddling::ForgetBuild => self.scenario.may_forget(build.ended, self.clock.now()),
                _ => build.ended.is_none(),
            });
            builds.sort_by_key(|build| std::cmp::Reverse(build.started));
            // Of the newest ones: older ones matter to nobody.
            builds.truncate(3);
            if let Some(n) = pick(builds.len()) {
                let id = &builds[n].id;
                self.tell_line(&format!("somebody does {what:?} to {id}"));
                match what {
                    Meddling::RetryBuild => {
                        world.retry_build(id);
                    }
                    Meddling::ForgetBuild => world.forget_build(id),
                    _ => world.stop_build(id),
                }
            }
            return;
        }
        if matches!(what, Meddling::ExhaustRates) {
            self.tell_line("somebody else uses up what ECS lets the account call");
            return world.exhaust_rates(u32::try_from(which % 600).unwrap());
        }
        let mut live = world.services();
        live.retain(|service| service.status == ServiceStatus::Active);
        let Some(n) = pick(live.len()) else { return };
        let (cluster, name) = (live[n].cluster.as_str(), live[n].name.as_str());
        self.tell_line(&format!("somebody does {what:?} to {name}"));
        match what {
            Meddling::Scale(count) => world.set_desired_count(cluster, name, count),
            Meddling::DeleteService => world.delete_service(cluster, name),
            Meddling::DetachTargetGroup => {
                self.detached.insert(name.to_owned());
                world.detach_target_group(name);
            }
            Meddling::DeleteTargetGroup => {
                self.detached.insert(name.to_owned());
                world.delete_target_group(name);
            }
            Meddling::KillTasks => world.kill_tasks(cluster, name),
            Meddling::StopBuild | Meddling::RetryBuild | Meddling::ForgetBuild | Meddling::ExhaustRates => {}
        }
        self.watch.forgive(&self.cloud, self.clock.now());
    }
}
