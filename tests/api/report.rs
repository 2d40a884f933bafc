//! The report of a day: what history and memory say of it, in JSON and in words, and days that there is no report of.

use jiff::{SignedDuration, Timestamp};
use lamplighter::api::Access;
use lamplighter::inventory::Stray;
use lamplighter::model::cost::Spent;
use lamplighter::model::history::{Event, Inputs};
use lamplighter::model::memory::{Deployment, Found, Memory, Stop};
use lamplighter::model::name::Entropy;
use lamplighter::model::row::Desired;
use lamplighter::model::status::{Exemption, Phase, Source};
use serde_json::{Value, json};

use crate::support::{Fake, Served, id, time};

/// What history says of `a1`, and nothing else: at each time its phase, and whatever else mattered.
fn tell(fake: &Fake, lines: &[(&str, &str, Inputs)]) {
    fake.events.lock().unwrap().clear();
    tell_of(fake, "a1", lines);
}

fn tell_of(fake: &Fake, app: &str, lines: &[(&str, &str, Inputs)]) {
    let mut events = fake.events.lock().unwrap();
    for (n, (at, phase, inputs)) in (0..).zip(lines) {
        let at: Timestamp = time(at);
        let (key, ttl) = Event::keys(at, Entropy([n; 16]));
        events.push(Event {
            id: id(app),
            at: key,
            time: at,
            rule: "Any".to_owned(),
            reason: "Any".to_owned(),
            message: String::new(),
            phase: (*phase).to_owned(),
            version: None,
            life: None,
            requested_by: None,
            inputs: Some(inputs.clone()),
            ttl,
        });
    }
}

/// An app that was asked for at nine, as its history has it.
fn asked() -> Inputs {
    Inputs {
        desired: Some(Desired::Running),
        requested_at: Some(time("2026-11-20T09:00:00Z")),
        schedule: Some("office".to_owned()),
        ..Inputs::default()
    }
}

/// The same once the end of its day had come.
fn due(at: &str) -> Inputs {
    Inputs {
        stop_rule: Some("Curfew".to_owned()),
        stop_due: Some(time(at)),
        ..asked()
    }
}

const EVENING: &str = "2026-11-20T18:00:00Z";

/// `a1`, as it is remembered at half past nine in the evening of Berlin.
async fn in_the_evening(change: impl FnOnce(&mut Memory)) -> Served {
    let served = Served::start(Access::ThisMachine).await;
    let fake = &served.fake;
    *fake.later.lock().unwrap() = SignedDuration::from_hours(10) + SignedDuration::from_mins(30);
    fake.accept_a1();
    fake.rows.lock().unwrap().remove(&id("b2"));
    fake.memories.lock().unwrap().remove(&id("c3"));
    fake.change("a1", change);
    fake.sweep();
    served
}

fn stopped(memory: &mut Memory, phase: Phase) {
    memory.status.phase = phase;
    memory.stop = Some(Stop {
        away_since: None,
        due: time(EVENING),
        rule: "Curfew".to_owned(),
        at_most: Desired::Destroyed,
        by: None,
    });
}

fn deployed(memory: &mut Memory) {
    memory.deployment = Some(Deployment {
        blueprint: memory.accepted.as_ref().unwrap().blueprint.clone(),
        complete: true,
        at: time("2026-11-20T09:05:00Z"),
    });
}

