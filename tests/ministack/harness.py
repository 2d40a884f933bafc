#!/usr/bin/env python3
"""Runs MiniStack, an AWS emulator this project did not write, and plays the builds that it only pretends to run.

    harness.py [--project NAME] [--cluster NAME] [--build-seconds N]  <a pipe that is held open

When all is up it prints one line of JSON, {"aws": URL, "app_port": PORT, ...}. Point the AWS endpoint of the daemon
and of the test at `aws`. It ends on SIGTERM and when its standard input ends, and takes MiniStack with it.

`aws` is a small proxy in front of MiniStack, since MiniStack's CodeBuild forgets a build's environment and calls
every build SUCCEEDED at once. The proxy changes three answers and passes everything else through, byte for byte:

  StartBuild, BatchGetBuilds   show the environment that was given at the start, and the progress of the play
  StopBuild                    stops the play

A play is what the shipped buildspec does, without Terraform: the shipped gate.sh with the real AWS CLI, then, if it
passes, an ECS service with its tags, target group and listener is made or deleted.

What this can't prove, because MiniStack has no such thing and the harness invents none:

  * idempotency tokens: two StartBuild calls with one token make two builds (only the gate keeps them apart);
  * a queue, a concurrency limit, throttling, pages of ListBuildsForProject or ListServices;
  * builds in the middle of their phases, build logs, events of CodeBuild and ECS;
  * rollouts that take time or fail, draining services, tasks that stop, targets that are not healthy;
  * eventual consistency: every read sees every write.

And what is the harness's own word, so that a test of it would test nothing: the build's status and environment.
"""

from __future__ import annotations

import argparse
import ctypes
import http.client
import http.server
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import boto3

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
GATE = REPOSITORY / "deploy" / "child-app" / "gate.sh"
TOOLS = pathlib.Path(sys.executable).parent
LOOPBACK = "127.0.0.1"
REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
# Headers that belong to one connection, not to the request.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


def say(message: str) -> None:
    print(f"harness: {message}", file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def client(service: str, endpoint: str):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


class MiniStack:
    """The emulator as a child process. It keeps everything in memory, and without the Python package `docker`,
    which is not among the pinned ones, it runs no container."""

    def __init__(self) -> None:
        self.port = free_port()
        self.endpoint = f"http://{LOOPBACK}:{self.port}"
        environment = {**os.environ, **CREDENTIALS, "BIND_HOST": LOOPBACK, "GATEWAY_PORT": str(self.port)}
        self.process = subprocess.Popen(
            [TOOLS / "ministack"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            # Should the harness be killed, the kernel ends MiniStack too (PR_SET_PDEATHSIG).
            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGTERM),
        )

    def wait_until_up(self, timeout_secs: float = 30) -> None:
        give_up = time.monotonic() + timeout_secs
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                raise SystemExit(f"harness: MiniStack ended with {self.process.returncode}")
            try:
                urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2).read()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"harness: MiniStack was not up after {timeout_secs} s")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Play:
    """One build: what it was started with, and how far it has come."""

    def __init__(self, build_id: str, environment: list[dict]) -> None:
        self.build_id = build_id
        self.environment = environment
        self.status = "IN_PROGRESS"
        self.phase = "PRE_BUILD"
        self.failure: tuple[str, str] | None = None  # phase, message
        self.ended: float | None = None
        self.stop_asked = threading.Event()

    def end(self, status: str, failure: tuple[str, str] | None = None) -> None:
        self.failure, self.ended = failure, time.time()
        self.phase, self.status = "COMPLETED", status
        say(f"build {self.build_id} ended: {status} {failure or ''}")

    def show_in(self, build: dict) -> None:
        """Changes a build as MiniStack tells it into what CodeBuild would tell."""
        given = {variable["name"] for variable in self.environment}
        environment = build.setdefault("environment", {})
        of_the_project = [v for v in environment.get("environmentVariables") or [] if v["name"] not in given]
        environment["environmentVariables"] = of_the_project + self.environment
        build["buildStatus"], build["currentPhase"] = self.status, self.phase
        build["buildComplete"] = self.ended is not None
        before = ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL"]
        if self.ended is None:
            build.pop("endTime", None)
            build["phases"] = [{**p} for p in build.get("phases", []) if p["phaseType"] in before]
            build["phases"].append({"phaseType": self.phase, "startTime": build["startTime"]})
            return
        build["endTime"] = self.ended
        if self.failure:
            phase, message = self.failure
            build["phases"] = [p for p in build.get("phases", []) if p["phaseType"] in before]
            context = {"statusCode": "COMMAND_EXECUTION_ERROR", "message": message}
            build["phases"].append({"phaseType": phase, "phaseStatus": "FAILED", "contexts": [context]})
            build["phases"].append({"phaseType": "COMPLETED", "startTime": self.ended})


