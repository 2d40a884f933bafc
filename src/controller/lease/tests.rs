//! The leases by themselves: the rules one by one, then many replicas over a table whose answers get lost or
//! come late, on clocks that run equally fast.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tokio::time::Instant;

use super::{Kind, Leases, Swap, acted_on};
use crate::cloud::Swapped;
use crate::config::LeaseSettings;
use crate::model::lease::{Held, Lease, Shard};

const DURATION: Duration = Duration::from_secs(15);

fn settings(shards: u16) -> LeaseSettings {
    LeaseSettings {
        shards,
        duration: DURATION,
        poll: Duration::from_millis(500),
    }
}

/// The table, as `swap_lease` promises it.
#[derive(Default)]
struct Table(BTreeMap<Shard, Lease>);

impl Table {
    fn swap(&mut self, swap: &Swap) -> Swapped {
        let stored = self.0.get(&swap.shard).cloned();
        let met = match (&stored, &swap.expected) {
            (None, None) => true,
            (Some(stored), Some(expected)) => stored.unmoved_since(expected),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if met {
            self.0.insert(swap.shard, swap.new.clone());
            return Swapped::Done { before: stored };
        }
        if stored
            .as_ref()
            .is_some_and(|stored| stored.unmoved_since(&swap.new))
        {
            return Swapped::Done { before: None };
        }
        Swapped::Lost { stored }
    }
}

fn shards(held: &Held) -> BTreeSet<Shard> {
    match held {
        Held::Shards { held, .. } => held.clone(),
        Held::All => BTreeSet::new(),
    }
}

/// A round without faults, in no time.
fn round(leases: &mut Leases, table: &mut Table, now: Instant) -> Vec<Kind> {
    let asked_for = leases.to_read();
    leases.read(&asked_for, &table.0, now);
    let swaps = leases.next(now);
    for swap in &swaps {
        let became = table.swap(swap);
        leases.swapped(swap, now, now, became);
    }
    swaps.iter().map(|swap| swap.kind).collect()
}

fn held(leases: &Leases, now: Instant) -> usize {
    shards(&leases.held(now)).len()
}

#[test]
fn a_shard_that_nobody_ever_held_is_taken_at_once() {
    let (mut table, now) = (Table::default(), Instant::now());
    let mut a = Leases::new("a".to_owned(), settings(3));
    assert_eq!(held(&a, now), 0);
    assert_eq!(round(&mut a, &mut table, now), [Kind::Take; 3]);
    assert_eq!(held(&a, now), 3);
    assert_eq!(a.to_read(), [], "what is ours is not read again");
}

#[test]
fn a_holder_stops_a_margin_before_its_lease_ends_counted_from_the_sending() {
    let (mut table, start) = (Table::default(), Instant::now());
    let mut a = Leases::new("a".to_owned(), settings(1));
    a.read(&[Shard(0)], &BTreeMap::new(), start);
    let swap = a.next(start).remove(0);
    let late = start + Duration::from_secs(4);
    let became = table.swap(&swap);
    a.swapped(&swap, start, late, became);
    let end = start + acted_on(DURATION);
    assert_eq!(held(&a, end - Duration::from_millis(1)), 1);
    assert_eq!(held(&a, end), 0);
}

#[test]
fn a_lease_is_renewed_after_a_third_of_its_time_and_once_more_if_nobody_answers() {
    let (mut table, start) = (Table::default(), Instant::now());
    let mut a = Leases::new("a".to_owned(), settings(1));
    round(&mut a, &mut table, start);
    assert_eq!(
        round(
            &mut a,
            &mut table,
            start + DURATION / 3 - Duration::from_millis(1)
        ),
        []
    );
    // The first renewal is carried out, but nobody hears of it.
    let swap = a.next(start + DURATION / 3).remove(0);
    table.swap(&swap);
    let later = start + DURATION / 2;
    let again = a.next(later).remove(0);
    let became = table.swap(&again);
    let stored = Some(swap.new.clone());
    assert_eq!(became, Swapped::Lost { stored }, "to itself");
    a.swapped(&again, later, later, became);
    let first = start + acted_on(DURATION);
    assert_eq!(
        (held(&a, later), held(&a, first)),
        (1, 0),
        "it counts no later than it was"
    );
    assert_eq!(round(&mut a, &mut table, later), [Kind::Renew]);
    assert_eq!(held(&a, first), 1);
}

#[test]
fn a_lease_that_moves_is_never_taken_and_one_that_stands_still_after_a_whole_duration() {
    let (mut table, start) = (Table::default(), Instant::now());
    let mut a = Leases::new("a".to_owned(), settings(1));
    let mut b = Leases::new("b".to_owned(), settings(1));
    round(&mut a, &mut table, start);
    let mut now = start;
    for _ in 0..100 {
        now += DURATION / 4;
        round(&mut a, &mut table, now);
        assert_eq!(round(&mut b, &mut table, now), []);
    }
    let since = now;
    // It dies. Its last renewal may be up to a third of a lease old, which the other has seen.
    assert_eq!(
        round(&mut b, &mut table, since + DURATION - Duration::from_millis(1)),
        []
    );
    assert_eq!(round(&mut b, &mut table, since + DURATION), [Kind::Take]);
    assert_eq!(table.0[&Shard(0)].epoch, 2);
    // The dead was only slow: it learns that it lost, and keeps away.
    let back = since + DURATION * 2;
    assert_eq!(round(&mut b, &mut table, back), [Kind::Renew]);
    assert_eq!(round(&mut a, &mut table, back), [Kind::Renew]);
    assert_eq!(held(&a, back), 0);
    assert_eq!(round(&mut a, &mut table, back + DURATION / 2), []);
}

#[test]
fn a_lease_given_back_is_taken_at_once_and_keeps_its_epoch_until_then() {
    let (mut table, now) = (Table::default(), Instant::now());
    let mut a = Leases::new("a".to_owned(), settings(1));
    let mut b = Leases::new("b".to_owned(), settings(1));
    round(&mut a, &mut table, now);
    round(&mut b, &mut table, now);
    a.stop();
    assert_eq!(round(&mut a, &mut table, now), [Kind::Release]);
    assert_eq!((held(&a, now), table.0[&Shard(0)].epoch), (0, 1));
    assert_eq!(table.0[&Shard(0)].owner, None);
    assert_eq!(round(&mut b, &mut table, now), [Kind::Take]);
    assert_eq!((held(&b, now), table.0[&Shard(0)].epoch), (1, 2));
    assert_eq!(
        round(&mut a, &mut table, now + DURATION * 9),
        [],
        "it has stopped"
    );
}

#[test]
fn a_holder_whose_lease_was_taken_away_by_hand_stops_when_it_hears_of_it() {
    let (mut table, start) = (Table::default(), Instant::now());
    let mut a = Leases::new("a".to_owned(), settings(1));
    let mut b = Leases::new("b".to_owned(), settings(1));
    round(&mut a, &mut table, start);
    table.0.clear();
    assert_eq!(round(&mut b, &mut table, start), [Kind::Take]);
    let later = start + DURATION / 3;
    assert_eq!((held(&a, later), held(&b, later)), (1, 1));
    round(&mut a, &mut table, later);
    assert_eq!((held(&a, later), held(&b, later)), (0, 1));
}

#[test]
fn a_lease_that_came_with_an_answer_that_was_lost_is_kept() {
    let (mut table, start) = (Table::default(), Instant::now());
    let mut a = Leases::new("a".to_owned(), settings(1));
    a.read(&[Shard(0)], &BTreeMap::new(), start);
    let swap = a.next(start).remove(0);
    table.swap(&swap);
    assert_eq!(held(&a, start), 0, "nobody said so");
    assert_eq!(round(&mut a, &mut table, start), [Kind::Renew]);
    assert_eq!(held(&a, start), 1);
}

#[test]
fn shards_even_out_when_a_replica_joins() {
    for (of, replicas) in [(1, 2), (2, 2), (5, 2), (8, 3), (16, 5)] {
        let (mut table, mut now) = (Table::default(), Instant::now());
        let mut all: Vec<Leases> = Vec::new();
        for n in 0..replicas {
            all.push(Leases::new(format!("replica-{n}"), settings(of)));
            for _ in 0..200 {
                now += Duration::from_millis(500);
                for leases in &mut all {
                    round(leases, &mut table, now);
                }
            }
        }
        let counts: Vec<usize> = all.iter().map(|leases| held(leases, now)).collect();
        assert_eq!(counts.iter().sum::<usize>(), usize::from(of), "{counts:?}");
        let (least, most) = (
            counts.iter().min().expect("there are some"),
            counts.iter().max().expect("there are some"),
        );
        assert!(most - least <= 1, "{of} shards: {counts:?}");
        let before = table.0.values().map(|lease| lease.epoch).collect::<Vec<_>>();
        for _ in 0..200 {
            now += Duration::from_millis(500);
            for leases in &mut all {
                round(leases, &mut table, now);
            }
        }
        let after = table.0.values().map(|lease| lease.epoch).collect::<Vec<_>>();
        assert_eq!(before, after, "and stay there");
    }
}

/// Something that is on its way.
#[derive(Clone, Debug)]
enum Way {
    /// A call reaches the table.
    Arrives(usize, u64, Call),
    /// An answer reaches the caller.
    Answers(usize, u64, Answer),
    /// The caller waits no longer, or begins a new round.
    Wakes(usize, u64),
}

#[derive(Clone, Debug)]
enum Call {
    Read(Vec<Shard>),
    Swap(Swap),
}

#[derive(Clone, Debug)]
enum Answer {
    Read(Vec<Shard>, BTreeMap<Shard, Lease>),
    Swap(Swap, Swapped),
}

struct Replica {
    leases: Leases,
    /// The call it waits for; answers to earlier ones are not heard.
    waits_for: u64,
    sent: Instant,
    todo: Vec<Swap>,
    /// Whether it has read in this round, and decided.
    has_read: bool,
    has_decided: bool,
}

/// Some replicas over one table, in virtual time.
struct World {
    dice: ChaCha8Rng,
    table: Table,
    replicas: Vec<Replica>,
    now: Instant,
    ways: BTreeMap<(Instant, u64), Way>,
    sequence: u64,
    shards: u16,
    lives: usize,
    /// In percent: how many calls fare badly.
    trouble: u64,
}

impl World {
    fn new(seed: u64, replicas: usize, shards: u16, trouble: u64) -> Self {
        let mut world = Self {
            dice: ChaCha8Rng::seed_from_u64(seed),
            table: Table::default(),
            replicas: Vec::new(),
            now: Instant::now(),
            ways: BTreeMap::new(),
            sequence: 0,
            shards,
            lives: 0,
            trouble,
        };
        for n in 0..replicas {
            let replica = world.born();
            world.replicas.push(replica);
            let first = world.up_to(3000);
            world.on_its_way(first, Way::Wakes(n, 0));
        }
        world
    }

