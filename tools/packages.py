#!/usr/bin/env python3
"""What the tests use beside Rust, a C compiler and Python: found, installed, or named as missing.

    python3 tools/packages.py            name what is missing, and how to get it
    python3 tools/packages.py --install  also install it, on Debian and Ubuntu as root

Without a program the tests that need it are skipped. In continuous integration (the variable CI is
set) `make test` installs what it can; on other machines it leaves the system alone.
"""

import argparse
import os
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
    (("cmake",), "cmake", "use of an installed tree by CMake"),
    (("gfortran",), "gfortran", "the Fortran binding"),
    (("flang-new-19", "flang-new", "flang"), "flang-19", "the Fortran binding by a second compiler"),
    (("mpicc",), "libopenmpi-dev", "the tutorial's programs for many processes"),
    (("mpirun",), "openmpi-bin", "the same"),
    (("mcs",), "mono-mcs", "the C# binding"),
    (("mono",), "mono-runtime libmono-system-core4.0-cil", "the same"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="install what is missing")
    arguments = parser.parse_args()
    if arguments.install and missing():
        install(missing())
    absent = missing()
    for names, _, purpose in absent:
        print(f"skipped: {purpose} ({names[0]} is not installed)")
    if absent:
        print(f"    Debian, Ubuntu: apt install {' '.join(packages(absent))}")
    return 0


def missing():
    return [row for row in PROGRAMS if not any(map(shutil.which, row[0]))]


def packages(rows):
    return [package for _, some, _ in rows for package in some.split()]


def install(rows):
    """One package's absence from a system's list must not keep the others away."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")

    def apt(*words):
        command = ["apt-get", "-qq", *words]
        return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode == 0

    names = packages(rows)
    print(f"installing {' '.join(names)}", flush=True)
    apt("update")
    options = ("install", "-y", "--no-install-recommends")
    if not apt(*options, *names):
        for name in names:
            apt(*options, name)


if __name__ == "__main__":
    sys.exit(main())
