//! Hostile and broken files: no panic, no control character on the terminal, no secret in a message, and an
//! answer that stays short.

use lamplighter::config::Config;
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../deploy/lamplighter.example.toml");

/// Whatever is printed about `text` can be printed.
fn stays_printable(text: &str) -> Result<(), TestCaseError> {
    let Err(mistakes) = Config::from_toml(text) else {
        return Ok(());
    };
    prop_assert!(!mistakes.is_empty());
    let printed = mistakes.to_string();
    for c in printed.chars().filter(|c| *c != '\n') {
        prop_assert!(
            !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c),
            "{:?} in {}",
            c,
            printed
        );
    }
    for line in printed.lines() {
        prop_assert!(line.chars().count() < 10_000, "{}", line);
    }
    for mistake in &mistakes {
        prop_assert!(
            !mistake.problem.is_empty() && !mistake.remedy.is_empty(),
            "{:?}",
            mistake
        );
    }
    Ok(())
}

/// Pieces that mean something in a file of ours.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "\n",
        "\r\n",
        " ",
        "#",
        "\\",
        "\\u0007",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{feff}",
        "\0",
        "é",
        "0",
        "-1",
        "1e999",
        "nan",
        "0x",
        "true",
        "2026-11-20",
        "07:00",
        "[api]\n",
        "[[api.tokens]]\n",
        "[apps.shop]\n",
        "[apps.shop.parameters.SIZE]\n",
        "[schedules.night]\n",
        "apps",
        "shop",
        "tokens",
        "sha256",
        "url",
        "{host_name}",
        "teardown",
        "0 0 30 2 *",
        "* * * * *",
        "\"90s\"",
        "policy",
        "deploy_retry",
        "one_of",
        "inf",
        "9223372036854775808",
    ];
    prop_oneof![
        4 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => ".{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_mutation_of_the_example_panics(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0_usize..12, piece()), 1..6),
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, removed, put) in edits {
            let start = at.index(text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, put.chars());
        }
        stays_printable(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn no_value_of_a_line_panics(line in any::<proptest::sample::Index>(), value in prop_oneof![".{0,40}", piece()]) {
        let keys: Vec<(usize, &str)> = EXAMPLE.lines().enumerate().filter(|(_, line)| line.contains(" = ")).collect();
        let (chosen, _) = keys[line.index(keys.len())];
        let lines: Vec<String> = EXAMPLE
            .lines()
            .enumerate()
            .map(|(at, line)| match line.split_once(" = ") {
                // As text, escaped, so that the value arrives whatever it is.
                Some((key, _)) if at == chosen => format!("{key} = {}", toml::Value::String(value.clone())),
                _ => line.to_owned(),
            })
            .collect();
        stays_printable(&lines.join("\n"))?;
    }

    #[test]
    fn no_heap_of_pieces_panics(pieces in proptest::collection::vec(piece(), 0..60)) {
        stays_printable(&pieces.concat())?;
    }

    #[test]
    fn no_schedule_panics(cron in "[0-9*,/#LW?-]{1,4}( [0-9*,/#LWJANMO?-]{1,4}){4}", zone in "[A-Za-z/_+-]{0,20}") {
        stays_printable(&format!("[schedules.a]\ntime_zone = \"{zone}\"\nteardown = \"{cron}\"\n"))?;
    }
}

#[test]
fn text_that_moves_the_cursor_is_escaped_wherever_it_is_repeated() {
    for text in [
        "\"a\\u001b[2J\" = 1",
        "[aws]\nregion = \"\\u001b[2J\\u202e\\r\\n\"",
        "[apps.\"\\u001b\"]\nproject = \"\\u0007\"\nurl = \"https://{\\u001b[31m}\"\n",
        "[schedules.a]\nteardown = \"\\u001b 1 2 3 4\"\ntime_zone = \"\\u001b\"",
        "[aws]\nregion = \"\u{1b}[2J\"",
        "[build_env]\napp = \"\\u009b31m\"",
        "[apps.a.parameters.\"\\u001b\"]\ndefault = \"\\u001b\"\none_of = [\"x\"]",
    ] {
        stays_printable(text).expect("nothing of it reaches a terminal");
        assert!(Config::from_toml(text).is_err(), "{text}");
    }
}

#[test]
fn a_token_in_the_wrong_place_is_not_repeated() {
    let secret = "hunter2hunter2";
    for text in [
        format!("[[api.tokens]]\nname = \"a\"\nrole = \"viewer\"\nsha256 = \"{secret}\""),
        format!("[[api.tokens]]\nname = \"a\"\ntoken = \"{secret}\""),
        format!("[[api.tokens]]\nname = \"a\"\nrole = \"{secret}\""),
        format!("[[api.tokens]]\nname = \"a\nsha256 = \"{secret}"),
        format!("[[api.tokens]]\nname = {secret}"),
        format!("api = {{ tokens = [{{ nam = \"a\", sha256 = \"{secret}\" }}] }}"),
        format!("[api]\ntokens = [\n  \"{secret}\"\n]"),
        format!("[api]\ntokens = \"{secret}\""),
        format!("[api]\ntoken = \"{secret}\""),
        format!("[aws]\nsecret_access_key = \"{secret}\""),
        format!("[aws]\nPassword = {secret}"),
        format!("[aws]\nendpoint_url = \"http://me:{secret}@localhost\""),
    ] {
        let mistakes = Config::from_toml(&text).expect_err("it is a mistake");
        let shown = format!("{mistakes} {mistakes:?}");
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_huge_value_yields_a_short_message() {
    let long = "x".repeat(200_000);
    for text in [
        format!("{long} = 1"),
        format!("[aws]\nregion = \"{long}\""),
        format!("[daemon]\nworkers = {}", "9".repeat(200_000)),
        format!("[apps.a]\nurl = \"https://{{{long}}}\""),
        format!("[apps.\"{long}\"]\n\"{long}\" = {{ \"{long}\" = 1 }}"),
        format!("[log]\nfilter = \"{long}={long}\""),
    ] {
        let mistakes = Config::from_toml(&text).expect_err("it is a mistake");
        assert!(
            mistakes.to_string().len() < 8_000,
            "{}",
            mistakes.to_string().len()
        );
    }
}

#[test]
fn deep_nesting_is_a_mistake_and_no_overflow() {
    for text in [
        format!("a = {}1{}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("a = {}", "{ a = ".repeat(50_000)),
        format!("{}a = 1", "a.".repeat(50_000)),
        format!("[{}a]", "a.".repeat(50_000)),
    ] {
        assert!(Config::from_toml(&text).is_err());
    }
}