    fn born(&mut self) -> Replica {
        self.lives += 1;
        Replica {
            leases: Leases::new(format!("life-{}", self.lives), settings(self.shards)),
            waits_for: 0,
            sent: self.now,
            todo: Vec::new(),
            has_read: false,
            has_decided: false,
        }
    }

    fn up_to(&mut self, millis: u64) -> Duration {
        Duration::from_millis(self.dice.next_u64() % (millis + 1))
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.dice.next_u64() % 100 < percent
    }

    fn on_its_way(&mut self, after: Duration, way: Way) {
        self.sequence += 1;
        self.ways.insert((self.now + after, self.sequence), way);
    }

    fn call(&mut self, n: usize, call: Call) {
        self.sequence += 1;
        let number = self.sequence;
        self.replicas[n].waits_for = number;
        self.replicas[n].sent = self.now;
        let way = if self.percent(self.trouble) {
            // Up to three leases late.
            self.up_to(45_000)
        } else {
            self.up_to(60)
        };
        if !self.percent(self.trouble / 3) {
            if self.percent(self.trouble / 3) {
                let second = way + self.up_to(40_000);
                self.on_its_way(second, Way::Arrives(n, number, call.clone()));
            }
            self.on_its_way(way, Way::Arrives(n, number, call));
        }
        self.on_its_way(DURATION / 5, Way::Wakes(n, number));
    }

