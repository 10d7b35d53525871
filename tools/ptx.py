#!/usr/bin/env python3
"""Compile the CUDA kernels to the PTX that the library embeds, without a GPU or a CUDA toolkit.

    python3 tools/ptx.py    write src/cuda/ptx/*.ptx anew

Each is tried on real architectures: nothing may spill. tools/test_ptx.py compares what is committed
with what the sources give.

The compiler is NVRTC of a fixed version, so that everybody gets the same text; it and ptxas come
from NVIDIA's Python packages, by pip, into ${DRR_CACHE:-~/.cache/drr}.
"""

import argparse
import ctypes
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fetch import Problem
from setup import ROOT, cache

SOURCES = ROOT / "src/cuda/kernels"
OUTPUT = ROOT / "src/cuda/ptx"

# Each source, the oldest architecture that it is for, and those that it is tried on.
KERNELS = (
    ("portable.cu", 70, (70, 80, 90)),
    ("gradient.cu", 70, (70, 80, 90)),
    ("radiance.cu", 70, (70, 80, 90)),
    ("tensor.cu", 80, (80, 90)),
)

PACKAGES = """
nvidia-cuda-nvrtc-cu12==12.4.127 \\
    --hash=sha256:a178759ebb095827bd30ef56598ec182b85547f1508941a3d560eb7ea1fbf338
nvidia-cuda-nvcc-cu12==12.4.131 \\
    --hash=sha256:e4c9a35435c3b0e36c6397c5696334c9ea6650e524736cbd1c5d345ea099bb04
"""
VERSION = "12.4"

# What ptxas says of a kernel.
REPORT = (
    r"entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.parse_args()
    try:
        tools = provide(cache() / "tools" / f"nvrtc-{VERSION}")
        compiler = Compiler(tools)
        for source, oldest, architectures in KERNELS:
            text = compiler.ptx(SOURCES / source, oldest)
            target = (OUTPUT / source).with_suffix(".ptx")
            OUTPUT.mkdir(exist_ok=True)
            target.write_text(text)
            for architecture in architectures:
                for line in assemble(tools, target, architecture):
                    print(line)
    except Problem as problem:
        return f"ptx: {problem}"
    return 0


def provide(folder):
    """The folder with the compilers, which is made first if it is not there."""
    if (folder / "complete").exists():
        return folder
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as packages:
        packages.write(PACKAGES)
        packages.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
        command += ["--require-hashes", "--target", str(folder), "-r", packages.name]
        print(f"installing NVRTC {VERSION} in {folder}", flush=True)
        if subprocess.run(command).returncode != 0:
            raise Problem(f"pip could not install NVRTC {VERSION}; its message is above")
    (folder / "complete").touch()
    return folder


class Compiler:
    """NVRTC, by its C interface."""

    def __init__(self, tools):
        libraries = tools / "nvidia/cuda_nvrtc/lib"
        try:
            # NVRTC finds its other half by name only.
            ctypes.CDLL(str(libraries / f"libnvrtc-builtins.so.{VERSION}"))
            self.library = ctypes.CDLL(str(libraries / "libnvrtc.so.12"))
        except OSError as error:
            raise Problem(f"NVRTC cannot be loaded: {error}") from None

    def ptx(self, source, architecture):
        """What a source is in PTX; headers stand beside it."""
        program = ctypes.c_void_p()
        text = source.read_bytes()
        self.library.nvrtcCreateProgram(
            ctypes.byref(program), text, source.name.encode(), 0, None, None
        )
        options = [
            b"--std=c++17",
            f"--gpu-architecture=compute_{architecture}".encode(),
            f"--include-path={source.parent}".encode(),
        ]
        failed = self.library.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*options)
        )
        log = self.text(program, "ProgramLog").strip()
        if failed or log:
            raise Problem(f"{source.name}:\n{log}")
        return self.text(program, "PTX")

    def text(self, program, what):
        size = ctypes.c_size_t()
        getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        room = ctypes.create_string_buffer(size.value)
        getattr(self.library, f"nvrtcGet{what}")(program, room)
        return room.value.decode()


def assemble(tools, ptx, architecture, *options):
    """A line for each kernel: its registers. Spilled ones are a problem."""
    ptxas = tools / "nvidia/cuda_nvcc/bin/ptxas"
    os.chmod(ptxas, 0o755)  # pip may not keep it
    command = [ptxas, "-v", f"-arch=sm_{architecture}", *options, "-o", os.devnull, ptx]
    report = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if report.returncode != 0:
        raise Problem(f"ptxas for sm_{architecture}:\n{report.stdout}")
    found = re.findall(REPORT, report.stdout, re.DOTALL)
    if not found:
        raise Problem(f"ptxas says nothing that is understood:\n{report.stdout}")
    for kernel, stores, loads, registers in found:
        if (stores, loads) != ("0", "0"):
            raise Problem(f"{kernel} for sm_{architecture} spills {stores} and {loads} bytes")
        yield f"{kernel} sm_{architecture}: {registers} registers, no spills"


if __name__ == "__main__":
    sys.exit(main())
