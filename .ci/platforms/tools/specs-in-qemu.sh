#!/usr/bin/env bash
# specs-in-qemu.sh FOLDER LIBRARY SPEC...: runs specs on FOLDER/node, which has a Node 20 that takes no types away.
set -euo pipefail
tools=$(realpath "$(dirname "$0")")
stage=$1/stage library=$2
shift 2
"$tools/stage.sh" "$stage" "$library"
node "$tools/strip-types.mjs" "$stage"
cd "$stage"
npm pkg set --json 'ava.nodeArguments=["--import=./typescript.mjs","--expose-gc"]'
for spec; do
  ../node node_modules/ava/entrypoints/cli.mjs --serial "__test__/$spec.spec.ts"
done
