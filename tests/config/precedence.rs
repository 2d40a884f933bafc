//! Flags win over the environment, which wins over the file, which wins over the defaults.

use std::collections::BTreeMap;
use std::io::Write as _;

use lamplighter::config::{Config, LogFormat, Overrides, load};

use super::all_told;

/// Loads a file with `text` under these variables and flags.
fn load_with(text: &str, variables: &[(&str, &str)], flags: &Overrides) -> Result<Config, Vec<String>> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("lamplighter-precedence-{}-{count}", std::process::id()));
    std::fs::File::create(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .expect("the temporary directory can be written");
    let env: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let loaded = load(&path, flags, &env);
    let _ = std::fs::remove_file(&path);
    loaded.map_err(|mistakes| all_told(&mistakes))
}

/// What a setting is, as text.
type Read = fn(&Config) -> String;
/// Sets a flag.
type Set = fn(&mut Overrides, String);

/// For each setting: table, key, variable, how its flag is set, how it is read, three values.
type Setting = (
    &'static str,
    &'static str,
    &'static str,
    Set,
    Read,
    [&'static str; 3],
);

const SETTINGS: [Setting; 9] = [
    (
        "aws",
        "region",
        "LAMPLIGHTER_REGION",
        |o, v| o.region = Some(v),
        |c| c.aws.region.clone().unwrap_or_default(),
        ["eu-west-1", "eu-west-2", "eu-west-3"],
    ),
    (
        "aws",
        "endpoint_url",
        "LAMPLIGHTER_ENDPOINT_URL",
        |o, v| o.endpoint_url = Some(v),
        |c| c.aws.endpoint_url.clone().unwrap_or_default(),
        ["http://a:1", "http://b:2", "http://c:3"],
    ),
    (
        "tables",
        "desired",
        "LAMPLIGHTER_DESIRED_TABLE",
        |o, v| o.desired_table = Some(v),
        |c| c.tables.desired.clone(),
        ["one", "two", "three"],
    ),
    (
        "tables",
        "state",
        "LAMPLIGHTER_STATE_TABLE",
        |o, v| o.state_table = Some(v),
        |c| {
            // The builds are told the same name.
            assert_eq!(c.tables.state, c.policy.state_table);
            c.tables.state.clone()
        },
        ["one", "two", "three"],
    ),
    (
        "tables",
        "events",
        "LAMPLIGHTER_EVENTS_TABLE",
        |o, v| o.events_table = Some(v),
        |c| c.tables.events.clone(),
        ["one", "two", "three"],
    ),
    (
        "api",
        "public_addr",
        "LAMPLIGHTER_PUBLIC_ADDR",
        |o, v| o.public_addr = Some(v),
        |c| c.api.public_addr.to_string(),
        ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"],
    ),
    (
        "api",
        "admin_addr",
        "LAMPLIGHTER_ADMIN_ADDR",
        |o, v| o.admin_addr = Some(v),
        |c| c.api.admin_addr.to_string(),
        ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"],
    ),
    (
        "log",
        "format",
        "LAMPLIGHTER_LOG_FORMAT",
        |o, v| o.log_format = Some(v),
        |c| match c.log.format {
            LogFormat::Json => "json".to_owned(),
            LogFormat::Pretty => "pretty".to_owned(),
        },
        ["pretty", "json", "pretty"],
    ),
    (
        "log",
        "filter",
        "LAMPLIGHTER_LOG",
        |o, v| o.log_filter = Some(v),
        |c| c.log.filter.clone(),
        ["debug", "warn", "error"],
    ),
];

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    for (table, key, variable, set, read, [in_file, in_env, in_flag]) in SETTINGS {
        let file = format!("[{table}]\n{key} = \"{in_file}\"\n");
        let mut flags = Overrides::default();
        set(&mut flags, in_flag.to_owned());
        let none = Overrides::default();
        let got = |loaded: Result<Config, Vec<String>>| read(&loaded.expect("all values are good"));
        assert_eq!(got(load_with(&file, &[], &none)), in_file, "{variable}");
        assert_eq!(
            got(load_with(&file, &[(variable, in_env)], &none)),
            in_env,
            "{variable}"
        );
        assert_eq!(
            got(load_with("", &[(variable, in_env)], &none)),
            in_env,
            "{variable}"
        );
        assert_eq!(
            got(load_with(&file, &[(variable, in_env)], &flags)),
            in_flag,
            "{variable}"
        );
        assert_eq!(got(load_with("", &[], &flags)), in_flag, "{variable}");
        // An empty variable is what a template leaves behind where nothing was set.
        assert_eq!(
            got(load_with(&file, &[(variable, "")], &none)),
            in_file,
            "{variable}"
        );
    }
}

