#!/usr/bin/env python3
"""Build the query library and install it: libraries, headers, pkg-config and CMake files.

The installed tree can be moved: nothing in it holds its own path. A file that is there already is
replaced as a whole, so that a program that has the old library open keeps it.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "tools" / "install"
FORTRAN = "share/drr/drr.f90"


class Problem(Exception):
    """What the user must know, in one sentence."""


class Names:
    """Names of the shared library on this system: as `cargo cinstall` has them (see Cargo.toml)."""

    def __init__(self, abi):
        system = platform.system()
        numbers = ("", f".{abi}", f".{abi}.0.0")
        if system == "Darwin":
            self.link, self.own, self.file = (f"libdrr{n}.dylib" for n in numbers)
            self.argument = f"-Wl,-install_name,@rpath/{self.own}"
            self.built = "libdrr.dylib"
        elif system == "Linux":
            self.link, self.own, self.file = (f"libdrr.so{n}" for n in numbers)
            self.argument = f"-Wl,-soname,{self.own}"
            self.built = "libdrr.so"
        else:
            raise Problem(f"installing on {system} is not supported: expected Linux or macOS")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prefix", type=Path, default=Path("/usr/local"), help="%(default)s")
    parser.add_argument("--libdir", type=Path, default=Path("lib"), help="below the prefix: lib")
    parser.add_argument("--destdir", default="", help="a folder put before the prefix, for packages")
    parser.add_argument(
        "--target-dir",
        type=Path,
        default=ROOT / "target" / "install",
        help="where to build (default: target/install)",
    )
    options = parser.parse_args()
    try:
        if not options.prefix.is_absolute() or options.libdir.is_absolute():
            raise Problem("expected an absolute --prefix and a relative --libdir")
        install(options)
    except Problem as problem:
        return f"install: {problem}"
    except OSError as error:
        return f"install: {error}"
    return 0


def install(options):
    version, names = read_version(), Names(read_abi())
    natives = build(options.target_dir, names)
    prefix = Path(options.destdir + str(options.prefix))
    libdir, include = prefix / options.libdir, prefix / "include"
    built = options.target_dir / "release"

    place((built / names.built).read_bytes(), libdir / names.file, 0o755)
    link(names.file, libdir / names.own)
    link(names.file, libdir / names.link)
    place((built / "libdrr.a").read_bytes(), libdir / "libdrr.a")
    place((ROOT / "include" / "drr.h").read_bytes(), include / "drr.h")
    place((ROOT / "bindings" / "cpp" / "drr.hpp").read_bytes(), include / "drr.hpp")
    # As source: compiled modules are of use to one version of one compiler.
    for name in ("drr.f90", "drr_cuda.f90"):
        module = (ROOT / "bindings" / "fortran" / name).read_bytes()
        place(module, (prefix / FORTRAN).with_name(name))
    values = {
        "VERSION": version,
        "NATIVES": " ".join(natives),
        "NATIVE_LIST": ";".join(natives),
        "FILE": names.file,
        "OWN": names.own,
        "LIBDIR": options.libdir.as_posix(),
        "FORTRAN": FORTRAN,
    }
    for template, folder in (
        ("drr.pc", libdir / "pkgconfig"),
        ("drr-static.pc", libdir / "pkgconfig"),
        ("drrConfig.cmake", libdir / "cmake" / "drr"),
        ("drrConfigVersion.cmake", libdir / "cmake" / "drr"),
    ):
        values["UP"] = os.path.relpath(prefix, folder)
        text = (TEMPLATES / f"{template}.in").read_text()
        text = re.sub(r"@(\w+)@", lambda found: values[found.group(1)], text)
        place(text.encode(), folder / template)


def read_version():
    text = (ROOT / "Cargo.toml").read_text()
    return re.search(r'^version = "(\d+\.\d+\.\d+)"', text, re.M).group(1)


def read_abi():
    text = (ROOT / "include" / "drr.h").read_text()
    return re.search(r"^#define DRR_ABI_VERSION (\d+)", text, re.M).group(1)


def build(target_dir, names):
    """Build both libraries; the system libraries that the static one needs."""
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "rustc", "--release", "--locked", "--package", "drr", "--lib"]
    command += ["--target-dir", str(target_dir), "--crate-type", "cdylib,staticlib", "--"]
    command += ["-C", f"link-arg={names.argument}", "--print", "native-static-libs"]
    try:
        done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise Problem(f"there is no {cargo}: install Rust, or name its cargo by CARGO=") from None
    found = re.search(r"native-static-libs: (.*)", done.stderr)
    if done.returncode != 0 or not found:
        raise Problem(f"the build failed:\n{done.stderr}")
    # In their order, which matters, without repetitions next to each other.
    natives = found.group(1).split()
    return [name for n, name in enumerate(natives) if natives[n - 1 : n] != [name]]


def place(content, target, mode=0o644):
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".drr-") as folder:
        new = Path(folder) / "file"
        new.write_bytes(content)
        new.chmod(mode)
        new.replace(target)
    print(f"install: {target}")


def link(to, target):
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".drr-") as folder:
        new = Path(folder) / "link"
        new.symlink_to(to)
        new.replace(target)
    print(f"install: {target} -> {to}")


if __name__ == "__main__":
    sys.exit(main())
