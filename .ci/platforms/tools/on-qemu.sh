#!/usr/bin/env bash
# on-qemu.sh TARGET NAME ARCHITECTURE KERNEL SPEC...: the addon as it is published under NAME with these specs, on
# Debian's Node, in QEMU's user mode, for which see arm64.sh; and the tests of the core on a kernel of Debian's, in a
# machine of QEMU's. The architecture is named as Debian names it.
set -euo pipefail
tools=$(realpath "$(dirname "$0")")
cd "$tools/../../.."
target=$1 name=$2 architecture=$3 kernel=$4
shift 4
IFS=- read -r system processor library <<<"$name"
work=$PWD/target/platforms/$name
mkdir -p "$work"

"$tools/packages.sh" rustc-web cargo-web rust-web-src
"$tools/qemu.sh" "$work" "$architecture" "$processor"
zig=$("$tools/zig.sh")
sysroot=$("$tools/std.sh" "$target")

export PATH=$zig:$PATH CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTFLAGS="--sysroot=$sysroot"
export CARGO_TARGET_DIR=$PWD/target/platforms
node scripts/build-release.mjs --target "$target"
"$tools/stage-for-node-20.sh" "$work/stage" "npm/$name/memory-map.$name.node" "$processor-$system-$library"
cd "$work/stage"
../node node_modules/ava/entrypoints/cli.mjs --serial "${@/%/.spec.ts}"
cd -

"$tools/tests-in-machine.sh" "$work" "$target" "$architecture" "$kernel"
