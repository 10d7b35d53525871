"""Opening, describing, closing; errors; nothing leaks."""

import copy
import ctypes
import errno
import gc
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

import models
import numpy as np

import drr
from drr import _errors, _library

FORK = """
import os, sys
import numpy as np
import drr
points = np.zeros((100_000, 3))
model = drr.open(sys.argv[1], threads=2)
sampler = model.at([1, 15])
expected = sampler(points)
child = os.fork()
if child == 0:
    assert (sampler(points) == expected).all()
    assert (model.at([1, 15])(points) == expected).all()
    assert (drr.open(sys.argv[1], threads=2).at([1, 15])(points) == expected).all()
    del model, sampler
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert (sampler(points) == expected).all()
"""


class Opening(unittest.TestCase):
    def test_description(self):
        with drr.open(models.file(2)) as model:
            self.assertEqual(model.path, str(models.file(2)))
            self.assertEqual(model.axes[1], drr.Range("y", "cm", -1.0, 2.0))
            self.assertEqual([p.name for p in model.parameters], ["time", "speed"])
            energy, density = model.values
            self.assertEqual((energy.transform, density.transform), ("linear", "log"))
            self.assertAlmostEqual(density.max, np.exp(1))
            self.assertEqual(model.memory.file, models.file(2).stat().st_size)
            self.assertGreaterEqual(model.memory.total, model.memory.file)
            self.assertIn(model.kernel, ("scalar", "neon", "avx2", "avx512", "avx512bf16"))
            self.assertEqual(model.description.spec["grids"][0]["channels"], 5)
            with self.assertRaises(AttributeError):
                model.axes[0].min = 3
            self.assertIn("energy, density over x, y, z for time, speed", repr(model))
            sampler = model.at(models.PARAMETERS, outside="nan")
            self.assertEqual(sampler.parameters, {"time": 1.3, "speed": 17.0})
            self.assertEqual((sampler.units, sampler.outside), ("physical", "nan"))
            self.assertEqual(
                repr(sampler),
                "<drr.Sampler energy, density over x, y, z at time=1.3, speed=17; physical units, "
                "outside 'nan'>",
            )
        self.assertIn("closed", repr(model))
        self.assertEqual(model.axes[0].name, "x")

    def test_version(self):
        self.assertRegex(drr.__version__, r"^\d+\.\d+\.\d+")

    def test_paths(self):
        content = models.content()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "Größe 1.drr.safetensors"
            path.write_bytes(content)
            for name in (path, str(path), os.fsencode(path)):
                drr.open(name).close()
        for data in (content, bytearray(content), memoryview(content)):
            self.assertIsNone(drr.open_memory(data).path)

    def test_failures(self):
        with self.assertRaisesRegex(drr.FileError, "nowhere") as caught:
            drr.open("nowhere")
        error = caught.exception
        self.assertIsInstance(error, FileNotFoundError)
        self.assertEqual((error.status, error.errno), (2, errno.ENOENT))
        self.assertEqual(error.filename, "nowhere")
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(drr.FileError) as caught:
                drr.open(folder)
            self.assertNotIsInstance(caught.exception, FileNotFoundError)
            self.assertGreater(caught.exception.errno, 0)
            file = pathlib.Path(folder) / "file"
            file.touch()
            with self.assertRaises(NotADirectoryError):
                drr.open(file / "more")
        content = models.content()
        broken = bytearray(content)
        broken[-1] ^= 1
        with self.assertRaisesRegex(drr.FormatError, "crc32|checksum"):
            drr.open_memory(broken)
        drr.open_memory(broken, checksums="skip").close()
        newer = content.replace(b'"version": "1"', b'"version": "9"')
        with self.assertRaises(drr.VersionError):
            drr.open_memory(newer)
        for data in (b"", content[:100], struct.pack("<Q", 2**60)):
            with self.assertRaises(drr.FormatError):
                drr.open_memory(data)
        for options in ({"storage": "disk"}, {"checksums": True}, {"threads": -1}):
            with self.assertRaisesRegex(drr.ArgumentError, next(iter(options))):
                drr.open(models.file(), **options)
        with self.assertRaisesRegex(drr.ArgumentError, "NUL"):
            drr.open("a\0b")

    def test_errors_of_the_system_are_pythons(self):
        for number, kind in ((errno.ENOENT, FileNotFoundError), (errno.EACCES, PermissionError)):
            error = _errors.error_of(2, "cannot open it", number, "it")
            self.assertIsInstance(error, kind)
            self.assertIsInstance(error, drr.FileError)
            self.assertEqual(str(error), "cannot open it")
            self.assertEqual((error.errno, error.filename), (number, "it"))
            other = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(other), str(other)), (type(error), str(error)))
            self.assertEqual((other.errno, other.filename), (number, "it"))
        plain = _errors.error_of(2, "message", errno.EIO, "it")
        self.assertIs(type(plain), drr.FileError)
        self.assertEqual((plain.errno, plain.filename), (errno.EIO, "it"))
        self.assertEqual(str(_errors.error_of(2, "message")), "message")
        self.assertIs(type(_errors.error_of(7, "message", errno.ENOMEM)), drr.OutOfMemoryError)

    @unittest.skipUnless(hasattr(os, "seteuid"), "no users here")
    def test_a_file_that_may_not_be_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "secret"
            path.touch(0)
            user = os.geteuid()
            if user == 0:
                # Root may read everything.
                os.seteuid(65534)
            try:
                with self.assertRaises(PermissionError) as caught:
                    drr.open(path)
            finally:
                os.seteuid(user)
            self.assertIsInstance(caught.exception, drr.FileError)
            self.assertEqual(caught.exception.filename, str(path))

    def test_wrong_parameters(self):
        with drr.open(models.file()) as model:
            cases = {
                "2 numbers: time, speed": [(1,), (1, 2, 3), 5, None, [[1, 2]]],
                "'speed' is missing": [{"time": 1}],
                "no parameter is named 'sped', 'speed' is missing": [{"time": 1, "sped": 1}],
            }
            for message, given in cases.items():
                for parameters in given:
                    with self.assertRaisesRegex(drr.ArgumentError, message):
                        model.at(parameters)
            for option in ("units", "outside", "outside_parameters"):
                with self.assertRaisesRegex(ValueError, f"{option} is 'x', expected one of"):
                    model.at(models.PARAMETERS, **{option: "x"})
            with self.assertRaisesRegex(
                drr.Error, "outside_parameters: expected clamp, nan or error"
            ):
                model.at(models.PARAMETERS, outside_parameters="zeros")

    def test_every_error_is_caught_as_one(self):
        for kind in drr.Error.__subclasses__():
            self.assertTrue(issubclass(kind, (ValueError, OSError, MemoryError, RuntimeError)))


