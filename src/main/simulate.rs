//! `lamplighter simulate`: reads what is asked about, lets time pass over it, and prints.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use lamplighter::clock::{Clock as _, SystemClock};
use lamplighter::cloud::dynamodb::export;
use lamplighter::config::{self, Config};
use lamplighter::metrics::Metrics;
use lamplighter::model::row::RawValue;
use lamplighter::serve;
use lamplighter::simulate::apps::of_list;
use lamplighter::simulate::{self as simulation, Apps, Comparison, DAYS_MAX, Simulation, Span};
use serde_json::Value;

use super::{FAILED, WithConfig, environment, load, misused, wrong};

/// What `--exit-code` ends with where two configurations differ.
const DIFFERENT: u8 = 4;

#[derive(clap::Args)]
pub(super) struct Simulate {
    /// How many times 24 hours
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=i64::from(DAYS_MAX)))]
    days: u16,
    /// From when on, RFC 3339, or a date for its midnight in UTC; without, from now on
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<Timestamp>,
    /// The apps: `live` reads the tables and changes nothing; or a file, as `aws dynamodb scan --output json` or `lamplighter apps list -o json` print it. Without, made-up ones
    #[arg(long, value_name = "FILE|live")]
    rows: Option<PathBuf>,
    /// Show what is different from this configuration
    #[arg(long, value_name = "OLD")]
    diff: Option<PathBuf>,
    /// End with 4 if --diff shows anything
    #[arg(long, requires = "diff")]
    exit_code: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to write it instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name every app
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    given: WithConfig,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// A picture
    Svg,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let date: Date = text.parse().map_err(
        |_| "is neither a date such as 2026-10-20 nor a time with an offset such as 2026-10-20T08:00:00Z",
    )?;
    let midnight = date.to_zoned(TimeZone::UTC).map_err(|_| "is out of range")?;
    Ok(midnight.timestamp())
}

pub(super) async fn simulate(asked: &Simulate) -> ExitCode {
    if asked.diff.is_some() && asked.format == Format::Svg {
        return misused("--diff has no picture; use --format text or --format json");
    }
    let config = match load(&asked.given) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let old = asked
        .diff
        .as_deref()
        .map(|old| config::load(old, &asked.given.overrides, &environment()));
    let old = match old.transpose() {
        Ok(old) => old,
        Err(mistakes) => return wrong(&mistakes),
    };
    let from = asked.at.unwrap_or_else(|| SystemClock.now());
    let apps = match &asked.rows {
        None => {
            let policies = [Some(&config), old.as_ref()].into_iter().flatten();
            let policies: Vec<_> = policies.map(|config| &config.policy).collect();
            Ok(Apps::made_up(&policies, from))
        }
        Some(path) if path.as_os_str() == "live" => live(&config).await,
        Some(path) => match rows_of(path) {
            Ok(apps) => Ok(apps),
            Err(why) => return misused(&why),
        },
    };
    let apps = match apps {
        Ok(apps) => apps,
        Err(error) => return super::failed(&error),
    };
    let span = Span::of_days(from, asked.days);
    let new = simulation::simulate(&apps, &config.policy, span);
    if asked.format == Format::Svg && new.lives.len() > simulation::PICTURE_APPS_MAX {
        return misused(&format!(
            "a picture has room for {} apps and these are {}; give fewer, or use --format text",
            simulation::PICTURE_APPS_MAX,
            new.lives.len()
        ));
    }
    let old = old
        .as_ref()
        .map(|old| simulation::simulate(&apps, &old.policy, span));
    let comparison = old.map(|old| simulation::compare(&old, &new));
    let written = match &asked.output {
        None => show(
            asked,
            &new,
            comparison.as_ref(),
            &mut io::BufWriter::new(io::stdout().lock()),
        ),
        Some(path) => to_file(path, |out| show(asked, &new, comparison.as_ref(), out)),
    };
    if let Err(error) = written {
        return match &asked.output {
            Some(path) => misused(&format!(
                "{} cannot be written ({error}); name another file with -o",
                path.display()
            )),
            None => ExitCode::from(FAILED),
        };
    }
    let differs = comparison.is_some_and(|comparison| !comparison.groups.is_empty());
    if asked.exit_code && differs {
        ExitCode::from(DIFFERENT)
    } else {
        ExitCode::SUCCESS
    }
}

fn show(
    asked: &Simulate,
    simulation: &Simulation<'_>,
    comparison: Option<&Comparison>,
    out: &mut dyn Write,
) -> io::Result<()> {
    match (comparison, asked.format) {
        (Some(comparison), Format::Json) => simulation::difference_json(comparison, out),
        (Some(comparison), Format::Text | Format::Svg) => {
            simulation::difference_text(comparison, asked.verbose, out)
        }
        (None, Format::Text) => simulation::people(simulation, asked.verbose, out),
        (None, Format::Json) => simulation::json(simulation, out),
        (None, Format::Svg) => simulation::svg(simulation, out),
    }?;
    out.flush()
}

fn to_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = io::BufWriter::new(std::fs::File::create(path)?);
    write(&mut file)
}

async fn live(config: &Config) -> anyhow::Result<Apps> {
    let clients = serve::clients(config, &Metrics::new(env!("CARGO_PKG_VERSION"))).await;
    let cloud = serve::cloud(&clients, serve::tables(config))?;
    let (rows, state) = tokio::try_join!(cloud.desired.rows(), cloud.state.snapshot())?;
    Ok(Apps::live(rows, state))
}

/// The apps of a file, in either form.
fn rows_of(path: &Path) -> Result<Apps, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{name} cannot be read ({error}); --rows takes a file or the word live"))?;
    let mut whole: BTreeMap<String, Value> = serde_json::from_str(&text).map_err(|error| {
        format!("{name} is no JSON object ({error}); give what `aws dynamodb scan --output json` or `lamplighter apps list -o json` prints")
    })?;
    let apps = match (whole.remove("Items"), whole.remove("apps")) {
        (Some(Value::Array(items)), None) => export::rows(items).map(Apps::of_rows),
        (None, Some(list)) => serde_json::from_value::<Vec<BTreeMap<String, RawValue>>>(list)
            .map_err(|error| format!("apps is no list of objects ({error}): give what `lamplighter apps list -o json` prints"))
            .and_then(of_list),
        (Some(_), None) => Err("Items is no list: give what `aws dynamodb scan --output json` prints".to_owned()),
        (Some(_), Some(_)) => Err("has both Items and apps: give one of the two".to_owned()),
        (None, None) => Err("has neither Items, as `aws dynamodb scan --output json` prints it, nor apps, as `lamplighter apps list -o json` does".to_owned()),
    };
    apps.map_err(|why| format!("{name}: {why}"))
}
