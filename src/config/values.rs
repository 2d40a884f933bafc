//! The rules of AWS names, addresses, URLs, zones and the like. Each limit names where it comes from.

use std::net::SocketAddr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::rule::{Rule, Wrong, name};
use super::types::TokenHash;
use crate::model::name::{HostName, ResourceName};
use crate::model::policy::Template;
use crate::model::schedule::Cron;

fn word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

fn word_or_dot(b: u8) -> bool {
    word(b) || b == b'.'
}

fn alphanumeric(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

/// The name of an app, a schedule or a token: ours to choose, so it stays readable in logs and URLs.
pub(super) fn label() -> Rule<String> {
    name(
        "1 to 64 letters, digits, hyphens and underscores, beginning with a letter or digit",
        1..=64,
        alphanumeric,
        word,
    )
}

/// CodeBuild: `[A-Za-z0-9][A-Za-z0-9\-_]{1,149}`.
pub(super) fn project() -> Rule<String> {
    name(
        "2 to 150 letters, digits, hyphens and underscores, beginning with a letter or digit",
        2..=150,
        alphanumeric,
        word,
    )
}

/// ECS: up to 255 letters, digits, hyphens and underscores.
pub(super) fn cluster() -> Rule<String> {
    let takes = "1 to 255 letters, digits, hyphens and underscores";
    let plain = name(takes, 1..=255, word, word);
    Rule::new(takes, move |text| {
        if text.starts_with("arn:") {
            return Err(Wrong::new(
                "is an ARN",
                "give the name alone, which follows cluster/",
            ));
        }
        plain.parse(text)
    })
}

/// DynamoDB: 3 to 255 of `a-zA-Z0-9_.-`.
pub(super) fn table() -> Rule<String> {
    name(
        "3 to 255 letters, digits, hyphens, underscores and dots",
        3..=255,
        word_or_dot,
        word_or_dot,
    )
}

/// A Region's code; not checked against a list, since AWS adds some every year.
pub(super) fn region() -> Rule<String> {
    let takes = "the code of an AWS Region";
    Rule::new(takes, move |text| {
        let good = (2..=32).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if !good {
            return Err(Wrong::new(
                "is not a Region",
                "write a code such as \"eu-central-1\"",
            ));
        }
        let mut back = text.chars().rev();
        if let (Some('a'..='z'), Some('0'..='9')) = (back.next(), back.next()) {
            let region = text[..text.len() - 1].to_owned();
            return Err(Wrong::new(
                "is an availability zone",
                format!("write its Region, \"{region}\""),
            ));
        }
        Ok(text.to_owned())
    })
}

/// Where AWS calls go instead of to AWS.
pub(super) fn endpoint() -> Rule<String> {
    Rule::new("an http or https URL", |text| {
        web(text, "http://localhost:4566").map(|()| text.to_owned())
    })
}

/// Where to send what is signed: https, or http on this machine.
pub(super) fn webhook() -> Rule<String> {
    Rule::new("an https URL, or an http URL of this machine", |text| {
        web(text, "https://portal.example.com/hooks")?;
        let uri: http::Uri = text
            .parse()
            .map_err(|_| Wrong::new("is not a URL", "write it as \"https://portal.example.com/hooks\""))?;
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let here = bare.eq_ignore_ascii_case("localhost")
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.to_canonical().is_loopback());
        if uri.scheme_str() == Some("https") || here {
            Ok(text.to_owned())
        } else {
            Err(Wrong::new(
                "sends warnings over the network unencrypted",
                "use https",
            ))
        }
    })
}

/// An address to listen on. Port 0, a free one, is for tests, so only on loopback.
pub(super) fn address() -> Rule<SocketAddr> {
    Rule::new("an IP address and a port", |text| {
        let example = "write an IP address and a port, for example \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::1]:8080\"";
        let address: SocketAddr = text
            .parse()
            .map_err(|_| Wrong::new("is not an IP address with a port", example))?;
        if address.port() == 0 && !is_loopback(&address) {
            return Err(Wrong::new(
                "has port 0, so that nobody would know where to connect",
                "give a port from 1 to 65535; 0 picks a free one, and only on a loopback address",
            ));
        }
        Ok(address)
    })
}

