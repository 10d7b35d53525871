#!/usr/bin/env bash
# Runs the fuzz targets (docs/testing.md): `smoke` all seeds and some new inputs, `long` FUZZ_SECONDS
# for each target. FUZZ_TARGETS names some of them. Run by `make fuzz` and `make fuzz-smoke`.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo-fuzz >/dev/null; then
    echo "skipped: fuzzing (cargo install --locked cargo-fuzz)"
    exit 0
fi

# The stable compiler has the sanitizer built in, but calls it unfinished.
export RUSTC_BOOTSTRAP=1
# Tables of program counters take LLVM minutes where functions are as long as the kernels (each
# change of one goes through the whole table); without, libFuzzer counts features and no edges.
export RUSTFLAGS="-Cllvm-args=-sanitizer-coverage-pc-table=0 ${RUSTFLAGS:-}"
# `-O` leaves assertions to fuzz/Cargo.toml. Comparisons need not be traced: there are a mutator and
# dictionaries.
build=(-O --no-trace-compares)
# Errors with a backtrace each would be most of what is measured.
export RUST_BACKTRACE=0
${CARGO:-cargo} fuzz build "${build[@]}"

for target in ${FUZZ_TARGETS:-capi config data model}; do
    # Small inputs may claim any size.
    options=(-timeout=60 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=16384)
    if [ -e "fuzz/dictionaries/$target" ]; then options+=(-dict="fuzz/dictionaries/$target"); fi
    # New inputs go into the first folder.
    corpus=fuzz/corpus/$target
    case $1 in
        smoke)
            corpus=$(mktemp -d)
            trap 'rm -rf "$corpus"' EXIT
            options+=(-max_total_time="${FUZZ_SECONDS:-20}" -seed=1 -verbosity=0)
            ;;
        long) options+=(-max_total_time="${FUZZ_SECONDS:-900}" -print_final_stats=1) ;;
        *) echo "fuzz.sh: given $1, expected smoke or long" >&2 && exit 1 ;;
    esac
    mkdir -p "$corpus"
    echo "fuzz: $target"
    ${CARGO:-cargo} fuzz run "${build[@]}" "$target" "$corpus" "fuzz/seeds/$target" -- "${options[@]}"
    if [ "$1" = smoke ]; then rm -rf "$corpus"; fi
done
