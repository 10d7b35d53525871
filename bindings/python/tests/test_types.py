"""The types of the package are complete, and say what it takes and gives."""

import importlib.util
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import drr


@unittest.skipUnless(importlib.util.find_spec("mypy"), "mypy is not installed")
class Types(unittest.TestCase):
    def mypy(self, *what):
        with tempfile.TemporaryDirectory() as cache:
            command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, *what]
            return subprocess.run(command, cwd=cache, capture_output=True, text=True)

    @unittest.skipUnless(importlib.util.find_spec("xarray"), "xarray is not installed")
    def test_the_package_and_its_use(self):
        use = Path(__file__).with_name("typed_use.py")
        for what in (("-p", "drr"), (str(use),)):
            result = self.mypy(*what)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_the_package_says_that_it_is_typed(self):
        self.assertTrue(Path(drr.__file__).with_name("py.typed").exists())


if __name__ == "__main__":
    unittest.main()
