#!/usr/bin/env bash
# machine.sh FOLDER ARCHITECTURE KERNEL: runs the programs that FOLDER/programs lists in a machine of
# QEMU's, in a Debian 13 for the architecture, named as Debian names it, on a kernel of its own, named as its package is.
# Fails where one of them does, and ends with 77 where there can be no such machine.
set -euo pipefail
tools=$(realpath "$(dirname "$0")")
folder=$(realpath "$1") architecture=$2 kernel=$3
case $architecture in
  armhf) machine=(qemu-system-arm -cpu cortex-a15 -m 2G) console=ttyAMA0 ;;
  arm64) machine=(qemu-system-aarch64 -cpu neoverse-n1 -m 4G) console=ttyAMA0 ;;
  riscv64) machine=(qemu-system-riscv64 -m 4G) console=ttyS0 ;;
esac
"$tools/packages.sh" qemu-system-arm qemu-system-misc opensbi cpio kmod xz-utils e2fsprogs
root=$("$tools/debian.sh" "$architecture" nodejs procps)
linux=$("$tools/debian.sh" "$architecture" "$kernel" busybox-static)

scratch=$folder/machine
rm -rf "$scratch"
mkdir -p "$scratch"/{initrd/{dev,root},disk}

# What the kernel starts from: the modules for the disk, and a script that goes on there.
version=$(basename "$linux"/usr/lib/modules/*)
depmod --basedir "$linux/usr" "$version"
modprobe --dirname "$linux/usr" --set-version "$version" --show-depends --all virtio_blk ext4 |
  sed -n 's/^insmod //p' | while read -r module; do
  xz --decompress --stdout $module >"$scratch/initrd/$(basename $module .xz)"
  basename $module .xz >>"$scratch/initrd/modules"
done
cp "$linux/usr/bin/busybox" "$scratch/initrd"
cat >"$scratch/initrd/init" <<'INIT'
#!/busybox sh
while read -r module; do /busybox insmod "/$module"; done </modules 2>/dev/null
/busybox mount -t devtmpfs none /dev
/busybox mount -t ext4 /dev/vda /root
/busybox mount -t devtmpfs none /root/dev
/busybox mount -t proc none /root/proc
/busybox mkdir /root/dev/shm
/busybox mount -t tmpfs none /root/dev/shm
/busybox ip link set lo up
/busybox chroot /root /usr/bin/env PATH=/usr/bin HOME=/root /programs
echo "exit code $?"
/busybox poweroff -f
INIT
chmod +x "$scratch/initrd/init"
(cd "$scratch/initrd" && find . | cpio --quiet --create --format newc) >"$scratch/initrd.cpio"

# The disk: that Debian, with the programs at their paths and the folder beside them that Cargo gives to tests.
cp --archive --link "$root/." "$scratch/disk"
{
  printf '#!/bin/bash\nulimit -n 4096\ncode=0\n'
  while read -r program; do
    mkdir -p "$scratch/disk${program%/*}" "$scratch/disk${program%/*/*/*}/tmp"
    cp "$program" "$scratch/disk$program"
    printf 'echo "     Running %s"\n%s || code=1\n' "$program" "$program"
  done <"$folder/programs"
  # shellcheck disable=SC2016
  echo 'exit $code'
} >"$scratch/disk/programs"
chmod +x "$scratch/disk/programs"
mke2fs -q -t ext4 -d "$scratch/disk" "$scratch/disk.ext4" 4G
rm -rf "$scratch/disk"

"${machine[@]}" -machine virt -smp 2 -nodefaults -nographic -serial stdio -no-reboot \
  -kernel "$linux"/boot/vmlinu*"$version" -initrd "$scratch/initrd.cpio" -append "console=$console quiet panic=-1" \
  -drive "file=$scratch/disk.ext4,format=raw,if=none,id=disk,cache=unsafe" -device virtio-blk-pci,drive=disk \
  </dev/null | sed --unbuffered 's|\r||g' | tee "$scratch/console"
code=$(sed -n 's/^exit code //p' "$scratch/console")
rm "$scratch/disk.ext4"
exit "${code:-1}"
