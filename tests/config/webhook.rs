//! `[webhook]`: where warnings go, and a secret that stands elsewhere and is never shown.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use lamplighter::config::{Config, Overrides, load};

use super::{check, mistakes_of};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Loads this text from a file of its own, beside a file `secret`, with `HOOK_SECRET` set to the same.
fn loaded(name: &str, text: &str, secret: &str) -> Result<Config, String> {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("webhook-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("secret"), secret).unwrap();
    let file = folder.join("lamplighter.toml");
    std::fs::write(&file, text).unwrap();
    let environment = BTreeMap::from([("HOOK_SECRET".to_owned(), secret.to_owned())]);
    load(&file, &Overrides::default(), &environment).map_err(|mistakes| mistakes.to_string())
}

const APP: &str = "[apps.shop]\nproject = \"child-app\"\ncluster = \"apps\"\ndomain = \"example.com\"\n";

#[test]
fn a_secret_comes_from_a_file_or_a_variable_and_is_never_shown() {
    for (name, line) in [
        ("file", "secret_file = \"secret\""),
        ("variable", "secret_env = \"HOOK_SECRET\""),
    ] {
        let text = format!("[webhook]\nurl = \"https://portal.example.com/hooks\"\n{line}\n{APP}");
        let config = loaded(name, &text, &format!("{SECRET}\n")).unwrap();
        assert!(config.policy.webhook);
        assert!(!format!("{config:?}").contains("MfKQ"), "{config:?}");
        let webhook = config.webhook.unwrap();
        assert_eq!(webhook.secret.as_bytes().len(), 24);
        for bad in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
            "whsec_%%%%",
        ] {
            let told = loaded(name, &text, bad).unwrap_err();
            assert!(told.contains("holds a secret that "), "{told}");
            assert!(bad.is_empty() || !told.contains(bad), "{told}");
        }
    }
}

#[test]
fn what_signs_nothing_or_is_signed_by_nothing_is_a_mistake() {
    let url = "url = \"https://portal.example.com/hooks\"";
    check(&[(
        &format!("[webhook]\n{url}\n{APP}"),
        "2:7 webhook.url: has no secret to sign with = give one of secret_file and secret_env",
    )]);
    let told = mistakes_of(&format!("[webhook]\n{url}\nsecret_env = \"NOT_SET\"\n{APP}"));
    assert!(told[0].contains("is not set"), "{told:?}");
    let told = mistakes_of(&format!(
        "[webhook]\n{url}\nsecret_file = \"/nowhere/at/all\"\n{APP}"
    ));
    assert!(told[0].contains("cannot be read"), "{told:?}");
    let both = format!("[webhook]\n{url}\nsecret_env = \"HOOK_SECRET\"\nsecret_file = \"secret\"\n{APP}");
    assert!(
        loaded("both", &both, SECRET)
            .unwrap_err()
            .contains("has two secrets")
    );
    let alone = format!("[webhook]\nsecret_file = \"secret\"\n{APP}");
    assert!(
        loaded("alone", &alone, SECRET)
            .unwrap_err()
            .contains("signs nothing")
    );
    assert!(mistakes_of(APP).is_empty(), "and none at all is none");
}

#[test]
fn warnings_go_over_the_network_encrypted_only() {
    for (url, good) in [
        ("https://portal.example.com/hooks", true),
        ("http://127.0.0.1:8000/hooks", true),
        ("http://[::1]:8000/", true),
        ("http://localhost/", true),
        ("http://portal.example.com/hooks", false),
        ("http://127.0.0.1.example.com/", false),
        ("http://localhost.example.com/", false),
        ("ftp://portal.example.com/", false),
        ("portal.example.com", false),
        ("", false),
    ] {
        let text = format!("[webhook]\nurl = \"{url}\"\nsecret_file = \"secret\"\n{APP}");
        assert_eq!(loaded("urls", &text, SECRET).is_ok(), good, "{url}");
    }
}
