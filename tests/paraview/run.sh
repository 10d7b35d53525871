#!/usr/bin/env bash
# Builds the VTK module and the ParaView plugin, and tests them with ParaView's Python, without a
# screen. Run by `make test-paraview`; arguments go to unittest, but for --time, which measures
# instead. Without ParaView it says what it skips.
#
# DRR_PREFIX names an installed drr; without it the library is built and installed below the target
# folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

for program in pvpython vtkProcessXML-pv5.11 xvfb-run cmake; do
    if ! command -v $program >/dev/null; then
        echo "skipped: the ParaView plugin ($program is not installed)"
        exit 0
    fi
done

folder=${CARGO_TARGET_DIR:-target}/paraview
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
prefix=${DRR_PREFIX:-$folder/prefix}
if [ -z "${DRR_PREFIX:-}" ]; then
    "${PYTHON:-python3}" tools/install.py --prefix "$prefix" >/dev/null
fi

# What ParaView has of VTK is not beside other VTKs of the system.
config=$(find /usr/lib* /usr/local/lib* -name vtk-config.cmake -path '*paraview*' 2>/dev/null | head -n 1)
build() {
    local name=${1##*/}
    cmake -S "$1" -B "$folder/$name" -DCMAKE_PREFIX_PATH="$prefix" \
        -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" "${@:2}" >"$folder/$name.log" 2>&1 &&
        cmake --build "$folder/$name" >>"$folder/$name.log" 2>&1 || {
        cat "$folder/$name.log"
        exit 1
    }
}
build bindings/vtk -DVTK_DIR="$(dirname "$config")"
build bindings/paraview
# Beside the sliders it needs the graphical ParaView.
if command -v paraview >/dev/null &&
    grep -q '^DRR_PARAVIEW_SLIDERS.*=\(ON\|TRUE\|1\)$' "$folder/paraview/CMakeCache.txt"; then
    build tests/paraview/drag
    DRR_DRAG=$(find "$folder/drag" -name drag.so)
    export DRR_DRAG
else
    echo "skipped: dragging a slider of the panel (paraview or Qt's headers are not installed)"
fi
for program in mpifort mpirun; do
    if ! command -v $program >/dev/null; then
        echo "skipped: the example in situ ($program is not installed)"
        has_no_mpi=yes
    fi
done
if [ -z "${has_no_mpi:-}" ]; then
    warnings="-pedantic -Wall -Wextra -Wno-unused-dummy-argument -Werror"
    build examples/insitu -DCMAKE_Fortran_FLAGS="-std=f2008 $warnings"
    export DRR_IN_SITU=$folder/insitu/explosion_in_situ
fi

# What was built last, by `make unit` or otherwise.
if [ -z "${DRR_TRAIN:-}" ]; then
    DRR_TRAIN=$(find "${CARGO_TARGET_DIR:-target}" -maxdepth 2 -name drr-train -printf '%T@ %p\n' |
        sort -n | tail -n 1 | cut -d ' ' -f 2-)
fi
if [ -n "$DRR_TRAIN" ]; then
    DRR_TRAIN=$(realpath "$DRR_TRAIN")
    export DRR_TRAIN
else
    echo "skipped: the comparison with drr-train query (drr-train was not built)"
fi

export DRR_LIBRARY=$prefix/lib/libdrr.so
export DRR_PLUGIN DRR_VTK=$folder/vtk/lib DRR_PICTURES=$folder/pictures
DRR_PLUGIN=$(find "$folder/paraview" -name drr.so)
rm -rf "$DRR_PICTURES"
mkdir -p "$DRR_PICTURES"
export PYTHONDONTWRITEBYTECODE=1 LIBGL_ALWAYS_SOFTWARE=1
cd tests/paraview
# Without -noreset the server begins anew when a test closes its last window, under the next one.
in_paraview() {
    xvfb-run -a -s "-screen 0 1280x1024x24 -noreset" pvpython --force-offscreen-rendering "$@"
}
if [ "${1:-}" = --time ]; then
    in_paraview time_release.py
    exit
fi
in_paraview -m unittest "${@:-discover}"
echo "pictures: $DRR_PICTURES"