/// Whether only this machine can connect.
pub(super) fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// The domain below which host names are made: three words and the app take up to 63 characters of 253.
pub(super) fn domain() -> Rule<String> {
    Rule::new("a lower-case DNS name of at most 189 characters", |text| {
        let remedy = "write the domain alone, for example \"apps.example.com\"";
        HostName::parse(text).map_err(|problem| Wrong::new(problem, remedy))?;
        if text.len() > 189 {
            return Err(Wrong::new(
                "is longer than 189 characters",
                "host names have 253 at most, and need 64 for their first part",
            ));
        }
        Ok(text.to_owned())
    })
}

/// Two names of full length, to see what a template turns into.
fn filled(template: &Template) -> String {
    template.fill("host.example.com", &"n".repeat(ResourceName::CHARS_MAX))
}

fn template(text: &str) -> Result<Template, Wrong> {
    let remedy = "use only {host_name} and {resource_name}";
    let parsed = Template::parse(text).map_err(|problem| Wrong::new(problem, remedy))?;
    if filled(&parsed).contains(['{', '}']) {
        return Err(Wrong::new("has a } without its {", remedy));
    }
    Ok(parsed)
}

/// The URL people get.
pub(super) fn url() -> Rule<Template> {
    Rule::new(
        "an http or https URL with {host_name} or {resource_name}",
        |text| {
            let example = "https://{host_name}";
            let parsed = template(text)?;
            if !text.contains("{host_name}") && !text.contains("{resource_name}") {
                return Err(Wrong::new(
                    "is the same for every app",
                    format!("use {{host_name}} or {{resource_name}} in it, for example \"{example}\""),
                ));
            }
            web(&filled(&parsed), example)?;
            if text.ends_with('/') {
                return Err(Wrong::new(
                    "ends with /",
                    "leave the last / out; health_path is appended to the URL and brings it",
                ));
            }
            Ok(parsed)
        },
    )
}

/// Whether `text` is a plain web address: scheme, host, perhaps port and path.
fn web(text: &str, example: &str) -> Result<(), Wrong> {
    let remedy = || format!("write for example \"{example}\"");
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(Wrong::new("does not begin with http:// or https://", remedy()));
    }
    let uri: http::Uri = text.parse().map_err(|_| Wrong::new("is not a URL", remedy()))?;
    let authority = uri
        .authority()
        .ok_or_else(|| Wrong::new("has no host", remedy()))?;
    if authority.as_str().contains('@') {
        let remedy = "leave out what stands before the @";
        return Err(Wrong::new("holds a user name or password", remedy).keep_secret());
    }
    let port = authority
        .as_str()
        .strip_prefix(authority.host())
        .unwrap_or_default();
    if authority.host().is_empty() || !port.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(Wrong::new("has no usable host and port", remedy()));
    }
    if text.contains(['?', '#']) {
        return Err(Wrong::new(
            "holds a query or fragment",
            "leave out what follows ? or #",
        ));
    }
    Ok(())
}

/// What is appended to the URL to ask whether the app answers.
pub(super) fn health_path() -> Rule<String> {
    Rule::new("a path that begins with /", |text| {
        let remedy = "write for example \"/\" or \"/healthz\"";
        if !text.starts_with('/') {
            return Err(Wrong::new("does not begin with /", remedy));
        }
        if text.len() > 1024 {
            return Err(Wrong::new("is longer than 1024 characters", remedy));
        }
        if text.contains('#') || text.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(Wrong::new(
                "holds a character that a path cannot have",
                "percent-encode it, for example %20 for a space",
            ));
        }
        Ok(text.to_owned())
    })
}

