//! Judges rows that are gone: an ordinary deletion, or the sign of an empty, wrong or restored table?
//!
//! More than max(5, 10 %) of the known rows gone at once is held until the rows are back or an operator
//! approves. The judgement is made afresh by every sweep from what the tables say, so it outlives restarts.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cloud::{Rows, StateSnapshot};
use crate::inventory::Strays;
use crate::model::memory::{Memory, RowGone};
use crate::model::name::AppId;
use crate::model::policy::{Approvals, Deletions};

/// The judgement of the last complete sweep.
#[derive(Clone, Debug, Default)]
pub(super) struct Judgement {
    judged: Deletions,
    /// Rows that memory missed before that sweep read the desired table, and that were not in it either: since when.
    missed: BTreeMap<AppId, Timestamp>,
    approvals: Approvals,
}

/// Up to this many rows may always go at once.
const ALWAYS_ALLOWED: usize = 5;

impl Judgement {
    /// Nothing is judged until it is known what AWS holds: a table that was lost or restored knows too few apps for a
    /// mass to look like one.
    pub(super) fn unjudged(state: &StateSnapshot) -> Self {
        Self {
            judged: Deletions::Unjudged,
            missed: BTreeMap::new(),
            approvals: state.approvals,
        }
    }

    /// Judges a complete reading of both tables, with what AWS shows and the state table does not remember.
    pub(super) fn of(
        before: &Judgement,
        rows: &Rows,
        state: &StateSnapshot,
        strays: &Strays,
        rows_read_at: Timestamp,
    ) -> Self {
        let unremembered = || {
            let known = |id| state.memories.get(id).is_some_and(counts);
            let strays = strays.apps.values().filter(|stray| stray.identity.is_some());
            strays.filter(move |stray| !known(&stray.id))
        };
        let known = state.memories.values().filter(|memory| counts(memory)).count() + unremembered().count();
        let approvals = state.approvals;
        let without_row = || {
            let memories = state.memories.values();
            memories.filter(|memory| !rows.rows.contains_key(&memory.id))
        };
        let gone = without_row()
            .filter(|memory| counts(memory))
            .filter(|memory| !decided(memory.row_gone.as_ref(), approvals));
        let (mut vanished, mut held) = (unremembered().filter(|stray| !stray.has_row).count(), false);
        for memory in gone {
            vanished += 1;
            // What is left of a mass is held as the mass was.
            held |= memory.row_gone.as_ref().is_some_and(|gone| gone.held);
        }
        let judged = if (held || vanished > ALWAYS_ALLOWED.max(known / 10)) && !planted!(HoldIgnored) {
            let since = match before.judged {
                Deletions::Held { since, .. } => since,
                Deletions::Unjudged | Deletions::Clear { .. } => rows_read_at,
            };
            Deletions::Held {
                vanished,
                known,
                since,
            }
        } else {
            Deletions::Clear { gone_since: None }
        };
        // The state table was read before the rows, so each of these was looked for twice.
        let missed = without_row()
            .filter_map(|memory| Some((memory.id.clone(), memory.row_gone.as_ref()?.since)))
            .collect();
        Self {
            judged,
            missed,
            approvals,
        }
    }

    /// What it means for one app.
    pub(super) fn for_app(&self, memory: Option<&Memory>) -> Deletions {
        let gone = memory.and_then(|memory| memory.row_gone.as_ref());
        if let Some(gone) = gone.filter(|gone| approved(gone, self.approvals)) {
            let gone_since = Some(gone.since);
            return Deletions::Clear { gone_since };
        }
        match &self.judged {
            Deletions::Clear { .. } => Deletions::Clear {
                gone_since: memory.and_then(|memory| self.missed.get(&memory.id).copied()),
            },
            judged @ (Deletions::Unjudged | Deletions::Held { .. }) => judged.clone(),
        }
    }

    /// The judgement over all.
    pub(super) fn overall(&self) -> &Deletions {
        &self.judged
    }
}

/// Whether losing this app's row would tear something down. Names alone do not count: portals are told to
/// delete the rows of apps that are destroyed.
fn counts(memory: &Memory) -> bool {
    memory.deployment.is_some() || memory.holds_slot() || memory.in_flight().is_some()
}

/// Whether the deletion was confirmed or approved already, and so is not part of what vanished just now.
fn decided(gone: Option<&RowGone>, approvals: Approvals) -> bool {
    gone.is_some_and(|gone| gone.confirmed || approved(gone, approvals))
}

