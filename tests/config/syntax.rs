//! Text that is no TOML, files that can't be read, and how mistakes are printed.

use std::collections::BTreeMap;
use std::io::Write as _;

use lamplighter::config::{Config, Overrides, load};

use super::{all_told, check, mistakes_of};

#[test]
fn syntax_errors_have_a_place_and_do_not_hide_what_is_in_other_tables() {
    let remedy = "correct it here; what follows up to the next [table] was not checked";
    check(&[
        (
            "[aws]\nregion = eu-central-1\n",
            &format!("2:10 : is not TOML: string values must be quoted, expected literal string = {remedy}"),
        ),
        (
            "[daemon]\nworkers 5\n",
            &format!("2:9 : is not TOML: key with no value, expected `=` = {remedy}"),
        ),
        (
            "[apps.shop]\nurl = \"https://x\ncluster = \"a b\"\n",
            &format!("2:17 : is not TOML: invalid basic string, expected `\"` = {remedy}"),
        ),
        (
            "[[api.tokens]\n",
            &format!("1:14 : is not TOML: unclosed array table, expected `]` = {remedy}"),
        ),
        (
            "[daemon]\nworkers = 1\nworkers = 2",
            "3:1 : is not TOML: duplicate key = keep one of the two",
        ),
    ]);
    assert_eq!(
        mistakes_of(
            "[aws]\nregion = eu-central-1\nregoin = 1\n[daemon]\nworkers = 0\n[policy\n[log]\nformat = \"x\""
        ),
        [
            &format!("2:10 : is not TOML: string values must be quoted, expected literal string = {remedy}"),
            "5:11 daemon.workers: 0 is out of range = give a whole number from 1 to 256",
            &format!("6:8 : is not TOML: unclosed table, expected `]` = {remedy}"),
            "8:10 log.format: \"x\" is not one of the choices = use \"json\" or \"pretty\"",
        ]
    );
}

#[test]
fn nothing_is_called_missing_that_may_be_in_the_part_not_understood() {
    for text in [
        "[apps.shop]\nproject = \"pp\"\nschedule = \"night\"\n[schedules.night\ntime_zone = \"UTC\"\n",
        "[api]\npublic_addr = \"0.0.0.0:8080\"\n[[api.tokens]\nname = \"a\"\n",
    ] {
        let found = mistakes_of(text);
        assert_eq!(found.len(), 1, "{found:#?}");
    }
}

#[test]
fn mistakes_are_printed_as_a_compiler_does() {
    let text = "[aws]\n\tregion = \"Frankfurt\" # here\n[daemon]\nworkers = 0\n";
    let printed = Config::from_toml(text)
        .expect_err("there are two mistakes")
        .to_string();
    assert_eq!(
        printed,
        "lamplighter.toml:2:11: aws.region: \"Frankfurt\" is not a Region\n  \
           2 |  region = \"Frankfurt\" # here\n    \
             |           ^^^^^^^^^^^\n    \
             = write a code such as \"eu-central-1\"\n\
         \n\
         lamplighter.toml:4:11: daemon.workers: 0 is out of range\n  \
           4 | workers = 0\n    \
             |           ^\n    \
             = give a whole number from 1 to 256\n\
         \n\
         2 mistakes in the configuration"
    );
}

#[test]
fn columns_count_characters_and_the_caret_stands_below_them() {
    // The mark that turns the direction of writing is one character of the file and eight of the message.
    let text = "aws = { \"größ\u{202e}\" = 1, \"ß\" = 2 }\n";
    let printed = Config::from_toml(text).expect_err("no key is known").to_string();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(
        lines[0].starts_with("lamplighter.toml:1:9: aws.\"größ\\u{202e}\""),
        "{printed}"
    );
    assert!(
        lines[5].starts_with("lamplighter.toml:1:22: aws.\"ß\""),
        "{printed}"
    );
    assert_eq!(
        lines[6..8],
        [
            "  1 | aws = { \"größ\\u{202e}\" = 1, \"ß\" = 2 }",
            "    |                             ^^^"
        ],
        "{printed}"
    );
}

#[test]
fn a_long_line_is_cut_around_what_is_meant() {
    let text = format!(
        "aws = {{ endpoint_url = \"http://{}\", regoin = \"x\" }}",
        "h".repeat(500)
    );
    let printed = Config::from_toml(&text)
        .expect_err("a key is misspelt")
        .to_string();
    assert!(
        printed.lines().all(|line| line.chars().count() < 140),
        "{printed}"
    );
    let lines: Vec<&str> = printed.lines().collect();
    let caret = lines[2].find('^').expect("a caret");
    let meant: String = lines[1].chars().skip(caret).take(6).collect();
    assert_eq!(meant, "regoin", "{printed}");
}

#[test]
fn many_mistakes_are_counted_after_the_first_fifty() {
    let text: String = (0..200).map(|n| format!("key{n} = 1\n")).collect();
    let mistakes = Config::from_toml(&text).expect_err("no key is known");
    assert_eq!(mistakes.len(), 200);
    let printed = mistakes.to_string();
    assert!(
        printed.ends_with("and 150 more\n200 mistakes in the configuration"),
        "{printed}"
    );
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_mistakes() {
    let config = Config::from_toml("\u{feff}[daemon]\r\nworkers = 3\r\n").expect("it is good TOML");
    assert_eq!(config.workers, 3);
    assert_eq!(
        mistakes_of("[daemon]\r\nworkers = 0\r\n"),
        ["2:11 daemon.workers: 0 is out of range = give a whole number from 1 to 256"]
    );
}

/// What `load` says about a file with these bytes.
fn load_bytes(bytes: &[u8]) -> Result<Config, Vec<String>> {
    let path = std::env::temp_dir().join(format!(
        "lamplighter-config-{}-{}",
        std::process::id(),
        bytes.len()
    ));
    std::fs::File::create(&path)
        .and_then(|mut file| file.write_all(bytes))
        .expect("the temporary directory can be written");
    let loaded = load(&path, &Overrides::default(), &BTreeMap::new());
    let _ = std::fs::remove_file(&path);
    loaded.map_err(|mistakes| all_told(&mistakes))
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake_like_any_other() {
    let nowhere = load(
        std::path::Path::new("/nowhere/\u{1b}[31m.toml"),
        &Overrides::default(),
        &BTreeMap::new(),
    );
    let mistakes = nowhere.expect_err("there is no such file");
    assert_eq!(
        all_told(&mistakes),
        [
            "file : cannot be read: No such file or directory (os error 2) = give the path of a file that this user may read"
        ]
    );
    assert!(
        mistakes
            .to_string()
            .starts_with("/nowhere/\\u{1b}[31m.toml: cannot be read"),
        "{mistakes}"
    );
    assert_eq!(
        load_bytes(b"[daemon]\nworkers = 5\n")
            .expect("it is good")
            .workers,
        5
    );
    assert_eq!(
        load_bytes(b"[aws]\nregion = \"\xff\"\n").expect_err("it is not UTF-8"),
        ["2:11 : is not UTF-8 = save the file as UTF-8"]
    );
    assert_eq!(
        load_bytes(&vec![b'#'; 1024 * 1024 + 1]).expect_err("it is too large"),
        ["file : has 1048577 bytes, more than 1048576 = give the path of a configuration file"]
    );
}
