#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: every kernel and form of query against the CPU, the same under
# compute-sanitizer, an example, then the benchmarks of queries and of training beside PyTorch.
#
#     tests/gpu/run.sh [correctness|sanitizer|examples|benchmark|training ...]     # all by default
#
# What build.sh made has to be in target/gpu. Results go to OUT (default: target/gpu/out): log.txt and
# the figures as JSON. A step that fails does not stop the others; it makes the exit status 1.
set -euo pipefail
out=$(realpath -m "${OUT:-$(dirname "$0")/../../target/gpu/out}")
cd "$(dirname "$0")/../.."
mkdir -p "$out"
export DRR_TEST_DEVICE=${DRR_TEST_DEVICE:-0}
python=${PYTHON:-python3}

# Fails with what is missing.
needs() {
    local path
    for path in "$@"; do
        if [ ! -e "$path" ]; then
            echo "run.sh: there is no $path: run tests/gpu/build.sh first"
            return 1
        fi
    done
}

correctness() {
    needs target/gpu/cuda_host
    timeout 120 target/gpu/cuda_host --test-threads=1
}

sanitizer() {
    local tool status failed=0
    needs target/gpu/cuda_host
    if ! command -v compute-sanitizer >/dev/null; then
        echo "skipped: compute-sanitizer is not installed"
        return
    fi
    for tool in memcheck racecheck; do
        status=0
        timeout 60 compute-sanitizer --tool "$tool" --error-exitcode 9 --launch-timeout 60 \
            target/gpu/cuda_host --test-threads=1 \
            layout lattices parameters tensor_cores_give forms_of_a_query cameras_see \
            >"$out/$tool.txt" 2>&1 || status=$?
        echo "$tool: exit status $status"
        tail -n 3 "$out/$tool.txt"
        if grep -qi "device not supported" "$out/$tool.txt"; then
            echo "skipped: $tool (this machine does not let it at the GPU)"
        elif [ "$status" = 124 ]; then
            echo "unfinished: $tool was stopped after 60 seconds"
        elif [ "$status" != 0 ]; then
            failed=1
        fi
    done
    return "$failed"
}

# The folder of a CUDA toolkit, or nothing.
toolkit() {
    local folder nvcc
    nvcc=$(command -v nvcc || true)
    for folder in "${CUDA_HOME:-}" ${nvcc:+"$(dirname "$(dirname "$(readlink -f "$nvcc")")")"} \
        /usr/local/cuda; do
        # Some packages have the header without those that it includes.
        if [ -n "$folder" ] && [ -f "$folder/include/cuda_runtime_api.h" ] &&
            [ -f "$folder/include/crt/host_defines.h" ]; then
            echo "$folder"
            return
        fi
    done
}

examples() {
    local cc=${CC:-cc} cuda runtime
    cuda=$(toolkit)
    if [ -z "$cuda" ] || ! command -v "$cc" >/dev/null; then
        echo "skipped: examples (no C compiler, or no CUDA toolkit in CUDA_HOME or /usr/local/cuda)"
        return
    fi
    # Packages have it as libcudart.so or by its version alone, in folders of several names.
    runtime=$(find -L "$cuda/lib64" "$cuda/lib" "$cuda"/targets/*/lib -maxdepth 1 \
        -name 'libcudart.so*' 2>/dev/null | sort | head -n 1 || true)
    if [ -z "$runtime" ]; then
        echo "skipped: examples (no libcudart.so in $cuda)"
        return
    fi
    needs target/gpu/libdrr.so
    "$cc" -std=c11 -O2 -Iinclude -I"$cuda/include" examples/cuda/sweep.c -o target/gpu/sweep \
        -Ltarget/gpu -ldrr "$runtime" -lm -Wl,-rpath,"$PWD/target/gpu:$(dirname "$runtime")"
    timeout 60 target/gpu/sweep data/euler/explosion.drr.safetensors
}

benchmark() {
    needs target/gpu/gpu_query target/gpu/render
    timeout 60 target/gpu/render 800 8
    rm -f "$out/drr.json" "$out/gpu_query.json"
    timeout 120 target/gpu/gpu_query --device "$DRR_TEST_DEVICE" --json "$out/drr.json"
    if [ ! -e "$out/drr.json" ]; then
        echo "skipped: PyTorch (nothing was measured to compare with)"
    elif ! "$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
        echo "skipped: PyTorch (not installed, or without CUDA)"
    else
        timeout 240 "$python" -u tests/gpu/peers.py "$out/drr.json" "$out/gpu_query.json" \
            --device "cuda:$DRR_TEST_DEVICE" --budget 150
    fi
}

# The program was linked with a libtorch that is not here: that of PyTorch takes its place.
training() {
    local torch
    torch=$("$python" -c 'import importlib.util as u
print(u.find_spec("torch").submodule_search_locations[0])' 2>/dev/null) || torch=
    if [ -z "$torch" ]; then
        echo "skipped: training (no PyTorch)"
        return
    fi
    needs target/gpu/train_step
    LD_LIBRARY_PATH="$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" timeout 110 \
        target/gpu/train_step --device "cuda:$DRR_TEST_DEVICE" --torch "$torch" \
        --rounds 2 --seconds 3 --threads 8
}

steps=("$@")
if [ $# = 0 ]; then
    steps=(correctness sanitizer examples benchmark training)
fi
for step in "${steps[@]}"; do
    case $step in
    correctness | sanitizer | examples | benchmark | training) ;;
    *)
        echo "run.sh: $step: expected correctness, sanitizer, examples, benchmark or training" >&2
        exit 2
        ;;
    esac
done

if ! nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader \
    >"$out/log.txt" 2>&1; then
    echo "nvidia-smi does not answer: is there a GPU?" >>"$out/log.txt"
fi
cat "$out/log.txt"
failed=()
for step in "${steps[@]}"; do
    # A shell of its own that stops at errors; not in a condition, where it would not.
    set +e
    (
        set -e
        echo "== $step"
        SECONDS=0
        trap 'echo "($step: $SECONDS s)"' EXIT
        "$step"
    ) 2>&1 | tee -a "$out/log.txt"
    status=${PIPESTATUS[0]}
    set -e
    if [ "$status" != 0 ]; then
        failed+=("$step (exit status $status)")
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" | tee -a "$out/log.txt"
    exit 1
fi
echo "all steps passed or were skipped" | tee -a "$out/log.txt"
