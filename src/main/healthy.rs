//! `lamplighter healthy`: what the health check of a container runs. Docker knows 0 and 1 only, so there is no other code
//! for a configuration that is wrong.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use lamplighter::client::{Question, health};
use lamplighter::config::{self, Overrides};

use super::{FAILED, environment, wrong};

#[derive(clap::Args)]
pub(super) struct Healthy {
    /// Ask whether it does its work (/readyz), not only whether it lives (/healthz)
    #[arg(long)]
    ready: bool,
    /// The configuration file, of which api.admin_addr is read and nothing else; not looked at where a flag or a variable
    /// says it
    #[arg(short, long, env = "LAMPLIGHTER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where metrics and probes listen [env: LAMPLIGHTER_ADMIN_ADDR]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_addr: Option<String>,
}

pub(super) async fn healthy(asked: Healthy) -> ExitCode {
    let overrides = Overrides {
        admin_addr: asked.admin_addr,
        ..Overrides::default()
    };
    let address = match config::admin_addr(asked.config.as_deref(), &overrides, &environment()) {
        Ok(address) => address,
        Err(mistakes) => {
            wrong(&mistakes);
            return ExitCode::from(FAILED);
        }
    };
    let question = if asked.ready {
        Question::Ready
    } else {
        Question::Alive
    };
    match health(address, question).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(unwell) => {
            let _ = writeln!(std::io::stderr(), "lamplighter: {unwell}");
            ExitCode::from(FAILED)
        }
    }
}
