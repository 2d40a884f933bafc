//! The CLI's verbs, carried out over the HTTP API. Knows what goes over the wire (`api::dto`) and nothing
//! else of the daemon: no table, no AWS.
//!
//! `args` is what people type, `http` asks, `health` asks the other port, `apply` makes a row from what was given,
//! `output` prints on `paper`.

use std::io::Write;

use hyper::Method;

use crate::api::dto::{
    App, AppList, Approval, DeletionHold, EventList, Holds, KeepRequest, Kept, LogLevels, LogRequest,
    OrphanList, PauseRequest, Pauses, Report, When, Why,
};

mod apply;
mod args;
mod error;
mod health;
mod http;
mod output;
pub(crate) mod paper;

pub use args::{
    Apply, AppsCommand, Client, ClientCommand, ClientOptions, Format, Keep, OfApp, Pause, Resume, Token,
};
pub use error::ClientError;
pub use health::{Question, Unwell, health};

use http::{Api, encoded};
use output::Printer;

/// Carries out one verb and prints what came of it.
pub async fn run(
    command: ClientCommand,
    options: &ClientOptions,
    out: &mut dyn Write,
) -> Result<(), ClientError> {
    let api = Api::new(options)?;
    let mut printer = Printer::new(options.output, out);
    match command {
        ClientCommand::Apps(command) => about_apps(command, &api, &mut printer).await,
        ClientCommand::Why(OfApp { id }) => {
            let why: Why = api
                .ask(Method::GET, &format!("{}/why", app_path(&id)), None)
                .await?;
            printer.told(&why, &why.text)
        }
        ClientCommand::When(OfApp { id }) => {
            let when: When = api
                .ask(Method::GET, &format!("{}/when", app_path(&id)), None)
                .await?;
            printer.told(&when, &when.text)
        }
        ClientCommand::Report(args::Report { day }) => {
            let path = format!("/api/v1/report?day={}", encoded(&day));
            let report: Report = api.ask(Method::GET, &path, None).await?;
            printer.told(&report, &report.text)
        }
        ClientCommand::Approve => {
            let holds: Holds = api.ask(Method::GET, "/api/v1/holds", None).await?;
            if let DeletionHold::Held { .. } = holds.deletions {
                printer.about_to_approve(&holds)?;
            }
            let path = "/api/v1/holds/deletions/approve";
            let approval: Approval = api.ask(Method::POST, path, Some(&serde_json::json!({}))).await?;
            printer.approved(&approval)
        }
        ClientCommand::Holds => {
            let holds: Holds = api.ask(Method::GET, "/api/v1/holds", None).await?;
            printer.holds(&holds)
        }
        ClientCommand::Orphans => {
            let list: OrphanList = api.ask(Method::GET, "/api/v1/orphans", None).await?;
            printer.orphans(&list)
        }
        ClientCommand::Log(args::Log {
            filter,
            length,
            reset,
        }) => {
            let body = filter.map(|filter| serde_json::json!(LogRequest { filter, for_: length }));
            let method = match (&body, reset) {
                (Some(_), _) => Method::PUT,
                (None, true) => Method::DELETE,
                (None, false) => Method::GET,
            };
            let levels: LogLevels = api.ask(method, "/api/v1/log", body.as_ref()).await?;
            printer.levels(&levels)
        }
        ClientCommand::Pause(Pause { app, reason }) => {
            let body = serde_json::json!(PauseRequest { reason });
            let path = pause_path(app.as_deref());
            let pauses: Pauses = api.ask(Method::PUT, &path, Some(&body)).await?;
            printer.pauses(&pauses)
        }
        ClientCommand::Resume(Resume { app }) => {
            let path = pause_path(app.as_deref());
            let pauses: Pauses = api.ask(Method::DELETE, &path, None).await?;
            printer.pauses(&pauses)
        }
    }
}

/// Carries out a verb about one app, or lists them all.
async fn about_apps(command: AppsCommand, api: &Api, printer: &mut Printer<'_>) -> Result<(), ClientError> {
    match command {
        AppsCommand::List { phase, user } => {
            let given = [("phase", phase), ("user", user)];
            let query: Vec<String> = given
                .iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_deref()?))))
                .collect();
            let path = match query.as_slice() {
                [] => "/api/v1/apps".to_owned(),
                query => format!("/api/v1/apps?{}", query.join("&")),
            };
            let list: AppList = api.ask(Method::GET, &path, None).await?;
            printer.apps(&list)
        }
        AppsCommand::Get { id } => {
            let app: App = api.ask(Method::GET, &app_path(&id), None).await?;
            printer.app(&app)
        }
        AppsCommand::Apply(given) => {
            let changes = apply::changes(&given).await?;
            let app = ask_for(api, &changes).await?;
            printer.asked(&app)
        }
        AppsCommand::Destroy {
            id,
            delete_row: false,
        } => {
            if !existing(api, &id).await?.is_some_and(|app| app.has_row) {
                return Err(ClientError::NoRow { id });
            }
            let app = ask_for(api, &apply::Changes::destroy(id)).await?;
            printer.asked(&app)
        }
        AppsCommand::Destroy { id, delete_row: true } => {
            let app: Option<App> = api.send(Method::DELETE, &app_path(&id), None).await?;
            printer.deleted(&id, app.as_ref())
        }
        AppsCommand::Keep(Keep {
            id,
            length,
            until,
            reason,
            by,
        }) => {
            let body = serde_json::json!(KeepRequest {
                until,
                for_: length,
                reason,
                by,
            });
            let kept: Kept = api
                .ask(Method::POST, &format!("{}/keep", app_path(&id)), Some(&body))
                .await?;
            printer.kept(&kept)
        }
        AppsCommand::Unkeep { id } => {
            let path = format!("{}/keep", app_path(&id));
            let kept: Kept = api.ask(Method::DELETE, &path, None).await?;
            printer.kept(&kept)
        }
        AppsCommand::Events { id, limit } => {
            let path = format!("{}/events?limit={limit}", app_path(&id));
            let list: EventList = api.ask(Method::GET, &path, None).await?;
            printer.events(&list)
        }
    }
}

fn app_path(id: &str) -> String {
    format!("/api/v1/apps/{}", encoded(id))
}

fn pause_path(app: Option<&str>) -> String {
    app.map_or_else(
        || "/api/v1/holds/pause".to_owned(),
        |id| format!("{}/pause", app_path(id)),
    )
}

async fn existing(api: &Api, id: &str) -> Result<Option<App>, ClientError> {
    match api.ask(Method::GET, &app_path(id), None).await {
        Ok(app) => Ok(Some(app)),
        Err(ClientError::Refused(document)) if document.code == "no-such-app" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the row, changes what was given and writes the whole of it back. What another writer changes in
/// between is lost, as with any other portal that puts whole rows.
async fn ask_for(api: &Api, changes: &apply::Changes) -> Result<App, ClientError> {
    let before = existing(api, &changes.id).await?;
    let row = changes.applied_to(before.filter(|app| app.has_row).map(|app| app.row).as_ref());
    api.ask(Method::PUT, &app_path(&changes.id), Some(&row)).await
}
