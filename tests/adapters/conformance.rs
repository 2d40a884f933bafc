//! The tables that simulations keep in memory answer as the real adapter does over DynamoDB's emulator: the same
//! random calls, the same answers, and the same items at the end.

use lamplighter::cloud::{Cloud, StateStore, Write};
use lamplighter::model::claim::{Bid, ClaimKey};
use lamplighter::model::keep::{Exempt, Given, Ledger, Span};
use lamplighter::model::lease::{Lease, Shard};
use lamplighter::model::name::{AppId, BuildId, HostName, User};
use lamplighter::model::pause::{Pause, PauseScope};
use lamplighter::model::row::{RawValue, Row};
use proptest::prelude::*;
use serde_json::json;

use crate::memory_tables::MemoryTables;
use crate::support::{World, event, id, memory, operation, start, world};

/// One call, of few enough apps, versions, operations and keys to meet itself.
#[derive(Clone, Debug)]
enum Call {
    Write {
        app: u8,
        expected: u64,
        /// Tells memories of one version apart.
        content: u8,
        forget: bool,
        gate: Option<u8>,
        take: Vec<u8>,
        release: Vec<u8>,
        expire: Option<u8>,
        event: Option<u8>,
    },
    /// The write before, sent once more, as an SDK does that heard no answer.
    Again,
    PassGate(u8, u8),
    CloseGate(u8),
    /// For a claim, of a holder, over a bid of somebody, by somebody; each bid is of an app and a time.
    Bid(u8, u8, Option<(u8, u8)>, (u8, u8)),
    Claims(Vec<u8>),
    Memory(u8),
    Events(u8, u32),
    History(u8, u8, u8),
    Approve(u8),
    PauseFleet(bool),
    PauseApp(u8, bool),
    PutRow(u8, bool),
    DeleteRow(u8),
    /// For a user, over a version, a ledger that differs by this.
    SwapKeeps(u8, u64, u8),
    Keeps(u8),
    Leases(u8),
    SwapLease(u8, Option<Lease>, Lease),
}

fn lease() -> impl Strategy<Value = Lease> {
    let name = || proptest::option::of(prop_oneof![Just("a".to_owned()), Just("b".to_owned())]);
    (name(), 1..3_u64, 1..3_u64, name()).prop_map(|(owner, epoch, beat, asked)| Lease {
        owner,
        epoch,
        beat,
        asked,
    })
}

fn call() -> impl Strategy<Value = Call> {
    let keys = || proptest::collection::btree_set(0..4_u8, 0..3);
    let write = (
        (0..3_u8, 0..4_u64, 0..3_u8, proptest::bool::weighted(0.15)),
        (
            proptest::option::weighted(0.3, 0..4_u8),
            keys(),
            keys(),
            proptest::option::weighted(0.2, 0..4_u8),
            proptest::option::weighted(0.3, 0..9_u8),
        ),
    );
    let write = write.prop_map(|((app, expected, content, forget), rest)| {
        let (gate, take, release, expire, event) = rest;
        // DynamoDB refuses two actions on one item in a transaction, and the recorder never sends them.
        let release = release.difference(&take).copied().collect();
        let expire = expire.filter(|expire| Some(*expire) != gate);
        // Nor does it ever begin an operation of what it forgets.
        let gate = gate.filter(|_| !forget);
        let take = take.into_iter().collect();
        Call::Write {
            app,
            expected,
            content,
            forget,
            gate,
            take,
            release,
            expire,
            event,
        }
    });
    prop_oneof![
        8 => write,
        1 => Just(Call::Again),
        2 => (0..4_u8, 0..2_u8).prop_map(|(gate, build)| Call::PassGate(gate, build)),
        2 => (0..4_u8).prop_map(Call::CloseGate),
        4 => (0..4_u8, 0..3_u8, proptest::option::of((0..2_u8, 0..2_u8)), (0..2_u8, 0..2_u8))
            .prop_map(|(key, holder, over, bid)| Call::Bid(key, holder, over, bid)),
        1 => keys().prop_map(|keys| Call::Claims(keys.into_iter().collect())),
        1 => (0..3_u8).prop_map(Call::Memory),
        1 => (0..3_u8, 1..4_u32).prop_map(|(app, limit)| Call::Events(app, limit)),
        1 => (0..3_u8, 0..10_u8, 0..10_u8).prop_map(|(app, from, to)| Call::History(app, from, to)),
        1 => (0..9_u8).prop_map(Call::Approve),
        1 => any::<bool>().prop_map(Call::PauseFleet),
        1 => (0..3_u8, any::<bool>()).prop_map(|(app, on)| Call::PauseApp(app, on)),
        1 => (0..3_u8, any::<bool>()).prop_map(|(app, large)| Call::PutRow(app, large)),
        1 => (0..3_u8).prop_map(Call::DeleteRow),
        4 => (0..2_u8, 0..3_u64, 0..3_u8).prop_map(|(user, over, content)| Call::SwapKeeps(user, over, content)),
        1 => (0..2_u8).prop_map(Call::Keeps),
        1 => (0..3_u8).prop_map(Call::Leases),
        4 => (0..2_u8, proptest::option::weighted(0.8, lease()), lease())
            .prop_map(|(shard, expected, new)| Call::SwapLease(shard, expected, new)),
    ]
}

