#!/usr/bin/env bash
# windows-in-wine.sh [SPEC...]: Windows on x64, as windows.sh runs it, on a machine that has nothing of it yet.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."
work=$PWD/target/platforms/windows
mkdir -p "$work"

"$platforms/tools/packages.sh" rustc-web cargo-web rust-web-src gcc-mingw-w64-x86-64
WINE_ROOT=$("$platforms/tools/wine.sh")
NODE_EXE=$("$platforms/tools/runtimes.sh")/win32-x64/bin/node.exe
RUSTFLAGS=--sysroot=$("$platforms/tools/std.sh" x86_64-pc-windows-gnu)
export WINE_ROOT NODE_EXE RUSTFLAGS CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$work

# A copy, whose compiled modules are its own: other parts run beside this one. In Wine its modules must be a real folder.
stage=$work/stage
"$platforms/tools/stage.sh" "$stage"
rm "$stage/node_modules"
mkdir "$stage/node_modules"

# No other process sees what is mounted here, and every process of Wine ends with the script.
rm -rf "$work/wine/prefix"
unshare --mount --pid --fork --kill-child --mount-proc bash -ec '
  mkdir -p "$WINE_ROOT$PWD"
  mount --bind node_modules "$1/node_modules"
  mount --rbind "$PWD" "$WINE_ROOT$PWD"
  mount --bind /proc "$WINE_ROOT/proc"
  mount --rbind /dev "$WINE_ROOT/dev"
  shift
  exec "$@"' bash "$stage" "$stage/.ci/platforms/windows.sh" "$@"