/// Whether an operator has approved since the row was first missed.
fn approved(gone: &RowGone, approvals: Approvals) -> bool {
    gone.approvals.is_some_and(|before| before < approvals.count)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::claim::{Identity, Scope};
    use crate::model::memory::Holding;
    use crate::model::name::{AppId, AppName, HostName, User};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// A table of `known` live apps of which the first `gone` have no row.
    fn judge(known: usize, gone: usize, change: impl Fn(usize, &mut Memory)) -> Judgement {
        let mut state = StateSnapshot::default();
        let mut rows = Rows::default();
        for n in 0..known {
            let id = AppId::from_key(format!("app{n}")).unwrap();
            let mut memory = Memory::new(id.clone());
            let host = HostName::parse(&format!("app{n}.example.com")).unwrap();
            let user = User::parse("ann").unwrap();
            let identity = Identity::new(Scope::User, user, AppName::new("shop"), host);
            memory.holding = Some(Holding {
                identity,
                slot: true,
                since: at(0),
            });
            change(n, &mut memory);
            state.memories.insert(id.clone(), memory);
            if n >= gone {
                let row = crate::model::row::Row::read(id.clone(), std::collections::BTreeMap::new());
                rows.rows.insert(id, row);
            }
        }
        Judgement::of(&Judgement::default(), &rows, &state, &Strays::default(), at(10))
    }

    #[test]
    fn a_handful_may_go_and_a_mass_is_held() {
        let clear = Judgement::overall;
        assert_eq!(
            *clear(&judge(20, 5, |_, _| {})),
            Deletions::Clear { gone_since: None }
        );
        assert!(matches!(
            clear(&judge(20, 6, |_, _| {})),
            Deletions::Held {
                vanished: 6,
                known: 20,
                ..
            }
        ));
        assert_eq!(
            *clear(&judge(200, 20, |_, _| {})),
            Deletions::Clear { gone_since: None }
        );
        assert!(matches!(
            clear(&judge(200, 21, |_, _| {})),
            Deletions::Held { vanished: 21, .. }
        ));
        assert!(matches!(clear(&judge(6, 6, |_, _| {})), Deletions::Held { .. }));
    }

    #[test]
    fn rows_of_destroyed_apps_may_all_go_at_once() {
        let destroyed = |_: usize, memory: &mut Memory| {
            if let Some(holding) = &mut memory.holding {
                holding.slot = false;
            }
        };
        assert_eq!(
            *judge(20, 20, destroyed).overall(),
            Deletions::Clear { gone_since: None }
        );
    }

    #[test]
    fn deletions_that_were_confirmed_before_do_not_add_up_to_a_mass() {
        let confirmed = |n: usize, memory: &mut Memory| {
            memory.row_gone = Some(RowGone {
                since: at(0),
                confirmed: n < 8,
                approvals: Some(0),
                held: false,
            });
        };
        assert_eq!(
            *judge(20, 12, confirmed).overall(),
            Deletions::Clear { gone_since: None }
        );
    }

    #[test]
    fn what_is_left_of_a_mass_stays_held_until_it_is_back_or_approved() {
        // Of those that went, all but three are back, or their day has ended.
        let left = |n: usize, memory: &mut Memory| {
            memory.row_gone = (n < 3).then_some(RowGone {
                since: at(0),
                confirmed: false,
                approvals: Some(0),
                held: true,
            });
        };
        assert!(matches!(
            judge(20, 3, left).overall(),
            Deletions::Held { vanished: 3, .. }
        ));
        assert_eq!(
            *judge(20, 0, left).overall(),
            Deletions::Clear { gone_since: None }
        );
    }

    fn gone(since: i64, approvals: Option<u64>) -> Memory {
        let mut memory = Memory::new(AppId::from_key("app0").unwrap());
        memory.row_gone = Some(RowGone {
            since: at(since),
            confirmed: false,
            approvals,
            held: true,
        });
        memory
    }

    /// Clocks of replicas differ, so no time that one took is compared with that of another.
    #[test]
    fn an_approval_frees_what_was_missed_before_it_and_nothing_later() {
        let mut judgement = judge(20, 12, |_, _| {});
        judgement.approvals = Approvals {
            count: 3,
            latest: Some(at(-900)),
        };
        let freed = Deletions::Clear {
            gone_since: Some(at(5)),
        };
        assert_eq!(judgement.for_app(Some(&gone(5, Some(2)))), freed);
        judgement.approvals.latest = Some(at(900));
        for approvals in [Some(3), Some(4), None] {
            let judged = judgement.for_app(Some(&gone(5, approvals)));
            assert!(matches!(judged, Deletions::Held { .. }), "{approvals:?}");
        }
    }

    #[test]
    fn a_sweep_confirms_only_what_was_missed_before_it_read_the_rows() {
        let judgement = judge(20, 3, |n, memory| {
            memory.row_gone = (n == 0).then(|| RowGone {
                held: false,
                ..gone(-5, Some(0)).row_gone.unwrap()
            });
        });
        let confirmed = |since| Deletions::Clear { gone_since: since };
        assert_eq!(
            judgement.for_app(Some(&gone(-5, Some(0)))),
            confirmed(Some(at(-5)))
        );
        let mut late = gone(3, Some(0));
        late.id = AppId::from_key("app1").unwrap();
        assert_eq!(judgement.for_app(Some(&late)), confirmed(None));
        assert_eq!(judgement.for_app(None), confirmed(None));
    }
}
