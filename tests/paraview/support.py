"""What the tests share: the files that they open, and the C library to compare with."""

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
EXPLOSION = str(ROOT / "data" / "euler" / "explosion.drr.safetensors")
PLUGIN = os.environ["DRR_PLUGIN"]
PICTURES = Path(os.environ["DRR_PICTURES"])

# Open MPI starts neither as root nor more ranks than cores of its own accord, and spins.
RANKS = (
    "ALLOW_RUN_AS_ROOT",
    "ALLOW_RUN_AS_ROOT_CONFIRM",
    "MCA_rmaps_base_oversubscribe",
    "MCA_mpi_yield_when_idle",
)

sys.path[:0] = [str(ROOT / "bindings" / "python" / folder) for folder in ("src", "tests")]
import drr  # noqa: E402
import models  # noqa: E402

# Two values on three axes, two parameters with units: file(2).
TWO = str(models.file(2))
PLANE = str(models.file(1, 2))
FOLDER = tempfile.TemporaryDirectory()


def path(name):
    return str(Path(FOLDER.name) / name)


def pixels(file):
    """A picture's numbers, with room for differences."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def mpirun(ranks, *command, folder=None):
    """What a program on so many ranks returns and prints."""
    # pvpython is a rank already, and says so in variables that its children must not see.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_"))}
    environment = dict(inherited, **{f"OMPI_{name}": "1" for name in RANKS})
    # The software renderer's threads would wait for the other ranks' turns.
    environment["LP_NUM_THREADS"] = "1"
    done = subprocess.run(
        ["mpirun", "-n", str(ranks), *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=180,
    )
    return done.returncode, done.stdout.decode()


def lattice(file, parameters, dims, extent=None):
    """Values `(nz, ny, nx, outputs)` by the C library, of a part of a lattice over the domain."""
    with drr.open(file) as model:
        axes = [(axis.min, axis.max) for axis in model.axes]
        spacing = [(high - low) / (n - 1) for (low, high), n in zip(axes, dims)]
        extent = extent or [bound for n in dims for bound in (0, n - 1)]
        origin = [axes[k][0] + extent[2 * k] * spacing[k] for k in range(len(axes))]
        some = [extent[2 * k + 1] - extent[2 * k] + 1 for k in range(len(axes))]
        values = model.at(parameters).lattice(some, origin=origin, spacing=spacing)
        return np.asarray(values).reshape(*some[::-1], len(model.values))


def query(file, parameters, points):
    with drr.open(file) as model:
        values = model.at(parameters, outside="nan").query(np.asarray(points, np.float64))
        return np.asarray(values, np.float32).reshape(len(points), len(model.values))


def arrays(dataset, cells=False):
    """numpy arrays of a VTK data set, by name."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    data = dataset.GetCellData() if cells else dataset.GetPointData()
    found = (data.GetArray(n) for n in range(data.GetNumberOfArrays()))
    return {array.GetName(): vtk_to_numpy(array) for array in found}
