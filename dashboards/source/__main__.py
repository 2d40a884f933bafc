"""Writes the dashboards beside this folder, or says with --check whether they are as they would be written.

    .venv/bin/python dashboards/source
"""

import difflib
import json
import pathlib
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

import controller
import end_of_day
import fleet


def text(board):
    return json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def difference(name, was, becomes):
    return "".join(difflib.unified_diff(was.splitlines(True), becomes.splitlines(True), name, f"{name} anew", n=1))


def main(check):
    register_default_plugins()
    folder = pathlib.Path(__file__).resolve().parent.parent
    wrong = ""
    for name, module in [("fleet", fleet), ("end-of-day", end_of_day), ("controller", controller)]:
        path = folder / f"{name}.json"
        written = text(module.board())
        if check:
            was = path.read_text()
            wrong += difference(path.name, was, written)
            # A field that Grafana's types do not know is lost on the way through them.
            wrong += difference(path.name, was, text(Dashboard.from_json(json.loads(was))))
        else:
            path.write_text(written)
    if wrong:
        sys.exit(wrong + "The dashboards are written by: .venv/bin/python dashboards/source")
    print("3 dashboards are as they would be written" if check else "3 dashboards are written")


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