fn app(n: u8) -> AppId {
    id(&format!("a{n}"))
}

fn key(n: u8) -> ClaimKey {
    ClaimKey::host(&HostName::parse(&format!("h{n}.example.com")).unwrap())
}

fn user(n: u8) -> User {
    User::parse(["ann", "b#\u{e9}n"][usize::from(n)]).unwrap()
}

fn ledger(version: u64, content: u8) -> Ledger {
    let hours = |n: u8| start() + jiff::SignedDuration::from_hours(i64::from(n));
    let exempt = Exempt {
        since: start(),
        row: (content > 1).then(|| hours(content)),
        given: Some(Given {
            until: hours(content),
            asked: hours(9),
            at: start(),
            by: None,
            reason: Some("\u{1b}[31m\"'{}".to_owned()),
            key: (content == 1).then(|| "k".to_owned()),
        }),
    };
    Ledger {
        version,
        apps: [(app(content), exempt)].into(),
        past: vec![
            Span {
                from: start(),
                until: hours(1)
            };
            usize::from(content)
        ],
    }
}

fn bid((n, at): (u8, u8)) -> Bid {
    Bid {
        app: app(n),
        at: start() + jiff::SignedDuration::from_secs(i64::from(at)),
    }
}

fn build(n: u8) -> BuildId {
    BuildId::new(format!("childapp:{n}"))
}

/// The write of the `nth` call. It says when, so that no two are equal by chance: DynamoDB would know the token.
fn write_of(call: &Call, nth: usize) -> Option<Write> {
    let Call::Write {
        app: n,
        expected,
        content,
        forget,
        gate,
        take,
        release,
        expire,
        event: history,
    } = call
    else {
        return None;
    };
    let name = format!("a{n}");
    Some(Write {
        memory: memory(&name, expected + 1, *content),
        expected_version: *expected,
        forget: *forget,
        events: history.iter().map(|n| event(&name, *n)).collect(),
        open_gate: gate.map(operation),
        take: take.iter().map(|n| key(*n)).collect(),
        release: release.iter().map(|n| key(*n)).collect(),
        expire_gate: expire.map(|n| (operation(n), start())),
        at: start() + jiff::SignedDuration::from_secs(i64::try_from(nth).unwrap()),
    })
}

fn row(n: u8, large: bool) -> Row {
    let desired = if large { "Running" } else { "Suspended" };
    let mut raw: std::collections::BTreeMap<String, RawValue> =
        [("user", "ann"), ("app", "shop"), ("desired", desired)]
            .into_iter()
            .map(|(name, text)| (name.to_owned(), RawValue::Text(text.to_owned())))
            .collect();
    if large {
        raw.insert("generation".to_owned(), RawValue::Number("7".to_owned()));
    }
    Row::read(app(n), raw)
}

/// What a build does in its first phase, with the condition of the shipped script.
fn pass_over_the_wire(world: &World, gate: u8, holder: u8) -> bool {
    let request = json!({
        "TableName": "lamplighter-state",
        "Key": {"pk": {"S": format!("gate#{}", operation(gate))}},
        "UpdateExpression": "SET #b = :me",
        "ConditionExpression": "attribute_exists(pk) AND (attribute_not_exists(#b) OR #b = :me)",
        "ExpressionAttributeNames": {"#b": "build"},
        "ExpressionAttributeValues": {":me": {"S": build(holder).to_string()}},
    });
    let request = serde_json::from_value(request).unwrap();
    world.sim.database().update_item(request).is_ok()
}

