//! The days of a den, walked through one by one: it sleeps from 19:00 to 08:00 in Tokyo, where clocks never change, is closed
//! from 19:00 to 07:00 and on days off, on which nothing wakes it, and is destroyed in the third night after somebody
//! asked for it, or after an exemption has ended. Knows nothing of crons, of zones, or of what the planner remembers.

use jiff::Timestamp;
use lamplighter::model::row::Desired;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const TOKYO: i64 = 9 * HOUR;
const OPENING: i64 = 7 * HOUR;
const MORNING: i64 = 8 * HOUR;
const EVENING: i64 = 19 * HOUR;
/// 2027-01-01 and 2027-06-18, in days since 1970.
const OFF: [i64; 2] = [20_819, 20_987];
/// After so many nights comes the one that destroys it.
const NIGHTS: u32 = 2;

/// The most that a den may be at `now`, of which somebody asked for all, and which was exempt until `kept`, if it ever was.
/// That puts off its nap or not, which is left open.
pub(crate) fn level(requested: Timestamp, kept: Option<Timestamp>, now: Timestamp) -> Desired {
    let (opened, now) = (opens(wall(requested)), wall(now));
    let kept = kept.map_or(i64::MIN, wall);
    if now < opened {
        return Desired::Suspended;
    }
    let (mut level, mut nights) = (Desired::Running, 0);
    for day in opened.div_euclid(DAY)..=now.div_euclid(DAY) {
        let passed = |time: i64| (opened + 1..=now).contains(&(day * DAY + time));
        if passed(MORNING) && !OFF.contains(&day) {
            level = Desired::Running;
        }
        if passed(EVENING) {
            // In the second in which an exemption ends a night is still its own.
            nights += u32::from(day * DAY + EVENING > kept);
            level = Desired::Suspended;
        }
    }
    if nights > NIGHTS {
        Desired::Destroyed
    } else {
        level
    }
}

/// What a clock on a wall in Tokyo shows, in seconds since it showed the beginning of 1970.
fn wall(at: Timestamp) -> i64 {
    at.as_second() + TOKYO
}

fn opens(mut at: i64) -> i64 {
    while let Some(until) = closed(at) {
        at = until;
    }
    at
}

fn closed(at: i64) -> Option<i64> {
    let (day, time) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    if OFF.contains(&day) {
        Some((day + 1) * DAY)
    } else if time >= EVENING {
        Some((day + 1) * DAY + OPENING)
    } else {
        (time < OPENING).then_some(day * DAY + OPENING)
    }
}
