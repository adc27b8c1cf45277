#!/usr/bin/env bash
# specs-in-qemu.sh FOLDER LIBRARY SPEC...: the core of the specs, and those named, on FOLDER/node, which has a Node 20
# that takes no types away.
set -euo pipefail
tools=$(realpath "$(dirname "$0")")
stage=$1/stage library=$2
shift 2
"$tools/stage.sh" "$stage" "$library"
node "$tools/strip-types.mjs" "$stage"
cd "$stage"
npm pkg set --json 'ava.nodeArguments=["--import=./typescript.mjs","--expose-gc"]'
specs=()
for spec in runtimes views read-write truncate "$@"; do specs+=("__test__/$spec.spec.ts"); done
# One after the other: each runtime has to be emulated, too.
../node node_modules/ava/entrypoints/cli.mjs --serial --concurrency 2 --match '!earlier faults of stores *' "${specs[@]}"
