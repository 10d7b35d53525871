"""The example runs and says what is wrong; so do the lines in the README."""

import contextlib
import importlib.util
import io
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import models
import numpy as np

import drr

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "python" / "slice.py"


class Example(unittest.TestCase):
    def run_it(self, folder, *arguments):
        command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    def test_a_slice(self):
        with tempfile.TemporaryDirectory() as folder:
            result = self.run_it(folder, models.file(2), "time=1.3", "--z", 5.2, "--size", 20)
            self.assertEqual(result.returncode, 0, result.stderr)
            found = np.load(Path(folder) / "slice.npy")
        sampler = drr.open(models.file(2)).at({"time": 1.3, "speed": 15})
        np.testing.assert_array_equal(found, sampler.lattice((20, 20, 1), {"z": 5.2})[0])
        self.assertIn("slice.npy: (20, 20, 2)", result.stdout)

    def test_mistakes(self):
        cases = {
            "No such file": ["nowhere"],
            "no parameter is named 'tme'": [models.file(), "tme=3"],
            "NAME=NUMBER": [models.file(), "time"],
            "no value 2": [models.file(2), "--value", 2],
            "needs 3": [models.file(1, 2)],
        }
        for message, arguments in cases.items():
            with tempfile.TemporaryDirectory() as folder:
                result = self.run_it(folder, *arguments)
                self.assertEqual(result.returncode, 1)
                self.assertIn(message, result.stderr)
                self.assertNotIn("Traceback", result.stderr)
                self.assertEqual(list(Path(folder).iterdir()), [])

    def test_the_readme(self):
        text = (ROOT / "bindings" / "python" / "README.md").read_text()
        blocks = re.findall(r"```python\n(.*?)```", text, re.S)
        self.assertEqual(len(blocks), 5)
        self.assertIn("field.drr.safetensors", blocks[0])
        names = {}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            for block in blocks:
                if "xarray" in block and not importlib.util.find_spec("xarray"):
                    continue
                if "cupy" in block:  # needs a GPU; test_device.py makes these calls
                    continue
                code = block.replace('"field.drr.safetensors"', repr(str(models.file())))
                exec(code, names)
        self.assertIn("Range(name='x', unit='cm'", printed.getvalue())
        self.assertRegex(printed.getvalue(), "nowhere.* 2 nowhere\n$")
        self.assertEqual(names["values"].shape, (1000,))
        self.assertEqual(names["volume"].shape, (64, 64, 64))
        self.assertEqual(names["gradient"].position.shape, (1000, 3))
        self.assertEqual(names["series"].shape, (5, 1000))
        volume, ghosts = names["volume"], names["ghosts"]
        np.testing.assert_array_equal(ghosts[1:-1, 1:-1, 1:-1].astype(np.float32), volume)
        self.assertFalse(ghosts[0].any() or ghosts[..., -1].any())
        np.testing.assert_array_equal(names["x_first"].T, volume)
        np.testing.assert_array_equal(names["dy"], names["gradient"].position[:, 1])
        if "again" in names:
            self.assertEqual(names["again"]["energy"].dims, ("y", "x"))


if __name__ == "__main__":
    unittest.main()
