"""Builds libdrr with cargo and puts it into the wheel, which then serves any Python 3.

Everything that is built goes to the checkout's target folder.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
LIBRARY = {"darwin": "libdrr.dylib", "win32": "drr.dll"}.get(sys.platform, "libdrr.so")
BUILD = TARGET / "python" / "build"


class BuildWithLibrary(build_py):
    """The package and the library, without the names of lines that only debuggers read."""

    def run(self):
        super().run()
        cargo = os.environ.get("CARGO", "cargo")
        subprocess.run([cargo, "build", "--release", "--locked", "--lib"], cwd=ROOT, check=True)
        bundled = Path(self.build_lib) / "drr" / LIBRARY
        shutil.copyfile(TARGET / "release" / LIBRARY, bundled)
        if sys.platform == "linux" and shutil.which("strip"):
            subprocess.run(["strip", "--strip-debug", str(bundled)], check=True)


class PlatformWheel(bdist_wheel):
    """Any Python 3, this platform: the library is loaded, not linked with Python."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class PlatformDistribution(Distribution):
    """Not pure: what is installed depends on the platform."""

    def has_ext_modules(self):
        return True


def version():
    """The workspace's."""
    text = (ROOT / "Cargo.toml").read_text()
    return re.search(r'^\[workspace\.package\]\nversion = "(.+)"$', text, re.M).group(1)


BUILD.mkdir(parents=True, exist_ok=True)
setup(
    version=version(),
    distclass=PlatformDistribution,
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel},
    options={"build": {"build_base": str(BUILD)}, "egg_info": {"egg_base": str(BUILD)}},
)