class Stage:
    """Where builds are played: the one CodeBuild project and the one ECS cluster there are."""

    def __init__(self, endpoint: str, project: str, cluster: str, build_secs: float) -> None:
        self.endpoint, self.project, self.cluster, self.build_secs = endpoint, project, cluster, build_secs
        self.ecs, self.elb = client("ecs", endpoint), client("elbv2", endpoint)
        self.balancer = ""
        self.app_port = 0
        # A listener port for each app: MiniStack shows a target group as attached when a listener's default action
        # names it, and not when a rule does, which is what a module would make.
        self.ports = itertools.count(8001)
        self.plays: dict[str, Play] = {}
        self.gone: set[str] = set()

    def set_up(self) -> None:
        """Makes what an operator makes with Terraform before the daemon ever runs."""
        client("codebuild", self.endpoint).create_project(
            name=self.project,
            source={"type": "NO_SOURCE", "buildspec": (GATE.parent / "buildspec.yml").read_text()},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole="arn:aws:iam::000000000000:role/child-app-build",
        )
        balancers = self.elb.create_load_balancer(Name="child-apps", Subnets=["subnet-0", "subnet-1"])
        self.balancer = balancers["LoadBalancers"][0]["LoadBalancerArn"]
        self.ecs.create_cluster(clusterName=self.cluster)
        self.ecs.register_task_definition(
            family="child-app",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=[
                {"name": "app", "image": "child-app", "essential": True, "portMappings": [{"containerPort": 80}]}
            ],
        )

    def begin(self, build_id: str, environment: list[dict]) -> Play:
        play = self.plays[build_id] = Play(build_id, environment)
        threading.Thread(target=self.perform, args=(play,), daemon=True).start()
        return play

    def perform(self, play: Play) -> None:
        try:
            self.perform_phases(play)
        except Exception as error:  # a play that ends in silence would look like a build that never ends
            play.end("FAILED", ("BUILD", f"the harness failed: {error!r}"))

    def perform_phases(self, play: Play) -> None:
        variables = {variable["name"]: variable["value"] for variable in play.environment}
        inherited = {"PATH": f"{TOOLS}:/usr/bin:/bin", "HOME": "/nonexistent", "AWS_ENDPOINT_URL": self.endpoint}
        environment = {**inherited, **CREDENTIALS, **variables, "CODEBUILD_BUILD_ID": play.build_id}
        gate = subprocess.run(["/bin/sh", GATE], env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        if play.stop_asked.is_set():
            return play.end("STOPPED")
        if gate.returncode != 0:
            reason = f"Error while executing command: sh ./gate.sh. Reason: exit status {gate.returncode}"
            return play.end("FAILED", ("PRE_BUILD", reason))
        play.phase = "BUILD"
        if play.stop_asked.wait(self.build_secs):
            return play.end("STOPPED")
        if variables["ACTION"] == "apply":
            self.apply(variables)
        else:
            self.destroy(variables)
        play.end("SUCCEEDED")

    def apply(self, variables: dict[str, str]) -> None:
        """Makes what is missing, as Terraform does."""
        name, host = variables["RESOURCE_NAME"], variables["HOST_NAME"]
        target_group = self.target_group(name)
        tags = {"lamplighter:instance-id": variables["INSTANCE_ID"], "lamplighter:host-name": host}
        found = self.ecs.describe_services(cluster=self.cluster, services=[name])["services"]
        if not any(service["status"] == "ACTIVE" for service in found):
            self.ecs.create_service(
                cluster=self.cluster,
                serviceName=name,
                taskDefinition="child-app",
                desiredCount=1,
                launchType="FARGATE",
                loadBalancers=[{"targetGroupArn": target_group, "containerName": "app", "containerPort": 80}],
                tags=[{"key": key, "value": value} for key, value in tags.items()],
            )
        self.gone.discard(host)

    def target_group(self, name: str) -> str:
        """The target group of that name, made with its target and its listener if it is not there."""
        for group in self.elb.describe_target_groups()["TargetGroups"]:
            if group["TargetGroupName"] == name:
                return group["TargetGroupArn"]
        made = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId="vpc-0", TargetType="ip")
        target_group = made["TargetGroups"][0]["TargetGroupArn"]
        self.elb.register_targets(TargetGroupArn=target_group, Targets=[{"Id": LOOPBACK, "Port": self.app_port}])
        self.elb.create_listener(
            LoadBalancerArn=self.balancer,
            Protocol="HTTP",
            Port=next(self.ports),
            DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
        )
        return target_group

    def destroy(self, variables: dict[str, str]) -> None:
        name, host = variables["RESOURCE_NAME"], variables["HOST_NAME"]
        self.gone.add(host)
        for service in self.ecs.describe_services(cluster=self.cluster, services=[name])["services"]:
            if service["status"] == "ACTIVE":
                self.ecs.delete_service(cluster=self.cluster, service=name, force=True)
        for group in self.elb.describe_target_groups()["TargetGroups"]:
            if group["TargetGroupName"] == name:
                self.unroute(group["TargetGroupArn"])

    def unroute(self, target_group: str) -> None:
        for listener in self.elb.describe_listeners(LoadBalancerArn=self.balancer)["Listeners"]:
            if any(action.get("TargetGroupArn") == target_group for action in listener["DefaultActions"]):
                self.elb.delete_listener(ListenerArn=listener["ListenerArn"])
        self.elb.delete_target_group(TargetGroupArn=target_group)


