#!/usr/bin/env python3
"""Make data/cloverleaf3d-32 from an ensemble of 64^3 fields.

Each field is averaged over blocks of 2 x 2 x 2 cells, which is exact for cell-centred data on a
grid of half the resolution. Needs nothing but Python.
"""

import argparse
import csv
import sys
from array import array
from pathlib import Path

SIDE = 64
ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="folder of params.csv and 64^3 float32 fields")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "cloverleaf3d-32")
    parser.add_argument("--train", type=int, default=49, help="training members to keep")
    arguments = parser.parse_args()

    with open(arguments.source / "params.csv", newline="") as file:
        header, *rows = csv.reader(file)
    name, split = header.index("file"), header.index("split")
    train = [row for row in rows if row[split] == "train"][: arguments.train]
    test = [row for row in rows if row[split] == "test"]

    for row in train + test:
        target = arguments.out / row[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        write_floats(target, halved(read_floats(arguments.source / row[name])))
    with open(arguments.out / "params.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *train, *test])
    print(f"{len(train)} training and {len(test)} test members in {arguments.out}")


def read_floats(path):
    """A raw little-endian float32 file, which has to be of the right size."""
    values = array("f", path.read_bytes())
    if len(values) != SIDE**3:
        sys.exit(f"{path}: {len(values)} values, expected {SIDE}^3")
    if sys.byteorder == "big":
        values.byteswap()
    return values


def write_floats(path, values):
    if sys.byteorder == "big":
        values.byteswap()
    path.write_bytes(values.tobytes())


def halved(field):
    """Means of 2 x 2 x 2 cells, one axis after the other, in double precision until the end."""
    for stride in (1, SIDE // 2, (SIDE // 2) ** 2):  # x, then y, then z: earlier axes are short
        field = array("d", pair_means(field, stride))
    return array("f", field)


def pair_means(values, stride):
    """Means of neighbours along the axis whose samples are `stride` apart."""
    for start in range(0, len(values), 2 * stride):
        for index in range(start, start + stride):
            yield 0.5 * (values[index] + values[index + stride])


if __name__ == "__main__":
    main()