    fn go_on(&mut self, n: usize) {
        let replica = &mut self.replicas[n];
        if !replica.has_read {
            replica.has_read = true;
            let wanted = replica.leases.to_read();
            if !wanted.is_empty() {
                return self.call(n, Call::Read(wanted));
            }
        }
        if !replica.has_decided {
            replica.has_decided = true;
            replica.todo = replica.leases.next(self.now);
        }
        if let Some(swap) = replica.todo.pop() {
            // What comes after it is sent when this is answered, so much later than it was decided.
            return self.call(n, Call::Swap(swap));
        }
        replica.has_read = false;
        replica.has_decided = false;
        replica.waits_for = 0;
        let pause = if self.percent(self.trouble / 4) {
            self.up_to(60_000)
        } else {
            Duration::from_millis(500)
        };
        self.on_its_way(pause, Way::Wakes(n, 0));
    }

    fn step(&mut self) {
        let ((at, _), way) = self.ways.pop_first().expect("everybody has a next step");
        // Beliefs end by themselves, so they are looked at just before anything changes too.
        self.now = at;
        self.assert_one_believer();
        match way {
            Way::Arrives(n, number, call) => {
                let answer = match call {
                    Call::Read(wanted) => Answer::Read(wanted, self.table.0.clone()),
                    Call::Swap(swap) => {
                        let became = self.table.swap(&swap);
                        Answer::Swap(swap, became)
                    }
                };
                if !self.percent(self.trouble / 2) {
                    let way = if self.percent(self.trouble) { 20_000 } else { 60 };
                    let way = self.up_to(way);
                    self.on_its_way(way, Way::Answers(n, number, answer));
                }
            }
            Way::Answers(n, number, answer) if self.replicas[n].waits_for == number => {
                let (sent, now) = (self.replicas[n].sent, self.now);
                let leases = &mut self.replicas[n].leases;
                match answer {
                    Answer::Read(wanted, found) => leases.read(&wanted, &found, now),
                    Answer::Swap(swap, became) => leases.swapped(&swap, sent, now, became),
                }
                self.replicas[n].waits_for = u64::MAX;
                self.go_on(n);
            }
            Way::Wakes(n, number) if self.replicas[n].waits_for == number => {
                if self.percent(self.trouble / 20) {
                    self.replicas[n] = self.born();
                }
                self.go_on(n);
            }
            Way::Answers(..) | Way::Wakes(..) => {}
        }
        self.assert_one_believer();
    }

