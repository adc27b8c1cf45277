#!/usr/bin/env bash
# Linux on x64 with musl: the addon as it is published, and the core of the specs on Node.
exec "$(dirname "$0")/tools/specs-with-musl.sh" x86_64 linux-x64-musl \
  __test__/{runtimes,views,read-write,truncate,fault-reports}
