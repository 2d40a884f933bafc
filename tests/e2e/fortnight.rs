//! Two weeks in an office, on a clock that the test puts forward: nights, a week's end, days off, the night in which
//! clocks go forward, an exemption, an owner who leaves, a daemon that is down at the end of a day, and a deadline that
//! is moved. Each day is reported at the end, from history.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::cost::Cost;
use lamplighter::model::name::AppName;
use lamplighter::model::schedule::Cron;
use lamplighter::model::status::Phase;
use serde_json::{Value, json};

use crate::lab::wire::get;
use crate::lab::{Lab, Setup, wants};

/// Berlin keeps winter time until the early morning of Sunday, 28 March 2027. Good Friday and Easter Monday are off.
const SCHEDULES: &str = r#"
[report]
time_zone = "Europe/Berlin"

[schedules.desk]
time_zone = "Europe/Berlin"
teardown = "0 19 * * *"
action = "suspend"
closed_for = "12h"
wake = "30 7 * * MON-FRI"
destroy_after = 12
days_off = ["2027-03-26", "2027-03-29"]
warn_before = "30m"

[schedules.late]
time_zone = "Europe/Berlin"
teardown = "30 2 * * *"
action = "suspend"
wake = "0 9 * * *"
"#;

struct Fortnight(Lab);

impl Fortnight {
    fn at(&self, time: &str) {
        self.0.clock.set(time.parse().unwrap());
    }

    /// Puts the clock there, and waits until these apps are in these phases.
    async fn until(&self, time: &str, phases: &[(&str, Phase)]) {
        self.at(time);
        for (id, phase) in phases {
            self.0.until(id, *phase).await;
        }
    }

    /// Puts the clock there, and sees that these apps stay as they are.
    async fn still(&self, time: &str, phases: &[(&str, Phase)]) {
        self.at(time);
        let lab = &self.0;
        lab.throughout(Duration::from_secs(1), "nothing changes", async || {
            for (id, phase) in phases {
                if lab.status(id).await.phase != *phase {
                    return false;
                }
            }
            true
        })
        .await;
    }

    async fn ask(&self, id: &str, more: &[(&str, &str)]) {
        let row = [&wants(id, "wiki", "Running")[..], more].concat();
        self.0.put(id, &row).await;
    }

    async fn report(&self, day: &str) -> Value {
        get(&format!("{}/api/v1/report?day={day}", self.0.api()))
            .await
            .json()
    }

    /// What was due on a day: which app, at which time of the day in UTC, and what became of it.
    async fn due(&self, day: &str) -> Vec<(String, String, String)> {
        let report = self.report(day).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let due = report["due"].as_array().unwrap().iter();
        due.map(|due| {
            let at: Timestamp = text(&due["due"]).parse().unwrap();
            (
                text(&due["id"]),
                at.strftime("%H:%M").to_string(),
                text(&due["outcome"]),
            )
        })
        .collect()
    }

    /// Monday and Tuesday.
    async fn begins(&self) {
        // Monday: everybody asks.
        self.at("2027-03-22T07:00:00Z");
        self.0.start().await;
        for id in ["ann", "ben", "cy"] {
            self.ask(id, &DESK).await;
        }
        self.ask("dee", &[("schedule", "late")]).await;
        self.ask("eve", &[("schedule", "desk"), ("timeZone", "America/New_York")])
            .await;
        for id in ["ann", "ben", "cy", "dee", "eve"] {
            self.0.until(id, UP).await;
        }
        self.at("2027-03-22T17:30:30Z");
        let warned = async || {
            self.0
                .history("ann")
                .await
                .iter()
                .any(|line| line.contains("StopSoon"))
        };
        self.0
            .eventually("ann is warned half an hour before", warned)
            .await;
        self.until(
            "2027-03-22T18:00:01Z",
            &[("ann", ASLEEP), ("ben", ASLEEP), ("cy", ASLEEP)],
        )
        .await;
        self.still("2027-03-22T22:59:30Z", &[("eve", UP), ("dee", UP)])
            .await;
        self.until("2027-03-22T23:00:01Z", &[("eve", ASLEEP)]).await;
        self.until("2027-03-23T01:30:01Z", &[("dee", ASLEEP)]).await;

        // Tuesday: one is exempt until ten.
        self.until("2027-03-23T06:30:01Z", &[("ann", UP), ("ben", UP), ("cy", UP)])
            .await;
        let keep = [
            ("schedule", "desk"),
            ("keepUntil", "2027-03-23T21:00:00Z"),
            ("keepReason", "a demo"),
            ("requestedBy", "the desk"),
        ];
        self.ask("ben", &keep).await;
        let kept = |status: &lamplighter::model::status::Status| status.exemption.is_some();
        self.0.until_status("ben", "exempt", kept).await;
        self.until(
            "2027-03-23T18:00:01Z",
            &[("ann", ASLEEP), ("cy", ASLEEP), ("ben", UP)],
        )
        .await;
        self.still("2027-03-23T20:59:30Z", &[("ben", UP)]).await;
        assert_eq!(self.0.metric("lamplighter_exemptions").await, 1);
        let reported = async || self.0.metric("lamplighter_last_report_timestamp_seconds").await > 0;
        self.0.eventually("the day before is reported", reported).await;
        self.until("2027-03-23T21:00:01Z", &[("ben", ASLEEP)]).await;
    }

