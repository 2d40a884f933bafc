#!/usr/bin/env bash
# Builds the daemon as the image has it, and prints where it is: static, without `dev`, without symbols, and with the list of
# its dependencies in it, by which scanners of images find what has to be renewed.
set -euo pipefail
cd "$(dirname "$0")/.."

auditable=0.7.5
tools=$PWD/target/tools
target=$(rustc -vV | sed -n 's/^host: //p')
# For the last step alone, with the linker that Rust brings for x86-64: relocations in their short form, and functions that
# came out the same kept once. A tenth less, when that was last compared.
link=()
if [[ $target == x86_64-* ]]; then
  link=(-C "link-arg=-Wl,-z,pack-relative-relocs" -C "link-arg=-Wl,--icf=all")
fi

if ! PATH=$tools/bin:$PATH command -v cargo-auditable >/dev/null; then
  cargo install --quiet cargo-auditable --version "$auditable" --locked --root "$tools" >&2
fi
# With a target named, the flags are for the daemon alone and not for what runs while it is built.
PATH=$tools/bin:$PATH RUSTFLAGS='-C target-feature=+crt-static' \
  CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_STRIP=symbols \
  cargo auditable rustc --quiet --release --locked --no-default-features --bin lamplighter --target "$target" \
  -- "${link[@]}" >&2
echo "target/$target/release/lamplighter"
