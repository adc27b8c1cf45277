#!/usr/bin/env bash
# tests-in-machine.sh FOLDER TARGET ARCHITECTURE KERNEL: compiles the tests of the core for a target, by zig, and runs
# them where machine.sh runs programs. Not those of searches: they ask little of a system, and an emulator needs long.
set -euo pipefail
tools=$(realpath "$(dirname "$0")")
folder=$1 target=$2 architecture=$3 kernel=$4

rm -f "$folder/programs"
variable=${target//-/_}
export "CARGO_TARGET_${variable^^}_RUNNER=$tools/collect.sh $folder/programs" CARGO_PROFILE_DEV_OPT_LEVEL=1
cargo-zigbuild test --locked -p memory-map --target "$target" --lib \
  --test mapping --test resize --test kept --test guest --test ipc --test ipc_kill --test processes --test guard
"$tools/machine.sh" "$folder" "$architecture" "$kernel"
