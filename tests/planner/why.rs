//! What people are told of an app that asks why, and when: reviewed texts of lives that the planner has decided.

use lamplighter::api::AppSummary;
use lamplighter::api::why::{explain, foretell};
use lamplighter::model::history::{Event, Inputs};
use lamplighter::model::policy::Admission;
use lamplighter::model::status::Phase;
use serde_json::json;

use crate::tale::{Tale, row};
use crate::world::{Script, read_row};

/// The history line of the newest decision, as the recorder writes it.
fn newest(tale: &Tale) -> Vec<Event> {
    let memory = tale.world.memory.as_ref();
    let line = memory.map(|memory| Event {
        id: tale.world.id.clone(),
        at: String::new(),
        time: tale.world.now(),
        rule: memory.decision.split('/').next().unwrap_or_default().to_owned(),
        reason: memory.status.reason.clone(),
        message: memory.status.message.clone(),
        phase: memory.status.phase.to_string(),
        version: Some(memory.version),
        life: None,
        requested_by: Some("ann".to_owned()),
        inputs: Some(Inputs::of(memory)),
        ttl: 0,
    });
    line.into_iter().collect()
}

/// Both texts of an app to which `script` happened.
fn told(name: &str, script: impl FnOnce(&mut Tale)) -> String {
    let mut tale = Tale::begin();
    script(&mut tale);
    let summary = AppSummary {
        id: tale.world.id.clone(),
        row: tale.world.row.as_ref().map(|row| read_row(&tale.world.id, row)),
        memory: tale.world.memory.clone(),
    };
    let (why, when) = (explain(&summary, newest(&tale)), foretell(&summary));
    assert_eq!((&why.next, &why.changes), (&when.next, &when.changes), "{name}");
    format!("> {name}: why\n{}> {name}: when\n{}\n", why.text, when.text)
}

#[test]
fn each_situation_is_told_with_its_rule_its_time_and_its_way_out() {
    let with = |field: &str, value: serde_json::Value| {
        let mut row = row("shop");
        row[field] = value;
        row
    };
    let situations = [
        told("ready, and stopped by its schedule", |tale| {
            tale.write(row("shop")).soon(Phase::Ready);
        }),
        told("exempt", |tale| {
            tale.write(with("keepUntil", json!("2026-11-20T22:00:00Z")))
                .soon(Phase::Ready);
        }),
        told("suspended until its schedule wakes it", |tale| {
            tale.write(with("schedule", json!("naps"))).soon(Phase::Ready);
            tale.wait_until("2026-11-20T18:00:00Z").soon(Phase::Suspended);
        }),
        told("held, since its schedule is closed", |tale| {
            tale.wait_until("2026-11-20T20:00:00Z");
            tale.write(with("schedule", json!("guarded"))).pass();
        }),
        told("destroyed at the end of its day", |tale| {
            tale.write(row("shop")).soon(Phase::Ready);
            tale.wait_until("2026-11-20T18:00:00Z").soon(Phase::Destroyed);
        }),
        told("refused, since another app has the slot", |tale| {
            tale.taken("slot#ann").write(row("shop")).pass();
        }),
        told("stalled", |tale| {
            tale.builds(&[Script::FailsLate; 5])
                .write(row("shop"))
                .soon(Phase::Failed);
        }),
        told("waiting in line", |tale| {
            tale.world.admission = Admission::Waiting {
                place: 3,
                reason: "5 builds run, the most that are allowed".to_owned(),
                until: tale.world.now() + jiff::SignedDuration::from_secs(30),
            };
            tale.write(row("shop")).pass();
        }),
        told("paused", |tale| {
            tale.write(row("shop")).pause().pass();
        }),
        told("held with a mass deletion", |tale| {
            tale.write(row("shop")).soon(Phase::Ready);
            tale.world.hold = true;
            tale.sweep().delete().pass().sweep().pass();
        }),
        told("its owner has left", |tale| {
            tale.write(row("shop")).soon(Phase::Ready);
            tale.change(&json!({"ownerActive": false})).until(Phase::Refused);
        }),
        told("a row with mistakes", |tale| {
            tale.write(with("keepuntil", json!("2026-11-20T22:00:00Z")))
                .pass();
        }),
        told("a row that was deleted", |tale| {
            tale.write(row("shop")).soon(Phase::Ready);
            tale.delete().pass().sweep().until(Phase::Destroyed);
        }),
        told("exempt, as was given through the API", |tale| {
            tale.write(row("shop")).soon(Phase::Ready);
            tale.keep("a1", "2026-11-20T21:00:00Z", "a demo").pass();
        }),
        told("never looked at", |tale| tale.world.row = Some(row("shop"))),
    ];
    // What docs/time.md shows is one of these.
    let document = include_str!("../../docs/time.md");
    for (command, text) in [("why", "Suspended (Suspended): "), ("when", "Next: Resume")] {
        let begin = format!("    $ lamplighter {command} a1\n");
        let (_, block) = document.split_once(&begin).unwrap();
        let block: String = block
            .split("\n\n")
            .next()
            .unwrap()
            .lines()
            .map(|line| format!("{}\n", line.trim_start_matches("    ")))
            .collect();
        assert!(block.starts_with(text), "{block}");
        let told = situations[2].replace("\n  ", "\n").replace("\n  ", "\n");
        assert!(
            told.contains(block.replace("\n  ", "\n").replace("\n  ", "\n").trim_end()),
            "docs/time.md shows another {command}: {block}"
        );
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("why_and_when", situations.concat()));
}
