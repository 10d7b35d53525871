#!/usr/bin/env python3
"""A slice of a model for parameters of the command line, as a .npy file and, where matplotlib is
installed, as a picture.

    python3 examples/python/slice.py field.drr.safetensors density=0.3 energy=1.2 --z 5 -o slice

Parameters that are not named are in the middle of their range, as is z.
"""

import argparse
import sys

import numpy as np

import drr


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("model", help="a baked file")
    parser.add_argument("parameters", nargs="*", metavar="NAME=NUMBER", help="parameters")
    parser.add_argument("--z", type=float, help="where the slice is, in the model's unit")
    parser.add_argument("--size", type=int, default=256, help="points per side (default: 256)")
    parser.add_argument("--value", type=int, default=0, help="which value to draw (default: 0)")
    parser.add_argument("-o", "--out", default="slice", help="name of the files, without ending")
    arguments = parser.parse_args()
    try:
        with drr.open(arguments.model) as model:
            return draw(model, arguments)
    except (drr.Error, OSError) as error:
        return f"slice: {error}"


def draw(model, arguments):
    if len(model.axes) != 3:
        return f"slice: the model has {len(model.axes)} axes, a slice needs 3"
    if not 0 <= arguments.value < len(model.values):
        return f"slice: there is no value {arguments.value}, the model has {len(model.values)}"
    given = dict(text.partition("=")[::2] for text in arguments.parameters)
    parameters = {p.name: (p.min + p.max) / 2 for p in model.parameters}
    try:
        parameters.update((name, float(number)) for name, number in given.items())
    except ValueError:
        return "slice: parameters are given as NAME=NUMBER"

    x, y, z = model.axes
    height = (z.min + z.max) / 2 if arguments.z is None else arguments.z
    dims = (arguments.size, arguments.size, 1)
    values = model.at(parameters).lattice(dims, {z.name: height})[0]
    np.save(f"{arguments.out}.npy", values)
    print(f"{arguments.out}.npy: {values.shape}, {values.min():g} to {values.max():g}")
    image = values if len(model.values) == 1 else values[..., arguments.value]
    picture(arguments.out, image, model.values[arguments.value], x, y)
    return None


def picture(name, image, value, x, y):
    try:
        from matplotlib import pyplot
    except ImportError:
        print("no picture: matplotlib is not installed")
        return
    extent = (x.min, x.max, y.min, y.max)
    drawn = pyplot.imshow(image, origin="lower", extent=extent)
    pyplot.xlabel(f"{x.name} {x.unit}".strip())
    pyplot.ylabel(f"{y.name} {y.unit}".strip())
    pyplot.colorbar(drawn, label=f"{value.name} {value.unit}".strip())
    pyplot.savefig(f"{name}.png", dpi=150)
    print(f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
