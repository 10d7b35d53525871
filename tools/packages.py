#!/usr/bin/env python3
"""What the tests use beside Rust, a C compiler and Python: found, installed, or named as missing.

    python3 tools/packages.py            name what is missing, and how to get it
    python3 tools/packages.py --install  also install it, on Debian and Ubuntu as root

Without a program the tests that need it are skipped. In continuous integration (the variable CI is
set) `make test` installs what it can; on other machines it leaves the system alone.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

# Programs, the packages of Debian and Ubuntu that have them, and what is skipped without them.
PROGRAMS = (
    (("clang++",), "clang", "the C++ header by a second compiler"),
    (("clang-format",), "clang-format", "the format of the C sources"),
    (("doxygen",), "doxygen", "the documentation of the C header"),
    (("valgrind",), "valgrind", "errors of memory and of threads in the C tests"),
    (("abidiff",), "abigail-tools", "the comparison of two builds' interfaces"),
    (("pkg-config",), "pkg-config", "use of an installed tree by pkg-config"),
    (("libpng-config",), "libpng-dev", "the ray marcher"),
    (("cmake",), "cmake", "use of an installed tree by CMake"),
    (("gfortran",), "gfortran", "the Fortran binding"),
    (("flang-new-19", "flang-new", "flang"), "flang-19", "the Fortran binding by a second compiler"),
    (("mpicc",), "libopenmpi-dev libclang1", "training and the tutorial by many processes"),
    (("mpirun",), "openmpi-bin", "the same"),
    (("mcs",), "mono-mcs", "the C# binding"),
    (("pvpython",), "python3-paraview", "the VTK module and the ParaView plugin"),
    (
        ("vtkProcessXML-pv5.11",),
        "paraview-dev libdouble-conversion-dev libglew-dev liblz4-dev qtbase5-dev",
        "the same",
    ),
    (("xvfb-run",), "xvfb xauth libgl1-mesa-dri", "the same"),
    (("mono",), "mono-runtime libmono-system-core4.0-cil", "the same"),
)

# What cargo builds.
CRATES = (
    (("cargo-fuzz",), "cargo-fuzz", "fuzzing"),
    (("cargo-cinstall",), "cargo-c", "the comparison with `cargo cinstall`"),
)

# Those that take a minute; cargo-c takes ten, and its newest version a newer compiler.
INSTALLED_CRATES = ("cargo-fuzz",)

# ParaView and what it draws on are half a gigabyte: left to whoever wants the plugin.
NOT_INSTALLED = {"pvpython", "vtkProcessXML-pv5.11", "xvfb-run"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="install what is missing")
    arguments = parser.parse_args()
    if arguments.install:
        install([row for row in missing(PROGRAMS) if not NOT_INSTALLED.intersection(row[0])])
        install_crates(missing(CRATES))
    absent, crates = missing(PROGRAMS), missing(CRATES)
    for names, _, purpose in absent + crates:
        print(f"skipped: {purpose} ({names[0]} is not installed)")
    if absent:
        print(f"    Debian, Ubuntu: apt install {' '.join(packages(absent))}")
    for _, crate, _ in crates:
        print(f"    any system: cargo install --locked {crate}")
    return 0


def missing(rows):
    return [row for row in rows if not any(map(find, row[0]))]


def find(program):
    """Also where cargo puts what it installs: it finds its commands there, on the path or not."""
    home = pathlib.Path(os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo")
    return shutil.which(program) or shutil.which(program, path=home / "bin")


def packages(rows):
    return [package for _, some, _ in rows for package in some.split()]


def install(rows):
    """What fails is named as missing afterwards."""
    if not rows or not shutil.which("apt-get") or os.geteuid() != 0:
        return
    names = packages(rows)
    print(f"installing {' '.join(names)}", flush=True)
    apt("update")
    # One package that a system lacks must not keep the others away.
    if not apt("install", *names):
        for name in names:
            apt("install", name)


def install_crates(rows):
    for _, crate, _ in rows:
        if crate in INSTALLED_CRATES:
            print(f"installing {crate}", flush=True)
            cargo = os.environ.get("CARGO", "cargo")
            subprocess.run([cargo, "install", "--quiet", "--locked", "--debug", crate])


def apt(verb, *names):
    command = ["apt-get", "-qq", "-y", "--no-install-recommends", verb, *names]
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
