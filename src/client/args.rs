//! What people type. Only its shape is checked here; what a row may hold is the server's to say.

use std::fmt;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, Resettable, TypedValueParser};
use clap::{Args as _, Subcommand};

/// A verb that is carried out by a daemon, and which daemon: every verb of [`ClientCommand`] takes [`ClientOptions`] too.
#[derive(Clone, Debug)]
pub struct Client {
    /// What to do.
    pub command: ClientCommand,
    /// Where, and how to print.
    pub options: ClientOptions,
}

impl clap::FromArgMatches for Client {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let of_verb = matches.subcommand().map(|(_, of_verb)| of_verb);
        Ok(Self {
            command: ClientCommand::from_arg_matches(matches)?,
            options: ClientOptions::from_arg_matches(of_verb.unwrap_or(matches))?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Client {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let verbs = ClientCommand::augment_subcommands(clap::Command::new("verbs"));
        command.subcommands(verbs.get_subcommands().cloned().map(|verb| {
            let about = (verb.get_about().cloned(), verb.get_long_about().cloned());
            // What the options say of themselves would take the place of what the verb says, and the verbs'
            // places among each other those among all commands.
            ClientOptions::augment_args(verb)
                .about(Resettable::from(about.0))
                .long_about(Resettable::from(about.1))
                .display_order(Resettable::Reset)
        }))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        ClientCommand::has_subcommand(name)
    }
}

/// A verb that is carried out by a daemon.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ClientCommand {
    /// Show and change apps
    #[command(subcommand)]
    Apps(AppsCommand),
    /// Tell why an app is as it is, and what would change it
    Why(OfApp),
    /// Tell what happens next to an app, and when
    When(OfApp),
    /// Tell what became of a day: what was due, gone, exempt and left over, and what it cost
    Report(Report),
    /// Let a mass deletion that is held go on
    Approve,
    /// Show what waits for a person: deletions that are held, pauses, items that cannot be read
    Holds,
    /// Show what AWS holds although nothing asks for it, and what survived its destroy
    Orphans,
    /// Show which lines the daemon that is asked logs, or change that for a while; each replica has its own
    Log(Log),
    /// Hold every action, for one app or for all; what is seen is still told
    Pause(Pause),
    /// End a pause
    Resume(Resume),
}

/// Which app.
#[derive(Clone, Debug, clap::Args)]
pub struct OfApp {
    /// Its id
    pub id: String,
}

/// Which day.
#[derive(Clone, Debug, clap::Args)]
pub struct Report {
    /// `today`, `yesterday` or a date such as 2026-11-20, in the zone of the daemon's report.time_zone
    #[arg(long, default_value = "today")]
    pub day: String,
}

/// What to log. Without an argument, what is logged is shown. Each replica has its own log, and whichever is asked answers.
#[derive(Clone, Debug, clap::Args)]
pub struct Log {
    /// Directives such as info,lamplighter=debug
    #[arg(long, value_name = "DIRECTIVES", conflicts_with = "reset")]
    pub filter: Option<String>,
    /// For how long, at most a day; 15m without
    #[arg(long = "for", value_name = "DURATION", requires = "filter")]
    pub length: Option<String>,
    /// Log as the configuration says
    #[arg(long)]
    pub reset: bool,
}

/// What to pause.
#[derive(Clone, Debug, clap::Args)]
pub struct Pause {
    /// This app alone; without it, the whole fleet
    #[arg(long, value_name = "ID")]
    pub app: Option<String>,
    /// Why, for those who will wonder
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// What to resume.
#[derive(Clone, Debug, clap::Args)]
pub struct Resume {
    /// This app alone; without it, the whole fleet
    #[arg(long, value_name = "ID")]
    pub app: Option<String>,
}

/// What to do with apps.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum AppsCommand {
    /// List apps
    List {
        /// Only those in this phase, for example Ready
        #[arg(long)]
        phase: Option<String>,
        /// Only those of this owner
        #[arg(long)]
        user: Option<String>,
    },
    /// Show one app in full
    Get {
        /// Its id
        id: String,
    },
    /// Ask for an app, or change what is asked; what is not given stays as it is
    Apply(Box<Apply>),
    /// Have an app destroyed
    Destroy {
        /// Its id
        id: String,
        /// Delete its row too, and with it what was asked
        #[arg(long)]
        delete_row: bool,
    },
    /// Put off the end of an app's day; starts nothing
    Keep(Keep),
    /// End what keep gave; what its row says stays
    Unkeep {
        /// Its id
        id: String,
    },
    /// Show what happened to an app, newest first
    Events {
        /// Its id
        id: String,
        /// How many lines
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
}

/// How long to keep which app.
#[derive(Clone, Debug, clap::Args)]
pub struct Keep {
    /// Its id
    pub id: String,
    /// For how long from now, for example 90m, 3h or 1d
    #[arg(
        long = "for",
        value_name = "DURATION",
        required_unless_present = "until",
        conflicts_with = "until"
    )]
    pub length: Option<String>,
    /// Until when, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Why, for those who will wonder
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who gives it
    #[arg(long, value_name = "TEXT")]
    pub by: Option<String>,
}

/// What to ask for. Flags win over the file; an empty value takes an attribute away, as null does in a file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Apply {
    /// A JSON object with the row's attributes; - reads standard input
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    /// The app's id
    #[arg(long)]
    pub id: Option<String>,
    /// Its owner
    #[arg(long)]
    pub user: Option<String>,
    /// The catalogue entry
    #[arg(long)]
    pub app: Option<String>,
    /// What is wanted
    #[arg(long, value_parser = desired(), ignore_case = true)]
    pub desired: Option<String>,
    /// A parameter of the build, NAME=VALUE; can be given again
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// The full host name
    #[arg(long)]
    pub host_name: Option<String>,
    /// The IANA time zone that overrides the schedule's
    #[arg(long)]
    pub time_zone: Option<String>,
    /// The schedule that it has instead of its catalogue entry's
    #[arg(long)]
    pub schedule: Option<String>,
    /// Exempt from the end of the day until then, RFC 3339
    #[arg(long)]
    pub keep_until: Option<String>,
    /// Why
    #[arg(long)]
    pub keep_reason: Option<String>,
    /// The hard end, RFC 3339
    #[arg(long)]
    pub expires_at: Option<String>,
}

const DESIRED: [&str; 3] = ["Running", "Suspended", "Destroyed"];

/// People may write it in any case; rows may not.
fn desired() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(DESIRED).map(|text| {
        let known = DESIRED.iter().find(|known| known.eq_ignore_ascii_case(&text));
        known.map_or(text.clone(), |known| (*known).to_owned())
    })
}

/// Which daemon, who asks, and how to print.
#[derive(Clone, Debug, clap::Args)]
pub struct ClientOptions {
    /// The daemon's public port
    #[arg(
        long,
        global = true,
        env = "LAMPLIGHTER_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub server: String,
    /// The bearer token, better given by the environment than on the command line
    #[arg(long, global = true, env = "LAMPLIGHTER_TOKEN", hide_env_values = true)]
    pub token: Option<Token>,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            server: "http://127.0.0.1:8080".to_owned(),
            token: None,
            output: Format::Table,
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: what the server answered
    Json,
}

/// A bearer token, which no log shows.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
