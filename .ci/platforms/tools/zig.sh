#!/usr/bin/env bash
# zig.sh: prints a folder with zig and cargo-zigbuild, to be put on the PATH. Ends with 77 where they cannot be had.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"
packages=(ziglang==0.17.0 cargo-zigbuild==0.24.0)
folder=$cache/${packages[0]/==/-}
if [ -d "$folder" ]; then
  echo "$folder/bin"
  exit
fi

"$(dirname "$0")/packages.sh" python3-pip python3-venv >&2
rm -rf "$folder.part"
mkdir -p "$folder.part/bin"
{
  python3 -m venv "$folder.part/python" &&
    "$folder.part/python/bin/python" -m pip install --quiet --only-binary=:all: "${packages[@]}"
} >&2 || {
  echo 'not run: zig cannot be had' >&2
  exit 77
}
mv "$folder.part" "$folder"
# Both are programs that stand alone: Python has only brought them.
ln -s "$(cd "$folder/bin" && echo ../python/lib/python3*/site-packages/ziglang/zig)" "$folder/bin/zig"
ln -s ../python/bin/cargo-zigbuild "$folder/bin/cargo-zigbuild"
echo "$folder/bin"
