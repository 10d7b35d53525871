#!/usr/bin/env bash
# Runs the fuzz targets (docs/testing.md): `smoke` all seeds and some new inputs, `long` FUZZ_SECONDS
# for each target. FUZZ_TARGETS names some of them. Run by `make fuzz` and `make fuzz-smoke`.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! ${CARGO:-cargo} fuzz --version >/dev/null 2>&1; then
    echo "skipped: fuzzing (cargo install --locked cargo-fuzz)"
    exit 0
fi

# The stable compiler has the sanitizer built in, but calls it unfinished.
export RUSTC_BOOTSTRAP=1
# Tables of program counters take LLVM minutes where functions are as long as the kernels (each
# change of one goes through the whole table); without, libFuzzer counts features and no edges.
# Several code units, since one (cargo-fuzz's choice) keeps all cores but one idle.
flags="-Cllvm-args=-sanitizer-coverage-pc-table=0 -Ccodegen-units=16"
# Checks by calls are compiled sooner and run at half the speed: right for a short run.
if [ "$1" = smoke ]; then flags+=" -Cllvm-args=-asan-instrumentation-with-call-threshold=0"; fi
export RUSTFLAGS="$flags ${RUSTFLAGS:-}"
# `-O` leaves assertions to fuzz/Cargo.toml. Comparisons need not be traced: there are a mutator and
# dictionaries.
build=(-O --no-trace-compares)
# Errors with a backtrace each would be most of what is measured.
export RUST_BACKTRACE=0
# Leaks are looked for by valgrind and by capi_often.c: here it takes running every input twice, and
# a right that containers do not give.
export ASAN_OPTIONS="detect_leaks=0:quarantine_size_mb=64:${ASAN_OPTIONS:-}"
${CARGO:-cargo} fuzz build "${build[@]}"

log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
for target in ${FUZZ_TARGETS:-capi config data model}; do
    # Small inputs may claim any size. What takes long is tried less often.
    options=(-timeout=60 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=16384 -detect_leaks=0
        -entropic_scale_per_exec_time=1 -print_final_stats=1)
    if [ -e "fuzz/dictionaries/$target" ]; then options+=(-dict="fuzz/dictionaries/$target"); fi
    # New inputs go into the first folder.
    run=(${CARGO:-cargo} fuzz run "${build[@]}" "$target")
    if [ "$1" = smoke ]; then
        mkdir "$log/$target"
        run+=("$log/$target" "fuzz/seeds/$target" --
            "${options[@]}" -max_total_time="${FUZZ_SECONDS:-20}" -seed=1)
        "${run[@]}" >"$log/text" 2>&1 || { tail -n 200 "$log/text" && exit 1; }
        awk -v target="$target" '/number_of_executed/ { n = $2 } /average_exec/ { rate = $2 }
            END { printf "fuzz: %-8s%8d inputs, %d a second\n", target, n, rate }' "$log/text"
    else
        mkdir -p "fuzz/corpus/$target"
        "${run[@]}" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
            "${options[@]}" -max_total_time="${FUZZ_SECONDS:-900}"
    fi
done
