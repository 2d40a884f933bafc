"""Installs a chart with Helm's own library, once for each file of values, against a Kubernetes API that keeps nothing
but what it is sent; prints one JSON object, by the names of the files: what was asked of Kubernetes, or Helm's error.

    render.py LIBRARY CHART KUBERNETES_VERSION RELEASE NAMESPACE VALUES...

There is no `helm template` in that library, so a release is really installed and given up. Its test: `hook.py`.
"""

import asyncio
import json
import pathlib
import sys

sys.dont_write_bytecode = True
import cluster  # noqa: E402

library, chart, version, name, namespace, *files = sys.argv[1:]
helm_sdkpy = cluster.helm(library)
KUBECONFIG = cluster.serve(version)


async def render(values):
    """What a release with these values consists of."""
    cluster.Api.made.clear()
    config = helm_sdkpy.Configuration(namespace=namespace, kubeconfig=KUBECONFIG)
    try:
        release = await helm_sdkpy.Install(config).run(name, chart, values=values, wait=False, timeout=10)
    except helm_sdkpy.HelmError as error:
        return {"error": str(error)}
    return {"release": release, "made": list(cluster.Api.made.values())}


async def main():
    rendered = {}
    for file in map(pathlib.Path, files):
        rendered[file.stem] = await render(cluster.values_of(file))
    json.dump(rendered, sys.stdout)


asyncio.run(main())
