#!/usr/bin/env bash
# stage.sh FOLDER [LIBRARY]: a copy of this package and its tests in which LIBRARY is the only native library, so that a
# platform runs what its users would.
set -euo pipefail
folder=$1 library=${2:-}
cd "$(dirname "$0")/../../.."

rm -rf "$folder"
mkdir -p "$folder"
{
  git ls-files -z --cached --others --exclude-standard
  git ls-files -z --others --ignored --exclude-standard -- index.js sync.js lib
} | tar --create --null --files-from - | tar --extract --directory "$folder"
ln -s "$PWD/node_modules" "$folder/node_modules"
[ -z "$library" ] || cp "$library" "$folder/"