def serve_proxy(stage: Stage, upstream_port: int) -> http.server.ThreadingHTTPServer:
    """The AWS endpoint: MiniStack, with the builds as they are played."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            upstream = http.client.HTTPConnection(LOOPBACK, upstream_port, timeout=60)
            try:
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                content = answer.read()
            finally:
                upstream.close()
            operation = (self.headers.get("x-amz-target") or "").partition("CodeBuild_20161006.")[2]
            if operation and answer.status == 200:
                content = self.as_played(operation, json.loads(body), json.loads(content))
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP | {"date", "server"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = forward

        def as_played(self, operation: str, request: dict, answer: dict) -> bytes:
            match operation:
                case "StartBuild":
                    given = request.get("environmentVariablesOverride") or []
                    stage.begin(answer["build"]["id"], given).show_in(answer["build"])
                case "StopBuild":
                    play = stage.plays.get(answer["build"]["id"])
                    if play:
                        play.stop_asked.set()
                        play.show_in(answer["build"])
                case "BatchGetBuilds":
                    for build in answer.get("builds", []):
                        if build["id"] in stage.plays:
                            stage.plays[build["id"]].show_in(build)
            return json.dumps(answer).encode()

        def log_message(self, *_) -> None:
            pass

    return serve(Proxy)


def serve_apps(stage: Stage) -> http.server.ThreadingHTTPServer:
    """Every app there is, on one port. It answers for any host, except for one whose app has been destroyed."""

    class App(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host = (self.headers.get("host") or "").partition(":")[0]
            content = f"This is {host}.\n".encode()
            self.send_response(503 if host in stage.gone else 200)
            self.send_header("content-type", "text/plain; charset=utf-8")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_) -> None:
            pass

    return serve(App)


def serve(handler: type) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", default="child-app", help="the CodeBuild project to make")
    parser.add_argument("--cluster", default="child-apps", help="the ECS cluster to make")
    parser.add_argument("--build-seconds", type=float, default=0.5, help="how long BUILD takes")
    arguments = parser.parse_args()

    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    signal.signal(signal.SIGINT, lambda *_: done.set())
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()

    ministack = MiniStack()
    try:
        ministack.wait_until_up()
        stage = Stage(ministack.endpoint, arguments.project, arguments.cluster, arguments.build_seconds)
        stage.app_port = serve_apps(stage).server_address[1]
        stage.set_up()
        aws = f"http://{LOOPBACK}:{serve_proxy(stage, ministack.port).server_address[1]}"
        ready = {
            "aws": aws,
            "app_port": stage.app_port,
            "project": arguments.project,
            "cluster": arguments.cluster,
            "region": REGION,
            "ministack": ministack.endpoint,
        }
        print(json.dumps(ready), flush=True)
        done.wait()
    finally:
        ministack.stop()


if __name__ == "__main__":
    main()
