//! Tales.
use jiff::SignedDuration;
use lamplighter::model::status::Phase;
use serde_json::json;

use crate::tale::{row, tell};

#[test]
fn first() {
    tell("first", |tale| {
        tale.write(row("shop")).until(Phase::Ready);
        tale.change(json!({"desired": "Destroyed", "generation": 2}))
            .until(Phase::Destroyed);
        tale.delete().run(SignedDuration::from_hours(2));
    });
}
