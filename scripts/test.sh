#!/usr/bin/env bash
# All checks, the cheap ones first, and then all tests. One cargo at a time: they would only wait for each other.
# Every stage ends with a line that says how long it took; the very last output is the test runner's summary.
set -euo pipefail
cd "$(dirname "$0")/.."

stage() {
  local name=$1 TIMEFORMAT="== $1: %0R s (%0U s of processor time)"
  shift
  echo "== $name"
  if ! time "$@"; then
    echo "== $name: FAILED" >&2
    exit 1
  fi
}

# The tests are built with a feature that only tests may have: bugs that can be planted. Whatever is linted or tested has
# it, so that the project is built once; as it is released, without it and without `dev`, it is linted by itself.
features=planted

# cargo test prints one summary for each test binary, the last one often of no test at all; this adds them up. It
# is the fallback because building cargo-nextest takes longer than it saves.
cargo_test() {
  local log
  log=$(mktemp)
  cargo test --workspace --locked --features "$features" --no-fail-fast 2>&1 | tee "$log" || true
  awk '/^test result:/ { ran = 1; for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^failed/) f += $(i-1); if ($i ~ /^ignored/) s += $(i-1) } }
       /^error/ { broken = 1 }
       END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit !(ran && !f && !broken) }' "$log"
}

stage 'python tools' scripts/venv.sh
stage 'node modules' scripts/portal.sh
stage 'scripts' scripts/lint.sh
stage 'cargo fmt' cargo fmt --all --check -- -l
stage 'cargo clippy' cargo clippy --quiet --workspace --all-targets --locked --features "$features" -- -D warnings
stage 'cargo clippy, as it is released' cargo clippy --quiet --locked --lib --bins --no-default-features -- -D warnings
stage 'cargo deny' scripts/deny.sh --if-there

if cargo nextest --version >/dev/null 2>&1; then
  profile=default
  [[ -z ${CI:-} ]] || profile=ci
  stage 'build the tests' cargo nextest run --workspace --locked --features "$features" --no-run --cargo-quiet
  stage 'documentation tests' cargo test --quiet --workspace --locked --features "$features" --doc
  echo '== tests'
  exec cargo nextest run --workspace --locked --features "$features" --profile "$profile" --cargo-quiet
fi
echo '== tests (with cargo test, since cargo-nextest is not installed)'
cargo_test
