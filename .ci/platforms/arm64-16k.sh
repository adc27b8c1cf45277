#!/usr/bin/env bash
# Linux on arm64 with pages of 16 KiB: the tests of the core on such a kernel, in a machine of QEMU's.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."
target=aarch64-unknown-linux-gnu
work=$PWD/target/platforms/arm64-16k
mkdir -p "$work"

"$platforms/tools/packages.sh" rustc-web cargo-web rust-web-src
zig=$("$platforms/tools/zig.sh")
sysroot=$("$platforms/tools/std.sh" $target)

export PATH=$zig:$PATH CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTFLAGS="--sysroot=$sysroot"
export CARGO_TARGET_DIR=$PWD/target/platforms TEST_PAGE_SIZE=16384
"$platforms/tools/tests-in-machine.sh" "$work" $target arm64 linux-image-arm64-16k
