//! Arguments and exit codes: 0 done, 1 refused or failed, 2 wrong arguments or configuration, 3 no daemon
//! answered, 4 `simulate --exit-code` found a difference. `healthy` ends with 0 or 1.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use lamplighter::adopt::{Adopter, Only};
use lamplighter::client::{self, Client, ClientError};
use lamplighter::clock::{Clock as _, SystemClock};
use lamplighter::cloud::dynamodb::{Found, TableReport, create_tables};
use lamplighter::config::{self, Config, LogFormat, Overrides};
use lamplighter::logging::{self, Levels};
use lamplighter::metrics::Metrics;
use lamplighter::serve;

#[path = "main/healthy.rs"]
mod healthy;
#[path = "main/simulate.rs"]
mod simulate;

/// Lights an app when a user asks for it and puts it out at the end of the day.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon
    Run(WithConfig),
    /// Run the daemon on this machine alone, with a simulated AWS
    #[cfg(feature = "dev")]
    Dev(lamplighter::dev::Options),
    /// Ask the daemon of this machine how it is: ends with 0 if well, else with 1 and one line that says why
    Healthy(healthy::Healthy),
    /// Look at a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after the tables
    #[command(subcommand)]
    Tables(TablesCommand),
    /// Show what time will do to apps over the days to come, and what another configuration would change
    Simulate(Box<simulate::Simulate>),
    /// Take over apps that another tool has deployed; without --apply, show what would be done
    Adopt(Adopt),
    #[command(flatten)]
    Client(Client),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Report every mistake of a configuration, or what it says
    Check(WithConfig),
}

#[derive(Subcommand)]
enum TablesCommand {
    /// Make the tables that are missing
    Create(WithConfig),
}

#[derive(clap::Args)]
struct Adopt {
    /// Do it; without, nothing is changed
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    only: Only,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = client::Format::Table)]
    output: client::Format,
    #[command(flatten)]
    given: WithConfig,
}

#[derive(clap::Args)]
struct WithConfig {
    /// The configuration file
    #[arg(short, long, env = "LAMPLIGHTER_CONFIG", value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

const FAILED: u8 = 1;
const WRONG_CONFIG: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::from(error).context("cannot start the runtime")),
    };
    runtime.block_on(async {
        match arguments.command {
            Command::Run(given) => run(&given).await,
            #[cfg(feature = "dev")]
            Command::Dev(options) => dev(options).await,
            Command::Healthy(asked) => healthy::healthy(asked).await,
            Command::Config(ConfigCommand::Check(given)) => check(&given),
            Command::Tables(TablesCommand::Create(given)) => tables(&given).await,
            Command::Simulate(asked) => simulate::simulate(&asked).await,
            Command::Adopt(asked) => adopt(&asked).await,
            Command::Client(asked) => ask(asked).await,
        }
    })
}

async fn run(given: &WithConfig) -> ExitCode {
    let config = match load(given) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let levels = match config.log.format {
        LogFormat::Json => logging::json(&config.log.filter),
        LogFormat::Pretty => logging::pretty(&config.log.filter),
    };
    done(daemon(&config, levels).await)
}

async fn daemon(config: &Config, levels: Arc<Levels>) -> anyhow::Result<()> {
    let asked_to_stop = serve::asked_to_stop();
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let ports = serve::Ports::bind(&config.api).await?;
    let clients = serve::clients(config, &metrics).await;
    let cloud = serve::cloud(&clients, serve::tables(config))?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        public = %ports.public.local_addr()?,
        admin = %ports.admin.local_addr()?,
        apps = config.policy.catalogue.len(),
        "lamplighter starts",
    );
    let world = serve::World {
        cloud,
        metrics,
        ports,
        levels,
        clock: Arc::new(SystemClock),
    };
    serve::run(config, world, asked_to_stop).await
}

#[cfg(feature = "dev")]
async fn dev(options: lamplighter::dev::Options) -> ExitCode {
    let levels = logging::formed(&options.log, lamplighter::dev::console::ForPeople);
    done(lamplighter::dev::run(options, levels).await)
}

fn check(given: &WithConfig) -> ExitCode {
    match config::check(&given.config, &given.overrides, &environment(), SystemClock.now()) {
        Ok(summary) => print(&summary),
        Err(mistakes) => wrong(&mistakes),
    }
}

async fn tables(given: &WithConfig) -> ExitCode {
    let config = match load(given) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let clients = serve::clients(&config, &Metrics::new(env!("CARGO_PKG_VERSION"))).await;
    match create_tables(&clients, &serve::tables(&config)).await {
        Ok(reports) => print(&reports.iter().map(table_line).collect::<String>()),
        Err(error) => failed(&error.into()),
    }
}

fn table_line(report: &TableReport) -> String {
    let what = match report.found {
        Found::Created => "made",
        Found::Existing => "was there",
    };
    let notes: String = report.notes.iter().map(|note| format!("; {note}")).collect();
    format!("{} {what}{notes}\n", report.name)
}

async fn adopt(asked: &Adopt) -> ExitCode {
    let config = match load(&asked.given) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let Some(rule) = &config.adopt else {
        return misused("the configuration has no [adopt], so nothing may be taken over; see docs/adopt.md");
    };
    if let Some(known) = lamplighter::adopt::unknown_app(&asked.only, &config.policy) {
        return misused(&format!("--app is not in the catalogue; {known}"));
    }
    let clients = serve::clients(&config, &Metrics::new(env!("CARGO_PKG_VERSION"))).await;
    let adopter = Adopter {
        edges: &serve::adoption(&clients, serve::tables(&config)),
        rule,
        policy: &config.policy,
        clock: &SystemClock,
        entropy: serve::entropy(),
    };
    let report = match adopter.run(&asked.only, asked.apply).await {
        Ok(report) => report,
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "lamplighter: {}; nothing was changed",
                error.chain()
            );
            return ExitCode::from(FAILED);
        }
    };
    let printed = lamplighter::adopt::print(&report, asked.output, &mut std::io::stdout().lock());
    if printed.is_err() || report.has_failures() {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    }
}

fn misused(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "lamplighter: {why}");
    ExitCode::from(WRONG_CONFIG)
}

async fn ask(asked: Client) -> ExitCode {
    match client::run(asked.command, &asked.options, &mut std::io::stdout().lock()).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough, as `head` does.
        Err(ClientError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "lamplighter: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn load(given: &WithConfig) -> Result<Config, ExitCode> {
    config::load(&given.config, &given.overrides, &environment()).map_err(|mistakes| wrong(&mistakes))
}

/// The environment, as far as it is text.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

fn wrong(mistakes: &config::Mistakes) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{mistakes}");
    ExitCode::from(WRONG_CONFIG)
}

fn done(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "lamplighter: {error:#}");
    ExitCode::from(FAILED)
}
