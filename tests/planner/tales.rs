//! Lives of an app, told pass by pass. The golden files are what a person reviews; here is only what happens.

use jiff::SignedDuration;
use lamplighter::model::claim::Scope;
use lamplighter::model::name::AppId;
use lamplighter::model::observed::{Probe, StoppedTask};
use lamplighter::model::policy::Admission;
use lamplighter::model::status::Phase;
use serde_json::json;

use crate::tale::{builds, row, tell};
use crate::world::{Fault, Script, Sense};

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

fn mins(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

#[test]
fn a_row_becomes_a_url_and_goes_out_with_its_row() {
    tell("lit_and_put_out", |tale| {
        tale.write(row("shop")).until(Phase::Ready);
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
        tale.delete().run(hours(2));
    });
}

#[test]
fn the_day_ends_and_a_new_request_begins_another() {
    tell("end_of_day", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.wait_until("2026-11-20T17:59:59Z").pass();
        tale.wait_until("2026-11-20T18:00:00Z").until(Phase::Destroyed);
        tale.note("keeping it now changes nothing");
        tale.change(&json!({"keepUntil": "2026-11-20T22:00:00Z"})).pass();
        tale.change(&json!({"generation": 2})).until(Phase::Ready);
    });
}

#[test]
fn who_asks_at_the_very_end_of_the_day_gets_the_next_one() {
    tell("at_the_boundary", |tale| {
        let mut punctual = row("shop");
        punctual["requestedAt"] = json!("2026-11-20T18:00:00Z");
        tale.wait_until("2026-11-20T18:00:02Z")
            .write(punctual)
            .soon(Phase::Ready);
        tale.pass();
        tale.note("a millisecond earlier is the day that has ended");
        tale.change(&json!({"requestedAt": "2026-11-20T17:59:59.999Z"}))
            .until_reason("DestroyIntended");
    });
}

#[test]
fn a_daemon_that_was_down_at_the_boundary_does_it_on_return() {
    tell("catch_up", |tale| {
        tale.write(row("night")).soon(Phase::Ready);
        tale.wait_until("2026-11-20T21:40:00Z").until(Phase::Suspended);
        tale.note("a clock that goes back does not light it again");
        tale.set_clock("2026-11-20T17:00:00Z").pass();
        let text = builds(&tale.world);
        tale.note(&text);
        assert_eq!(tale.world.service().desired, 0);
    });
}

#[test]
fn an_exemption_is_cut_to_policy_and_lapses() {
    tell("exemption", |tale| {
        let mut kept = row("shop");
        kept["keepUntil"] = json!("2027-01-01T00:00:00Z");
        tale.write(kept).soon(Phase::Ready);
        tale.wait_until("2026-11-20T18:00:01Z").pass();
        tale.wait_until("2026-11-23T10:00:01Z")
            .until_reason("DestroyIntended");
    });
}

#[test]
fn expiry_and_the_longest_life_are_absolute() {
    tell("absolute_ends", |tale| {
        let mut brief = row("brief");
        brief["keepUntil"] = json!("2026-11-22T00:00:00Z");
        tale.write(brief).soon(Phase::Ready);
        tale.wait_until("2026-11-21T10:00:01Z")
            .until_reason("DestroyIntended");
    });
    tell("expiry", |tale| {
        let mut expiring = row("plain");
        expiring["expiresAt"] = json!("2026-11-20T12:00:00Z");
        tale.write(expiring).soon(Phase::Ready);
        tale.wait_until("2026-11-20T12:00:00Z").until(Phase::Destroyed);
    });
}

#[test]
fn a_request_dated_in_the_future_does_not_dodge_the_end_of_the_day() {
    tell("future_request", |tale| {
        let mut eager = row("shop");
        eager["requestedAt"] = json!("2027-01-01T00:00:00Z");
        tale.write(eager).soon(Phase::Ready);
        tale.wait_until("2026-11-20T18:00:00Z")
            .until_reason("DestroyIntended");
    });
}

