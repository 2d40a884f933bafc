#!/usr/bin/env bash
# Builds the static binary, makes the image of it by the last stage of deploy/Dockerfile, and shows that it is small and runs
# as a container that may do nothing; scripts/image.py says what is asked of it. Needs root, some minutes for the build, and
# nothing from a registry of images.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in buildah podman runc objcopy openssl; do
  command -v "$tool" >/dev/null || {
    echo "$tool is missing; on Debian 12: apt-get install --no-install-recommends buildah podman runc binutils openssl" >&2
    exit 1
  }
done
if ((EUID)); then
  echo 'root is needed, since there may be no user namespaces to be had: run it with sudo' >&2
  exit 1
fi

binary=$(scripts/static.sh)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/image/etc/ssl/certs"
cp "$binary" "$context/image/lamplighter"
cp /etc/ssl/certs/ca-certificates.crt "$context/image/etc/ssl/certs/"
python3 scripts/image.py "$context" --released
