#!/usr/bin/env bash
# Linux on 64-bit RISC-V, under QEMU: the addon as it is published, and the core of the specs on Debian's Node.
#
# Without those of truncation: QEMU 10 ends by a SIGBUS of its own ("QEMU internal SIGBUS") in some of them.
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
CARGO_TARGET_DIR=$PWD/target/platforms node scripts/build-release.mjs --target $target

"$platforms/tools/specs-in-qemu.sh" "$work" npm/linux-riscv64-gnu/memory-map.linux-riscv64-gnu.node \
  addresses runtimes views read-write