class Closing(unittest.TestCase):
    def test_use_after_close(self):
        points = models.points(3)
        with drr.open(models.file()) as model:
            sampler = model.at(models.PARAMETERS)
            expected = sampler(points)
        self.assertTrue(model.closed)
        model.close()
        # Samplers keep what they need.
        np.testing.assert_array_equal(sampler(points), expected)
        for use in (
            lambda: model.at(models.PARAMETERS),
            lambda: model.memory,
            lambda: model.query(points, points[:, :2]),
            lambda: model.query_sets(points, points[:, :2]),
            model.__enter__,
        ):
            with self.assertRaisesRegex(drr.ArgumentError, "this Model was closed"):
                use()
        with sampler:
            pass
        for use in (
            lambda: sampler(points),
            lambda: sampler.gradient(points),
            lambda: sampler.lattice((2, 2, 2)),
        ):
            with self.assertRaisesRegex(drr.ArgumentError, "this Sampler was closed"):
                use()

    def test_every_handle_is_freed_once(self):
        freed = []
        library = _library.library
        recorder = {"drr_model_close": freed.append, "drr_sampler_free": freed.append}
        with mock.patch.multiple(library, **recorder):
            model = drr.open(models.file())
            pointers = [model._handle.pointer]
            samplers = [model.at(models.PARAMETERS) for _ in range(5)]
            pointers += [sampler._handle.pointer for sampler in samplers]
            samplers[0].close()
            samplers[0].close()
            self.assertEqual(len(freed), 1)
            del samplers
            model.close()
            del model
            gc.collect()
        self.assertEqual(sorted(freed), sorted(pointers))
        self.assertEqual(len(set(freed)), 6)
        for pointer in freed:
            free = library.drr_model_close if pointer == pointers[0] else library.drr_sampler_free
            free(pointer)

    def test_files_are_let_go(self):
        def mapped():
            return pathlib.Path("/proc/self/maps").read_text().count(models.file().name)

        if not pathlib.Path("/proc/self/maps").exists():
            self.skipTest("no /proc")
        gc.collect()
        before = mapped()
        held = [drr.open(models.file()) for _ in range(10)]
        self.assertGreater(mapped(), before)
        del held
        gc.collect()
        self.assertEqual(mapped(), before)

    def test_closing_waits_for_queries(self):
        points = models.points(200_000)
        for _ in range(5):
            sampler = drr.open(models.file()).at(models.PARAMETERS)
            started, results = threading.Event(), []

            def ask(sampler=sampler, started=started, results=results):
                started.set()
                try:
                    results.append(sampler(points))
                except drr.ArgumentError as error:
                    results.append(error)

            thread = threading.Thread(target=ask)
            thread.start()
            started.wait()
            sampler.close()
            thread.join()
            (result,) = results
            self.assertTrue(isinstance(result, drr.ArgumentError) or np.isfinite(result).all())

    @unittest.skipUnless(hasattr(os, "fork"), "no fork")
    def test_a_forked_child_asks_without_threads(self):
        result = subprocess.run(
            [sys.executable, "-c", FORK, str(models.file())],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_no_copies_of_handles(self):
        with drr.open(models.file()) as model:
            for item in (model, model.at(models.PARAMETERS)):
                for function in (copy.copy, copy.deepcopy, pickle.dumps):
                    with self.assertRaisesRegex(TypeError, "cannot be copied"):
                        function(item)


class Loading(unittest.TestCase):
    def python(self, code, **variables):
        environment = {**os.environ, **variables}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def copied(self, folder):
        """The package without its library."""
        package = pathlib.Path(folder) / "drr"
        package.mkdir()
        for file in pathlib.Path(drr.__file__).parent.glob("*.py"):
            (package / file.name).write_text(file.read_text())
        return {"PYTHONPATH": folder}

    def test_the_error_names_all_three_places(self):
        with tempfile.TemporaryDirectory() as folder:
            where = self.copied(folder)
            where["DRR_LIBRARY"] = "/nowhere/libdrr.so"
            result = self.python("import drr", **where)
            self.assertIn("ImportError", result.stderr)
            for words in ("bundled", "DRR_LIBRARY (/nowhere/libdrr.so)", "system's loader"):
                self.assertIn(words, result.stderr)

    def test_a_library_by_name(self):
        name = _library.library._name
        with tempfile.TemporaryDirectory() as folder:
            where = {**self.copied(folder), "DRR_LIBRARY": name}
            result = self.python("import drr; print(drr.__file__)", **where)
            self.assertTrue(result.stdout.startswith(folder), result.stdout + result.stderr)

    @unittest.skipUnless(sys.platform == "linux", "libc by name")
    def test_something_else_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            where = {**self.copied(folder), "DRR_LIBRARY": "libc.so.6"}
            result = self.python("import drr", **where)
            self.assertIn("ImportError: cannot load the library of drr", result.stderr)

    def test_importing_changes_no_state(self):
        code = (
            "import numpy, os; before = dict(os.environ); import drr; print(before == os.environ)"
        )
        result = self.python(code)
        self.assertEqual(result.stdout, "True\n", result.stderr)

    def test_calls_release_the_lock(self):
        self.assertIs(type(_library.library), ctypes.CDLL)


if __name__ == "__main__":
    unittest.main()
