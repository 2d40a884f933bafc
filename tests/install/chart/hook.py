"""Installs a chart with Helm's own library and has Helm test the release. The containers of the test's Pod are really run, as
processes of this machine; Helm says in the end whether the test was passed, and this script what each of them said.

    hook.py LIBRARY CHART KUBERNETES_VERSION RELEASE NAMESPACE VALUES BINARY SERVER TOKEN

BINARY is the daemon's; where the Service of the API would lead to is SERVER; what a Secret holds is TOKEN. Prints JSON.
"""

import asyncio
import json
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import cluster  # noqa: E402

library, chart, version, name, namespace, values, binary, server, token = sys.argv[1:]
helm_sdkpy = cluster.helm(library)
KUBECONFIG = cluster.serve(version)
ran = []


def made(kind, named):
    """What was made in the namespace; nothing else would be found from within a Pod."""
    one = next((made for made in cluster.Api.made.values() if made["kind"] == kind and made["metadata"]["name"] == named), None)
    if one is None:
        raise LookupError(f"there is no {kind} {named}")
    return one


def leads_to(url):
    """The Service's name stands for whatever answers in its place."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition(":")
    ports = [port["port"] for port in made("Service", host)["spec"]["ports"]]
    if scheme != "http" or int(port) not in ports:
        raise LookupError(f"nobody listens at {url}")
    return server


def variable(one, folders):
    value = one.get("value", token)
    for mounted, folder in folders.items():
        value = value.replace(f"{mounted}/", f"{folder}/")
    return leads_to(value) if value.startswith("http") else value


def run(container, volumes, folder):
    folders = {}
    for mount in container.get("volumeMounts", []):
        folders[mount["mountPath"]] = place = pathlib.Path(folder) / container["name"] / mount["name"]
        place.mkdir(parents=True)
        for file, text in made("ConfigMap", volumes[mount["name"]]["configMap"]["name"])["data"].items():
            (place / file).write_text(text)
    variables = {one["name"]: variable(one, folders) for one in container["env"]}
    done = subprocess.run([binary, *container["args"]], env=variables, capture_output=True, text=True, timeout=30)
    ran.append({"container": container["name"], "code": done.returncode, "said": done.stdout + done.stderr})
    return done.returncode == 0


def kubelet(pod):
    try:
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        with tempfile.TemporaryDirectory() as folder:
            results = [run(container, volumes, folder) for container in pod["spec"]["containers"]]
        return "Succeeded" if all(results) else "Failed"
    except (LookupError, OSError, subprocess.TimeoutExpired) as error:
        ran.append({"container": None, "code": None, "said": str(error)})
        return "Failed"


async def main():
    cluster.Api.kubelet = staticmethod(kubelet)
    config = helm_sdkpy.Configuration(namespace=namespace, kubeconfig=KUBECONFIG)
    given = cluster.values_of(pathlib.Path(values))
    await helm_sdkpy.Install(config).run(name, chart, values=given, wait=False, timeout=10)
    try:
        await helm_sdkpy.ReleaseTest(config).run(name)
        failed = None
    except helm_sdkpy.HelmError as error:
        failed = str(error)
    json.dump({"failed": failed, "ran": ran}, sys.stdout)


asyncio.run(main())
