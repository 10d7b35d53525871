#!/usr/bin/env bash
# Builds what run.sh takes to a machine with a GPU, into target/gpu: it needs no Rust there.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo=${CARGO:-cargo}

# Copies what a build makes, stripped to what travels: the program of this name, or the file.
take() {
    local name=$1
    shift
    local path
    path=$("$cargo" "$@" --message-format=json |
        python3 -c '
import json, os, sys
name, found = sys.argv[1], None
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == name:
        found = message["executable"]
    for path in message.get("filenames", []):
        if os.path.basename(path) == name:
            found = path
print(found or sys.exit(f"build.sh: {name} was not built"))' "$name")
    strip -o "target/gpu/$name" "$path"
}

mkdir -p target/gpu
take libdrr.so build --release --lib
take cuda_host test --no-run --test cuda_host
take gpu_query bench --no-run --bench gpu_query
take render bench --no-run --bench render
take train_step bench -p drr-train --no-run --bench train_step
ls -l target/gpu
