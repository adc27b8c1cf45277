#!/usr/bin/env bash
# Linux on x64 with musl: the addon as it is published, linked by zig, and the core of the specs on Node.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."
target=x86_64-unknown-linux-musl
work=$PWD/target/platforms/musl
mkdir -p "$work"

"$platforms/tools/packages.sh" rustc-web cargo-web rust-web-src
"$platforms/tools/linux-x64-musl.sh" "$work"
zig=$("$platforms/tools/zig.sh")
sysroot=$("$platforms/tools/std.sh" $target)

export CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTFLAGS="--sysroot=$sysroot -C target-feature=-crt-static"
CARGO_TARGET_DIR=$PWD/target/platforms PATH=$zig:$PATH node scripts/build-release.mjs --target $target

"$platforms/tools/stage.sh" "$work/stage" npm/linux-x64-musl/memory-map.linux-x64-musl.node
cd "$work/stage"
# This Node takes types away by itself; the loader that does so for older ones is a library for glibc.
npm pkg set --json 'ava.nodeArguments=["--expose-gc"]'
../node node_modules/ava/entrypoints/cli.mjs __test__/{runtimes,views,read-write,truncate,fault-reports}.spec.ts
