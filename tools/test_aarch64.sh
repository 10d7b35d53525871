#!/usr/bin/env bash
# Compiles the library and its tests for 64-bit ARM and runs them in an emulator, for changes of the
# NEON kernel on another machine; on an ARM machine, `make unit` does it. Installs nothing: says
# what is missing. Tests that start processes of their own for that machine are left out.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
compiler=aarch64-linux-gnu-gcc
libraries=/usr/aarch64-linux-gnu
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)

missing() {
    echo "test-aarch64: there is no $1 ($2)" >&2
    exit 1
}
command -v $compiler >/dev/null || missing "$compiler" "Debian: apt-get install gcc-aarch64-linux-gnu"
[ -e $libraries/lib/libc.so.6 ] || missing "C library in $libraries" "Debian: apt-get install libc6-dev-arm64-cross"
[ -n "$emulator" ] || missing qemu-aarch64 "Debian: apt-get install qemu-user-static"
[ -d "$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/$target" ] ||
    missing "standard library for $target" "rustup target add $target"

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$compiler
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$emulator -L $libraries"
tests=()
for test in tests/*.rs; do
    name=$(basename "$test" .rs)
    case $name in
        capi | limits | layout | install | tutorial | bindings_*) ;;
        *) tests+=(--test "$name") ;;
    esac
done
"${CARGO:-cargo}" test -p drr --target $target --lib "${tests[@]}" "$@"
