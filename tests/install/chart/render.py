"""Installs a chart with Helm's own library, once for each file of values, against a Kubernetes API that keeps nothing
but what it is sent; prints one JSON object, by the names of the files: what was asked of Kubernetes, or Helm's error.

    render.py LIBRARY CHART KUBERNETES_VERSION RELEASE NAMESPACE VALUES...

There is no `helm template` in that library, so a release is really installed, tested and given up. Knows nothing of
what the chart holds.
"""

import asyncio
import http.server
import json
import os
import pathlib
import sys
import threading

import yaml

library, chart, version, name, namespace, *files = sys.argv[1:]
# Releases are kept in memory. The library sees the variables that its process began with.
if os.environ.get("HELM_DRIVER") != "memory":
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "HELM_DRIVER": "memory"})
sys.path.insert(0, library)
import helm_sdkpy  # noqa: E402

# The kinds that the API knows: what a cluster with the Prometheus Operator has, as far as charts use it.
KINDS = {
    "v1": ["ConfigMap", "Secret", "Service", "ServiceAccount", "Pod", "Namespace"],
    "apps/v1": ["Deployment"],
    "policy/v1": ["PodDisruptionBudget"],
    "networking.k8s.io/v1": ["Ingress", "NetworkPolicy"],
    "monitoring.coreos.com/v1": ["ServiceMonitor", "PodMonitor", "PrometheusRule"],
}


def plural(kind):
    return {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}.get(kind, kind.lower() + "s")


def resources(group):
    known = [
        {"name": plural(kind), "kind": kind, "namespaced": kind != "Namespace", "verbs": ["create", "get", "list"]}
        for kind in KINDS[group]
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": known}


def groups():
    listed = []
    for name, short in (group.split("/") for group in KINDS if "/" in group):
        one = {"groupVersion": f"{name}/{short}", "version": short}
        listed.append({"name": name, "versions": [one], "preferredVersion": one})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    made = {}

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        major, minor = version.split(".")[:2]
        if path == "/version":
            return self.answer(200, {"major": major, "minor": minor, "gitVersion": f"v{version}"})
        if path == "/api":
            return self.answer(200, {"kind": "APIVersions", "versions": ["v1"]})
        if path == "/apis":
            return self.answer(200, groups())
        group = path.removeprefix("/api/").removeprefix("/apis/")
        if group in KINDS:
            return self.answer(200, resources(group))
        if path in self.made:
            return self.answer(200, self.made[path])
        if path.endswith("/pods"):
            pods = [made for made in self.made.values() if made["kind"] == "Pod"]
            return self.answer(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})
        self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})

    def do_POST(self):
        made = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.made[self.path.partition("?")[0] + "/" + made["metadata"]["name"]] = made
        self.answer(201, made)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
KUBECONFIG = yaml.safe_dump({
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": address}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "users": [{"name": "u", "user": {}}],
    "current-context": "c",
})


async def render(values):
    """What a release with these values consists of."""
    Api.made.clear()
    config = helm_sdkpy.Configuration(namespace=namespace, kubeconfig=KUBECONFIG)
    try:
        release = await helm_sdkpy.Install(config).run(name, chart, values=values, wait=False, timeout=10)
    except helm_sdkpy.HelmError as error:
        return {"error": str(error)}
    return {"release": release, "made": list(Api.made.values())}


def values_of(file):
    """A file of values, with the configuration from the file beside it, as `--set-file config=…` does it."""
    values = yaml.safe_load(file.read_text()) or {}
    config = file.with_suffix(".toml")
    if config.exists():
        values["config"] = config.read_text()
    return values


async def main():
    rendered = {}
    for file in map(pathlib.Path, files):
        rendered[file.stem] = await render(values_of(file))
    json.dump(rendered, sys.stdout)


asyncio.run(main())
