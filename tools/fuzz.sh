#!/usr/bin/env bash
# Runs the fuzz targets (docs/testing.md): `smoke` all seeds and some new inputs, `long` FUZZ_SECONDS
# for each target. FUZZ_TARGETS names some of them. Run by `make fuzz` and `make fuzz-smoke`.
set -euo pipefail
cd "$(dirname "$0")/.."

# Where tools/packages.py installs.
export PATH=${DRR_CACHE:-$HOME/.cache/drr}/tools/bin:$PATH
if ! command -v cargo-fuzz >/dev/null; then
    echo "skipped: fuzzing (cargo install --locked cargo-fuzz)"
    exit 0
fi

targets=${FUZZ_TARGETS:-capi config data model}
case $1 in
    smoke) seconds=${FUZZ_SECONDS:-20} ;;
    long) seconds=${FUZZ_SECONDS:-900} ;;
    *) echo "fuzz.sh: given $1, expected smoke or long" >&2 && exit 1 ;;
esac

# The stable compiler has the sanitizer built in, but calls it unfinished.
export RUSTC_BOOTSTRAP=1
${CARGO:-cargo} fuzz build

# Inputs of `data` are small, but may claim any size; those of `model` are whole files.
limits=(-timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=16384)
for target in $targets; do
    seeds=fuzz/seeds/$target
    dictionary=()
    if [ -e "fuzz/dictionaries/$target" ]; then dictionary=(-dict="fuzz/dictionaries/$target"); fi
    echo "fuzz: $target, every seed, then $seconds seconds"
    if [ "$1" = smoke ]; then
        # New inputs go nowhere, the random ones are the same each time.
        ${CARGO:-cargo} fuzz run "$target" "$seeds" -- "${limits[@]}" -runs=0 -verbosity=0
        new=$(mktemp -d)
        trap 'rm -rf "$new"' EXIT
        ${CARGO:-cargo} fuzz run "$target" "$new" "$seeds" -- "${limits[@]}" "${dictionary[@]}" \
            -max_total_time="$seconds" -seed=1 -verbosity=0
    else
        mkdir -p "fuzz/corpus/$target"
        ${CARGO:-cargo} fuzz run "$target" "fuzz/corpus/$target" "$seeds" -- "${limits[@]}" \
            "${dictionary[@]}" -max_total_time="$seconds" -print_final_stats=1
    fi
done
