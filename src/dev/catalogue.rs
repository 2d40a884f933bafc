//! The small catalogue, the short intervals and the example rows of `lamplighter dev`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Config, Intervals, LeaseSettings};
use crate::model::SignedDuration;
use crate::model::name::AppId;
use crate::model::row::{RawValue, Row};

/// The CodeBuild project that the simulated AWS has.
pub(super) const PROJECT: &str = "child-app";
/// The ECS cluster that the simulated AWS has.
pub(super) const CLUSTER: &str = "apps";

/// The configuration of a daemon whose AWS is `speed` times faster than a real one.
///
/// # Panics
/// Never: the text is checked by a test.
pub(super) fn config(app_port: u16, speed: f64, builds: u32) -> Config {
    let text = TEMPLATE
        .replace("@PORT@", &app_port.to_string())
        .replace("@PROJECT@", PROJECT)
        .replace("@CLUSTER@", CLUSTER)
        .replace("@BUILDS@", &builds.to_string());
    let mut config = Config::from_toml(&text).expect("the built-in configuration is valid");
    config.intervals = Intervals {
        sweep: Duration::from_secs(5),
        progress: Duration::from_millis(500),
        row_poll: Duration::from_millis(500),
        ready_recheck: Duration::from_secs(10),
    };
    // Nobody else is there, but one that was killed may have left its lease.
    config.leases = Some(LeaseSettings::new(1, Duration::from_secs(2)));
    let timing = &mut config.policy.timing;
    timing.confirm_absence = sped_up(60, speed);
    timing.appear_grace = sped_up(60, speed);
    timing.refusal_recheck = sped_up(30, speed);
    timing.deploy_retry.initial = sped_up(15, speed);
    timing.destroy_retry.initial = sped_up(30, speed);
    config
}

/// What takes `seconds` on a real AWS; never less than half a second, so that people can follow.
fn sped_up(seconds: i32, speed: f64) -> SignedDuration {
    SignedDuration::from_secs_f64((f64::from(seconds) / speed).clamp(0.5, 86_400.0))
}

const TEMPLATE: &str = include_str!("dev.toml");

/// Three rows of three users.
///
/// # Panics
/// Never: the ids below are within every limit.
pub(super) fn example_rows() -> Vec<Row> {
    [
        ("demo-ann", "ann", "hello"),
        ("demo-ben", "ben", "board"),
        ("demo-cleo", "cleo", "notes"),
    ]
    .into_iter()
    .map(|(id, user, app)| {
        let raw = [("user", user), ("app", app), ("desired", "Running")]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), RawValue::Text(value.to_owned())))
            .collect::<BTreeMap<_, _>>();
        Row::read(AppId::from_key(id).expect("a short id is within the limit"), raw)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_configuration_is_valid_at_every_speed() {
        for speed in [0.1, 1.0, 30.0, 10_000.0] {
            let config = config(4566, speed, 4);
            for row in example_rows() {
                assert_eq!(row.problems, []);
                assert!(
                    config
                        .policy
                        .catalogue
                        .contains_key(&row.app.expect("it has one"))
                );
            }
        }
    }
}
