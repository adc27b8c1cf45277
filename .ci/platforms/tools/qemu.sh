#!/usr/bin/env bash
# qemu.sh FOLDER ARCHITECTURE PROCESSOR: writes FOLDER/run, which runs a program for Linux on the architecture, named as
# Debian names it, with the emulator of a processor, and FOLDER/node, which runs Debian 13's Node so. Ends with 77 where
# that cannot be had.
set -euo pipefail
tools=$(dirname "$0")
folder=$(realpath "$1") architecture=$2 processor=$3
root=$("$tools/debian.sh" "$architecture" nodejs procps)
emulators=$("$tools/qemu-user.sh")

mkdir -p "$folder"
printf '#!/bin/sh\nexec %s "$@"\n' "'$emulators/qemu-$processor' -L '$root'" >"$folder/run"
# The kernel cannot start a program for another processor by itself, so child processes are made from the script, too.
echo "process.execPath = '$folder/node'" >"$folder/exec-path.cjs"
printf '#!/bin/sh\nexec %s "$@"\n' \
  "'$folder/run' '$root/usr/bin/node' --require '$folder/exec-path.cjs'" >"$folder/node"
chmod +x "$folder/run" "$folder/node"