#[test]
fn stop_beats_validity_and_a_mistake_lights_nothing() {
    tell("invalid_rows", |tale| {
        tale.write(json!({"user": "", "app": "nope", "desired": "Up", "colour": "red"}))
            .pass();
        tale.write(row("shop")).soon(Phase::Ready);
        tale.note("an invalid change keeps what was accepted");
        tale.change(&json!({"generation": 2, "parameters": {"SIZE": "huge"}}))
            .pass();
        tale.note("nobody changes owner while the app is live");
        tale.change(&json!({"generation": 3, "parameters": null, "user": "bob"}))
            .pass();
        tale.note("a stop is honoured in a row that is otherwise wrong");
        tale.change(&json!({"desired": "Destroyed", "app": "nope"}))
            .until(Phase::Destroyed);
        tale.change(&json!({"desired": "Running", "generation": 4}))
            .pass();
    });
}

#[test]
fn a_change_of_mind_before_the_gate_applies_nothing() {
    tell("cancelled_in_the_queue", |tale| {
        tale.builds(&[Script::Queues]);
        tale.write(row("shop")).until_reason("BuildRunning");
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
    });
}

#[test]
fn a_change_of_mind_behind_the_gate_waits_for_the_build() {
    tell("cancelled_behind_the_gate", |tale| {
        tale.write(row("shop")).until_reason("BuildRunning");
        tale.wait(SignedDuration::from_secs(20)).pass();
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
    });
}

#[test]
fn answers_that_are_lost_and_calls_that_come_late_start_one_build() {
    tell("lost_answer", |tale| {
        tale.write(row("plain"))
            .pass()
            .pass_with(Fault::LostResponse)
            .until(Phase::Ready);
    });
    tell("lost_for_good", |tale| {
        tale.write(row("plain")).pass();
        tale.pass_with(Fault::LostRequest);
        tale.wait(mins(5)).until(Phase::Ready);
    });
    tell("late_call", |tale| {
        tale.write(row("plain")).pass().pass_with(Fault::Late(400));
        tale.wait(mins(6)).until(Phase::Ready);
    });
    tell("crash_after_the_call", |tale| {
        tale.write(row("plain"))
            .pass()
            .pass_with(Fault::Crash)
            .until(Phase::Ready);
    });
    tell("refused_call", |tale| {
        tale.write(row("plain"))
            .pass()
            .pass_with(Fault::Rejected)
            .until(Phase::Ready);
    });
}

#[test]
fn failures_are_retried_until_the_app_stalls_and_a_new_request_revives_it() {
    tell("stall", |tale| {
        tale.builds(&[Script::FailsEarly, Script::FailsLate, Script::FailsLate]);
        tale.write(row("shop")).until(Phase::Failed);
        tale.change(&json!({"generation": 2})).until(Phase::Ready);
    });
    tell("no_room", |tale| {
        tale.builds(&[Script::NoRoom, Script::NoRoom, Script::NoRoom, Script::NoRoom]);
        tale.write(row("shop")).until(Phase::Ready);
    });
}

