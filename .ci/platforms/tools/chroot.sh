#!/usr/bin/env bash
# chroot.sh FOLDER ARCHITECTURE: writes FOLDER/run, which runs a program in a Debian 13 for an architecture that this
# processor has, too. Of the machine the program sees this repository, the processes that it starts, /dev and /sys.
# FOLDER/node runs Debian's Node there. Ends with 77 where that cannot be.
set -euo pipefail
tools=$(dirname "$0")
folder=$(realpath "$1") architecture=$2 repository=$(realpath "$tools/../../..")
unshare --mount --pid --fork true || { echo 'not run: this machine makes no namespaces' >&2; exit 77; }
root=$("$tools/debian.sh" "$architecture" nodejs procps)

mkdir -p "$folder" "$root$repository"
cat >"$folder/run" <<SCRIPT
#!/bin/sh
exec unshare --mount --pid --fork --kill-child --mount-proc sh -ec '
  mount --bind "$repository" "$root$repository"
  mount --bind /proc "$root/proc"
  mount --bind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  exec chroot "$root" /usr/bin/env --unset=NODE_EXTRA_CA_CERTS -C "\$PWD" "\$@"' sh "\$@"
SCRIPT
printf '#!/bin/sh\nexec %s /usr/bin/node "$@"\n' "'$folder/run'" >"$folder/node"
chmod +x "$folder/run" "$folder/node"
