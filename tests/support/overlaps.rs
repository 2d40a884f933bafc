//! one-build-per-app, from the builds' own windows: whatever anybody believed, no two of them overlapped.

use std::collections::BTreeMap;

use jiff::Timestamp;
use simcloud::BuildView;

/// Pairs of builds of one host that were past their gates at once.
pub(crate) fn overlaps(builds: &[BuildView]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut windows: BTreeMap<&str, Vec<(Timestamp, Timestamp, &BuildView)>> = BTreeMap::new();
    for build in builds {
        let Some(passed) = build.gate_passed else { continue };
        let ended = build.ended.unwrap_or(Timestamp::MAX);
        let host = build.host.as_deref().unwrap_or_default();
        windows.entry(host).or_default().push((passed, ended, build));
    }
    for (host, mut windows) in windows {
        windows.sort_by_key(|(passed, ended, _)| (*passed, *ended));
        for pair in windows.windows(2) {
            if pair[1].0 < pair[0].1 {
                wrong.push(format!(
                    "one-build-per-app: {} and {} overlap for {host}",
                    pair[0].2.id, pair[1].2.id
                ));
            }
        }
    }
    wrong
}
