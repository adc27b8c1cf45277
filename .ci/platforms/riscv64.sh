#!/usr/bin/env bash
# Linux on 64-bit RISC-V. Without the specs of truncation: QEMU 10 ends by a SIGBUS of its own ("QEMU internal SIGBUS") in
# some of them. In the machine the same faults are contained.
exec "$(dirname "$0")/tools/on-qemu.sh" riscv64gc-unknown-linux-gnu linux-riscv64-gnu riscv64 linux-image-riscv64 \
  __test__/{addresses,runtimes,views,read-write}
