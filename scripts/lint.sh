#!/usr/bin/env bash
# Checks what is not Rust: shell scripts, what Node runs, Python.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${LAMPLIGHTER_VENV:-.venv}
shell=(.ci/run scripts/*.sh deploy/child-app/*.sh tests/gate/bin/*)
"$venv/bin/shellcheck" "${shell[@]}"
for script in tests/portal/portal.mjs tests/install/iam/simulate.mjs dashboards/pictures/render.mjs; do
  node --check "$script"
done
# Compiled in memory, so that no cache folder is left in the tree.
git ls-files -z '*.py' | xargs -0 "$venv/bin/python" /dev/fd/3 3<<'CHECK'
import pathlib, sys
for path in sys.argv[1:]:
    compile(pathlib.Path(path).read_text(), path, "exec")
CHECK
echo "${#shell[@]} shell scripts, and all of JavaScript and Python, are well-formed"
