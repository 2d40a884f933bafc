#!/usr/bin/env bash
# Builds the daemon as the image has it, and prints where it is: static, without `dev`, without symbols, and with the list of
# its dependencies in it, by which scanners of images find what has to be renewed.
set -euo pipefail
cd "$(dirname "$0")/.."

auditable=0.7.5
tools=$PWD/target/tools
target=$(rustc -vV | sed -n 's/^host: //p')

if ! PATH=$tools/bin:$PATH command -v cargo-auditable >/dev/null; then
  cargo install --quiet cargo-auditable --version "$auditable" --locked --root "$tools" >&2
fi
# With a target named, the flags are for the daemon alone and not for what runs while it is built.
PATH=$tools/bin:$PATH RUSTFLAGS='-C target-feature=+crt-static' \
  CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_STRIP=symbols \
  cargo auditable build --quiet --release --locked --no-default-features --bin lamplighter --target "$target" >&2
echo "target/$target/release/lamplighter"
