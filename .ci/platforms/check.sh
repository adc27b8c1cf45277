#!/usr/bin/env bash
# macOS, FreeBSD, and Windows with Microsoft's linker: every line of Rust that is for them compiles and passes Clippy.
# Libraries for macOS and FreeBSD are linked as for a release, and looked at (scripts/binaries.mjs): those for Windows
# would need Microsoft's C runtime. Nothing is run.
set -euo pipefail
platforms=$(realpath "$(dirname "$0")")
cd "$platforms/../.."

"$platforms/tools/packages.sh" rustc-web cargo-web rust-web-src rust-web-clippy
zig=$("$platforms/tools/zig.sh")
export CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$PWD/target/platforms

clippy() { # target, sysroot
  # The first cargo-clippy on the PATH must be the one of the compiler.
  local lint=(env RUSTFLAGS="--sysroot=$2" PATH="/usr/bin:$PATH" cargo clippy --locked --target "$1")
  "${lint[@]}" --workspace -- -D warnings
  "${lint[@]}" --package memory-map --all-targets -- -D warnings
}

for target in x86_64-apple-darwin aarch64-apple-darwin x86_64-unknown-freebsd; do
  sysroot=$("$platforms/tools/std.sh" $target)
  clippy $target "$sysroot"
  RUSTFLAGS=--sysroot=$sysroot PATH=$zig:$PATH node scripts/build-release.mjs --target $target
done
for target in x86_64-pc-windows-msvc aarch64-pc-windows-msvc; do
  clippy $target "$("$platforms/tools/std.sh" $target check)"
done
