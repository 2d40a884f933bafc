#!/usr/bin/env bash
# Installs the AWS SDK for JavaScript for tests/portal as its lock file says, unless it is there already.
set -euo pipefail
cd "$(dirname "$0")/../tests/portal"

if grep -n '"resolved"' package-lock.json; then
  echo 'package-lock.json names places to download from; make it anew with the .npmrc beside it' >&2
  exit 1
fi
stamp=node_modules/.installed-from
if cmp --silent package-lock.json "$stamp"; then
  exit 0
fi
echo 'installing the node modules of tests/portal'
npm ci --no-progress
cp package-lock.json "$stamp"
