#!/usr/bin/env bash
# Sets up the virtual environment with the pinned Python tools, unless it is there already: .venv, or the one that
# LAMPLIGHTER_VENV names.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${LAMPLIGHTER_VENV:-.venv}
wanted=scripts/requirements.txt
stamp=$venv/requirements.installed

if cmp --silent "$wanted" "$stamp"; then
  exit 0
fi
echo "setting up $venv from $wanted"
rm -f "$stamp"
python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$wanted"
"$venv/bin/python" -m pip check
cp "$wanted" "$stamp"