    /// Wednesday and Thursday.
    async fn goes_on(&self) {
        // Wednesday: one leaves, and is not woken again.
        self.until("2027-03-24T06:30:01Z", &[("ann", UP), ("ben", UP), ("cy", UP)])
            .await;
        self.at("2027-03-24T11:00:00Z");
        self.ask("cy", &[("schedule", "desk"), ("ownerActive", "false")])
            .await;
        self.0.until("cy", Phase::Refused).await;
        self.until("2027-03-24T18:00:01Z", &[("ann", ASLEEP), ("ben", ASLEEP)])
            .await;

        // Thursday: the daemon is down at seven.
        self.until(
            "2027-03-25T06:30:01Z",
            &[("ann", UP), ("ben", UP), ("cy", Phase::Refused)],
        )
        .await;
        self.at("2027-03-25T17:50:00Z");
        self.0.stop().await;
        self.at("2027-03-25T18:40:00Z");
        self.0.start().await;
        for id in ["ann", "ben"] {
            self.0.until(id, ASLEEP).await;
        }

        let lab = &self.0;
        let counted = async || {
            lab.metric("lamplighter_teardown_delay_seconds_count").await == 2
                && lab.metric("lamplighter_teardown_overdue").await == 0
        };
        lab.eventually("both are counted, and none is late any more", counted)
            .await;
    }

    /// Easter, and the week after it.
    async fn ends(&mut self) {
        // Good Friday, and the night of the week's end in which there is no half past self.
        self.still("2027-03-26T08:00:00Z", &[("ann", ASLEEP), ("ben", ASLEEP)])
            .await;
        self.until("2027-03-27T08:00:01Z", &[("dee", UP)]).await;
        self.still("2027-03-28T00:59:00Z", &[("dee", UP)]).await;
        self.until("2027-03-28T01:00:01Z", &[("dee", ASLEEP)]).await;

        // Easter Monday is off; on Tuesday half past seven is an hour earlier than it was.
        self.still("2027-03-29T08:00:00Z", &[("ann", ASLEEP)]).await;
        self.still("2027-03-30T05:29:00Z", &[("ann", ASLEEP)]).await;
        self.until("2027-03-30T05:30:01Z", &[("ann", UP), ("ben", UP)])
            .await;

        // The end of the day is moved while they run.
        self.0.stop().await;
        let desk = self.0.config.policy.schedules.get_mut("desk").unwrap();
        desk.teardown = Cron::parse("0 18 * * *").unwrap();
        self.0.start().await;
        let next = |status: &lamplighter::model::status::Status| {
            let moved = "2027-03-30T16:00:00Z".parse::<Timestamp>().unwrap();
            status.next_change.as_ref().is_some_and(|next| next.at == moved)
        };
        self.0.until_status("ann", "due at six", next).await;
        self.until("2027-03-30T16:00:01Z", &[("ann", ASLEEP), ("ben", ASLEEP)])
            .await;

        // Whoever woke was asked for before this daemon began, and answered.
        assert_eq!(self.0.metric("lamplighter_time_to_ready_seconds_count").await, 0);

        // Nobody has asked for twelve nights; those in which one was exempt do not count.
        self.until(
            "2027-04-03T16:00:01Z",
            &[("ann", Phase::Destroyed), ("ben", ASLEEP)],
        )
        .await;
        self.until("2027-04-05T16:00:01Z", &[("ben", Phase::Destroyed)])
            .await;
        self.at("2027-04-06T08:00:00Z");
    }

