#!/usr/bin/env bash
# runtimes.sh: installs the runtimes that ../runtimes/package.json names, which are for other platforms than this one,
# and prints the folder they are in. Ends with 77 where they cannot be had.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"
cd "$(dirname "$0")/../runtimes"

if ! cmp --quiet package-lock.json node_modules/.installed; then
  # Without --force npm refuses what is not for this machine.
  npm ci --force --ignore-scripts --no-audit --no-fund >&2 || { echo 'not run: cannot install the runtimes' >&2; exit 77; }
  cp package-lock.json node_modules/.installed
fi
echo "$PWD/node_modules"
