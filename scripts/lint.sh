#!/usr/bin/env bash
# Checks what is not Rust: shell scripts, the portal, Python scripts.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${LAMPLIGHTER_VENV:-.venv}
shell=(.ci/run scripts/*.sh deploy/child-app/*.sh tests/gate/bin/*)
"$venv/bin/shellcheck" "${shell[@]}"
node --check tests/portal/portal.mjs
# Compiled in memory, so that no cache folder is left in the tree.
"$venv/bin/python" - scripts/*.py tests/install/*/*.py tests/ministack/*.py <<'CHECK'
import pathlib, sys
for path in sys.argv[1:]:
    compile(pathlib.Path(path).read_text(), path, "exec")
CHECK
echo "${#shell[@]} shell scripts, the portal and the Python scripts are well-formed"
