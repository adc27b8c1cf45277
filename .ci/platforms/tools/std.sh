#!/usr/bin/env bash
# std.sh TARGET [check | thread]: makes Rust's standard library for a target that Debian's compiler has none for, from the
# sources that Debian packages, and prints the folder to give to rustc as --sysroot. With `check` it is only good for
# `cargo check`, and made in half the time; with `thread` ThreadSanitizer sees what it does. Nothing is made twice for the
# same compiler.
set -euo pipefail
source "$(dirname "$0")/one-at-a-time.sh"
target=$1
mode=${2:-build}
flags='-C embed-bitcode=yes'
[ "$mode" = thread ] && flags='-Zsanitizer=thread'

version=$(/usr/bin/rustc -V | cut -d ' ' -f 2)
sysroot=$cache/std-$version-$mode
libraries=$sysroot/lib/rustlib/$target/lib
if [ -d "$libraries" ]; then
  echo "$sysroot"
  exit
fi

# An empty library, for which Cargo builds a standard library of its own. What that depends on lies beside its source.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/src" "$scratch/.cargo"
touch "$scratch/src/lib.rs"
cat >"$scratch/Cargo.toml" <<TOML
[package]
name = "nothing"
edition = "2021"
[profile.release]
opt-level = 1
TOML
cat >"$scratch/.cargo/config.toml" <<TOML
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/usr/src/rustc-$version/library/vendor"
TOML
(
  cd "$scratch"
  # Cargo takes -Z with this variable, otherwise only where it is a nightly build. Bitcode is for link-time optimisation.
  export RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS=$flags CARGO_TARGET_DIR=$scratch/target
  /usr/bin/cargo "${mode/thread/build}" --offline --quiet --release --target "$target" -Z build-std=std,panic_unwind,test
) >&2

suffix=rlib
[ "$mode" = check ] && suffix=rmeta
mkdir -p "$libraries.part"
cp "$scratch/target/$target"/release/deps/lib*."$suffix" "$libraries.part"
rm -f "$libraries.part"/libnothing-*
mv "$libraries.part" "$libraries"
echo "$sysroot"
