#!/usr/bin/env bash
# linux-arm64.sh FOLDER: writes FOLDER/node, which runs Node for Linux on arm64 under QEMU.
set -euo pipefail
tools=$(dirname "$0")
"$tools/packages.sh" qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross
node=$("$tools/runtimes.sh")/linux-arm64/bin/node
folder=$(realpath "$1")

# The kernel cannot start that file by itself, so child processes must be made from the script, too.
echo "process.execPath = '$folder/node'" >"$folder/exec-path.cjs"
cat >"$folder/node" <<SCRIPT
#!/bin/sh
exec qemu-aarch64-static -L /usr/aarch64-linux-gnu '$node' --require '$folder/exec-path.cjs' "\$@"
SCRIPT
chmod +x "$folder/node"
