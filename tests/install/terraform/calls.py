"""Prints the calls that the daemon's adapters make, as its policy has to allow them: read from their source by the names
that the SDK derives from AWS's own models, each call of DynamoDB with the table it goes to. What can't be told ends it."""

import json
import pathlib
import re
import sys

import botocore.loaders
from botocore import xform_name

SERVICES = {"dynamodb": "dynamodb", "codebuild": "codebuild", "ecs": "ecs", "elb": "elbv2"}
PREFIXES = {"elb": "elasticloadbalancing"}
# Not the daemon's: one is `lamplighter tables create`, the other `lamplighter adopt`.
OTHERS = {"tables.rs", "takeover.rs"}
PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
TABLE = r"\s*\.(?:table_name|request_items)\(\s*&self\.tables\.(\w+)"

cloud = pathlib.Path(sys.argv[1])
loader, calls = botocore.loaders.Loader(), set()
for service, model in SERVICES.items():
    names = {xform_name(name): name for name in loader.load_service_model(model, "service-2")["operations"]}
    files = sorted(cloud.glob(f"{service}/*.rs")) + [p for p in [cloud / f"{service}.rs"] if p.exists()]
    assert files, f"no adapter of {service} in {cloud}"
    for path in (path for path in files if path.name not in OTHERS):
        text = path.read_text().split("#[cfg(test)]")[0]
        # Rows are only made by `lamplighter adopt`.
        text = re.sub(r"\nimpl NewRows for .*?\n}\n", "\n", text, flags=re.DOTALL)
        for found in re.finditer(r"\.(\w+)\(\)", text):
            operation = names.get(found[1])
            # A transaction has no action of its own; its parts are below.
            if operation is None or operation == "TransactWriteItems":
                continue
            table = None
            if service == "dynamodb":
                told = re.compile(TABLE).match(text, found.end())
                if told is None and operation == "Scan":
                    continue  # within the helper that is called with a table, below
                assert told, f"{path}: which table is {operation} for?"
                table = told[1]
            calls.add((f"{PREFIXES.get(service, service)}:{operation}", table))
        if service == "dynamodb":
            for found in re.finditer(r"\bself\.scan\(&self\.tables\.(\w+)\)", text):
                calls.add(("dynamodb:Scan", found[1]))
            for found in re.finditer(r"\b(Put|Update|Delete|ConditionCheck)::builder\(\)", text):
                told = re.compile(TABLE).match(text, found.end())
                assert told, f"{path}: which table is a {found[1]} for?"
                calls.add((f"dynamodb:{PARTS[found[1]]}", told[1]))
json.dump([{"operation": operation, "table": table} for operation, table in sorted(calls, key=str)], sys.stdout)
