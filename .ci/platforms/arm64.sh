#!/usr/bin/env bash
# Linux on arm64, under QEMU: the addon as it is published, and the core of the specs on Node.
#
# QEMU's user mode has no process_vm_readv(2), without which lost stores to private pages stay visible (docs/faults.md),
# shows neighbouring memory areas as one, and has pages of 4 KiB, whatever arm64 may have. Specs that need what it lacks
# are left out.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."
target=aarch64-unknown-linux-gnu
work=$PWD/target/platforms/arm64
mkdir -p "$work"

"$platforms/tools/packages.sh" rustc-web cargo-web rust-web-src
"$platforms/tools/linux-arm64.sh" "$work"
sysroot=$("$platforms/tools/std.sh" $target)

export CC=aarch64-linux-gnu-gcc CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTFLAGS="--sysroot=$sysroot"
export CARGO_TARGET_DIR=$PWD/target/platforms
node scripts/build-release.mjs --target $target

"$platforms/tools/stage.sh" "$work/stage" npm/linux-arm64-gnu/memory-map.linux-arm64-gnu.node
cd "$work/stage"
# This Node takes types away by itself; the loader that does so for older ones is a library for another machine.
npm pkg set --json 'ava.nodeArguments=["--expose-gc"]'
../node node_modules/ava/entrypoints/cli.mjs --match '!earlier faults of stores *' \
  __test__/{runtimes,views,read-write,truncate,fault-reports,handlers}.spec.ts
