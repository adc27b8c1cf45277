#!/usr/bin/env bash
# Linux on 32-bit Arm: the tests of the core on a kernel of its own, in a machine of QEMU's, and the addon as it is
# published with the core of the specs, on Debian's Node, in QEMU's user mode, for which see arm64.sh.
#
# The searches are left to i686.sh: they make no calls of the system, and take an hour here.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."
target=armv7-unknown-linux-gnueabihf
work=$PWD/target/platforms/armv7
mkdir -p "$work"

"$platforms/tools/packages.sh" rustc-web cargo-web rust-web-src
"$platforms/tools/qemu.sh" "$work" armhf arm
zig=$("$platforms/tools/zig.sh")
sysroot=$("$platforms/tools/std.sh" $target)

export PATH=$zig:$PATH CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTFLAGS="--sysroot=$sysroot"
export CARGO_TARGET_DIR=$PWD/target/platforms
node scripts/build-release.mjs --target $target
"$platforms/tools/stage-for-node-20.sh" \
  "$work/stage" npm/linux-arm-gnueabihf/memory-map.linux-arm-gnueabihf.node arm-linux-gnueabihf
cd "$work/stage"
../node node_modules/ava/entrypoints/cli.mjs --serial __test__/{addresses,runtimes,views,read-write,truncate}.spec.ts
cd -

"$platforms/tools/tests-in-machine.sh" "$work" $target armhf linux-image-armmp-lpae