#[test]
fn builds_that_misbehave_are_found_out() {
    tell("hanging_build", |tale| {
        tale.builds(&[Script::Hangs]);
        tale.write(row("shop")).until_reason("BuildRunning");
        tale.wait(mins(96)).until(Phase::Ready);
    });
    tell("build_without_a_gate", |tale| {
        tale.builds(&[Script::SkipsGate]);
        tale.write(row("shop")).until_reason("WaitingToRetry");
    });
    tell("ungated_lost_answer", |tale| {
        tale.ungated().write(row("plain")).pass();
        tale.pass_with(Fault::LostResponse).until(Phase::Starting);
    });
    tell("ungated_lost_calls", |tale| {
        tale.ungated().write(row("plain")).pass();
        tale.pass_with(Fault::LostRequest).wait(mins(6)).pass();
        tale.wait(mins(5)).pass().pass().until_reason("BuildRunning");
    });
    tell("ungated_called_off", |tale| {
        tale.ungated().write(row("plain")).until_reason("BuildRunning");
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
    });
    tell("ungated_very_late_call", |tale| {
        tale.ungated().write(row("plain")).pass();
        tale.pass_with(Fault::Late(700));
        tale.change(&json!({"desired": "Destroyed", "generation": 2}));
        tale.until(Phase::Destroyed);
    });
    tell("destroy_that_leaves_something", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.builds(&[Script::Leaves]);
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
    });
    tell("leftover_deleted", |tale| {
        tale.world.policy.force_delete_after = 2;
        tale.write(row("shop")).soon(Phase::Ready);
        tale.builds(&[Script::Leaves, Script::Leaves]);
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
        tale.note("what is applied again is no leftover");
        tale.change(&json!({"desired": "Running", "generation": 3}))
            .soon(Phase::Ready);
    });
    tell("forgotten_build", |tale| {
        tale.builds(&[Script::Vanishes]);
        tale.write(row("plain")).until_reason("BuildNotFound");
        tale.wait(hours(46)).until(Phase::Ready);
    });
}

#[test]
fn what_belongs_to_others_is_refused_with_its_holder_and_the_ways_out() {
    tell("slot_taken", |tale| {
        tale.taken("slot#ann");
        tale.write(row("shop")).until(Phase::Refused);
        tale.freed("slot#ann").until(Phase::Ready);
    });
    tell("refused_for_good", |tale| {
        tale.taken("host#ann.example.com");
        tale.write(row("shop")).until(Phase::Refused);
        tale.wait(mins(16)).pass();
        tale.freed("host#ann.example.com").pass();
        tale.change(&json!({"generation": 2})).until(Phase::Ready);
    });
}

#[test]
fn the_newest_request_takes_the_slot_and_the_older_app_stays_out_until_asked_again() {
    tell("replaced", |tale| {
        tale.replaces().write(row("shop")).soon(Phase::Ready);
        tale.wait(mins(5)).rival_asks("a2").rival_bids("a2");
        tale.until(Phase::Refused).run(mins(2));
        tale.note("what replaced it is gone, and the clock goes back");
        tale.rival_leaves("a2")
            .set_clock("2026-11-20T08:00:00Z")
            .run(mins(2));
        tale.set_clock("2026-11-20T11:00:00Z")
            .change(&json!({"generation": 2}))
            .soon(Phase::Ready);
    });
    tell("replaced_behind_the_gate", |tale| {
        tale.replaces().write(row("shop")).until_reason("BuildRunning");
        tale.wait(mins(0)).rival_asks("a2").rival_bids("a2").pass();
        tale.until(Phase::Refused);
        let text = builds(&tale.world);
        tale.note(&text);
    });
}

#[test]
fn an_app_whose_request_is_newer_bids_and_waits_until_the_holder_is_gone() {
    tell("replacing", |tale| {
        tale.replaces().rival_asks("a2").taken("slot#ann");
        tale.wait(mins(5)).write(row("shop")).until_reason("Replacing");
        tale.pass().note("however long that takes");
        tale.wait(mins(40)).pass();
        tale.freed("slot#ann").until(Phase::Ready);
    });
    tell("too_old_to_replace", |tale| {
        tale.replaces().rival_asks("a2").taken("slot#ann");
        let mut old = row("shop");
        old["requestedAt"] = json!("2026-11-20T09:59:00Z");
        tale.write(old).until_reason("Superseded").run(mins(2));
        tale.note("the holder goes, which changes nothing");
        tale.freed("slot#ann").rival_leaves("a2").run(mins(2));
        tale.change(&json!({"generation": 2, "requestedAt": "2026-11-20T10:04:00Z"}))
            .soon(Phase::Ready);
    });
    tell("bids", |tale| {
        tale.replaces().rival_asks("a2").taken("slot#ann");
        tale.wait(mins(5)).write(row("shop"));
        tale.wait(mins(5)).rival_asks("a3").rival_bids("a3");
        tale.note("a bid that nobody stands behind any more is no hindrance");
        tale.rival_leaves("a3").pass();
        tale.note("a newer one that somebody stands behind is");
        tale.rival_asks("a3").rival_bids("a3").until_reason("Superseded");
    });
}

