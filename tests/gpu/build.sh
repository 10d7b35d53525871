#!/usr/bin/env bash
# Builds what run.sh takes to a machine with a GPU, into target/gpu: it needs no Rust there.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo=${CARGO:-cargo}

# The path of the program that a build makes, stripped to what travels.
take() {
    local name=$1
    shift
    local path
    path=$("$cargo" "$@" --message-format=json |
        python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == sys.argv[1]:
        print(message["executable"])' "$name")
    strip -o "target/gpu/$name" "$path"
}

mkdir -p target/gpu
take cuda_host test --no-run --test cuda_host
take gpu_query bench --no-run --bench gpu_query
take train_step bench -p drr-train --no-run --bench train_step
ls -l target/gpu
