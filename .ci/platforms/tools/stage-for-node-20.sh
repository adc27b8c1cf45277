#!/usr/bin/env bash
# stage-for-node-20.sh FOLDER LIBRARY SYSTEM: the same as stage.sh for Debian 13's Node 20, which takes no types away and
# has no library that does, and for a system without a C compiler: the addon of the tests is made by zig, for SYSTEM.
set -euo pipefail
tools=$(realpath "$(dirname "$0")")
stage=$1 library=$2 system=$3
"$tools/stage.sh" "$stage" "$library"
node "$tools/strip-types.mjs" "$stage"
cd "$stage"
npm pkg set --json 'ava.nodeArguments=["--import=./typescript.mjs","--expose-gc"]'
zig cc -target "$system" -O2 -shared -fPIC -pthread -Inode_modules/node-api-headers/include \
  __test__/addon/fixture.c -o __test__/addon/fixture.node