/// The name of a target group: at most 32 letters, digits and inner hyphens, one group for each app.
pub(super) fn target_group() -> Rule<Template> {
    Rule::new("\"{resource_name}\"", |text| {
        let remedy = "write \"{resource_name}\", and give the target group that name in Terraform";
        let parsed = template(text)?;
        if !text.contains("{resource_name}") {
            return Err(Wrong::new("would not name a target group of each app", remedy));
        }
        if filled(&parsed).len() > ResourceName::CHARS_MAX {
            return Err(Wrong::new(
                "would be longer than the 32 characters a target group may have, since a resource name has up to 32",
                remedy,
            ));
        }
        Ok(parsed)
    })
}

/// An IANA time zone.
pub(super) fn zone() -> Rule<TimeZone> {
    Rule::new("an IANA time zone", |text| {
        TimeZone::get(text).map_err(|_| {
            let remedy = if jiff::tz::db().is_definitively_empty() {
                "install the time zone database (package tzdata); this machine has none"
            } else {
                "use an IANA name such as \"Europe/Berlin\" or \"UTC\""
            };
            Wrong::new("is not a known time zone", remedy)
        })
    })
}

/// How close two boundaries of a schedule may be.
const BOUNDARIES_APART_MIN: SignedDuration = SignedDuration::from_mins(10);

/// When apps are due to stop.
pub(super) fn cron() -> Rule<Cron> {
    apart("an app just asked for would be stopped at once")
}

/// When apps are woken.
pub(super) fn wake() -> Rule<Cron> {
    apart("an app that was just put to sleep would be woken at once")
}

/// When days are reported.
pub(super) fn report() -> Rule<Cron> {
    apart("the same day would be reported again and again")
}

/// A time that comes at most every ten minutes; else `what` would happen.
fn apart(what: &'static str) -> Rule<Cron> {
    Rule::new(
        "five cron fields: minute, hour, day of month, month, day of week",
        move |text| {
            let remedy = "write for example \"0 19 * * 1-5\" for 19:00 from Monday to Friday";
            if text.len() > 256 {
                return Err(Wrong::new("is longer than 256 characters", remedy));
            }
            let cron = Cron::parse(text).map_err(|problem| Wrong::new(problem, remedy))?;
            // Any fixed time will do; 29 February comes within eight years of it.
            let mut last = cron
                .next(Timestamp::UNIX_EPOCH, &TimeZone::UTC)
                .ok_or_else(|| Wrong::new("names a day that never comes", remedy))?;
            for _ in 0..64 {
                let Some(next) = cron.next(last, &TimeZone::UTC) else {
                    break;
                };
                if next.duration_since(last) < BOUNDARIES_APART_MIN {
                    return Err(Wrong::new(
                        format!("falls due again within 10 minutes, so that {what}"),
                        "name one minute: \"0 19 * * *\" is once at 19:00, \"* 19 * * *\" is every minute from 19:00 to 19:59",
                    ));
                }
                last = next;
            }
            Ok(cron)
        },
    )
}

/// The SHA-256 of a token, in hex.
pub(super) fn token_hash() -> Rule<TokenHash> {
    Rule::new("64 hexadecimal digits", |text| {
        let remedy = "make it with: printf %s \"$TOKEN\" | sha256sum";
        let hash = TokenHash::from_hex(text)
            .ok_or_else(|| Wrong::new("is not the 64 hexadecimal digits of a SHA-256", remedy))?;
        if NOTHING
            .iter()
            .any(|nothing| TokenHash::from_hex(nothing).as_ref() == Some(&hash))
        {
            return Err(Wrong::new(
                "is the hash of an empty token, so that anybody could come in",
                format!("set TOKEN, then {remedy}"),
            ));
        }
        Ok(hash)
    })
}

/// The SHA-256 of the empty text and of a lone newline.
const NOTHING: [&str; 2] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
];

/// Which log lines are written.
pub(super) fn log_filter() -> Rule<String> {
    Rule::new("a list of log directives", |text| {
        let remedy = "write for example \"info\" or \"info,lamplighter=debug\"";
        let read = crate::logging::check(text).map_err(|problem| Wrong::new(problem, remedy));
        read.map(|()| text.to_owned())
    })
}
