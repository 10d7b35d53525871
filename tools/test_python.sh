#!/usr/bin/env bash
# Build the Python wheel; with `test`, also install it in a fresh environment and test it there.
# Run by `make wheel` and `make test-python`.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
folder=${CARGO_TARGET_DIR:-target}/python
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

rm -rf "$folder/build" "$folder/wheel"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder/wheel" ./bindings/python
wheel=$(echo "$folder"/wheel/drr-*.whl)
echo "wheel: $wheel"

if [ "${1:-}" = test ]; then
    rm -rf "$folder/venv"
    "$python" -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip install --quiet "$wheel[test]"
    # Nothing but the wheel may be found.
    unset DRR_LIBRARY PYTHONPATH
    "$folder/venv/bin/python" -c "import drr; assert drr.__file__.startswith('$folder/venv'), drr"
    PYTHONDONTWRITEBYTECODE=1 "$folder/venv/bin/python" -W error -m unittest discover \
        --start-directory bindings/python/tests
fi
