//! The running apps, as their users and health probes meet them: a page when the app is up, 503 when it is not.
//! Nothing here changes the world, and whatever is printed is escaped.

use bytes::Bytes;
use http::Response;

use crate::sim::Sim;
use crate::wire::answer::page;
use crate::wire::xml::escape;
use crate::world::services::{Service, ServiceStatus};
use crate::world::targets::Health;
use crate::world::tasks::TaskStatus;

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

impl Sim {
    /// The service that answers at a host name: a live one if there is any.
    pub(crate) fn service_at_host(&self, host: &str) -> Option<&Service> {
        let tag = &self.config.contract.host_tag;
        let at_host = |service: &&Service| {
            service
                .tags
                .get(tag)
                .is_some_and(|known| known.eq_ignore_ascii_case(host))
        };
        let services = self.state.services.values().filter(at_host);
        services.max_by_key(|service| (service.status == ServiceStatus::Active, service.created))
    }

    /// What a browser gets.
    pub(crate) fn app_page(&self, host: &str, path: &str) -> Response<Bytes> {
        let Some(service) = self.service_at_host(host) else {
            return page(404, PLAIN, "no app answers at this address\n".to_owned());
        };
        let quirks = self.quirks_of(service);
        if !self.is_up(service) {
            return page(503, PLAIN, "the app is not running at present\n".to_owned());
        }
        if let Some(status) = quirks.http_status.filter(|status| *status != 200) {
            return page(status, PLAIN, format!("the app answers with {status}\n"));
        }
        if [
            "/health",
            "/healthz",
            "/healthcheck",
            "/ready",
            "/readyz",
            "/livez",
            "/ping",
            "/status",
        ]
        .contains(&path)
        {
            return page(200, PLAIN, "ok\n".to_owned());
        }
        page(200, HTML, self.html(service, host, path))
    }

    /// Whether a request would reach a container: a running task and, behind a load balancer, a healthy target.
    pub(crate) fn is_up(&self, service: &Service) -> bool {
        let mut running = self
            .tasks_of(service)
            .filter(|task| task.status == TaskStatus::Running);
        if service.load_balancers.is_empty() {
            return running.next().is_some();
        }
        let reachable = self
            .group_of(service)
            .is_some_and(|group| !group.load_balancers.is_empty());
        reachable && running.any(|task| task.health == Some(Health::Healthy))
    }

    fn html(&self, service: &Service, host: &str, path: &str) -> String {
        let contract = &self.config.contract;
        let instance = service
            .tags
            .get(&contract.instance_tag)
            .map_or("", String::as_str);
        let app = service
            .load_balancers
            .first()
            .map_or("app", |balancer| &balancer.container_name);
        let rows = [
            ("app", app),
            ("instance", instance),
            ("service", &service.name),
            ("cluster", &service.cluster),
            ("path", path),
        ];
        let rows: String = rows
            .into_iter()
            .map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escape(value)))
            .collect();
        let host = escape(host);
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{host}</title>\
             <style>body{{font:16px/1.5 system-ui,sans-serif;margin:4rem auto;max-width:36rem;padding:0 1rem}}\
             dt{{color:#555}}dd{{margin:0 0 .6rem}}</style></head><body><h1>{host}</h1>\
             <p>This simulated app is running.</p><dl>{rows}</dl></body></html>\n"
        )
    }
}