#[test]
fn a_bid_stops_nobody_once_its_app_is_gone_or_while_an_operator_pauses() {
    tell("bid_of_nobody", |tale| {
        tale.replaces().write(row("shop")).soon(Phase::Ready);
        tale.wait(mins(5))
            .rival_asks("a2")
            .rival_bids("a2")
            .rival_leaves("a2");
        tale.pass();
        tale.note("it cannot be looked at");
        tale.rival_asks("a2")
            .rival_bids("a2")
            .blind(&[Sense::Rivals])
            .pass();
        tale.blind(&[]).pause().pass();
        tale.resume().pass();
    });
}

#[test]
fn a_row_that_is_gone_is_confirmed_first() {
    tell("held_deletion", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.world.hold = true;
        tale.sweep().delete().pass().sweep().pass();
        tale.world.hold = false;
        tale.note("the rows of the others are back")
            .sweep()
            .until(Phase::Destroyed);
    });
}

#[test]
fn a_pause_holds_every_action_until_it_ends() {
    tell("paused", |tale| {
        tale.write(row("shop")).pause().pass().pass();
        tale.resume().until(Phase::Deploying).pass().pass();
        tale.wait(mins(1)).pause().until(Phase::Ready);
        tale.wait_until("2026-11-20T18:00:00Z").pass().pass();
        tale.wait(mins(60)).pass();
        tale.resume().until(Phase::Destroyed);
    });
}

#[test]
fn what_cannot_be_looked_at_only_waits() {
    tell("blind", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        for sense in Sense::ALL {
            tale.blind(&[sense]).pass();
        }
        tale.blind(&[]).pass();
    });
}

#[test]
fn an_app_that_never_works_is_given_up_and_applied_anew_when_asked_for_again() {
    tell("crash_loop", |tale| {
        tale.note("its container exits at once");
        tale.world.targets_heal = false;
        tale.world.probe = Probe::Failed("HTTP 503 Service Unavailable".to_owned());
        tale.world.stopped_task = Some(StoppedTask {
            stopped_at: Some("2026-11-20T10:05:00Z".parse().unwrap()),
            code: "EssentialContainerExited".to_owned(),
            reason: "Essential container in task exited: DATABASE_URL is not set".to_owned(),
        });
        tale.write(row("shop")).until(Phase::Failed);
        tale.note("it is mended, and asked for again in the same words");
        tale.world.targets_heal = true;
        tale.world.probe = Probe::Answered;
        tale.world.stopped_task = None;
        tale.change(&json!({"generation": 2})).until(Phase::Ready);
    });
    tell("never_answers", |tale| {
        tale.write(row("plain")).soon(Phase::Ready);
        tale.note("somebody deletes the listener rule, which nobody told us about");
        tale.world.probe = Probe::Failed("HTTP 503 Service Unavailable".to_owned());
        tale.until(Phase::Failed);
        tale.note("suspending it needs no build, and neither does asking for it a little later");
        tale.change(&json!({"desired": "Suspended"}))
            .until(Phase::Suspended);
        tale.change(&json!({"desired": "Running"}))
            .until_reason("NotAnswering");
    });
}

#[test]
fn a_new_spec_is_built_beside_what_runs_and_the_same_spec_never() {
    tell("another_size", |tale| {
        tale.write(row("plain")).soon(Phase::Ready);
        tale.note("asked for again, in the same words: nothing to build");
        tale.change(&json!({"generation": 2})).pass();
        tale.change(&json!({"generation": 3, "parameters": {"SIZE": "large"}}))
            .until(Phase::Ready);
    });
    tell("second_thoughts", |tale| {
        tale.write(row("plain")).until_reason("BuildRunning");
        tale.note("the build is past its gate when something else is asked");
        tale.wait(SignedDuration::from_secs(20)).pass();
        tale.change(&json!({"generation": 2, "parameters": {"SIZE": "large"}}))
            .until(Phase::Ready);
    });
}

