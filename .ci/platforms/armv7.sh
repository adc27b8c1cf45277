#!/usr/bin/env bash
# Linux on 32-bit Arm. The searches are left to i686.sh: they make no calls of the system, and take an hour here.
exec "$(dirname "$0")/tools/on-qemu.sh" armv7-unknown-linux-gnueabihf linux-arm-gnueabihf armhf linux-image-armmp-lpae \
  __test__/{addresses,runtimes,views,read-write,truncate}
