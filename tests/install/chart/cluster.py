"""As much of a cluster as Helm's own library needs: a Kubernetes API that keeps nothing but what it is sent. Knows nothing of
what the chart holds.
"""

import http.server
import importlib
import json
import os
import sys
import threading
import time

import yaml

# The kinds that the API knows: what a cluster with the Prometheus Operator has, as far as charts use it.
KINDS = {
    "v1": ["ConfigMap", "Secret", "Service", "ServiceAccount", "Pod", "Namespace"],
    "apps/v1": ["Deployment"],
    "policy/v1": ["PodDisruptionBudget"],
    "networking.k8s.io/v1": ["Ingress", "NetworkPolicy"],
    "monitoring.coreos.com/v1": ["ServiceMonitor", "PodMonitor", "PrometheusRule"],
}

# What Helm holds a Pod of a test against before it makes it: here, nothing.
SCHEMAS = {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=1"}}}
POD = {"group": "", "kind": "Pod", "version": "v1"}
PATCH = {"parameters": [{"name": "fieldValidation", "in": "query"}], "responses": {}, "x-kubernetes-group-version-kind": POD}
NO_SCHEMA = {
    "openapi": "3.0.0",
    "info": {"title": "none", "version": "1"},
    "paths": {"/api/v1/namespaces/{namespace}/pods/{name}": {"patch": PATCH}},
    "components": {"schemas": {}},
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
    version = None
    made = {}
    # What runs a Pod and says how it ended, if anything does.
    kubelet = None

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
        major, minor = self.version.split(".")[:2]
        if path == "/version":
            return self.answer(200, {"major": major, "minor": minor, "gitVersion": f"v{self.version}"})
        if path == "/api":
            return self.answer(200, {"kind": "APIVersions", "versions": ["v1"]})
        if path == "/apis":
            return self.answer(200, groups())
        group = path.removeprefix("/api/").removeprefix("/apis/")
        if group in KINDS:
            return self.answer(200, resources(group))
        if path.startswith("/openapi/v3"):
            return self.answer(200, SCHEMAS if path == "/openapi/v3" else NO_SCHEMA)
        if "watch=true" in query:
            return self.watch() if "sendInitialEvents" not in query else self.nothing(422, "Invalid")
        if path in self.made:
            return self.answer(200, self.made[path])
        if path.endswith("/pods"):
            pods = [made for made in self.made.values() if made["kind"] == "Pod"]
            return self.answer(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})
        self.nothing(404, "NotFound")

    def nothing(self, code, reason):
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code})

    def watch(self):
        """Pods, each time one of them has changed, until whoever watches has seen enough."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.close_connection = True
        told = {}
        try:
            while True:
                for made in list(self.made.values()):
                    name, text = made["metadata"]["name"], json.dumps(made)
                    if made["kind"] == "Pod" and told.get(name) != text:
                        kind = "MODIFIED" if name in told else "ADDED"
                        told[name] = text
                        self.wfile.write(f'{{"type": "{kind}", "object": {text}}}\n'.encode())
                self.wfile.write(b"\n")
                time.sleep(0.05)
        except OSError:
            pass

    def do_DELETE(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.made.pop(self.path.partition("?")[0], None) is None:
            return self.nothing(404, "NotFound")
        self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def do_POST(self):
        made = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        place = self.path.partition("?")[0] + "/" + made["metadata"]["name"]
        self.made[place] = made
        if made["kind"] == "Pod" and self.kubelet:
            made["status"] = {"phase": "Running"}
            threading.Thread(target=self.run, args=(place, made), daemon=True).start()
        self.answer(201, made)

    def run(self, place, pod):
        phase = type(self).kubelet(pod)
        self.made[place] = {**pod, "status": {"phase": phase}}


def serve(version):
    """Begins to answer as this version of Kubernetes, and gives what a client needs to know."""
    Api.version = version
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return yaml.safe_dump({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
        "current-context": "c",
    })


def helm(library):
    """Helm's own library. It keeps releases in memory, and sees the variables that its process began with."""
    if os.environ.get("HELM_DRIVER") != "memory":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "HELM_DRIVER": "memory"})
    sys.path.insert(0, library)
    return importlib.import_module("helm_sdkpy")


def values_of(file):
    """A file of values, with the configuration from the file beside it, as `--set-file config=…` does it."""
    values = yaml.safe_load(file.read_text()) or {}
    config = file.with_suffix(".toml")
    if config.exists():
        values["config"] = config.read_text()
    return values
