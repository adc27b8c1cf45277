#!/usr/bin/env bash
# specs-with-musl.sh PROCESSOR NAME SPEC...: builds the addon for Linux with musl as it is published, under NAME, linked by
# zig, and runs these specs on a Node for it.
set -euo pipefail
tools=$(realpath "$(dirname "$0")")
cd "$tools/../../.."
processor=$1 name=$2
shift 2
target=$processor-unknown-linux-musl
work=$PWD/target/platforms/$name
mkdir -p "$work"

"$tools/packages.sh" rustc-web cargo-web rust-web-src
"$tools/linux-musl.sh" "$processor" "$work"
zig=$("$tools/zig.sh")
sysroot=$("$tools/std.sh" "$target")

export CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTFLAGS="--sysroot=$sysroot -C target-feature=-crt-static"
CARGO_TARGET_DIR=$PWD/target/platforms PATH=$zig:$PATH node scripts/build-release.mjs --target "$target"

"$tools/stage.sh" "$work/stage" "npm/$name/memory-map.$name.node"
cd "$work/stage"
# This Node takes types away by itself; the loader that does so for older ones is a library for glibc on this machine.
npm pkg set --json 'ava.nodeArguments=["--expose-gc"]'
../node node_modules/ava/entrypoints/cli.mjs "${@/%/.spec.ts}"
