#!/usr/bin/env bash
# Linux on 32-bit x86, which a processor for x64 runs by itself, on the kernel at hand: all tests of the core; on Debian's
# Node, the specs that it has the addresses for; and what memory-map/sync has in a file that a process of 64 bits shares.
# Nothing is published for it: it stands for every system of 32 bits.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."
target=i686-unknown-linux-gnu
work=$PWD/target/platforms/i686
mkdir -p "$work"

"$platforms/tools/packages.sh" rustc-web cargo-web rust-web-src
"$platforms/tools/i386.sh" "$work"
zig=$("$platforms/tools/zig.sh")
sysroot=$("$platforms/tools/std.sh" $target)

export PATH=$zig:$PATH CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTFLAGS="--sysroot=$sysroot"
export CARGO_TARGET_DIR=$PWD/target/platforms CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUNNER=$work/run
# Without optimisation the searches take minutes.
CARGO_PROFILE_DEV_OPT_LEVEL=1 cargo-zigbuild test --locked -p memory-map --target $target --no-fail-fast --tests
cargo-zigbuild build --locked -p memory-map-node --target $target --release

cp "$CARGO_TARGET_DIR/$target/release/libmemory_map_node.so" "$work/memory-map.linux-ia32-gnu.node"
"$platforms/tools/stage-for-node-20.sh" "$work/stage" "$work/memory-map.linux-ia32-gnu.node" x86-linux-gnu
cd "$work/stage"
# All at once, the tests of a file need more addresses than there are.
../node node_modules/ava/entrypoints/cli.mjs --serial \
  __test__/{addresses,runtimes,views,read-write,truncate,fault-reports,handlers,random-faults,protect,residency}.spec.ts \
  __test__/{sync,sync-channel,sync-mutex,sync-wait,threads,transfer,close-in-use,process-ends,unmappable}.spec.ts

node "$platforms/tools/words.mjs" "$work/node" "$work/stage" "$work"