    /// What each day was like, told once all are over.
    async fn is_told(&self) {
        let slept = |id, at| due(id, at, "Suspended");
        let expected = [
            // Her day in New York ends on Berlin's Tuesday.
            (
                "2027-03-22",
                vec![slept("ann", "18:00"), slept("ben", "18:00"), slept("cy", "18:00")],
            ),
            (
                "2027-03-23",
                vec![
                    slept("eve", "23:00"),
                    slept("dee", "01:30"),
                    slept("ann", "18:00"),
                    slept("cy", "18:00"),
                    slept("ben", "21:00"),
                ],
            ),
            ("2027-03-25", vec![slept("ann", "18:00"), slept("ben", "18:00")]),
            ("2027-03-26", vec![]),
            ("2027-03-28", vec![slept("dee", "01:00")]),
            ("2027-03-29", vec![]),
        ];
        for (day, expected) in expected {
            let mut found = self.due(day).await;
            // Those whose nights fall into leaps of the clock are only told of where they do not.
            let told = |id: &str| match id {
                "eve" => day == "2027-03-23",
                "dee" => day == "2027-03-23" || day == "2027-03-28",
                _ => true,
            };
            found.retain(|(id, ..)| told(id));
            assert_eq!(found, expected, "{day}");
        }
        let wednesday = self.report("2027-03-24").await;
        let left = wednesday["due"]
            .as_array()
            .unwrap()
            .iter()
            .find(|due| due["id"] == "cy");
        assert_eq!(left.unwrap()["rule"], "OwnerInactive");
        assert_eq!(left.unwrap()["outcome"], "Gone");

        let tuesday = self.report("2027-03-23").await;
        assert_eq!(
            tuesday["exempt"].as_array().unwrap().len(),
            1,
            "{}",
            tuesday["text"]
        );
        let ben = &tuesday["exempt"][0];
        assert_eq!(
            (&ben["id"], &ben["since"], &ben["until"]),
            (
                &json!("ben"),
                &json!("2027-03-23T18:00:00Z"),
                &json!("2027-03-23T21:00:00Z")
            )
        );
        assert_eq!(
            (&ben["by"], &ben["reason"]),
            (&json!("the desk"), &json!("a demo"))
        );
        let exempt = tuesday["money"]["exempt"]["hours"].as_f64().unwrap();
        assert!((2.9..3.1).contains(&exempt), "three hours and not {exempt}");

        let thursday = self.report("2027-03-25").await;
        let at_desks = |due: &&Value| due["id"] != "eve" && due["id"] != "dee";
        for due in thursday["due"].as_array().unwrap().iter().filter(at_desks) {
            let late = due["delaySeconds"].as_i64().unwrap();
            assert!(due["late"] == true && (2400..2700).contains(&late), "{due}");
        }
        let sunday = self.report("2027-03-28").await;
        let hours = |text: &Value| text.as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(
            hours(&sunday["to"]).duration_since(hours(&sunday["from"])),
            SignedDuration::from_hours(23)
        );
        let saturday = self.report("2027-04-03").await;
        let rules: Vec<&Value> = saturday["due"]
            .as_array()
            .unwrap()
            .iter()
            .map(|due| &due["rule"])
            .collect();
        assert!(rules.contains(&&json!("NightsUnused")), "{}", saturday["text"]);
        assert_eq!(saturday["left"], json!([]), "{}", saturday["text"]);
    }
}

fn due(id: &str, at: &str, outcome: &str) -> (String, String, String) {
    (id.to_owned(), at.to_owned(), outcome.to_owned())
}

const DESK: [(&str, &str); 1] = [("schedule", "desk")];
const ASLEEP: Phase = Phase::Suspended;
const UP: Phase = Phase::Ready;

#[tokio::test(flavor = "multi_thread")]
async fn a_fortnight_passes_as_its_schedules_say_and_can_be_reported_day_by_day() {
    let setup = Setup {
        config: SCHEDULES.to_owned(),
        ..Setup::default()
    };
    let mut lab = Lab::with(setup).await;
    let wiki = lab.config.policy.catalogue.get_mut(&AppName::new("wiki"));
    wiki.unwrap().cost_per_hour = Cost::parse("0.10");
    let mut two = Fortnight(lab);

    two.begins().await;
    two.goes_on().await;
    two.ends().await;
    two.is_told().await;

    // Sleeping and waking took no build: one deployed each, one destroyed those who were destroyed, in the end eve too.
    for (id, builds) in [("ann", 2), ("ben", 2), ("cy", 2), ("dee", 1), ("eve", 2)] {
        assert_eq!(two.0.builds(id).len(), builds, "{id}");
    }
    two.0.assert_sound();
    two.0.stop().await;
}
