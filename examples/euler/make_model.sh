#!/usr/bin/env bash
# Makes data/euler/explosion.drr.safetensors, which examples/tutorial/8_euler.f90 asks: simulates
# explosions, trains on them, measures the result on one that was kept back, bakes it.
#
#     examples/euler/make_model.sh [FOLDER [STEPS]]     # default: out/euler, 3000
#
# Needs an MPI compiler for Fortran and target/release/drr-train.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=${1:-out/euler}
steps=${2:-3000}
train=${CARGO_TARGET_DIR:-target}/release/drr-train

rm -rf "$folder"
mkdir -p "$folder/ensemble" "$folder/modules"
"${MPIFORT:-mpifort}" -std=f2008 -O3 -J "$folder/modules" -o "$folder/simulate" \
    examples/euler/{fluxes,block,euler,explosion,ensemble}.f90
"${MPIRUN:-mpirun}" -n "${RANKS:-1}" "$folder/simulate" "$folder/ensemble"
"$train" train --config examples/euler/model.yaml --data "$folder/ensemble" --out "$folder/run" \
    --steps "$steps" --lr 2e-3 --batch-members 16 --batch-points 1024 --seed 1
"$train" eval "$folder/run"
mkdir -p data/euler
"$train" bake "$folder/run" --rank 16 --grid i8 --decoder bf16 -o data/euler/explosion.drr.safetensors
