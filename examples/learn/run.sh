#!/usr/bin/env bash
# Simulates an explosion that is learned meanwhile, replays it, compares sizes.
#
#     examples/learn/run.sh [FOLDER [SECONDS [FRAMES [CELLS]]]]    # out/learn, 0.2, 73, 2
#
# Needs MPI's compiler for Fortran, and the two libraries (`cargo build --release --workspace`). Python
# with numpy (and zfpy) for the sizes.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-out/learn}
libraries=$(realpath "${CARGO_TARGET_DIR:-target}/release")
mkdir -p "$folder/modules"
compile=("${MPIFORT:-mpifort}" -std=f2008 -O3 -J "$folder/modules")
link=(-L "$libraries" "-Wl,-rpath,$libraries")
"${compile[@]}" -o "$folder/learn" bindings/fortran/drr_train.f90 \
    bindings/fortran/drr_train_mpi.f90 \
    examples/euler/{arguments,fluxes,block,euler,explosion}.f90 examples/learn/learn.f90 \
    "${link[@]}" -ldrr_train
"${compile[@]}" -o "$folder/replay" bindings/fortran/drr.f90 examples/learn/replay.f90 \
    "${link[@]}" -ldrr
output=$folder/explosion.drr.safetensors
"${MPIRUN:-mpirun}" -n "${RANKS:-2}" "$folder/learn" examples/learn/model.yaml "$output" \
    "${2:-0.2}" "${3:-73}" "${4:-2}"
"$folder/replay" "$output" >"$folder/front.txt"
"$folder/replay" "$output" "$output.times" "$output.raw" | tee "$folder/quality.txt"
rms=$(awk '$1 == "rms" {print $2}' "$folder/quality.txt")
if "${PYTHON:-python3}" -c 'import numpy' 2>/dev/null; then
    "${PYTHON:-python3}" examples/learn/compare.py "$output" "$rms"
else
    echo "skipped: sizes (${PYTHON:-python3} has no numpy)"
fi
