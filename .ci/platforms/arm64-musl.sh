#!/usr/bin/env bash
# Linux on arm64 with musl, under QEMU: the addon as it is published, and the core of the specs on Node.
exec "$(dirname "$0")/tools/specs-with-musl.sh" aarch64 linux-arm64-musl \
  __test__/{runtimes,addresses,views,read-write,truncate}
