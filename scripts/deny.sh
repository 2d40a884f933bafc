#!/usr/bin/env bash
# Checks licences, bans and sources of all dependencies against deny.toml, without a network. The advisories need
# the database of RustSec: `cargo deny check advisories`, where it can be reached.
#
#   deny.sh            installs cargo-deny first if need be (about four minutes of computing)
#   deny.sh --if-there skips, and says so, where cargo-deny is not installed
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
if ! command -v cargo-deny >/dev/null; then
  if [[ ${1:-} == --if-there ]]; then
    echo "SKIPPED: cargo-deny is not installed, and takes minutes to build; \"make deny\" installs and runs it"
    exit 0
  fi
  cargo install cargo-deny --version "$version" --locked
fi
cargo deny --offline --all-features check licenses bans sources
