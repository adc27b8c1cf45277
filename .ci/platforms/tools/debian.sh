#!/usr/bin/env bash
# debian.sh ARCHITECTURE PACKAGE...: unpacks these packages of Debian 13 for the architecture, named as Debian names it,
# with all that they need, and prints the folder. Nothing of it is set up. Ends with 77 where that cannot be had.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"
architecture=$1
shift
root=$cache/debian-13-$architecture-$1

if [ ! -d "$root" ]; then
  not_run() {
    echo "not run: $1" >&2
    exit 77
  }
  [ "$(id --user)" = 0 ] || not_run 'only root can make a Debian'
  "$(dirname "$0")/packages.sh" debootstrap >&2
  rm -rf "$root.part" "$root.packages"
  mkdir -p "$root.part"
  # The first stage downloads what the packages need, besides much else.
  debootstrap --foreign --variant=minbase --arch="$architecture" --include="$(IFS=, && echo "$*")" \
    trixie "$root.packages" >&2 || not_run "Debian's $* for $architecture cannot be had"
  for package in "$root.packages"/var/cache/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$root.part"
  done
  rm -rf "$root.packages"
  mv "$root.part" "$root"
fi
echo "$root"
