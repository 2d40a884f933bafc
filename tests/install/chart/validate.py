"""Reads JSON objects, one a line, and holds each against the schemas of Kubernetes; prints what is wrong.

    validate.py VERSION...
"""

import json
import logging
import sys

import kubernetes_validate

# Kinds that Kubernetes itself has not.
OTHERS = "monitoring.coreos.com/"

logging.disable(logging.WARNING)
count = 0
for line in sys.stdin:
    made = json.loads(line)
    if made["apiVersion"].startswith(OTHERS):
        continue
    for version in sys.argv[1:]:
        count += 1
        try:
            kubernetes_validate.validate(made, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            place = ".".join(str(part) for part in error.path)
            print(f"{version}: {made['kind']} {made['metadata']['name']}: {place}: {error.message}")
print(f"{count} looked at")