/// One call's answer, as text.
async fn answer(cloud: &Cloud, call: &Call, nth: usize, before: Option<&Write>) -> String {
    let state = &cloud.state;
    match call {
        Call::Write { .. } | Call::Again => {
            let write = write_of(call, nth).or_else(|| before.cloned());
            match write {
                Some(write) => format!("{:?}", state.write(&write).await),
                None => String::new(),
            }
        }
        Call::CloseGate(n) => format!("{:?}", state.close_gate(&operation(*n)).await),
        Call::Bid(n, holder, over, new) => {
            let (slot, holder, over, new) = (key(*n), app(*holder), over.map(bid), bid(*new));
            format!("{:?}", state.bid(&slot, &holder, over.as_ref(), &new).await)
        }
        Call::Claims(keys) => {
            let keys: Vec<ClaimKey> = keys.iter().map(|n| key(*n)).collect();
            format!("{:?}", state.claims(&keys).await)
        }
        Call::Memory(n) => format!("{:?}", state.memory(&app(*n)).await),
        Call::Events(n, limit) => format!("{:?}", state.events(&app(*n), *limit).await),
        Call::History(n, from, to) => {
            let at = |n: u8| start() + jiff::SignedDuration::from_secs(i64::from(n));
            format!("{:?}", state.history(&app(*n), at(*from), at(*to)).await)
        }
        Call::Approve(n) => {
            let at = start() + jiff::SignedDuration::from_secs(i64::from(*n));
            let seen = state.approvals().await.unwrap();
            let approved = state.approve_deletions(seen, at).await;
            format!("{seen:?} {approved:?}")
        }
        Call::PauseFleet(on) => pause(state.as_ref(), &PauseScope::Fleet, *on).await,
        Call::PauseApp(n, on) => pause(state.as_ref(), &PauseScope::App(app(*n)), *on).await,
        Call::PutRow(n, large) => format!("{:?}", cloud.desired.put_row(&row(*n, *large)).await),
        Call::DeleteRow(n) => format!("{:?}", cloud.desired.delete_row(&app(*n)).await),
        Call::Keeps(n) => format!("{:?}", state.keeps(&user(*n)).await),
        Call::SwapKeeps(n, over, content) => {
            let ledger = ledger(over + 1, *content);
            let line = event("a0", *content);
            format!("{:?}", state.swap_keeps(&user(*n), *over, &ledger, &line).await)
        }
        Call::Leases(n) => {
            let shards: Vec<Shard> = (0..u16::from(*n)).map(Shard).collect();
            format!("{:?}", state.leases(&shards).await)
        }
        Call::SwapLease(n, expected, new) => {
            let swapped = state.swap_lease(Shard(u16::from(*n)), expected.as_ref(), new);
            format!("{:?}", swapped.await)
        }
        Call::PassGate(..) => String::new(),
    }
}

async fn pause(state: &dyn StateStore, scope: &PauseScope, on: bool) -> String {
    let pause = Pause {
        since: Some(start()),
        reason: Some("a look at it".to_owned()),
    };
    format!("{:?}", state.set_pause(scope, on.then_some(&pause)).await)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn tables_in_memory_answer_as_dynamodb_does(calls in proptest::collection::vec(call(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            let tables = std::sync::Arc::new(MemoryTables::default());
            let mut other = world.cloud.clone();
            other.desired = tables.clone();
            other.state = tables.clone();
            let mut before = None;
            for (n, call) in calls.iter().enumerate() {
                let (real, ours) = if let Call::PassGate(gate, holder) = call {
                    let passed = tables.pass_gate(&operation(*gate), &build(*holder));
                    (pass_over_the_wire(&world, *gate, *holder).to_string(), passed.to_string())
                } else {
                    (answer(&world.cloud, call, n, before.as_ref()).await, answer(&other, call, n, before.as_ref()).await)
                };
                assert_eq!(real, ours, "call {n}: {call:?}");
                // Only the very next call repeats a write: later, DynamoDB would know its token still.
                before = write_of(call, n);
            }
            let real = world.cloud.state.snapshot().await.unwrap();
            let ours = other.state.snapshot().await.unwrap();
            assert_eq!(format!("{real:?}"), format!("{ours:?}"));
            let real = world.cloud.desired.rows().await.unwrap();
            let ours = other.desired.rows().await.unwrap();
            assert_eq!(real.rows, ours.rows);
        });
    }
}
