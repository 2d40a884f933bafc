//! Lives of apps whose memory was lost, or went back in time with a restored table: what AWS shows puts it right.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::status::Phase;
use serde_json::json;

use crate::tale::{Tale, row, tell};
use crate::world::{Script, World};

fn mins(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// A backup of the state table.
struct Backup(World);

impl Tale {
    fn lose_the_state_table(&mut self) -> &mut Self {
        self.note("the state table is lost");
        self.world.memory = None;
        self.world.gates = BTreeMap::new();
        self.world.claims = BTreeMap::new();
        self
    }

    fn back_up(&mut self) -> Backup {
        self.note("the state table is backed up");
        Backup(self.world.clone())
    }

    fn restore(&mut self, backup: &Backup) -> &mut Self {
        self.note("the state table is restored");
        self.world.memory.clone_from(&backup.0.memory);
        self.world.gates.clone_from(&backup.0.gates);
        self.world.claims.clone_from(&backup.0.claims);
        self
    }

    #[track_caller]
    fn has_started(&self, applies: usize, destroys: usize) {
        let started = [BuildKind::Apply, BuildKind::Destroy].map(|kind| self.world.started(kind));
        assert_eq!(started, [applies, destroys]);
    }
}

/// A row that leaves its host name to us.
fn nameless(app: &str) -> serde_json::Value {
    let mut row = row(app);
    row.as_object_mut().unwrap().remove("hostName");
    row
}

#[test]
fn an_app_whose_memory_was_lost_is_known_again_without_a_build() {
    tell("memory_lost", |tale| {
        tale.write(nameless("shop")).soon(Phase::Ready);
        let host = tale.world.memory.as_ref().unwrap().status.host_name.clone();
        tale.lose_the_state_table().until(Phase::Ready);
        let memory = tale.world.memory.as_ref().unwrap();
        assert_eq!(memory.status.host_name, host, "the host name is kept");
        tale.has_started(1, 0);
        tale.note("its next change is made as ever");
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
        tale.has_started(1, 1);
    });
    tell("memory_lost_mid_build", |tale| {
        tale.write(row("shop")).until_reason("BuildRunning");
        while !tale.world.is_building() {
            tale.pass();
        }
        tale.lose_the_state_table().until(Phase::Ready);
        tale.has_started(1, 0);
    });
    tell("memory_lost_before_the_gate", |tale| {
        tale.write(row("shop")).until_reason("BuildRunning");
        assert!(!tale.world.is_building());
        tale.note("the gate is lost too, so the build is turned away there");
        tale.lose_the_state_table().until(Phase::Ready);
        tale.has_started(2, 0);
    });
    tell("memory_lost_of_a_half", |tale| {
        tale.builds(&[Script::FailsLate]);
        tale.write(row("shop")).until_reason("WaitingToRetry");
        tale.lose_the_state_table();
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
        assert_eq!(tale.world.remains(), [""; 0]);
        tale.has_started(1, 1);
    });
    tell("memory_lost_and_row_spoilt", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.change(&json!({"app": "nonsense"})).pass();
        tale.note("what was accepted is lost with it, and what runs is left as it is");
        tale.lose_the_state_table().pass().pass().run(mins(10));
        tale.has_started(1, 0);
        tale.note("a row that is gone is confirmed first, as ever");
        tale.delete().pass();
        tale.has_started(1, 0);
        tale.sweep().until(Phase::Destroyed);
        tale.has_started(1, 1);
    });
    tell("memory_lost_and_no_build_known", |tale| {
        tale.write(nameless("plain")).soon(Phase::Ready);
        let host = tale.world.memory.as_ref().unwrap().status.host_name.clone();
        tale.note("CodeBuild has forgotten the build, too");
        tale.world.builds.clear();
        tale.lose_the_state_table().until(Phase::Ready);
        assert_eq!(tale.world.memory.as_ref().unwrap().status.host_name, host);
        tale.has_started(0, 0);
    });
}

#[test]
fn a_restored_table_is_put_right_by_what_aws_shows() {
    tell("restored_to_before_it_was_made", |tale| {
        let backup = tale.write(row("shop")).back_up();
        tale.soon(Phase::Ready);
        tale.restore(&backup).until(Phase::Ready);
        tale.has_started(1, 0);
    });
    tell("restored_to_before_it_changed", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        let backup = tale.back_up();
        tale.change(&json!({"parameters": {"SIZE": "large"}}))
            .pass()
            .soon(Phase::Ready);
        tale.restore(&backup).until(Phase::Ready);
        tale.has_started(2, 0);
    });
    tell("restored_to_before_it_was_destroyed", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        let backup = tale.back_up();
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .soon(Phase::Destroyed);
        tale.restore(&backup).until(Phase::Destroyed);
        assert_eq!(tale.world.remains(), [""; 0]);
    });
    tell("restored_into_its_build", |tale| {
        tale.write(row("shop")).until_reason("BuildStarting");
        let backup = tale.back_up();
        tale.soon(Phase::Ready).wait(mins(120));
        tale.note("its gate is open again, though its build has passed and is over");
        tale.restore(&backup).until(Phase::Ready);
        tale.has_started(1, 0);
    });
    tell("restored_while_it_builds", |tale| {
        tale.write(row("shop")).until_reason("BuildRunning");
        let backup = tale.back_up();
        while !tale.world.is_building() {
            tale.pass();
        }
        tale.restore(&backup);
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
        assert_eq!(tale.world.remains(), [""; 0]);
        tale.has_started(1, 1);
    });
    tell("restored_below_a_later_operation", |tale| {
        tale.write(row("shop")).until_reason("BuildStarting");
        let backup = tale.back_up();
        tale.soon(Phase::Ready);
        tale.change(&json!({"parameters": {"SIZE": "large"}}))
            .pass()
            .until_reason("BuildRunning");
        while !tale.world.is_building() {
            tale.pass();
        }
        tale.restore(&backup).until(Phase::Ready);
        tale.has_started(2, 0);
    });
}

#[test]
fn what_nothing_asks_for_and_nothing_remembers_is_an_orphan() {
    tell("orphan", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.delete().lose_the_state_table().pass().pass().sweep().pass();
        tale.note("a row with its id makes it an app again");
        tale.write(row("shop")).until(Phase::Ready);
        tale.has_started(1, 0);
    });
    tell("orphan_reaped", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.delete().lose_the_state_table().pass().pass().sweep();
        tale.world.reap = false;
        tale.note("others are begun with before it")
            .wait(mins(24 * 60))
            .pass();
        tale.world.reap = true;
        tale.until(Phase::Destroyed);
        assert_eq!(tale.world.remains(), [""; 0]);
        assert_eq!(tale.world.held(), [""; 0]);
    });
    tell("orphan_left_alone", |tale| {
        tale.world.policy.orphans.reap = false;
        tale.write(row("shop")).soon(Phase::Ready);
        tale.delete()
            .lose_the_state_table()
            .pass()
            .pass()
            .wait(mins(72 * 60))
            .pass();
        assert_eq!(tale.world.remains().len(), 2);
    });
    tell("orphans_too_many", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.world.hold = true;
        tale.delete()
            .lose_the_state_table()
            .pass()
            .pass()
            .sweep()
            .wait(mins(25 * 60))
            .pass();
        assert_eq!(tale.world.remains().len(), 2);
    });
}
