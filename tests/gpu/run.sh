#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: every kernel and form of query against the CPU, the same under
# compute-sanitizer, then the benchmarks of queries and of training beside PyTorch. What build.sh made
# has to be in target/gpu. Results go to OUT (default: target/gpu/out).
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${OUT:-target/gpu/out}
mkdir -p "$out"
export DRR_TEST_DEVICE=${DRR_TEST_DEVICE:-0}

for program in cuda_host gpu_query; do
    if [ ! -x "target/gpu/$program" ]; then
        echo "run.sh: there is no target/gpu/$program: run tests/gpu/build.sh first" >&2
        exit 1
    fi
done
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | tee "$out/gpu.txt"

echo "correctness"
target/gpu/cuda_host --test-threads=1 2>&1 | tee "$out/correctness.txt"

if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
        echo "compute-sanitizer $tool"
        compute-sanitizer --tool "$tool" --error-exitcode 9 --launch-timeout 60 \
            target/gpu/cuda_host --test-threads=1 layout lattices parameters tensor_cores_give 2>&1 |
            tee "$out/$tool.txt" | tail -n 3
    done
else
    echo "skipped: compute-sanitizer is not installed"
fi

echo "benchmark"
target/gpu/gpu_query --device "$DRR_TEST_DEVICE" --json "$out/drr.json" | tee "$out/drr.txt"
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    python3 tests/gpu/peers.py "$out/drr.json" "$out/gpu_query.json" | tee "$out/gpu_query.txt"
else
    echo "skipped: PyTorch (not installed, or without CUDA)"
fi

# The program was linked with a libtorch that is not here: that of PyTorch takes its place.
echo "training"
torch=$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])' \
    2>/dev/null) || torch=
if [ -n "$torch" ] && [ -x target/gpu/train_step ]; then
    LD_LIBRARY_PATH="$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" target/gpu/train_step \
        --device "cuda:$DRR_TEST_DEVICE" --torch "$torch" --rounds 3 --seconds 5 --threads 8 |
        tee "$out/train_step.txt"
else
    echo "skipped: training (no PyTorch, or no target/gpu/train_step)"
fi
