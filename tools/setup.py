#!/usr/bin/env python3
"""Prepare a checkout for building: check the tools, provide a CPU-only libtorch.

A libtorch that the variable LIBTORCH names is checked and used, and stays in use without the
variable. Otherwise one is made, once, in ${DRR_CACHE:-~/.cache/drr}. Either way the checkout's
`.libtorch` becomes a link to it, and `.cargo/config.toml` points the build at that link.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 9):
    sys.exit("setup: Python 3.9 or later is needed, this is " + sys.version.split()[0])

import fetch
import libtorch
from fetch import Problem

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--link",
        type=Path,
        default=ROOT / ".libtorch",
        help="the link to lay (default: .libtorch in the checkout)",
    )
    link = parser.parse_args().link.absolute()
    try:
        check_tools()
        tree = own_libtorch() or kept_libtorch(link) or libtorch.provide(cache())
        lay(link, tree)
        print(f"setup: libtorch {libtorch.VERSION} is ready: {tree}")
    except Problem as problem:
        return f"setup: {problem}"
    except KeyboardInterrupt:
        print("\nsetup: interrupted; the next run continues from here", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno in fetch.DISK_FULL:
            return (
                "setup: the disk is full. Make room and run this again; it continues from here,\n"
                f"or set DRR_CACHE to a folder on a larger disk (it is {cache()} now)."
            )
        return f"setup: {error}"
    return 0


def check_tools():
    """Name everything that is missing at once, and the packages that have it."""
    missing = []
    for name, variable in (("cc", "CC"), ("c++", "CXX")):
        command = (os.environ.get(variable) or name).split()[0]
        if not shutil.which(command):
            missing.append(
                f"a C and C++ compiler ({command} is missing)\n"
                "    Debian, Ubuntu: apt install build-essential\n"
                "    Fedora, RHEL:   dnf install gcc gcc-c++"
            )
            break
    manifest = (ROOT / "Cargo.toml").read_text()
    needed = re.search(r'^rust-version = "(\d+)\.(\d+)', manifest, re.MULTILINE).groups()
    found = rust_version()
    if found is None or found < tuple(map(int, needed)):
        state = "cargo is missing" if found is None else "this is {}.{}".format(*found)
        missing.append(
            f"Rust {'.'.join(needed)} or later ({state})\n"
            "    any system: rustup (a distribution's own package is often too old)"
        )
    if missing:
        raise Problem("\n  ".join(["something that the build needs is missing:", *missing]))


def rust_version():
    """Major and minor version of cargo, None without one that runs."""
    try:
        output = subprocess.run(["cargo", "--version"], stdout=subprocess.PIPE, cwd=ROOT).stdout
        return tuple(map(int, re.match(rb"cargo (\d+)\.(\d+)", output).groups()))
    except (OSError, AttributeError):
        return None


def own_libtorch():
    """The user's own libtorch, None if LIBTORCH does not name one."""
    given = os.environ.get("LIBTORCH")
    if given is None:
        return None
    if not given:
        raise Problem("LIBTORCH is set, but empty, and the build would use it: unset it")
    reason = libtorch.fault(Path(given))
    if reason:
        raise Problem(
            f"LIBTORCH is {given}, which cannot be used: {reason}.\n"
            f"Unset LIBTORCH to get a CPU-only libtorch {libtorch.VERSION}, or name another one."
        )
    return Path(given).resolve()  # resolved, as LIBTORCH may name the very link that is to be laid


def kept_libtorch(link):
    """What the link leads to, if an earlier run was given it and it still works."""
    tree = link.resolve()
    if tree.parent == cache().resolve() or libtorch.fault(tree):
        return None
    return tree


def cache():
    return Path(os.environ.get("DRR_CACHE") or "~/.cache/drr").expanduser().absolute()


def lay(link, tree):
    """Point `link` at `tree` in one step, so that a build running now never misses it."""
    if link.is_symlink() and os.readlink(link) == str(tree):
        return
    if link.exists() and not link.is_symlink():
        raise Problem(f"{link} is in the way: it has to be a link; move it elsewhere")
    fresh = link.with_name(link.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(tree)
    fresh.replace(link)


if __name__ == "__main__":
    sys.exit(main())
