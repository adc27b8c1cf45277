#!/usr/bin/env bash
# Linux on x64: the addon as it is published, linked for the glibc of 2012, and the core of the specs on every runtime.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."
work=$PWD/target/platforms/x64
runtimes=$PWD/__test__/runtimes
export CARGO_TARGET_DIR=$PWD/target/platforms

node "$runtimes/install.mjs"
node scripts/build-release.mjs --target x86_64-unknown-linux-gnu
"$platforms/tools/stage.sh" "$work" npm/linux-x64-gnu/memory-map.linux-x64-gnu.node
cd "$work"

# Whatever of these runs scripts runs them on the Node at hand, the others, Bun and Deno.
ln -s "$runtimes/node_modules" __test__/runtimes/node_modules
npx ava __test__/{runtimes,views,read-write,truncate,fault-reports,handlers,threads}.spec.ts

# What the tests do in their own process, they do here on the other Nodes.
rm __test__/runtimes/node_modules
for node in "$runtimes"/node_modules/node*/bin/node; do
  [ "$("$node" -v)" = "$(node -v)" ] && continue
  echo "== $("$node" -v)"
  "$node" node_modules/ava/entrypoints/cli.mjs __test__/{runtimes,views,read-write,truncate,fault-reports}.spec.ts
done
