//! Values that are refused, by the schema or by the chart itself, with a message that names the value and what is
//! allowed.

use std::fs;

use super::{ANY, chart, render_with, values};
use crate::support::Scratch;

/// What is wrong with values, as YAML after `small.yaml`, and what the message says.
const WRONG: [(&str, &[&str]); 32] = [
    ("runbooksUrl: our wiki", &["/runbooksUrl", "'our wiki'"]),
    ("replica: 3", &["'replica' not allowed"]),
    ("image: {repo: x}", &["/image", "'repo' not allowed"]),
    ("replicas: 0", &["/replicas", "got 0, want 1"]),
    ("replicas: 51", &["/replicas", "got 51, want 50"]),
    ("replicas: two", &["/replicas", "got string, want integer"]),
    ("replicas: 1.5", &["/replicas", "got number, want integer"]),
    (
        "image: {pullPolicy: Sometimes}",
        &["/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"],
    ),
    (
        "image: {digest: sha256:12}",
        &["/image/digest", "sha256:12", "[0-9a-f]{64}"],
    ),
    ("image: {tag: 'a b'}", &["/image/tag", "'a b'"]),
    ("listenAddress: 127.0.0.1", &["/listenAddress", "'0.0.0.0', '::'"]),
    (
        "service: {type: ExternalName}",
        &["/service/type", "'ClusterIP', 'NodePort', 'LoadBalancer'"],
    ),
    ("service: {port: 0}", &["/service/port", "got 0, want 1"]),
    (
        "serviceAccount: {roleArn: lamplighter}",
        &["/serviceAccount/roleArn", "role/.+"],
    ),
    (
        "resources: {limits: {memory: lots}}",
        &["/resources/limits/memory", "'lots'"],
    ),
    (
        "podLabels: {team: 7}",
        &["/podLabels/team", "got number, want string"],
    ),
    (
        "serviceMonitor: {interval: often}",
        &["/serviceMonitor/interval", "'often'"],
    ),
    (
        "webhookSecret: {name: portal, as: volume}",
        &["/webhookSecret/as", "'file', 'env'"],
    ),
    (
        "configFiles: {../x: y}",
        &["configFiles: \"../x\" is no name", "give letters, digits"],
    ),
    (
        "ingress: {enabled: yes please}",
        &["/ingress/enabled", "got string, want boolean"],
    ),
    (
        "ingress: {enabled: true}",
        &["ingress.host: is empty", "give the host name"],
    ),
    (
        "config: ''",
        &["config: is empty", "--set-file config=lamplighter.toml"],
    ),
    (
        "config: 'a = '",
        &["config: is no TOML", "lamplighter config check"],
    ),
    ("config: '[aws]'", &["config: has no [[api.tokens]]", "add one"]),
    (
        "configFiles: {lamplighter.toml: x}",
        &["configFiles: lamplighter.toml", "give its text as config"],
    ),
    (
        "terminationGracePeriodSeconds: 34",
        &["terminationGracePeriodSeconds: 34", "at least 35", "(25s)"],
    ),
    (
        "preStopSleepSeconds: 11",
        &["terminationGracePeriodSeconds: 40", "at least 41"],
    ),
    (
        "webhookSecret: {name: portal}",
        &[
            "webhookSecret: is mounted",
            "secret_file = \"/run/secrets/lamplighter/webhook\"",
        ],
    ),
    (
        "webhookSecret: {name: portal, as: env}",
        &["webhookSecret: is given", "secret_env = \"WEBHOOK_SECRET\""],
    ),
    (
        "serviceMonitor: {enabled: true}\npodMonitor: {enabled: true}",
        &["podMonitor.enabled: is true", "enable one"],
    ),
    (
        "serviceAccount: {create: false, roleArn: 'arn:aws:iam::123456789012:role/x'}",
        &[
            "serviceAccount.roleArn: has no effect",
            "set serviceAccount.create",
        ],
    ),
    (
        "podLabels: {app.kubernetes.io/name: other}",
        &["podLabels: app.kubernetes.io/name", "another key"],
    ),
];

/// The same with the configuration's own `shutdown_grace`.
const GRACES: [(&str, u32); 3] = [("1s", 11), ("1m30s", 100), ("15m", 910)];

#[test]
fn wrong_values_are_refused_with_what_is_allowed() {
    let scratch = Scratch::new("wrong");
    let small = fs::read_to_string(values("small")).expect("a file is read");
    let file = |(count, (wrong, _)): (usize, &(&str, _))| {
        let base = if wrong.starts_with("config: ") { "" } else { &small };
        scratch.write(&format!("{count}.yaml"), &format!("{base}\n{wrong}\n"))
    };
    let files: Vec<_> = WRONG.iter().enumerate().map(file).collect();
    let rendered = render_with(&chart(), ANY, &files);
    let mut unclear = Vec::new();
    for (count, (wrong, expected)) in WRONG.iter().enumerate() {
        match &rendered[&count.to_string()] {
            Ok(_) => unclear.push(format!("{wrong}: is taken")),
            Err(error) => {
                let missing: Vec<_> = expected.iter().filter(|part| !error.contains(**part)).collect();
                if !missing.is_empty() {
                    unclear.push(format!("{wrong}: {missing:?} not in {error}"));
                }
            }
        }
    }
    assert!(unclear.is_empty(), "{unclear:#?}");
}

#[test]
fn the_grace_of_pods_is_longer_than_that_of_the_daemon() {
    let scratch = Scratch::new("grace");
    let small = fs::read_to_string(values("small")).expect("a file is read");
    let mut files = Vec::new();
    for (grace, least) in GRACES {
        let config = small.replace(
            "config: |\n",
            &format!("config: |\n  [daemon]\n  shutdown_grace = \"{grace}\"\n"),
        );
        for seconds in [least - 1, least] {
            let text = format!("{config}terminationGracePeriodSeconds: {seconds}\n");
            files.push(scratch.write(&format!("{grace}-{seconds}.yaml"), &text));
        }
    }
    let rendered = render_with(&chart(), ANY, &files);
    for (grace, least) in GRACES {
        let short = rendered[&format!("{grace}-{}", least - 1)]
            .as_ref()
            .err()
            .expect("it is too short");
        assert!(short.contains(&format!("at least {least}")), "{grace}: {short}");
        assert!(
            rendered[&format!("{grace}-{least}")].is_ok(),
            "{grace}: {least} seconds are enough"
        );
    }
}
