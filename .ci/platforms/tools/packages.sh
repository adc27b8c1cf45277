#!/usr/bin/env bash
# packages.sh PACKAGE...: sees to it that these Debian packages are installed. Ends with 77 where that cannot be.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"

missing=()
for package; do
  status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" = 0 ] && exit

not_run() {
  echo "not run: $1" >&2
  exit 77
}
[ "$(id --user)" = 0 ] || not_run "root is needed to install ${missing[*]}"
command -v apt-get >/dev/null || not_run "without apt-get there is no ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet >&2 || not_run 'the lists of Debian packages cannot be had'
apt-get install --quiet --yes --no-install-recommends "${missing[@]}" >&2 || not_run "cannot install ${missing[*]}"
