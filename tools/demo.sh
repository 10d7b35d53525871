#!/usr/bin/env bash
# From an ensemble of simulations to a C program that asks its surrogate; run by `make demo`.
# DRR_DEMO_STEPS shortens or lengthens the training. Results are in demo/.
set -euo pipefail
cd "$(dirname "$0")/.."

steps=${DRR_DEMO_STEPS:-2000}
release=$(cd "${CARGO_TARGET_DIR:-target}/release" && pwd)
data=data/cloverleaf3d-32
model=demo/cloverleaf3d.drr.safetensors

announce() { printf '\n== %s\n' "$*"; }

announce "1/6 train a DRR-Net on 49 runs, $steps steps"
rm -rf demo/run
mkdir -p demo
"$release/drr-train" train --config examples/cloverleaf3d/model.yaml --data "$data" \
    --out demo/run --steps "$steps" --lr 1e-3 --batch-members 8 --batch-points 4096 --seed 1

announce "2/6 measure it on 12 runs that it has not seen"
"$release/drr-train" eval demo/run

announce "3/6 bake it into one small file"
"$release/drr-train" bake demo/run --grid f16 -o "$model"

announce "4/6 compile a C program that queries the file"
"${CC:-cc}" -std=c11 -O2 -Wall -Wextra -Iinclude examples/c/heldout.c examples/c/ensemble.c \
    -L"$release" -Wl,-rpath,"$release" -ldrr -lm -o demo/heldout

announce "5/6 predict the 12 unseen runs from C, beside predictions that need no training"
status=0
demo/heldout "$model" "$data" || status=$?

announce "6/6 the results"
printf 'baked model: %s\n' "$model"
find demo/run -name '*.png' | sort | sed 's/^/picture: /'
exit "$status"
