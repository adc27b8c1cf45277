#!/usr/bin/env bash
# qemu.sh FOLDER ARCHITECTURE PROCESSOR: writes FOLDER/run, which runs a program for Linux on the architecture, named as
# Debian names it, with the emulator of a processor, and FOLDER/node, which runs Debian 13's Node so. Ends with 77 where
# that cannot be had.
set -euo pipefail
tools=$(dirname "$0")
folder=$(realpath "$1") architecture=$2 processor=$3
cache=${MEMORY_MAP_CACHE:-$HOME/.cache/memory-map}
root=$cache/debian-13-$architecture
emulators=$("$tools/qemu-user.sh")

if [ ! -d "$root" ]; then
  not_run() {
    echo "not run: $1" >&2
    exit 77
  }
  [ "$(id --user)" = 0 ] || not_run 'only root can make a Debian'
  "$tools/packages.sh" debootstrap >&2
  rm -rf "$root.part" "$root.packages"
  mkdir -p "$root.part"
  # The first stage downloads what Node needs, besides much else. All of it is unpacked, nothing set up.
  debootstrap --foreign --variant=minbase --arch="$architecture" --include=nodejs trixie "$root.packages" >&2 ||
    not_run "Debian's Node for $architecture cannot be had"
  for package in "$root.packages"/var/cache/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$root.part"
  done
  rm -rf "$root.packages"
  mv "$root.part" "$root"
fi

mkdir -p "$folder"
printf '#!/bin/sh\nexec %s "$@"\n' "'$emulators/qemu-$processor' -L '$root'" >"$folder/run"
# The kernel cannot start a program for another processor by itself, so child processes are made from the script, too.
echo "process.execPath = '$folder/node'" >"$folder/exec-path.cjs"
printf '#!/bin/sh\nexec %s "$@"\n' \
  "'$folder/run' '$root/usr/bin/node' --require '$folder/exec-path.cjs'" >"$folder/node"
chmod +x "$folder/run" "$folder/node"