#[test]
fn sleep_and_waking_need_no_build() {
    tell("nap", |tale| {
        tale.write(row("night")).soon(Phase::Ready);
        tale.change(&json!({"desired": "Suspended", "generation": 2}))
            .until(Phase::Suspended);
        tale.note("somebody starts a task");
        tale.world.service().desired = 1;
        tale.pass().until(Phase::Suspended);
        tale.change(&json!({"desired": "Running", "generation": 3}))
            .until(Phase::Ready);
        let text = builds(&tale.world);
        tale.note(&text);
    });
    tell("nothing_to_suspend", |tale| {
        let mut asleep = row("night");
        asleep["desired"] = json!("Suspended");
        tale.write(asleep).run(mins(2));
        tale.change(&json!({"desired": "Running", "generation": 2}))
            .until(Phase::Ready);
    });
}

#[test]
fn a_full_line_is_told_and_waited_for() {
    tell("line", |tale| {
        tale.world.admission = Admission::Waiting {
            place: 3,
            reason: "2 of 2 builds run".to_owned(),
            until: "2026-11-20T10:01:00Z".parse().unwrap(),
        };
        tale.note("two builds of others run");
        tale.write(row("plain")).pass();
        tale.wait_until("2026-11-20T10:01:00Z");
        tale.note("the line is gone");
        tale.world.admission = Admission::Granted;
        tale.until(Phase::Ready);
    });
}

#[test]
fn with_a_slot_for_each_app_a_user_may_have_one_of_each() {
    tell("user_app_scope", |tale| {
        tale.world.policy.scope = Scope::UserApp;
        tale.note("one app of each kind for each user");
        tale.taken("slot#ann#wiki");
        tale.write(row("plain")).until(Phase::Ready);
        tale.note("and no two of a kind");
        tale.change(&json!({"desired": "Destroyed", "generation": 2}))
            .soon(Phase::Destroyed);
        tale.taken("slot#ann#plain");
        tale.change(&json!({"desired": "Running", "generation": 3}))
            .until(Phase::Refused);
    });
}

#[test]
fn a_host_name_outside_the_domain_is_refused() {
    tell("foreign_host", |tale| {
        let mut foreign = row("plain");
        foreign["hostName"] = json!("169.254.169.254");
        tale.write(foreign).pass();
        tale.change(&json!({"hostName": "a.example.com"}))
            .soon(Phase::Ready);
        tale.note("the catalogue moves to another domain: what is held is kept");
        for entry in tale.world.policy.catalogue.values_mut() {
            "example.org".clone_into(&mut entry.domain);
        }
        tale.change(&json!({"generation": 2})).pass();
        tale.change(&json!({"generation": 3, "desired": "Destroyed"}))
            .soon(Phase::Destroyed);
        tale.change(&json!({"generation": 4, "desired": "Running"}))
            .pass();
    });
}

#[test]
fn a_service_of_our_name_with_another_tag_is_left_alone() {
    tell("not_ours", |tale| {
        tale.write(row("plain")).soon(Phase::Ready);
        tale.note("somebody gives its service another owner");
        tale.world.service().owner = AppId::from_key("a2").unwrap();
        tale.pass();
        tale.change(&json!({"desired": "Suspended", "generation": 2}))
            .pass();
    });
}

#[test]
fn drift_is_healed_and_absence_believed_on_the_second_look() {
    tell("drift", |tale| {
        tale.write(row("shop")).soon(Phase::Ready);
        tale.note("somebody wants five tasks");
        tale.world.service().desired = 5;
        tale.pass().until(Phase::Ready);
        tale.note("somebody deletes the service");
        tale.world.services.clear();
        tale.pass().until(Phase::Ready);
        tale.note("somebody detaches the target group");
        for attached in tale.world.groups.values_mut() {
            *attached = false;
        }
        tale.pass().until(Phase::Ready);
    });
}