#[test]
fn a_mistake_outside_the_file_names_its_variable_or_flag() {
    let flags = Overrides {
        public_addr: Some("0.0.0.0:8080".to_owned()),
        ..Overrides::default()
    };
    assert_eq!(
        load_with(
            "[daemon]\nworkers = 0\n",
            &[
                ("LAMPLIGHTER_REGION", "Frankfurt\u{1b}"),
                ("LAMPLIGHTER_EVENTS_TABLE", "lamplighter-state")
            ],
            &flags
        )
        .expect_err("there are four mistakes"),
        [
            "2:11 daemon.workers: 0 is out of range = give a whole number from 1 to 256",
            "LAMPLIGHTER_EVENTS_TABLE tables.events: is the same table as tables.state = each table has its own writers; give each its own name",
            "LAMPLIGHTER_REGION aws.region: \"Frankfurt\\u{1b}\" is not a Region = write a code such as \"eu-central-1\"",
            "--public-addr api.public_addr: \"0.0.0.0:8080\" can be reached from other machines, but no token is configured, \
             so anybody there could start and stop apps = add an [[api.tokens]] entry, or listen on \"127.0.0.1\" only",
        ]
    );
}

#[test]
fn a_value_that_is_overridden_is_not_looked_at() {
    let loaded = load_with(
        "[aws]\nregion = \"Frankfurt\"\n",
        &[("LAMPLIGHTER_REGION", "eu-west-1")],
        &Overrides::default(),
    );
    assert_eq!(
        loaded.expect("the variable is good").aws.region.as_deref(),
        Some("eu-west-1")
    );
}

#[test]
fn a_misspelt_variable_is_a_mistake_and_those_of_others_are_not() {
    assert_eq!(
        load_with("", &[("LAMPLIGHTER_REGOIN", "eu-west-1")], &Overrides::default())
            .expect_err("nothing reads it"),
        ["LAMPLIGHTER_REGOIN : is read by nothing = did you mean LAMPLIGHTER_REGION?"]
    );
    let others = [
        ("LAMPLIGHTER_PORT", "tcp://10.0.0.1:80"),
        ("LAMPLIGHTER_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("LAMPLIGHTER_SERVICE_HOST", "10.0.0.1"),
        ("LAMPLIGHTER_SERVER", "http://x"),
        ("LAMPLIGHTER_TOKEN", "x"),
        ("LAMPLIGHTER_CONFIG", "x"),
        ("REGION", "x"),
    ];
    assert!(load_with("", &others, &Overrides::default()).is_ok());
}

#[test]
fn the_flags_are_called_what_mistakes_call_them() {
    let command = <Overrides as clap::Args>::augment_args(clap::Command::new("lamplighter"));
    let flags: Vec<String> = command
        .get_arguments()
        .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
        .collect();
    for (table, key, _, set, _, _) in SETTINGS {
        let mut overrides = Overrides::default();
        set(&mut overrides, "\u{7}".to_owned());
        let told = load_with("", &[], &overrides).expect_err("a bell is no good value");
        let flag = told[0].split(' ').next().unwrap_or_default().to_owned();
        assert!(
            flags.contains(&flag),
            "{table}.{key}: {flag} is not among {flags:?}"
        );
    }
}
