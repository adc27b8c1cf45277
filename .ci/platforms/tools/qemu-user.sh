#!/usr/bin/env bash
# qemu-user.sh: prints the folder with Debian 13's emulators of processors. Debian 12's tells a program for 32-bit Arm of
# a SIGBUS one page behind where it was. Ends with 77 where they cannot be had.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"
folder=$cache/qemu-user-13
if [ ! -d "$folder" ]; then
  debian=$("$(dirname "$0")/wine.sh")
  rm -rf "$folder.part" "$debian"/var/tmp/qemu-user_*.deb
  chroot "$debian" sh -c 'cd /var/tmp && apt-get --quiet download qemu-user' >&2 || {
    echo 'not run: QEMU cannot be had' >&2
    exit 77
  }
  dpkg-deb --extract "$debian"/var/tmp/qemu-user_*.deb "$folder.part"
  rm "$debian"/var/tmp/qemu-user_*.deb
  mv "$folder.part" "$folder"
fi
echo "$folder/usr/bin"
