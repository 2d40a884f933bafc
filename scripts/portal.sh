#!/usr/bin/env bash
# Installs what tests use of npm's packages as their locks say, unless it is there already: the AWS SDK for JavaScript for
# tests/portal, and the evaluator of IAM policies for tests/install/iam.
set -euo pipefail
cd "$(dirname "$0")/.."

for folder in tests/portal tests/install/iam; do
  if grep -n '"resolved"' "$folder/package-lock.json"; then
    echo "$folder/package-lock.json names places to download from; make it anew with the .npmrc beside it" >&2
    exit 1
  fi
  stamp=node_modules/.installed-from
  if cmp --silent "$folder/package-lock.json" "$folder/$stamp"; then
    continue
  fi
  echo "installing the node modules of $folder"
  (cd "$folder" && npm ci --no-progress && cp package-lock.json "$stamp")
done
