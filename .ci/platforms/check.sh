#!/usr/bin/env bash
# macOS on arm64, Windows with Microsoft's linker on x64 and arm64, and FreeBSD: every line of Rust that is for them
# compiles. Nothing is linked or run.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."

"$platforms/tools/packages.sh" rustc-web cargo-web rust-web-src
export RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$PWD/target/platforms
for target in aarch64-apple-darwin x86_64-pc-windows-msvc aarch64-pc-windows-msvc x86_64-unknown-freebsd; do
  sysroot=$("$platforms/tools/std.sh" $target check)
  RUSTFLAGS="--sysroot=$sysroot -D warnings" /usr/bin/cargo check --workspace --locked --target $target
done