    fn assert_one_believer(&self) {
        let mut seen = BTreeMap::new();
        for (n, replica) in self.replicas.iter().enumerate() {
            for shard in shards(&replica.leases.held(self.now)) {
                if let Some(other) = seen.insert(shard, n) {
                    panic!("{other} and {n} both hold shard {shard}: {:?}", self.table.0);
                }
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.ways.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step();
        }
    }

    fn held(&self) -> Vec<usize> {
        let count = |replica: &Replica| held(&replica.leases, self.now);
        self.replicas.iter().map(count).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_two_replicas_believe_they_hold_a_shard_and_all_are_held_once_faults_end(
        seed: u64, replicas in 2_usize..5, of in 1_u16..6, trouble in 0_u64..60,
    ) {
        let mut world = World::new(seed, replicas, of, trouble);
        world.run(DURATION * 40);
        world.trouble = 0;
        // What is late arrives, those that died are given up, and shares even out.
        world.run(DURATION * 12);
        let counts = world.held();
        prop_assert_eq!(counts.iter().sum::<usize>(), usize::from(of), "{:?}", counts);
        let (least, most) = (counts.iter().min().expect("there are some"), counts.iter().max().expect("there are some"));
        prop_assert!(most - least <= 1, "{:?}", counts);
    }
}
