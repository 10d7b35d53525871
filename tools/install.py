#!/usr/bin/env python3
"""Build the query library and install it: libraries, headers, pkg-config and CMake files.

The installed tree can be moved: nothing in it holds its own path. A file that is there already is
replaced as a whole, so that a program that has the old library open keeps it.

With --train the library that trains comes along. It holds one path: that of the libtorch it was
built with, which is far too large to be copied into every tree.
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
TRAIN_FORTRAN = "share/drr/drr_train.f90"


class Problem(Exception):
    """What the user must know, in one sentence."""


class Names:
    """Names of a shared library on this system: as `cargo cinstall` has them (see Cargo.toml)."""

    def __init__(self, abi, stem="libdrr"):
        system = platform.system()
        numbers = ("", f".{abi}", f".{abi}.0.0")
        if system == "Darwin":
            self.link, self.own, self.file = (f"{stem}{n}.dylib" for n in numbers)
            self.argument = f"-Wl,-install_name,@rpath/{self.own}"
            self.built = f"{stem}.dylib"
        elif system == "Linux":
            self.link, self.own, self.file = (f"{stem}.so{n}" for n in numbers)
            self.argument = f"-Wl,-soname,{self.own}"
            self.built = f"{stem}.so"
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
    parser.add_argument("--profile", default="release", help="Cargo's profile: %(default)s")
    parser.add_argument(
        "--train", action="store_true", help="libdrr_train as well, which needs libtorch (make setup)"
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
    libtorch = find_libtorch() if options.train else None
    names = Names(read_abi())
    natives = build(options, names)
    prefix = Path(options.destdir + str(options.prefix))
    libdir, include = prefix / options.libdir, prefix / "include"
    built = built_in(options)

    place_library(built, names, libdir)
    place((built / "libdrr.a").read_bytes(), libdir / "libdrr.a")
    place((ROOT / "include" / "drr.h").read_bytes(), include / "drr.h")
    place((ROOT / "bindings" / "cpp" / "drr.hpp").read_bytes(), include / "drr.hpp")
    # As source: compiled modules are of use to one version of one compiler.
    for name in ("drr.f90", "drr_cuda.f90"):
        module = (ROOT / "bindings" / "fortran" / name).read_bytes()
        place(module, (prefix / FORTRAN).with_name(name))
    values = {
        "NATIVES": " ".join(natives),
        "NATIVE_LIST": ";".join(natives),
        "FORTRAN": FORTRAN,
    }
    place_descriptions("drr", ("drr.pc", "drr-static.pc"), values, options, names)
    if libtorch:
        install_train(options, libtorch)


def install_train(options, libtorch):
    names = Names(read_abi("drr_train.h"), "libdrr_train")
    build_train(options, names)
    prefix = Path(options.destdir + str(options.prefix))
    place_library(built_in(options), names, prefix / options.libdir)
    for folder, name, target in (
        ("include", "drr_train.h", "include/drr_train.h"),
        ("include", "drr_train_mpi.h", "include/drr_train_mpi.h"),
        ("bindings/cpp", "drr_train.hpp", "include/drr_train.hpp"),
        ("bindings/fortran", "drr_train.f90", TRAIN_FORTRAN),
        ("bindings/fortran", "drr_train_mpi.f90", "share/drr/drr_train_mpi.f90"),
    ):
        place((ROOT / folder / name).read_bytes(), prefix / target)
    place_descriptions("drr_train", ("drr_train.pc",), {"FORTRAN": TRAIN_FORTRAN}, options, names)
    print(f"install: {names.file} will look for libtorch in {libtorch / 'lib'}")


def find_libtorch():
    """The libtorch that Cargo builds with (.cargo/config.toml), which is a path in the library."""
    given = os.environ.get("LIBTORCH")
    libtorch = Path(given) if given else ROOT / ".libtorch"
    name = "libtorch_cpu.dylib" if platform.system() == "Darwin" else "libtorch_cpu.so"
    if not (libtorch / "lib" / name).is_file():
        raise Problem(
            f"libdrr_train needs libtorch, and there is no lib/{name} in {libtorch}: run `make setup`, "
            "name a libtorch by LIBTORCH=, or install libdrr alone"
        )
    # What is built has the path without links, too: trainer/build.rs.
    return libtorch.resolve()


def place_library(built, names, libdir):
    place((built / names.built).read_bytes(), libdir / names.file, 0o755)
    link(names.file, libdir / names.own)
    link(names.file, libdir / names.link)


def place_descriptions(package, descriptions, values, options, names):
    """What pkg-config (`descriptions`) and CMake read of a package."""
    prefix = Path(options.destdir + str(options.prefix))
    libdir = prefix / options.libdir
    values = {
        **values,
        "VERSION": read_version(),
        "FILE": names.file,
        "OWN": names.own,
        "LIBDIR": options.libdir.as_posix(),
    }
    folder = libdir / "cmake" / package
    for template, target in (
        *((name, libdir / "pkgconfig" / name) for name in descriptions),
        (f"{package}Config.cmake", folder / f"{package}Config.cmake"),
        ("drrConfigVersion.cmake", folder / f"{package}ConfigVersion.cmake"),
    ):
        values["UP"] = os.path.relpath(prefix, target.parent)
        text = (TEMPLATES / f"{template}.in").read_text()
        text = re.sub(r"@(\w+)@", lambda found: values[found.group(1)], text)
        place(text.encode(), target)


def read_version():
    text = (ROOT / "Cargo.toml").read_text()
    return re.search(r'^version = "(\d+\.\d+\.\d+)"', text, re.M).group(1)


def read_abi(header="drr.h"):
    text = (ROOT / "include" / header).read_text()
    return re.search(r"^#define DRR_(?:TRAIN_)?ABI_VERSION (\d+)", text, re.M).group(1)


def built_in(options):
    """The folder of what is built."""
    return options.target_dir / ("debug" if options.profile == "dev" else options.profile)


def build(options, names):
    """Build both libraries; the system libraries that the static one needs."""
    arguments = ["-C", f"link-arg={names.argument}", "--print", "native-static-libs"]
    done = cargo("drr", "cdylib,staticlib", options, arguments, stderr=subprocess.PIPE)
    found = re.search(r"native-static-libs: (.*)", done.stderr)
    if done.returncode != 0 or not found:
        raise Problem(f"the build failed:\n{done.stderr}")
    # In their order, which matters, without repetitions next to each other.
    natives = found.group(1).split()
    return [name for n, name in enumerate(natives) if natives[n - 1 : n] != [name]]


def build_train(options, names):
    # It takes minutes, so Cargo's progress is shown.
    done = cargo("drr-train", "cdylib", options, ["-C", f"link-arg={names.argument}"])
    if done.returncode != 0:
        raise Problem("the build of libdrr_train failed, as said above")


def cargo(package, kinds, options, arguments, **how):
    program = os.environ.get("CARGO", "cargo")
    command = [program, "rustc", "--locked", "--package", package, "--lib"]
    command += ["--profile", options.profile, "--target-dir", str(options.target_dir)]
    command += ["--crate-type", kinds, "--", *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, text=True, **how)
    except FileNotFoundError:
        message = f"there is no {program}: install Rust, or name its cargo by CARGO="
        raise Problem(message) from None


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
