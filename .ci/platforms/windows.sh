#!/usr/bin/env bash
# Builds for Windows (x86_64-pc-windows-gnu) and runs the tests of the core and the specs in Wine.
# Ends with "N passed, N failed, N skipped"; exits non-zero if anything failed.
#
#   NODE_EXE=path/to/node.exe [WINE_ROOT=path/to/chroot] .ci/platforms/windows.sh [SPEC...]
#
# Needs a Rust with the target's standard library (CARGO, RUSTC), x86_64-w64-mingw32-gcc, Wine 10 (8 has no placeholders
# and cannot run Node 24), the package's own dependencies, and those of `npm ci` that are for Windows.
# WINE_ROOT is a root file system that has Wine, with this folder and that of NODE_EXE mounted at their usual paths;
# without it `wine` is run where it is.
set -uo pipefail
cd "$(dirname "$0")/../.."
: "${NODE_EXE:?the node.exe to run the specs with}"
: "${CARGO:=cargo}"
: "${WINE_ROOT:=}"
target=x86_64-pc-windows-gnu
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/windows}
# A standard library that was built for this target alone may lack what link-time optimisation needs.
export CARGO_PROFILE_RELEASE_LTO=${CARGO_PROFILE_RELEASE_LTO:-off}
# The tests of the core that search much take minutes without optimisation.
export CARGO_PROFILE_DEV_OPT_LEVEL=${CARGO_PROFILE_DEV_OPT_LEVEL:-1}
work=$CARGO_TARGET_DIR/wine
mkdir -p "$work"
export WINEPREFIX=${WINEPREFIX:-$work/prefix}

# One spec after another: what a spec waits for may take longer in Wine than here.
: "${SPEC_TIMEOUT:=300}"

passed=0 failed=0 skipped=0
broken=()
note() { # what, passed, failed, skipped
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
  [ "$3" = 0 ] || broken+=("$1")
  echo "-- $1: $2 passed, $3 failed, $4 skipped"
}

# Wine's programs cannot print to a pipe: their output goes to files, and from there to ours.
cat >"$work/run" <<'RUN'
#!/usr/bin/env bash
out=$(mktemp "${TMPDIR:-/tmp}/wine-XXXXXX")
trap 'rm -f "$out" "$out.err"' EXIT
enter=()
[ -z "${WINE_ROOT:-}" ] || enter=(chroot "$WINE_ROOT")
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME="${HOME:-/root}" TERM=dumb LC_ALL=C.UTF-8 \
  WINEDEBUG=-all WINEPREFIX="$WINEPREFIX" XDG_RUNTIME_DIR=/tmp CARGO_TARGET_TMPDIR="${CARGO_TARGET_TMPDIR:-}" \
  "${enter[@]}" sh -c 'cd "$1" && shift && exec wine "$@"' sh "$PWD" "$@" >"$out" 2>"$out.err" </dev/null
status=$?
cat "$out"
cat "$out.err" >&2
exit "$status"
RUN
chmod +x "$work/run"
export WINE_ROOT

# napi-build wants a libnode.dll to link with on this target; what the addon needs it looks up in the program that loads
# it, so an empty one serves.
if [ -z "${LIBNODE_PATH:-}" ]; then
  export LIBNODE_PATH=$work/libnode
  mkdir -p "$LIBNODE_PATH"
  : >"$work/empty.c"
  x86_64-w64-mingw32-gcc -shared -o "$LIBNODE_PATH/libnode.dll" "$work/empty.c" || exit 1
fi

echo "== cargo test --target $target"
log=$work/cargo-test.log
CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=$work/run \
  "$CARGO" test --locked --target "$target" -p memory-map --lib --tests --no-fail-fast >"$log" 2>&1
status=$?
read -r ok bad ignored < <(awk '/^test result:/ { p += $4; f += $6; i += $8 } END { print p + 0, f + 0, i + 0 }' "$log")
[ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1
[ "$bad" = 0 ] || grep -aE -A 12 '^test .* FAILED|panicked at|^error' "$log" | tail -n 120
note 'cargo test' "$ok" "$bad" "$ignored"

echo "== addon and specs"
"$CARGO" build --locked --quiet --release --target "$target" -p memory-map-node || exit 1
cp "$CARGO_TARGET_DIR/$target/release/memory_map_node.dll" memory-map.win32-x64-gnu.node
npm run --silent build:ts || exit 1

# The loader of the specs has a native part of its own, of which `npm ci` installs only this system's.
loader=@oxc-node/core-win32-x64-msvc
if [ ! -d "node_modules/$loader" ]; then
  version=$(node -p "require('@oxc-node/core/package.json').version")
  packed=$(cd "$work" && npm pack --silent "$loader@$version") || exit 1
  mkdir -p "node_modules/$loader"
  tar xzf "$work/$packed" -C "node_modules/$loader" --strip-components=1
fi

specs=("$@")
[ "${#specs[@]}" != 0 ] || specs=(__test__/*.spec.ts)
for spec in "${specs[@]}"; do
  name=$(basename "$spec" .spec.ts)
  log=$work/$name.tap
  timeout -k 10 "$SPEC_TIMEOUT" "$work/run" "$NODE_EXE" node_modules/ava/entrypoints/cli.mjs --tap "$spec" >"$log" 2>&1
  status=$?
  read -r ok bad skip < <(awk '
    /^ok .* # SKIP/ { s++; next } /^ok / { p++ } /^not ok / { f++ } END { print p + 0, f + 0, s + 0 }' "$log")
  [ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1
  [ "$bad" = 0 ] || awk '/^not ok/ { on = 1 } on; /^  \.\.\.$/ { on = 0 }' "$log" | head -n 120
  note "$name" "$ok" "$bad" "$skip"
done

[ "$failed" = 0 ] || printf -- '-- FAILED: %s\n' "${broken[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
