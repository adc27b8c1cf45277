#!/usr/bin/env bash
# wine.sh: installs Wine 10 in a Debian 13 of its own and prints the folder that has it: with the Wine of Debian 12,
# Node 24 does not start. Ends with 77 where that cannot be.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"
root=$cache/debian-13-wine
if [ -d "$root" ]; then
  echo "$root"
  exit
fi

not_run() {
  echo "not run: $1" >&2
  exit 77
}
[ "$(id --user)" = 0 ] || not_run 'only root can make a Debian for Wine'
unshare --mount --pid --fork true || not_run 'this machine makes no namespaces'
"$(dirname "$0")/packages.sh" debootstrap >&2

rm -rf "$root.part"
mkdir -p "$root.part"
{
  debootstrap --variant=minbase --include=ca-certificates trixie "$root.part" &&
    unshare --mount sh -ec '
      mount -t proc proc "$1/proc"
      chroot "$1" apt-get update
      DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get install --yes --no-install-recommends wine wine64
      chroot "$1" apt-get clean' sh "$root.part"
} >&2 || not_run 'Wine cannot be installed'
mv "$root.part" "$root"
echo "$root"
