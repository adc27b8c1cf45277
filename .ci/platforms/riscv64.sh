#!/usr/bin/env bash
# Linux on 64-bit RISC-V: the tests of the core on a kernel of its own, in a machine of QEMU's, and the addon as it is
# published with the core of the specs, on Debian's Node, in QEMU's user mode, for which see arm64.sh.
#
# Without the specs of truncation: QEMU 10 ends by a SIGBUS of its own ("QEMU internal SIGBUS") in some of them. In the
# machine the same faults are contained.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."
target=riscv64gc-unknown-linux-gnu
work=$PWD/target/platforms/riscv64
mkdir -p "$work"

"$platforms/tools/packages.sh" rustc-web cargo-web rust-web-src
"$platforms/tools/qemu.sh" "$work" riscv64 riscv64
zig=$("$platforms/tools/zig.sh")
sysroot=$("$platforms/tools/std.sh" $target)

export PATH=$zig:$PATH CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTFLAGS="--sysroot=$sysroot"
export CARGO_TARGET_DIR=$PWD/target/platforms
node scripts/build-release.mjs --target $target
"$platforms/tools/stage-for-node-20.sh" \
  "$work/stage" npm/linux-riscv64-gnu/memory-map.linux-riscv64-gnu.node riscv64-linux-gnu
cd "$work/stage"
../node node_modules/ava/entrypoints/cli.mjs --serial __test__/{addresses,runtimes,views,read-write}.spec.ts
cd -

"$platforms/tools/tests-in-machine.sh" "$work" $target riscv64 linux-image-riscv64
