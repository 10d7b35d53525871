"""Tests of what packagers read: python3 -m unittest discover tools"""

import re
import runpy
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import install

ROOT = Path(__file__).resolve().parent.parent
CONDA = ROOT / "packaging" / "conda" / "recipe.yaml"
SPACK = ROOT / "packaging" / "spack" / "spack_repo" / "drr" / "packages" / "drr" / "package.py"

try:
    import rattler_build
except ImportError:
    rattler_build = None


class Versions(unittest.TestCase):
    """Numbers that are written down twice are the same."""

    def test_conda(self):
        self.assertEqual(one(r'^  version: "(.*)"$', CONDA), install.read_version())

    def test_spack(self):
        self.assertEqual(one(r'^    version\("(.*)"\)$', SPACK), install.read_version())
        rust = one(r'^rust-version = "(.*)"$', ROOT / "Cargo.toml")
        self.assertEqual(one(r'depends_on\("rust@(.*):"', SPACK), rust)

    def test_cinstall(self):
        # The library's own version, the number of the interface first.
        table = r"^\[package.metadata.capi.library\]\n(?:#.*\n)*"
        library = one(table + 'version = "(.*)"$', ROOT / "Cargo.toml")
        names = install.Names(install.read_abi())
        self.assertIn(library, names.file)
        self.assertEqual(library.split(".")[0], install.read_abi())


class Training(unittest.TestCase):
    def test_names(self):
        names = install.Names(install.read_abi("drr_train.h"), "libdrr_train")
        self.assertRegex(names.own, r"^libdrr_train\.(so\.1|1\.dylib)$")
        self.assertIn(names.own, names.argument)

    def test_no_libtorch(self):
        with tempfile.TemporaryDirectory() as folder:
            with mock.patch.dict("os.environ", {"LIBTORCH": folder}):
                with self.assertRaisesRegex(install.Problem, f"in {folder}: run `make setup`"):
                    install.find_libtorch()


class Recipes(unittest.TestCase):
    def test_spack(self):
        """What the recipe does, run with a stand-in for Spack."""
        said = {"make": [], "conflicts": []}
        spack = types.ModuleType("spack.package")
        for name in ("license", "version", "depends_on"):
            setattr(spack, name, lambda *arguments, **options: None)
        spack.conflicts = lambda *arguments, **options: said["conflicts"].append(arguments)
        spack.make = lambda *arguments, **options: said["make"].append((arguments, options))
        spack.make_jobs = 3
        spack.join_path = lambda *names: "/".join(names)
        generic = types.ModuleType("spack_repo.builtin.build_systems.generic")
        generic.Package = object
        with mock.patch.dict(sys.modules, {"spack.package": spack, generic.__name__: generic}):
            recipe = runpy.run_path(SPACK)["Drr"]
        recipe().install(None, "/prefix")
        command = ("install", "PREFIX=/prefix"), {"extra_env": {"CARGO_BUILD_JOBS": "3"}}
        self.assertEqual(said, {"make": [command], "conflicts": [("platform=windows",)]})

    @unittest.skipUnless(rattler_build, "no rattler_build (pip install py-rattler-build)")
    def test_conda(self):
        recipe = rattler_build.Stage0Recipe.from_file(CONDA)
        for platform in ("linux-64", "linux-aarch64", "osx-arm64"):
            system = rattler_build.PlatformConfig(
                target_platform=platform, build_platform=platform, host_platform=platform
            )
            variants = rattler_build.VariantConfig.from_file_with_context(
                CONDA.with_name("variants.yaml"), rattler_build.JinjaConfig(platform=system)
            )
            config = rattler_build.RenderConfig(platform=system)
            (rendered,) = recipe.render(variants, config)
            made = rendered.recipe.to_dict()
            self.assertEqual(made["package"]["version"], install.read_version())
            self.assertIn(f"rust_{platform}", made["requirements"]["build"])
            self.assertEqual(made["source"], [{"path": "../.."}])


def one(pattern, path):
    """What the pattern's group matches in a file, once."""
    (found,) = re.findall(pattern, path.read_text(), re.M)
    return found


if __name__ == "__main__":
    unittest.main()