async fn report(served: &Served, day: &str) -> Value {
    let answer = served.get(&format!("/api/v1/report?day={day}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// Hundredths of hours: wanted, exempt, overdue, saved.
fn hours(report: &Value) -> [i64; 4] {
    ["wanted", "exempt", "overdue", "saved"].map(|why| {
        let hours = report["money"][why]["hours"].as_f64().unwrap();
        #[allow(clippy::cast_possible_truncation, reason = "a day is short")]
        let hundredths = (hours * 100.0).round() as i64;
        hundredths
    })
}

#[tokio::test]
async fn what_was_due_and_is_gone_is_told_with_what_it_cost_and_saved() {
    let served = in_the_evening(|memory| {
        stopped(memory, Phase::Destroyed);
        memory.spent = Some(Spent {
            month: "2026-11".to_owned(),
            minutes: 103,
        });
    })
    .await;
    tell(
        &served.fake,
        &[
            ("2026-11-20T09:00:00Z", "Deploying", asked()),
            ("2026-11-20T09:30:00Z", "Ready", asked()),
            ("2026-11-20T18:00:05Z", "Destroying", due(EVENING)),
            ("2026-11-20T18:30:00Z", "Destroyed", due(EVENING)),
        ],
    );
    let report = report(&served, "today").await;
    let gone = json!([{
        "id": "a1", "user": "ann", "app": "shop", "hostName": "a.example.com", "due": EVENING, "rule": "Curfew",
        "outcome": "Gone", "at": "2026-11-20T18:30:00Z", "delaySeconds": 1800, "late": true,
    }]);
    assert_eq!(report["due"], gone);
    assert_eq!((&report["exempt"], &report["left"]), (&json!([]), &json!([])));
    assert_eq!(
        (&report["from"], &report["to"]),
        (&json!("2026-11-19T23:00:00Z"), &json!("2026-11-20T23:00:00Z"))
    );
    assert_eq!(hours(&report), [850, 0, 50, 200]);
    assert_eq!(report["money"]["saved"]["cost"], 0.2);
    assert_eq!(
        report["money"]["builds"],
        json!({"month": "2026-11", "minutes": 103, "allowance": 100, "cost": 0.015})
    );
    assert_eq!(
        report["text"].as_str().unwrap(),
        "Friday 2026-11-20 in Europe/Berlin, which is not over, as of 2026-11-20 21:30:00 +01:00
1 due: 1 gone, 0 suspended, 0 wanted again, 0 left; 1 late; 0 exempt
Due:
  19:00:00  a1 (shop, ann, a.example.com)  Curfew  gone after 30m, late
Money:
  ran 8.50 h, 0.85 EUR
  ran exempt 0.00 h, 0.00 EUR
  ran although due 0.50 h, 0.05 EUR
  ran as orphans 0.00 h, 0.00 EUR
  saved by stops 2.00 h, 0.20 EUR
  what is left costs 0.00 EUR an hour
  builds of 2026-11: 103 of 100 minutes, 0.02 EUR
Next:
  office destroys 2026-11-21 19:00:00 +01:00
"
    );
    let shown = report["text"].as_str().unwrap().lines();
    let shown: String = shown.map(|line| format!("    {line}\n")).collect();
    assert!(
        include_str!("../../docs/time.md").contains(&shown),
        "docs/time.md shows another report"
    );
}

/// Suspended in one evening and destroyed in another. Three days at most are saved, as `cost.saved_at_most` is by default.
#[tokio::test]
async fn what_is_suspended_and_destroyed_later_saves_one_absence() {
    let hours_of = async |away_since: Option<&str>| {
        let served = in_the_evening(|memory| stopped(memory, Phase::Destroyed)).await;
        let destroyed = Inputs {
            away_since: away_since.map(time),
            ..due(EVENING)
        };
        tell(
            &served.fake,
            &[
                ("2026-11-17T20:00:05Z", "Suspended", due("2026-11-17T20:00:00Z")),
                ("2026-11-20T18:00:00Z", "Destroyed", destroyed),
            ],
        );
        hours(&report(&served, "today").await)[3]
    };
    // The absence is three days old at nine, half an hour ago.
    assert_eq!(hours_of(Some("2026-11-17T20:00:00Z")).await, 2100);
    assert_eq!(hours_of(None).await, 2150, "as if it had been up before");
}

#[tokio::test]
async fn what_is_due_and_still_there_is_left_whatever_day_it_was_due_and_says_why() {
    let served = in_the_evening(|memory| {
        stopped(memory, Phase::Destroying);
        deployed(memory);
        memory.status.message = "The build failed in BUILD.".to_owned();
    })
    .await;
    tell(
        &served.fake,
        &[
            ("2026-11-20T09:30:00Z", "Ready", asked()),
            ("2026-11-20T18:00:05Z", "Destroying", due(EVENING)),
        ],
    );
    let today = report(&served, "2026-11-20").await;
    let late = &today["due"][0];
    assert_eq!((&late["outcome"], &late["late"]), (&json!("Left"), &json!(true)));
    assert_eq!(late["why"], "The build failed in BUILD.");
    assert_eq!(late["delaySeconds"], 2 * 3600 + 1800);
    let left = json!([{
        "id": "a1", "user": "ann", "app": "shop", "hostName": "a.example.com", "kind": "Due", "since": EVENING,
        "reason": "The build failed in BUILD.", "costPerHour": 0.1,
    }]);
    assert_eq!(today["left"], left);
    assert_eq!(today["money"]["leftPerHour"], 0.1);
    assert_eq!(hours(&today), [850, 0, 250, 0]);
    // It is left on any day; due it was on this one.
    let yesterday = report(&served, "yesterday").await;
    assert_eq!((&yesterday["due"], &yesterday["left"]), (&json!([]), &left));
}

#[tokio::test]
async fn who_was_exempt_is_told_with_who_gave_it_and_why_and_its_hours_apart() {
    let until = "2026-11-20T20:00:00Z";
    let kept = Inputs {
        exemption: Some(Exemption {
            since: Some(time(EVENING)),
            until: time(until),
            source: Source::Row,
            by: Some("the portal".to_owned()),
            reason: None,
        }),
        ..asked()
    };
    let served = in_the_evening(|memory| {
        deployed(memory);
        memory.status.exemption = Some(Exemption {
            since: Some(time(EVENING)),
            until: time("2026-11-20T22:00:00Z"),
            source: Source::Api,
            by: Some("the desk".to_owned()),
            reason: Some("a demo\u{1b}[31m".to_owned()),
        });
    })
    .await;
    tell(&served.fake, &[("2026-11-20T09:30:00Z", "Ready", kept)]);
    let told = report(&served, "today").await;
    // The newest line was written under an older exemption; both were the same stretch beyond its day.
    assert_eq!(
        told["exempt"],
        json!([{
            "id": "a1", "user": "ann", "app": "shop", "hostName": "a.example.com", "since": EVENING,
            "until": "2026-11-20T22:00:00Z", "source": "Api", "by": "the desk", "reason": "a demo\u{1b}[31m",
        }])
    );
    assert_eq!(told["due"], json!([]), "it is not due");
    assert_eq!(hours(&told), [900, 200, 0, 0]);
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("by \"the desk\": \"a demo\\u{1b}[31m\""), "{text}");
}

#[tokio::test]
async fn an_app_that_is_asked_for_again_before_it_was_down_is_wanted_and_not_late() {
    let served = in_the_evening(deployed).await;
    let again = Inputs {
        requested_at: Some(time("2026-11-20T18:40:00Z")),
        ..asked()
    };
    tell(
        &served.fake,
        &[
            ("2026-11-20T09:30:00Z", "Ready", asked()),
            ("2026-11-20T18:00:05Z", "Destroying", due(EVENING)),
            ("2026-11-20T18:40:00Z", "Ready", again),
        ],
    );
    let report = report(&served, "today").await;
    let due = &report["due"][0];
    assert_eq!(
        (&due["outcome"], &due["late"]),
        (&json!("WantedAgain"), &json!(false))
    );
    assert_eq!(due["at"], "2026-11-20T18:40:00Z");
}

#[tokio::test]
async fn orphans_and_rows_that_want_destruction_are_left_over_too() {
    let served = in_the_evening(|memory| {
        deployed(memory);
        memory.accepted.as_mut().unwrap().desired = Desired::Destroyed;
    })
    .await;
    let mut orphan = served.fake.memories.lock().unwrap()[&id("a1")].clone();
    orphan.id = id("d4");
    orphan.found = Some(Found {
        since: time("2026-11-18T08:00:00Z"),
    });
    served.fake.memories.lock().unwrap().insert(id("d4"), orphan);
    served.fake.sweep();
    let left = report(&served, "today").await["left"].clone();
    let told = |n: usize| {
        (
            left[n]["id"].clone(),
            left[n]["kind"].clone(),
            left[n]["costPerHour"].clone(),
        )
    };
    assert_eq!(told(0), (json!("d4"), json!("Orphan"), json!(0.1)));
    assert_eq!(told(1), (json!("a1"), json!("Unwanted"), json!(0.1)));
    assert_eq!(left.as_array().unwrap().len(), 2);
}

/// One that was found in the night and destroyed at six, one that is there and whose price is known, and one of which nobody
/// knows what it is, seen for half an hour.
#[tokio::test]
async fn orphans_have_hours_and_those_of_unknown_cost_are_told_apart() {
    let served = in_the_evening(|_| {}).await;
    let found = |since: &str| Inputs {
        found_since: Some(time(since)),
        ..Inputs::default()
    };
    let orphan = |name: &str, since: &str, gone: bool| {
        let mut memory = served.fake.memories.lock().unwrap()[&id("a1")].clone();
        deployed(&mut memory);
        memory.id = id(name);
        memory.accepted = None;
        memory.found = Some(Found { since: time(since) });
        memory.status.phase = Phase::Pending;
        if gone {
            memory.deployment = None;
            memory.status.phase = Phase::Destroyed;
        }
        served.fake.memories.lock().unwrap().insert(id(name), memory);
    };
    tell(&served.fake, &[]);
    let night = "2026-11-18T22:00:00Z";
    orphan("d4", night, true);
    orphan("e5", "2026-11-20T10:30:00Z", false);
    tell_of(
        &served.fake,
        "d4",
        &[
            (night, "Pending", found(night)),
            ("2026-11-20T04:00:00Z", "Destroying", found(night)),
            ("2026-11-20T05:00:00Z", "Destroyed", found(night)),
        ],
    );
    let at = "2026-11-20T10:30:00Z";
    tell_of(&served.fake, "e5", &[(at, "Pending", found(at))]);
    served.fake.sweep();
    let stray = |name: &str, since: Option<&str>| Stray {
        id: id(name),
        cluster: None,
        service: None,
        identity: None,
        has_row: false,
        seen_since: since.map(time),
    };
    // What is remembered already, and what nobody has noted, adds nothing.
    served.fake.fleet.lock().unwrap().strays = vec![
        stray("e5", Some(night)),
        stray("f6", Some("2026-11-20T20:00:00Z")),
        stray("g7", None),
    ];
    let told = report(&served, "today").await;
    // Six hours of this day, of which nothing tells the price any more; ten hours at a price; half an hour at none.
    assert_eq!(
        told["money"]["orphans"],
        json!({"hours": 16.5, "cost": 1.0, "unpricedHours": 6.5}),
        "{told}"
    );
    assert_eq!(hours(&told), [0, 0, 0, 0]);
    let text = told["text"].as_str().unwrap();
    for line in [
        "  ran as orphans 16.50 h, 1.00 EUR and 6.50 h of unknown cost\n",
        "f6  orphan since 2026-11-20 21:00:00 +01:00, nobody knows what an hour costs: Unidentified\n",
        "g7  orphan just found, nobody knows what an hour costs: Unidentified\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    // The day before, only the first one was there.
    let before = report(&served, "yesterday").await;
    assert_eq!(before["money"]["orphans"]["hours"], 24.0);
}

/// `served` at that much after ten, and how many histories were read since this was last asked.
fn later(served: &Served, hours: i64, seconds: i64) -> usize {
    let after = SignedDuration::from_hours(hours) + SignedDuration::from_secs(seconds);
    *served.fake.later.lock().unwrap() = after;
    std::mem::take(&mut served.fake.histories.lock().unwrap()[0])
}

#[tokio::test]
async fn who_asks_again_within_a_minute_is_told_the_same_and_later_on_what_has_come_since() {
    let served = in_the_evening(deployed).await;
    tell(&served.fake, &[("2026-11-20T09:30:00Z", "Ready", asked())]);
    let first = report(&served, "today").await;
    assert_eq!(later(&served, 10, 1859), 1);
    assert_eq!(report(&served, "2026-11-20").await, first, "as of half past nine");
    assert_eq!(later(&served, 10, 1860), 0);
    let again = report(&served, "today").await;
    assert_eq!(again["asOf"], "2026-11-20T20:31:00Z");
    // Yesterday, which is another one, is kept for itself.
    report(&served, "yesterday").await;
    assert_eq!(later(&served, 10, 1861), 2);
    // A clock that goes back is no reason to believe what was told in the future.
    report(&served, "today").await;
    later(&served, 10, 0);
    assert_eq!(report(&served, "today").await["asOf"], "2026-11-20T20:00:00Z");
}

#[tokio::test]
async fn a_day_that_is_over_is_read_once_and_what_is_left_now_is_told_all_the_same() {
    let served = in_the_evening(|memory| stopped(memory, Phase::Destroyed)).await;
    tell(
        &served.fake,
        &[
            ("2026-11-20T09:30:00Z", "Ready", asked()),
            ("2026-11-20T18:00:05Z", "Destroying", due(EVENING)),
            ("2026-11-20T18:30:00Z", "Destroyed", due(EVENING)),
        ],
    );
    // Half an hour after midnight in Berlin somebody's clock may still write of that day; an hour later nobody's.
    later(&served, 13, 1800);
    report(&served, "2026-11-20").await;
    assert_eq!(later(&served, 14, 1800), 1);
    let day = report(&served, "2026-11-20").await;
    assert_eq!(
        (later(&served, 38, 0), &day["due"][0]["outcome"]),
        (1, &json!("Gone"))
    );
    // Since then its row has come to want it destroyed, and it is there.
    served.fake.change("a1", |memory| {
        memory.stop = None;
        deployed(memory);
        memory.accepted.as_mut().unwrap().desired = Desired::Destroyed;
        memory.spent = Some(Spent {
            month: "2026-11".to_owned(),
            minutes: 7,
        });
    });
    served.fake.sweep();
    let now = report(&served, "2026-11-20").await;
    assert_eq!(later(&served, 38, 1), 0, "no history was read");
    assert_eq!(
        (&now["due"], &now["money"]["wanted"]),
        (&day["due"], &day["money"]["wanted"])
    );
    assert_eq!(
        (&now["left"][0]["kind"], &day["left"]),
        (&json!("Unwanted"), &json!([]))
    );
    assert_eq!(
        (&now["money"]["leftPerHour"], &now["money"]["builds"]["minutes"]),
        (&json!(0.1), &json!(7))
    );
    assert_eq!(now["asOf"], "2026-11-22T00:00:00Z");
    assert_eq!(now["next"][0]["at"], "2026-11-22T18:00:00Z");
    let text = now["text"].as_str().unwrap();
    assert!(
        text.contains("as of 2026-11-22 01:00:00 +01:00") && text.contains("unwanted since"),
        "{text}"
    );
}

#[tokio::test]
async fn a_day_of_which_something_is_left_is_read_again() {
    let served = in_the_evening(|memory| {
        stopped(memory, Phase::Destroying);
        deployed(memory);
    })
    .await;
    tell(
        &served.fake,
        &[("2026-11-20T18:00:05Z", "Destroying", due(EVENING))],
    );
    later(&served, 24, 0);
    assert_eq!(report(&served, "2026-11-20").await["due"][0]["outcome"], "Left");
    later(&served, 25, 0);
    report(&served, "2026-11-20").await;
    assert_eq!(later(&served, 25, 1), 1);
}

#[tokio::test]
async fn many_who_ask_at_once_cost_as_much_as_one_and_only_so_many_days_are_kept() {
    let served = in_the_evening(|_| {}).await;
    {
        let mut rows = served.fake.rows.lock().unwrap();
        let row = rows[&id("a1")].clone();
        for n in 0..30 {
            let mut row = row.clone();
            row.id = id(&format!("n{n}"));
            rows.insert(row.id.clone(), row);
        }
    }
    served.fake.sweep();
    *served.fake.slow.lock().unwrap() = std::time::Duration::from_millis(20);
    let ask = |day: &'static str| served.get(day);
    let (today, yesterday) = ("/api/v1/report", "/api/v1/report?day=yesterday");
    let asked = [today, yesterday, today, yesterday, today, yesterday, today, today].map(ask);
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.status, 200);
    }
    *served.fake.slow.lock().unwrap() = std::time::Duration::ZERO;
    let [read, under_way, most] = *served.fake.histories.lock().unwrap();
    assert_eq!((read, under_way), (2 * 31, 0));
    assert!(most <= 8, "{most} at once");
    // Days that are over are read once each; the ninth takes the place of the first.
    for day in 1..=9_i64 {
        later(&served, 10, 1800 + day);
        report(&served, &format!("2026-11-0{day}")).await;
        assert_eq!(later(&served, 10, 1800 + day), 31, "{day}");
    }
    for (day, reads) in [(9, 0), (2, 0), (1, 31)] {
        later(&served, 11, 1800 + day);
        report(&served, &format!("2026-11-0{day}")).await;
        assert_eq!(later(&served, 11, 1800 + day), reads, "{day}");
    }
}

#[tokio::test]
async fn a_day_that_there_is_no_report_of_is_refused_with_the_way_out() {
    let served = in_the_evening(|_| {}).await;
    for (day, problem) in [
        ("tomorrow", "\"tomorrow\" is no date"),
        ("2026-02-30", "\"2026-02-30\" is no date"),
        ("2026-11-21", "2026-11-21 has not begun in Europe/Berlin"),
        (
            "2026-08-22",
            "2026-08-22 is too long ago: history is kept for 90 days",
        ),
        ("-009999-01-01", "is too long ago"),
        ("%00", "is no date"),
    ] {
        let answer = served.get(&format!("/api/v1/report?day={day}")).await;
        assert_eq!(
            (answer.status, answer.json()["code"].clone()),
            (400, json!("bad-request"))
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains(problem) && detail.contains("a date such as"),
            "{detail}"
        );
    }
    assert_eq!(served.get("/api/v1/report?date=today").await.status, 400);
    served.fake.fleet.lock().unwrap().as_of = None;
    let answer = served.get("/api/v1/report").await;
    assert_eq!(
        (answer.status, answer.json()["code"].clone()),
        (503, json!("not-swept"))
    );
}

#[tokio::test]
async fn a_day_on_which_clocks_change_has_as_many_hours_as_it_has() {
    let served = in_the_evening(|_| {}).await;
    let report = report(&served, "2026-10-25").await;
    let length = |from: &str, to: &str| time(to).duration_since(time(from)).as_hours();
    let (from, to) = (report["from"].as_str().unwrap(), report["to"].as_str().unwrap());
    assert_eq!(length(from, to), 25);
}
